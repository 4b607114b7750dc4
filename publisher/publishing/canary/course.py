"""The course of a gray release: started, advanced, promoted or aborted, each written down before it is done.

    started ─▶ built ─▶ stage 1 ─▶ … ─▶ stage n ─▶ promoted
                              └──────────────────▶ aborted, or overtaken by a move of the live site

What the ledger says is what should be. `settle` brings the host to it and can be repeated: after a crash, by another
publisher at the same time, or an hour later.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

import msgspec

from publisher.config.canary import canary_mistakes
from publisher.errors import LostRaceError, NetworkError, PublisherError, UsageError
from publisher.ledger import canaries, history
from publisher.netlify import splits
from publisher.publishing import ending, script
from publisher.publishing.canary import ways
from publisher.publishing.canary.state import desk_of, evidence, heard_time, policy_of, run_of, state, state_of
from publisher.publishing.candidate import build_candidate
from publisher.publishing.deliver import Desk, check_settings
from publisher.publishing.find import find_snapshot
from publisher.publishing.give_up import check_reason
from publisher.publishing.live import show_live
from publisher.schema import CanaryEnd, CanaryStage, CanaryStart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.config import CanaryConfig
    from publisher.ledger.canaries import Canary
    from publisher.ledger.history import Run
    from publisher.publishing.canary.state import State
    from publisher.publishing.canary.ways import Way
    from publisher.publishing.project import Project

    Note = Callable[[str], None]
    Outcome = Literal["promoted", "aborted"]

ATTEMPTS = 12


def start(
    project: Project,
    wanted: str,
    *,
    stages: Sequence[int],
    hours: float | None,
    why: str,
    note: Note,
    way: Way | None = None,
) -> Canary:
    """Show a snapshot to the first share of readers, and return the gray release; repeated, it continues.

    By which `way`: a split test of the host, a script of the live deploy, or the candidate's own address alone. None
    is a split test where there is a token and the site has them, and otherwise the script.
    Raises UsageError where the snapshot is not published, is live already, or another one is being tried; DeployError
    where it does not serve what was rendered.
    """
    why = check_reason(why or "to see what readers say")
    project.ledger.sync()
    run = find_snapshot(project, wanted)
    desk = heard_time(Desk.of_run(project, run, note))
    before = canaries.last(project.ledger)
    if before is not None and before.end is not None:
        settle(project, note)  # what the one before has left behind must not be taken for this one's
    chosen: Way = way or "split"
    wanted_stages = [100] if way == "link" else list(stages)
    if before is None or before.end is not None:
        check_settings(desk.netlify)
        ways.check_branch(desk, canaries.branch_of(run.line.snapshot or wanted))
        chosen = way or ways.way_of(desk)
        ways.check_way(desk, chosen, len(wanted_stages or policy_of(project, run).stages))
        ways.check_candidate(desk, run, _live(project)[1])
    canary = _started(desk, run, wanted_stages, hours, why, way=chosen)
    try:
        canary = _begun(desk, canary, why)
    except ways.NoSplitsError as error:
        if way is not None:
            raise
        note(f"{error.message}: a script of the live deploy splits the readers")
        ways.check_way(desk, "script", len(canary.start.stages))
        canary = _begun(desk, _started(desk, run, canary.start.stages, hours, why, way="script"), why)
    address = desk.netlify.settings.address_of(canaries.branch_of(canary.start.snapshot))
    note(f"canary {canary.start.number}: {canary.readers} see {canary.start.snapshot}; its link is {address}")
    return canary


def _started(desk: Desk, run: Run, stages: list[int], hours: float | None, why: str, *, way: Way) -> Canary:
    """Return the gray release of a run, written into the ledger where none is running."""
    project = desk.project
    policy = policy_of(project, run)
    own = msgspec.structs.replace(
        policy, stages=stages or policy.stages, hours=policy.hours if hours is None else hours
    )
    if mistakes := canary_mistakes(own):
        raise UsageError("; ".join(mistakes), hint="--stages 1,10,50,100 --every 24h, or [canary] in publisher.toml")
    for _ in range(ATTEMPTS):
        canary = canaries.running(project.ledger)
        if canary is not None:
            if canary.start.run_id == run.run_id:
                desk.note(f"canary {canary.start.number} of {canary.start.snapshot} is running already")
                return canary
            raise UsageError(
                f"canary {canary.start.number} of {canary.start.snapshot} is running, and there is one at a time",
                hint='publisher canary abort --why "…"   ends it',
            )
        entry = _entry(desk, run, own, why, way=way)

        def taken(entry: CanaryStart = entry) -> bool:
            moved = len(history.live_moves(project.ledger)) != entry.moves
            return moved or canaries.next_number(project.ledger) != entry.number or _is_running(project)

        project.ledger.append(canaries.canary_file(entry), f"Canary {entry.number} of {entry.snapshot}\n", unless=taken)
        found = canaries.running(project.ledger)
        if found is not None and found.start == entry:
            return found
    raise LostRaceError("other publishers keep starting canaries", hint="publisher canary status")


def _is_running(project: Project) -> bool:
    return canaries.running(project.ledger) is not None


def _entry(desk: Desk, run: Run, policy: CanaryConfig, why: str, *, way: Way) -> CanaryStart:
    receipt, live = run.receipt, _live(desk.project)
    if receipt is None or receipt.run_id == live[1]:
        raise LostRaceError(f"{run.line.snapshot} went live or was deleted meanwhile", hint="publisher canary status")
    return CanaryStart(
        number=canaries.next_number(desk.project.ledger),
        snapshot=receipt.snapshot,
        commit=receipt.commit,
        run_id=receipt.run_id,
        live_snapshot=live[0],
        live_run_id=live[1],
        moves=len(history.live_moves(desk.project.ledger)),
        stages=policy.stages,
        hours=policy.hours,
        via=way,
        who=desk.project.who,
        why=why,
        time=desk.moment(),
    )


def _live(project: Project) -> tuple[str, str]:
    """Return the snapshot that is live and its run; UsageError before the first."""
    moves = history.live_moves(project.ledger)
    if not moves:
        raise UsageError(
            "nothing is live yet, so there is nothing to compare a candidate with", hint="publisher publish"
        )
    return moves[-1].snapshot, moves[-1].run_id


def _begun(desk: Desk, canary: Canary, why: str) -> Canary:
    """Build the candidate's pages, take the first stage and show it; each only where that is not done yet.

    Raises UsageError where somebody ended it meanwhile: then what was built since is deleted again.
    """
    project, number = desk.project, canary.start.number
    try:
        if not canary.stages:
            build_candidate(desk, canary)
            _enter_stage(desk, canary, canary.start.stages[0], why)
        settle(project, desk.note)
    except script.NoScriptError:
        raise
    except PublisherError as error:
        # Whoever ends it deletes the branch under the build: what fails then is no failure of the build.
        project.ledger.sync()
        if ending.is_over(project, number):
            desk.note(f"canary {number}: {error.message}")
        elif isinstance(error, NetworkError) and splits.is_refusal(error) and canary.start.via == "split":
            # A site whose split tests cannot be changed shows nobody anything: no canary is left that claims it does.
            end(project, "aborted", why=f"this site has no split tests: {error.message}"[:900], note=desk.note)
            if splits.has_none(error):
                raise ways.no_splits(error) from error
            raise
        else:
            raise
    now = canaries.running(project.ledger)
    if now is None or now.start.number != number:
        settle(project, desk.note)
        raise UsageError(f"canary {number} was ended meanwhile", hint="publisher canary status")
    return now


def step(project: Project, note: Note) -> State | None:
    """Do what the policy says now: wait, advance, promote or abort; None where no gray release is running.

    A start that was interrupted is finished first. A host that cannot be brought to what the ledger says (no production
    deploys are left, somebody changed the split test) keeps no rule from aborting: some readers see the candidate.
    """
    try:
        settle(project, note)
    except PublisherError:
        if (aborted := _aborted(project, note)) is None:
            raise
        return aborted
    canary = canaries.running(project.ledger)
    if canary is not None and not canary.stages:
        _begun(desk_of(project, canary, note), canary, canary.start.why)
    found = state(project, note)
    if found is None:
        return None
    reasons = "; ".join(found.decision.reasons)[:900]
    if found.decision.outcome == "advance":
        desk = desk_of(project, found.canary, note)
        percent = found.canary.start.stages[len(found.canary.stages)]
        canary = _enter_stage(desk, found.canary, percent, reasons)
        settle(project, note)
        note(f"canary {canary.start.number}: {canary.readers} see {canary.start.snapshot}")
    elif found.decision.outcome in {"promote", "abort"}:
        outcome: Outcome = "promoted" if found.decision.outcome == "promote" else "aborted"
        end(project, outcome, why=reasons, note=note, seen=found)
    return found


def _aborted(project: Project, note: Note) -> State | None:
    """Abort the gray release that is running if the policy says so now, and return it as it was; None if not."""
    found = None
    with contextlib.suppress(PublisherError):
        found = state(project, note)
    if found is None or found.decision.outcome != "abort":
        return None
    end(project, "aborted", why="; ".join(found.decision.reasons)[:900], note=note, seen=found)
    return found


def end(project: Project, outcome: Outcome, *, why: str, note: Note, seen: State | None = None) -> Canary:
    """End the gray release that is running, and return it; promoted, its snapshot goes live.

    Repeated, it continues. Raises UsageError where none is running and the last one ended otherwise, NetworkError where
    the end is written down but the host could not be told.
    """
    why = check_reason(why)
    if seen is None and outcome == "promoted":
        seen = state(project, note)
    project.ledger.sync()
    canary = canaries.running(project.ledger)
    if canary is None:
        return _ended_before(project, outcome, note)
    number = canary.start.number
    for _ in range(ATTEMPTS):
        if ending.is_over(project, number):
            break
        desk = desk_of(project, canary, note)
        if outcome == "promoted" and ending.end_overtaken(project, desk.netlify, note):
            break
        entry = CanaryEnd(
            number=number,
            outcome=outcome,
            who=project.who,
            why=why,
            time=desk.moment(),
            moves=len(history.live_moves(project.ledger)),
            # An abort waits for nothing that it does not need; what was heard is written down afterwards.
            evidence=evidence(seen) if seen and seen.canary.start.number == number else None,
        )
        ending.enter(project, entry)
    return _closed(project, number, note)


def _ended_before(project: Project, outcome: Outcome, note: Note) -> Canary:
    """Finish what a command that was killed began; UsageError where there is nothing of the kind."""
    canary = canaries.last(project.ledger)
    if canary is None or canary.end is None or canary.end.outcome != outcome:
        raise UsageError("no canary is running", hint="publisher canary status   says what became of the last one")
    return _closed(project, canary.start.number, note)


def _closed(project: Project, number: int, note: Note) -> Canary:
    """Bring the host to the end that the ledger says, and return the gray release."""
    try:
        settle(project, note)
    except NetworkError as error:
        known = canaries.last(project.ledger)
        raise (ending.unreached(known, error) if known else error) from error
    return next(one for one in canaries.canaries(project.ledger) if one.start.number == number)


def settle(project: Project, note: Note) -> None:
    """Bring the host to what the ledger says of the last gray release; nothing where it is so already.

    One that the live site was moved during has been overtaken by that, and ends; so does one whose candidate was
    withdrawn or deleted.
    """
    for _ in range(ATTEMPTS):
        project.ledger.sync()
        canary = canaries.last(project.ledger)
        if canary is None:
            return
        try:
            _settle(project, canary, note)
        except LostRaceError:
            continue
        except script.NoScriptError as error:
            end(project, "aborted", why=error.message, note=note)
            raise
        # Somebody else may have changed it while the host was told: then the host is told again.
        project.ledger.sync()
        now = canaries.last(project.ledger)
        if now is not None and (now.start, now.percent, now.end is None) == (
            canary.start,
            canary.percent,
            canary.end is None,
        ):
            return
    raise LostRaceError("other publishers keep changing the canary", hint="publisher canary status")


def settle_lost(project: Project, note: Note) -> None:
    """End the gray release whose candidate was withdrawn, given up or deleted; any other is left as it is.

    Raises NetworkError where the end is written down but the host could not be told.
    """
    canary = canaries.running(project.ledger)
    if canary is not None and ending.lost(project.run(canary.start.run_id)):
        _closed(project, canary.start.number, note)


def _settle(project: Project, canary: Canary, note: Note) -> None:
    """Bring the host to one gray release as it was read."""
    # To close one that has ended, no time is needed: an abort is a request shorter.
    desk = desk_of(project, canary, note) if canary.end is None else Desk.of_run(project, run_of(project, canary), note)
    if canary.end is None:
        over = ending.end_overtaken(project, desk.netlify, note)
        over = over or ending.end_lost(project, desk.netlify, canary, note)
        if not over and canary.stages and canary.start.via == "script":
            script.show(desk, canary)
        if not over and canary.stages and canary.start.via == "split":
            splits.show(desk.netlify, _live_branch(desk), canaries.branch_of(canary.start.snapshot), canary.percent)
        return
    if canary.end.outcome == "promoted" and len(history.live_moves(project.ledger)) == canary.end.moves:
        run = run_of(project, canary)
        if run.receipt is None:
            raise UsageError(
                f"{canary.start.snapshot} was promoted, but its deploy is gone",
                hint=f"publisher verify {canary.start.snapshot} --repair",
            )
        show_live(desk, run.receipt, why=f"canary {canary.start.number}: {canary.end.why}"[:1000], by_hand=True)
    ending.close(project, desk.netlify, canary, note)
    if canary.end.evidence is None:
        # The scene is worth having, and not worth an error: the next settling tries again.
        with contextlib.suppress(PublisherError):
            ending.keep_scene(project, canary, evidence(state_of(project, canary, note)))


def unsettled(project: Project) -> Canary | None:
    """Return the last gray release if it has ended and left something behind; None otherwise."""
    canary = canaries.last(project.ledger)
    return None if canary is None or canary.end is None or ending.is_cleared(project, canary) else canary


def _enter_stage(desk: Desk, canary: Canary, percent: int, why: str) -> Canary:
    """Write the next stage down, unless somebody else did or the gray release has ended, and return what is so now."""
    ledger, number, stage = desk.project.ledger, canary.start.number, len(canary.stages) + 1
    entry = CanaryStage(
        number=number, stage=stage, percent=percent, who=desk.project.who, why=check_reason(why), time=desk.moment()
    )

    def taken() -> bool:
        now = canaries.running(ledger)
        return now is None or now.start.number != number or len(now.stages) >= stage

    ledger.append(canaries.canary_file(entry), f"Canary {number}: {percent} %\n", unless=taken)
    now = canaries.running(ledger)
    if now is None or now.start.number != number:
        raise UsageError(f"canary {number} was ended meanwhile", hint="publisher canary status")
    return now


def _live_branch(desk: Desk) -> str:
    settings = desk.netlify.site().build_settings
    return (settings.repo_branch if settings else None) or "live"
