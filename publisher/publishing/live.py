"""The live site: a snapshot shown at the main address, by itself or by a maintainer who rolls back."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Literal

from publisher.errors import LostRaceError, NetworkError, PublisherError, UsageError
from publisher.ledger import calls, canaries, history, snapshots
from publisher.netlify import budget, deploys
from publisher.publishing import allowance
from publisher.publishing.audit import check
from publisher.publishing.deliver import Desk, build, check_settings, repair
from publisher.publishing.ending import end_overtaken
from publisher.publishing.find import find_snapshot
from publisher.publishing.give_up import check_reason
from publisher.schema import LiveEvidence, LiveMove, Receipt
from publisher.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.ledger.history import Run
    from publisher.netlify.client import Netlify
    from publisher.publishing.project import Project
    from publisher.verify import Verification

    Note = Callable[[str], None]

ATTEMPTS = 12
"""How often a move of the live site that others overtook is tried again."""
MOST_PROBLEMS = 20
"""Damaged files of the snapshot that was live before which a move records."""


def show_live(desk: Desk, receipt: Receipt, *, why: str, by_hand: bool = False) -> LiveMove | None:
    """Show a snapshot at the site's main address and record the move; None where there is nothing to do.

    With a token Netlify restores the deploy; without one, or where it says no, the `live` branch is pushed and built.
    A site that somebody locked is only moved `by_hand`; where `[netlify] lock` is set, the lock is ours and follows.
    Only `by_hand` does an older snapshot come back, or one that was rolled back from.
    """
    project, netlify = desk.project, desk.netlify
    locked = is_locked(netlify)
    if locked and not (by_hand or desk.limits.lock):
        desk.note(
            "the live site is locked and stays where it is: publisher live --unlock, or publisher rollback SNAPSHOT"
        )
        return None
    if not _move_ref(desk, receipt, by_hand=by_hand):
        return None
    moves = history.live_moves(project.ledger)
    via: Literal["api", "hook"] = _restore(project, netlify, receipt, desk.note) if netlify.settings.token else "hook"
    if via == "hook":
        _build_live(desk, receipt, moves)
    if (desk.limits.lock or locked) and via == "api" and _is_last(project, receipt.commit):
        # Whether a lock survives a restore is not documented, so it is set again.
        netlify.lock(receipt.deploy_id)
    before = moves[-1] if moves and moves[-1].commit != receipt.commit else None
    move = LiveMove(
        snapshot=receipt.snapshot,
        commit=receipt.commit,
        run_id=receipt.run_id,
        deploy_id=receipt.deploy_id,
        previous=moves[-1].commit if moves else "",
        who=project.who,
        why=why,
        time=desk.moment(),
        via=via,
        # Looked at when the site has moved already: a rollback must not wait for it.
        evidence=_evidence(project, before, receipt) if by_hand and before else None,
    )
    if not _record(project, move):
        return None
    desk.note(f"live: {netlify.settings.main_address()} shows {receipt.snapshot}")
    end_overtaken(project, netlify, desk.note)
    return move


def is_locked(netlify: Netlify) -> bool:
    """Return whether somebody stopped the site at the deploy that it shows; unknown, hence false, without a token."""
    published = netlify.site().published_deploy if netlify.settings.token else None
    return published is not None and bool(published.locked)


def _move_ref(desk: Desk, receipt: Receipt, *, by_hand: bool) -> bool:
    """Point `live`, which decides who was last, at a snapshot; return whether more is to be done."""
    ledger = desk.project.ledger
    for _ in range(ATTEMPTS):
        there = snapshots.live_at(ledger)
        shown = snapshots.snapshot_of(ledger.repository, there) if there else None
        # Asked after `live` was read: whoever moves it in between makes the push below fail.
        if not (by_hand or _is_due(desk, receipt)):
            return False
        if shown == receipt.commit:
            return not (_recorded(desk.project, receipt.commit) and _shows(desk.netlify, receipt))
        snapshots.require_own_live(ledger, receipt.commit, there)
        try:
            snapshots.move_live(ledger, receipt.commit, there)
        except LostRaceError:
            continue
        return True
    raise LostRaceError("other publishers keep moving the live site", hint="run the same command again")


def _is_due(desk: Desk, receipt: Receipt) -> bool:
    """Return whether a snapshot goes live by itself: none published is newer, and it never was live before.

    A run that was withdrawn or given up, perhaps while it was built, does not. Nor does one that a canary showed to
    some readers: that goes live by its promotion, or by hand.

    Newer is what came into the ledger later. A machine whose clock is wrong gives its runs other names than their order
    says, which is told.
    """
    project = desk.project
    project.ledger.sync()
    if receipt.run_id in {move.run_id for move in history.live_moves(project.ledger)}:
        return False
    if receipt.run_id in {canary.start.run_id for canary in canaries.canaries(project.ledger)}:
        desk.note(
            f"{receipt.snapshot} was shown by a canary, so it does not go live by itself: publisher canary promote, or "
            f"publisher rollback {receipt.snapshot}"
        )
        return False
    published = contenders(project)
    if receipt.run_id not in published:
        desk.note(f"{receipt.snapshot} was withdrawn or given up, so it does not go live by itself")
        return False
    ids = list(published)
    newer = ids[ids.index(receipt.run_id) + 1 :]
    if newer:
        desk.note(f"{published[newer[-1]].line.snapshot} is newer and published already, so the live site stays")
    return not newer


def contenders(project: Project) -> dict[str, Run]:
    """Return the published runs, by id and in the ledger's order, of which the last goes live by itself.

    A run that was withdrawn or given up is none, unless it has been live: then what is older does not come back.
    """
    moved = {move.run_id for move in history.live_moves(project.ledger)}
    return {
        run.run_id: run
        for run in project.runs()
        if run.receipt and (run.run_id in moved or (run.line.verdict == "kept" and not run.is_over))
    }


def _is_last(project: Project, commit: str) -> bool:
    """Return whether nobody has moved the live site on from a snapshot commit."""
    return snapshots.live_commit(project.ledger) == commit


def _build_live(desk: Desk, receipt: Receipt, moves: list[LiveMove]) -> None:
    """Show a snapshot at the main address by a build of the branch `live`, which the ledger gives turns for."""
    netlify, ledger = desk.netlify, desk.project.ledger
    address = netlify.settings.main_address()
    if deploys.shown_run(netlify, address) == receipt.run_id:
        return
    folder = calls.live_folder(len(moves) + 1, receipt.commit)
    built = allowance.production_times(desk.project, besides=folder)
    budget.check_production(built, desk.project.now(netlify), per_month=desk.limits.production_per_month)
    desk.note("moving the live site by building the branch `live`: a second deploy of the same snapshot")
    wanted = deploys.WantedDeploy(
        "live",
        snapshots.live_at(ledger) or receipt.commit,
        receipt.run_id,
        f"live {receipt.snapshot}",
        desk.limits.timeout,
        address=address,
    )
    build(desk, wanted, desk.turns(folder))


def _record(project: Project, move: LiveMove) -> bool:
    """Write a move into the ledger, after those made before; false when it is there, or the site was moved on since."""
    for _ in range(ATTEMPTS):
        number = 1 + len(history.live_moves(project.ledger))

        def overtaken(number: int = number) -> bool:
            return len(history.live_moves(project.ledger)) >= number

        if not _is_last(project, move.commit) or _recorded(project, move.commit):
            return False
        if project.ledger.append(history.live_file(move, number), f"Live moves to {move.snapshot}\n", unless=overtaken):
            return True
    raise LostRaceError("other publishers keep moving the live site", hint="run the same command again")


def _recorded(project: Project, commit: str) -> bool:
    """Return whether the ledger's last move of the live site is to a snapshot commit."""
    moves = history.live_moves(project.ledger)
    return bool(moves) and moves[-1].commit == commit


def _evidence(project: Project, before: LiveMove, receipt: Receipt) -> LiveEvidence:
    """Return what was live before a move: what its permanent address serves, its verdict, and how scores differ."""
    runs = {run.run_id: run for run in project.runs()}
    old, new = runs.get(before.run_id), runs.get(receipt.run_id)
    scores = (old.line.scores, new.line.scores) if old and new else ({}, {})
    found = _served(project, old) if old else None
    state: Literal["whole", "damaged", "private", "unknown"] = "unknown"
    if found is not None:
        state = "private" if found.private else "damaged" if found.damaged else "whole"
    return LiveEvidence(
        snapshot=before.snapshot,
        run_id=before.run_id,
        verdict=old.line.verdict if old else "unreadable",
        state=state,
        files=found.files if found else 0,
        problems=[*found.missing, *found.changed, *found.unreadable][:MOST_PROBLEMS] if found else [],
        difference={
            suite: round(scores[1][suite].score - scores[0][suite].score, 2)
            for suite in scores[1]
            if suite in scores[0]
        },
    )


def _served(project: Project, run: Run) -> Verification | None:
    """Return what a snapshot's permanent address serves; None where that cannot be found out."""
    seconds = project.patience.look
    try:
        # The site has moved already, but only this entry will say so: it must not wait for a host that drips.
        web = partial(Web, attempts=1, read_timeout=seconds, total=seconds)
        return check(project, run, run.receipt, web=web) if run.receipt else None
    except PublisherError:
        return None


def _restore(project: Project, netlify: Netlify, receipt: Receipt, note: Note) -> Literal["api", "hook"]:
    """Restore the snapshot's deploy by the API; say so and fall back to the hook where Netlify says no.

    Another publisher may move `live` while this one restores, and its own restore may come first: so what the branch
    says is restored until the branch stays where it is.
    """
    wanted: Receipt | None = receipt
    while wanted is not None:
        shown = wanted
        try:
            deploys.publish_live(netlify, deploys.Deployed(shown.deploy_id, shown.permalink, shown.via))
        except NetworkError as error:
            if error.status not in {400, 405, 409, 422}:
                raise
            note(f"Netlify refused to restore deploy {shown.deploy_id}: {error.message}")
            return "hook"
        commit = snapshots.live_commit(project.ledger)
        if commit == shown.commit:
            break
        project.ledger.sync()
        wanted = next((run.receipt for run in project.runs() if run.receipt and run.receipt.commit == commit), None)
    return "api"


def _shows(netlify: Netlify, receipt: Receipt) -> bool:
    """Return whether the site's main address already shows the snapshot."""
    if netlify.settings.token:
        published = netlify.site().published_deploy
        if published is not None and published.id == receipt.deploy_id:
            return True
    return deploys.shown_run(netlify, netlify.settings.main_address()) == receipt.run_id


def rollback(project: Project, wanted: str, *, why: str, lock: bool, note: Note) -> tuple[Receipt, LiveMove | None]:
    """Show an older (or newer) snapshot live and return its receipt and the move; None where it is live already.

    A snapshot whose deploy is gone is repaired first. Raises UsageError without a reason: the ledger keeps it for ever.
    """
    project.ledger.sync()
    run = find_snapshot(project, wanted)
    if not why.strip():
        raise UsageError(
            "a rollback needs a reason, which the ledger keeps",
            hint=f'publisher rollback {shlex.quote(wanted)} --why "the newest answers are cut off"',
        )
    # Before the site moves: a reason that the ledger cannot keep would leave the move without an entry.
    why = check_reason(why)
    desk = Desk.of_run(project, run, note)
    receipt = run.receipt
    if receipt is None or (desk.netlify.settings.token and not desk.netlify.has(receipt.deploy_id)):
        note(f"{run.line.snapshot} is not deployed any more: repairing it first")
        check_settings(desk.netlify)
        receipt = repair(desk, project.record(run.run_id))
    move = show_live(desk, receipt, why=why, by_hand=True)
    if lock:
        desk.netlify.lock(receipt.deploy_id)
        note("locked: no build is published by itself until  publisher live --unlock")
    return receipt, move
