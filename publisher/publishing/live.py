"""The live site: a snapshot shown at the main address, by itself or by a maintainer who rolls back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from publisher.errors import LostRaceError, NetworkError
from publisher.ledger import history, snapshots
from publisher.netlify import budget, deploys
from publisher.publishing.deliver import check_settings, repair
from publisher.publishing.find import find_snapshot
from publisher.publishing.project import now
from publisher.schema import LiveMove, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.config import Config
    from publisher.netlify.client import Netlify
    from publisher.publishing.project import Project

    Note = Callable[[str], None]

ATTEMPTS = 12
"""How often a move of the live site that others overtook is tried again."""


def show_live(
    project: Project, netlify: Netlify, receipt: Receipt, config: Config, *, why: str, note: Note, by_hand: bool = False
) -> LiveMove | None:
    """Show a snapshot at the site's main address and record the move; None where there is nothing to do.

    With a token Netlify restores the deploy; without one, or where it refuses, the `live` branch is pushed and built.
    A site that somebody locked is only moved `by_hand`; where `[netlify] lock` is set, the lock is ours and follows.
    Only `by_hand` does an older snapshot come back, or one that was rolled back from.
    """
    locked = is_locked(netlify)
    if locked and not (by_hand or config.netlify.lock):
        note("the live site is locked and stays where it is: publisher live --unlock, or publisher rollback SNAPSHOT")
        return None
    previous, moved = _move_ref(project, netlify, receipt, by_hand=by_hand)
    if not moved:
        return None
    via: Literal["api", "hook"] = _restore(project, netlify, receipt, note) if netlify.settings.token else "hook"
    if via == "hook" and not _shows(netlify, receipt):
        built = [move.time for move in history.live_moves(project.ledger) if move.via == "hook"]
        budget.check_production(built, time.time(), per_month=config.netlify.production_per_month)
        note("moving the live site by building the branch `live`: a second deploy of the same snapshot")
        netlify.call_hook("live", f"live {receipt.snapshot}")
        deploys.wait_live(netlify, receipt.run_id, config.netlify.timeout)
    if (config.netlify.lock or locked) and via == "api" and _is_last(project, receipt.commit):
        # Whether a lock survives a restore is not documented, so it is set again.
        netlify.lock(receipt.deploy_id)
    move = LiveMove(
        snapshot=receipt.snapshot,
        commit=receipt.commit,
        run_id=receipt.run_id,
        deploy_id=receipt.deploy_id,
        previous=previous or "",
        who=project.who,
        why=why,
        time=now(),
        via=via,
    )
    if not _record(project, move):
        return None
    note(f"live: {netlify.settings.main_address()} shows {receipt.snapshot}")
    return move


def is_locked(netlify: Netlify) -> bool:
    """Return whether somebody stopped the site at the deploy that it shows; unknown, hence false, without a token."""
    published = netlify.site().published_deploy if netlify.settings.token else None
    return published is not None and bool(published.locked)


def _move_ref(project: Project, netlify: Netlify, receipt: Receipt, *, by_hand: bool) -> tuple[str | None, bool]:
    """Point `live`, which decides who was last, at a snapshot; return where it was and whether more is to be done."""
    for _ in range(ATTEMPTS):
        previous = snapshots.live_commit(project.ledger)
        # Asked after `live` was read: whoever moves it in between makes the push below fail.
        if not (by_hand or _is_due(project, receipt)):
            return previous, False
        if previous == receipt.commit and _recorded(project, receipt.commit) and _shows(netlify, receipt):
            return previous, False
        try:
            snapshots.move_live(project.ledger, receipt.commit, previous)
        except LostRaceError:
            continue
        return previous, True
    raise LostRaceError("other publishers keep moving the live site", hint="run the same command again")


def _is_due(project: Project, receipt: Receipt) -> bool:
    """Return whether a snapshot goes live by itself: none published is newer, and it never was live before."""
    project.ledger.sync()
    newer = any(run.run_id > receipt.run_id for run in project.runs() if run.receipt is not None)
    return not newer and all(move.run_id != receipt.run_id for move in history.live_moves(project.ledger))


def _is_last(project: Project, commit: str) -> bool:
    """Return whether nobody has moved the live site on from a snapshot commit."""
    return snapshots.live_commit(project.ledger) == commit


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


def _restore(project: Project, netlify: Netlify, receipt: Receipt, note: Note) -> Literal["api", "hook"]:
    """Restore the snapshot's deploy by the API; say so and fall back to the hook where Netlify refuses to.

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
        return published is not None and published.id == receipt.deploy_id
    return deploys.shown_run(netlify, netlify.settings.main_address()) == receipt.run_id


def rollback(project: Project, wanted: str, *, why: str, lock: bool, note: Note) -> tuple[Receipt, LiveMove | None]:
    """Show an older (or newer) snapshot live and return its receipt and the move; None where it is live already.

    A snapshot whose deploy is gone is repaired first.
    """
    project.ledger.sync()
    run = find_snapshot(project, wanted)
    netlify, config = project.client_of(run)
    receipt = run.receipt
    if receipt is None or (netlify.settings.token and not netlify.has(receipt.deploy_id)):
        note(f"{run.line.snapshot} is not deployed any more: repairing it first")
        check_settings(netlify)
        receipt = repair(project, netlify, project.record(run.run_id), config, note)
    move = show_live(project, netlify, receipt, config, why=why, note=note, by_hand=True)
    if lock:
        netlify.lock(receipt.deploy_id)
        note("locked: no build is published by itself until  publisher live --unlock")
    return receipt, move
