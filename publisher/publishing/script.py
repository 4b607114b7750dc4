"""The split by the deploy's own script: the live snapshot's pages, and one file that says how many readers to move.

    plain ─▶ split 10 % ─▶ split 50 % ─▶ … ─▶ plain, or the snapshot that goes live next

The snapshot itself never changes: the branch `live` is at a commit of its own meanwhile, which counts as the snapshot
wherever somebody asks what is live. No move of the live site is written down for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import LostRaceError, NetworkError, UsageError
from publisher.files import canonical_json
from publisher.ledger import calls, canaries, history, snapshots
from publisher.netlify import budget, deploys
from publisher.publishing import allowance
from publisher.publishing.candidate import build_whole, commit_beside, hasty
from publisher.publishing.deliver import Desk
from publisher.schema import SplitPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.ledger.canaries import Canary
    from publisher.netlify.client import Netlify
    from publisher.publishing.project import Project

    Note = Callable[[str], None]

SERVED = "split.json"
ATTEMPTS = 12
_NOT_RESTORED = frozenset({400, 404, 405, 409, 422})


class NoScriptError(UsageError):
    """The live snapshot is rendered by something that does not know this split: nobody would ever be moved."""


def page_of(netlify: Netlify, canary: Canary) -> SplitPage:
    """Return what the live deploy has to know of a canary now."""
    settings, start = netlify.settings, canary.start
    address = settings.address_of(canaries.branch_of(start.snapshot))
    return SplitPage(number=start.number, percent=canary.percent, main=settings.main_address(), candidate=address)


def shows(netlify: Netlify, canary: Canary) -> bool:
    """Return whether the main address splits its readers as the ledger says of a canary: not at all once it ended."""
    found = deploys.fetch_json(netlify, f"{netlify.settings.main_address()}/{SERVED}")
    if canary.percent == 0:
        return found.get("number") != canary.start.number
    page = page_of(netlify, canary)
    return (found.get("number"), found.get("percent"), found.get("candidate")) == (
        page.number,
        page.percent,
        page.candidate,
    )


def is_plain(project: Project, netlify: Netlify, canary: Canary) -> bool:
    """Return whether a canary that has ended left no split behind.

    A start that an abort overtook may still have moved `live`, after the candidate's own branch was deleted.
    """
    tip, repository = snapshots.live_at(project.ledger), project.repository
    plain = tip is None or snapshots.snapshot_of(repository, tip) == snapshots.shown_by(repository, tip)
    return plain and not shows_number(netlify, canary.start.number)


def check_budget(desk: Desk, stages: int) -> None:
    """Raise UsageError where the production deploys that a canary needs are not left: one per stage, and its end."""
    needed = stages + (0 if desk.netlify.settings.token else 1)  # with a token the plain deploy is restored
    limit = desk.limits.production_per_month
    times = allowance.production_times(desk.project)
    left = limit - sum(age < budget.MONTH for age in budget.ages(times, desk.project.now(desk.netlify)))
    if limit and left < needed:
        raise UsageError(
            f"{stages} stages and their end need {needed} production deploys; {max(0, left)} of {limit} are left",
            hint="fewer stages: --percent 10; or --link, which needs none; or raise [netlify] production_per_month",
        )


def show(desk: Desk, canary: Canary) -> None:
    """Bring the main address to a deploy that splits its readers as the ledger says; nothing where it does so already.

    Raises NoScriptError where that deploy has no script, LostRaceError where the canary changes meanwhile.
    """
    project, netlify, number = desk.project, desk.netlify, canary.start.number
    page = page_of(netlify, canary)
    tip = _split_tip(project, canary, page)
    if tip is None:
        desk.note("the branch live shows another snapshot: somebody is moving the live site, so no reader is split")
        return
    commit = snapshots.shown_by(project.repository, tip)
    run_id = history.live_moves(project.ledger)[-1].run_id
    main = netlify.settings.main_address()
    folder = calls.split_folder(number, str(len(canary.stages)))
    if deploys.identity(netlify, main) != (run_id, commit):
        times = allowance.production_times(project, besides=folder)
        budget.check_production(times, project.now(netlify), per_month=desk.limits.production_per_month)
        desk.note(f"building the branch `live` again, with a script that moves {canary.percent} % of the readers")
        wanted = deploys.WantedDeploy(
            "live",
            tip,
            run_id,
            f"{_title(canary)} {canary.percent} %",
            desk.limits.timeout,
            address=main,
            shown=commit,
            require=lambda: _require_tip(project, tip),
        )
        build_whole(desk, wanted, desk.turns(folder), commit)
    if not shows(netlify, canary):
        raise NoScriptError(
            "the live snapshot is rendered by an older publisher, or by a build of your own: its pages have no script "
            "that splits readers",
            hint="--link needs none; or show a snapshot live that this publisher renders",
        )


def bring_back(project: Project, netlify: Netlify, canary: Canary, note: Note) -> None:
    """Bring the main address back to what `live` shows, without a script, and see that it is there.

    With a token its own deploy is restored; otherwise the branch is built, whatever is left of the month's budget.
    """
    tip = _plain_tip(project, canary)
    if tip is None:
        return
    repository, main = project.repository, netlify.settings.main_address()
    commit = snapshots.shown_by(repository, tip)
    run_id = snapshots.trailers(repository.commit(commit).message).get("Run", "")
    found = deploys.identity(netlify, main)
    late = _late(project, netlify, canary, main)
    split = shows_number(netlify, canary.start.number) or (found[0] == run_id and found[1] not in {commit, tip, ""})
    if not (split or late):
        return
    desk = desk_of(project, netlify, canary, note)
    if netlify.settings.token and _restored(desk, commit, run_id):
        note(f"canary {canary.start.number}: {main} shows what is live")
        return
    wanted = deploys.WantedDeploy(
        "live",
        tip,
        run_id,
        f"live again, canary {canary.start.number}",
        desk.limits.timeout,
        address=main,
        shown=commit,
        # A build that was asked for before may still come: the one that is asked for after it is the last.
        damaged=frozenset(late),
        require=lambda: _require_tip(project, tip),
    )
    build_whole(desk, wanted, hasty(desk, calls.split_folder(canary.start.number, "end")), commit)
    note(f"canary {canary.start.number} of {canary.start.snapshot}: every reader sees what is live")


def _title(canary: Canary) -> str:
    """Return how the titles of a canary's split deploys begin."""
    return f"live, canary {canary.start.number}:"


def shows_number(netlify: Netlify, number: int) -> bool:
    """Return whether the main address splits its readers for the canary of this number."""
    return bool(deploys.fetch_json(netlify, f"{netlify.settings.main_address()}/{SERVED}").get("number") == number)


def _split_tip(project: Project, canary: Canary, page: SplitPage) -> str | None:
    """Return where `live` is once it splits its readers as `page` says; None where it shows another snapshot."""
    ledger, repository, data = project.ledger, project.repository, canonical_json(page)
    live = history.live_moves(ledger)[-1].commit
    for _ in range(ATTEMPTS):
        tip = snapshots.live_at(ledger)
        # After `live` was read: whoever changes the canary does so before moving `live`, so the push below fails.
        ledger.sync()
        now = canaries.running(ledger)
        if now is None or (now.start, now.percent) != (canary.start, canary.percent):
            raise LostRaceError("the canary was changed meanwhile", hint="publisher canary status")
        if tip is None or snapshots.snapshot_of(repository, tip) != live:
            return None
        if repository.read(snapshots.shown_by(repository, tip), snapshots.SPLIT) == data:
            return tip
        try:
            snapshots.move_live(ledger, commit_beside(project, live, snapshots.SPLIT, page, f", {page.percent} %"), tip)
        except LostRaceError:
            continue
    raise LostRaceError("other publishers keep moving the branch live", hint="run the same command again")


def _plain_tip(project: Project, canary: Canary) -> str | None:
    """Return where `live` is once it shows its snapshot as it is; None where another canary needs it otherwise."""
    ledger, repository = project.ledger, project.repository
    for _ in range(ATTEMPTS):
        tip = snapshots.live_at(ledger)
        ledger.sync()
        now = canaries.running(ledger)
        if tip is None or (now is not None and now.start.number != canary.start.number):
            return None
        plain = snapshots.snapshot_of(repository, tip)
        if plain == snapshots.shown_by(repository, tip):
            return tip
        try:
            snapshots.move_live(ledger, plain, tip)
        except LostRaceError:
            continue
    raise LostRaceError("other publishers keep moving the branch live", hint="run the same command again")


def _late(project: Project, netlify: Netlify, canary: Canary, main: str) -> set[str]:
    """Return the deploy that is shown now if one that was asked for earlier may still take its place.

    Also cancels, with a token, builds that are under way.
    """
    desk = desk_of(project, netlify, canary, lambda _: None)
    look = deploys.look(netlify, deploys.WantedDeploy("live", "", "", "", desk.limits.timeout, address=main))
    if netlify.settings.token:
        for deploy in netlify.deploys(branch="live"):
            if not (deploy.ready or deploy.failed) and (deploy.title or "").startswith(_title(canary)):
                deploys.cancel(netlify, deploy.id)
        return set()
    parts = [str(number) for number in range(1, len(canary.stages) + 1)]
    waiting = [desk.turns(calls.split_folder(canary.start.number, part)).pending(look) > 0 for part in parts]
    return set(look.ids) if any(waiting) else set()


def _restored(desk: Desk, commit: str, run_id: str) -> bool:
    """Show a snapshot's own deploy by the API and return whether that went well."""
    run = desk.project.run(run_id)
    receipt = run.receipt if run else None
    if receipt is None or receipt.commit != commit:
        return False
    try:
        deploys.publish_live(desk.netlify, deploys.Deployed(receipt.deploy_id, receipt.permalink, receipt.via))
    except NetworkError as error:
        if error.status not in _NOT_RESTORED:
            raise
        desk.note(f"Netlify refused to restore deploy {receipt.deploy_id}: {error.message}")
        return False
    return True


def _require_tip(project: Project, tip: str) -> None:
    """Raise LostRaceError once `live` is not at a commit any more: its build is of no use then."""
    if snapshots.live_at(project.ledger) != tip:
        raise LostRaceError("the branch live was moved meanwhile", hint="publisher canary status")


def desk_of(project: Project, netlify: Netlify, canary: Canary, note: Note) -> Desk:
    """Return the desk at which the end of a canary is brought about."""
    run = project.run(canary.start.run_id) or project.run(canary.start.live_run_id)
    if run is None:
        raise UsageError(f"the ledger has no run {canary.start.run_id}", hint="git fetch origin ledger:ledger")
    return Desk(project, netlify, project.client_of(run)[1].netlify, note)
