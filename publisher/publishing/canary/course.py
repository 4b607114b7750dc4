"""The course of a gray release: started, advanced, promoted or aborted, each written down before it is done.

    started ─▶ built ─▶ stage 1 ─▶ … ─▶ stage n ─▶ promoted
                              └──────────────────▶ aborted, or overtaken by a move of the live site

What the ledger says is what should be. `settle` brings the host to it and can be repeated: after a crash, by another
publisher at the same time, or an hour later.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from publisher.errors import LostRaceError, NetworkError, UsageError
from publisher.gate.canary import Decision, Heard, decide, ratings
from publisher.ledger import canaries, history
from publisher.netlify import splits
from publisher.publishing.canary import listen
from publisher.publishing.canary.branch import build_candidate
from publisher.publishing.deliver import Desk, check_settings
from publisher.publishing.find import find_snapshot
from publisher.publishing.give_up import check_reason
from publisher.publishing.live import show_live
from publisher.publishing.overtaken import close, end_overtaken
from publisher.schema import CanaryEnd, CanaryEvidence, CanaryStage, CanaryStart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.config import CanaryConfig
    from publisher.ledger.canaries import Canary
    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.schema import Ratings

    Note = Callable[[str], None]
    Outcome = Literal["promoted", "aborted"]

ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class State:
    """A gray release as it is now, with what was heard and what the policy would do."""

    canary: Canary
    policy: CanaryConfig
    heard: Heard
    feedback: listen.Feedbacks
    decision: Decision
    shown: bool | None
    """Whether the host shows what the ledger says; None where that cannot be asked."""


def start(project: Project, wanted: str, *, stages: Sequence[int], hours: float | None, why: str, note: Note) -> Canary:
    """Show a snapshot to the first share of readers, and return the gray release; repeated, it continues.

    Raises UsageError where the snapshot is not published, is live already, or another one is being tried.
    """
    why = check_reason(why or "to see what readers say")
    project.ledger.sync()
    run = find_snapshot(project, wanted)
    desk = Desk.of_run(project, run, note)
    _check_site(desk)
    _heard(desk)
    canary = _started(desk, run, list(stages), hours, why)
    build_candidate(desk, canary)
    if not canary.stages:
        canary = _enter_stage(desk, canary, canary.start.stages[0], why)
    _bring(desk, canary)
    note(f"canary {canary.start.number}: {canary.percent} % of the readers see {canary.start.snapshot}")
    return canary


def _check_site(desk: Desk) -> None:
    check_settings(desk.netlify)
    if not desk.netlify.settings.token:
        raise UsageError("a split test needs an API token", hint="set NETLIFY_AUTH_TOKEN")


def _started(desk: Desk, run: Run, stages: list[int], hours: float | None, why: str) -> Canary:
    """Return the gray release of a run, written into the ledger where none is running."""
    project = desk.project
    policy = policy_of(project, run)
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
        live = _live(project)
        entry = _entry(desk, run, live, stages or policy.stages, policy.hours if hours is None else hours, why)
        number = entry.number

        def taken(number: int = number) -> bool:
            return canaries.next_number(project.ledger) != number or canaries.running(project.ledger) is not None

        project.ledger.append(canaries.canary_file(entry), f"Canary {number} of {entry.snapshot}\n", unless=taken)
        found = canaries.running(project.ledger)
        if found is not None and found.start == entry:
            return found
    raise LostRaceError("other publishers keep starting canaries", hint="publisher canary status")


def _entry(desk: Desk, run: Run, live: tuple[str, str], stages: list[int], hours: float, why: str) -> CanaryStart:
    receipt = run.receipt
    if receipt is None or run.line.verdict != "kept":
        state = "is not deployed any more" if run.last_receipt else "is not published"
        raise UsageError(
            f"{run.line.snapshot or run.run_id} {state}, so nobody can be shown it",
            hint="publisher snapshots   lists what can be; publisher verify SNAPSHOT --repair brings one back",
        )
    if receipt.run_id == live[1]:
        raise UsageError(f"{receipt.snapshot} is live already: every reader sees it")
    return CanaryStart(
        number=canaries.next_number(desk.project.ledger),
        snapshot=receipt.snapshot,
        commit=receipt.commit,
        run_id=receipt.run_id,
        live_snapshot=live[0],
        live_run_id=live[1],
        stages=stages,
        hours=hours,
        via="split",
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


def policy_of(project: Project, run: Run) -> CanaryConfig:
    """Return the `[canary]` that counts for a run: the trusted branch's, where there is one."""
    trusted = project.trusted.tip if project.trusted else run.line.commit
    return project.config(trusted)[0].canary


def state(project: Project, note: Note) -> State | None:
    """Return the gray release that is running with what was heard of it; None where none is."""
    project.ledger.sync()
    canary = canaries.running(project.ledger)
    if canary is None:
        return None
    run = _run(project, canary)
    desk = _desk(project, canary, note)
    policy = policy_of(project, run)
    feedback = listen.listen(desk.netlify, policy.hourly)
    now = project.now(desk.netlify)
    heard = Heard(
        candidate=listen.rated(project, feedback.counted, canary.start.run_id),
        live=listen.rated(project, feedback.counted, canary.start.live_run_id),
        confirmed=_confirmed(project, canary),
        flooded=feedback.flooded,
        p95=_p95(project, canary),
        stage=max(1, len(canary.stages)),
        stages=len(canary.start.stages),
        stage_hours=_hours(canary.stages[-1].time if canary.stages else canary.start.time, now),
        hours=_hours(canary.start.time, now),
    )
    # A canary keeps the stages that it was started with; all else is what the trusted branch says now.
    own = msgspec.structs.replace(policy, stages=canary.start.stages, hours=canary.start.hours)
    return State(canary, own, heard, feedback, decide(own, heard), _shows(desk, canary))


def rating(seen: State, values: Sequence[int]) -> Ratings:
    """Return ratings with the bounds that the policy goes by."""
    return ratings(values, seen.policy.alpha)


def step(project: Project, note: Note) -> State | None:
    """Do what the policy says now: wait, advance, promote or abort; None where no gray release is running.

    Raises UsageError where there is no token.
    """
    settle(project, note)
    found = state(project, note)
    if found is None:
        return None
    reasons = "; ".join(found.decision.reasons)
    if found.decision.outcome == "advance":
        desk = _desk(project, found.canary, note)
        percent = found.canary.start.stages[len(found.canary.stages)]
        canary = _enter_stage(desk, found.canary, percent, reasons)
        _bring(desk, canary)
        note(f"canary {canary.start.number}: {canary.percent} % of the readers see {canary.start.snapshot}")
    elif found.decision.outcome in {"promote", "abort"}:
        outcome: Outcome = "promoted" if found.decision.outcome == "promote" else "aborted"
        end(project, outcome, why=reasons, note=note, seen=found)
    return found


def end(project: Project, outcome: Outcome, *, why: str, note: Note, seen: State | None = None) -> Canary:
    """End the gray release that is running; promoted, its snapshot goes live. Raises UsageError where none is."""
    why = check_reason(why)
    if seen is None and outcome != "aborted":
        seen = state(project, note)
    project.ledger.sync()
    canary = canaries.running(project.ledger)
    if canary is None:
        raise UsageError("no canary is running", hint="publisher canary status   says what became of the last one")
    desk = _desk(project, canary, note)
    entry = CanaryEnd(
        number=canary.start.number,
        outcome=outcome,
        who=project.who,
        why=why,
        time=desk.moment(),
        # An abort waits for nothing that it does not need.
        evidence=_evidence(seen) if seen else None,
    )
    project.ledger.append(
        canaries.canary_file(entry),
        f"Canary {entry.number} {outcome}\n",
        unless=lambda: _ended(project, entry.number),
    )
    settle(project, note)
    return next(one for one in canaries.canaries(project.ledger) if one.start.number == entry.number)


def settle(project: Project, note: Note) -> None:
    """Bring the host to what the ledger says of the last gray release; nothing where it is so already.

    One that the live site was moved during has been overtaken by that, and ends.
    """
    project.ledger.sync()
    known = canaries.canaries(project.ledger)
    if not known:
        return
    canary = known[-1]
    desk = _desk(project, canary, note)
    moves = history.live_moves(project.ledger)
    moved = bool(moves) and moves[-1].run_id != canary.start.live_run_id
    if canary.end is None:
        if not end_overtaken(desk) and canary.stages:
            _bring(desk, canary)
        return
    if canary.end.outcome == "promoted" and not moved:
        run = _run(project, canary)
        if run.receipt is None:
            raise UsageError(
                f"{canary.start.snapshot} was promoted, but its deploy is gone",
                hint=f"publisher verify {canary.start.snapshot} --repair",
            )
        show_live(desk, run.receipt, why=f"canary {canary.start.number}: {canary.end.why}"[:1000], by_hand=True)
    if close(desk, canary.start.snapshot):
        note(f"canary {canary.start.number} {canary.end.outcome}: every reader sees what is live")


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


def _bring(desk: Desk, canary: Canary) -> None:
    """Make the host show the candidate to the share of readers that the ledger says."""
    try:
        splits.show(desk.netlify, _live_branch(desk), canaries.branch_of(canary.start.snapshot), canary.percent)
    except NetworkError as error:
        if splits.is_refusal(error):
            raise UsageError(
                f"this site has no split tests: {error.message}",
                hint="Netlify → Split testing; it needs branch deploys of canary-* (Build & deploy → Branches)",
            ) from error
        raise


def _live_branch(desk: Desk) -> str:
    settings = desk.netlify.site().build_settings
    return (settings.repo_branch if settings else None) or "live"


def _shows(desk: Desk, canary: Canary) -> bool | None:
    """Return whether the host's split test is the one that the ledger says."""
    if not desk.netlify.settings.token:
        return None
    split = splits.running(desk.netlify)
    shares = split.shares() if split else {}
    return shares.get(canaries.branch_of(canary.start.snapshot), 0) == canary.percent


def _run(project: Project, canary: Canary) -> Run:
    run = project.run(canary.start.run_id)
    if run is None:
        raise UsageError(f"the ledger has no run {canary.start.run_id}", hint="git fetch origin ledger:ledger")
    return run


def _desk(project: Project, canary: Canary, note: Note) -> Desk:
    return _heard(Desk.of_run(project, _run(project, canary), note))


def _heard(desk: Desk) -> Desk:
    """Return a desk that has heard the host's time, by which stages last: machines' clocks differ."""
    if desk.netlify.settings.token and desk.netlify.clock.now() is None:
        desk.netlify.site()
    return desk


def _ended(project: Project, number: int) -> bool:
    now = canaries.running(project.ledger)
    return now is None or now.start.number != number


def _confirmed(project: Project, canary: Canary) -> list[str]:
    found = canaries.confirmations(project.ledger, canary.start.run_id)
    return [answer for answer, look in found.items() if look.wrong]


def _p95(project: Project, canary: Canary) -> float | None:
    """Return the longest of the run's suites' 95 % latencies, in seconds; None where none says it."""
    known = [result.latency.p95 for result in project.record(canary.start.run_id).results]
    return max((value for value in known if value is not None), default=None)


def _hours(since: str, now: float) -> float:
    """Return the hours since a time of the ledger; both are the host's, and a clock that was set back gives 0."""
    return max(0.0, now - dt.datetime.fromisoformat(since).timestamp()) / 3600


def _evidence(seen: State) -> CanaryEvidence:
    said = seen.feedback.of(seen.canary.start.run_id)
    return CanaryEvidence(
        candidate=ratings(seen.heard.candidate, seen.policy.alpha),
        live=ratings(seen.heard.live, seen.policy.alpha),
        responses=len(seen.heard.candidate),
        reported=len(listen.reported(said)),
        confirmed=list(seen.heard.confirmed),
        set_aside=seen.feedback.malformed + seen.feedback.repeated + seen.feedback.flooded,
        reasons=seen.decision.reasons,
    )
