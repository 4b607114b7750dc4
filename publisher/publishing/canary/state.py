"""A gray release as it is now: what the ledger says, what was heard, and what the policy would do."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher.config import FILE, parse_site
from publisher.errors import NetworkError, PublisherError, UsageError
from publisher.gate.canary import Decision, Heard, decide, ratings
from publisher.ledger import canaries
from publisher.netlify import deploys, splits
from publisher.publishing import reviewing, script
from publisher.publishing.canary import listen
from publisher.publishing.deliver import Desk
from publisher.publishing.project import LARGEST_CONFIG
from publisher.schema import CanaryEvidence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.config import CanaryConfig
    from publisher.ledger.canaries import Canary
    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.schema import Ratings, Review

    Note = Callable[[str], None]


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
    address: str
    """The candidate's own address, by which anybody may look at it."""
    reviews: tuple[list[Review], list[Review]]
    """What reviewers said of the candidate and of the live snapshot."""


def state(project: Project, note: Note) -> State | None:
    """Return the gray release that is running with what was heard of it; None where none is."""
    project.ledger.sync()
    canary = canaries.running(project.ledger)
    return None if canary is None else state_of(project, canary, note)


def state_of(project: Project, canary: Canary, note: Note) -> State:
    """Return what is known of a gray release, running or not."""
    run = run_of(project, canary)
    desk = desk_of(project, canary, note)
    policy = policy_of(project, run)
    feedback = listen.listen(
        desk.netlify, policy.hourly, {canary.start.run_id, canary.start.live_run_id}, began=canary.start.time
    )
    now = project.now(desk.netlify)
    reviews, beside = (
        canaries.reviews(project.ledger, run_id) for run_id in (canary.start.run_id, canary.start.live_run_id)
    )
    heard = Heard(
        candidate=listen.rated(feedback.counted, reviews, canary.start.run_id),
        live=listen.rated(feedback.counted, beside, canary.start.live_run_id),
        differences=reviewing.differences(reviews, beside),
        confirmed=_confirmed(project, canary),
        flooded=feedback.flooded,
        unread=feedback.since > canary.start.time,
        p95=_p95(project, canary),
        stage=max(1, len(canary.stages)),
        stages=len(canary.start.stages),
        stage_hours=_hours(canary.stages[-1].time if canary.stages else canary.start.time, now),
        hours=_hours(canary.start.time, now),
    )
    # A canary keeps the stages that it was started with; all else is what the trusted branch says now.
    own = msgspec.structs.replace(policy, stages=canary.start.stages, hours=canary.start.hours)
    decision = decide(own, heard) if canary.stages else Decision("wait", ["the candidate's pages are not built yet"])
    address = desk.netlify.settings.address_of(canaries.branch_of(canary.start.snapshot))
    return State(canary, own, heard, feedback, decision, _shows(desk, canary), address, (reviews, beside))


def rating(seen: State, values: Sequence[int]) -> Ratings:
    """Return ratings with the bounds that the policy goes by."""
    return ratings(values, seen.policy.alpha)


def evidence(seen: State) -> CanaryEvidence:
    """Return what the ledger keeps of what was heard."""
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


def asks(project: Project, canary: Canary) -> bool:
    """Return whether the live snapshot's own pages ask for a rating, as far as its commit can be read here."""
    run = project.run(canary.start.live_run_id)
    with contextlib.suppress(PublisherError):
        if run is not None:
            project.repository.fetch_commit(project.ledger.remote, run.line.commit)
            data = project.repository.read(run.line.commit, FILE, limit=LARGEST_CONFIG)
            return data is not None and parse_site(data).feedback
    return False


def policy_of(project: Project, run: Run) -> CanaryConfig:
    """Return the `[canary]` that counts for a run: the trusted branch's, where there is one."""
    trusted = project.trusted.tip if project.trusted else run.line.commit
    return project.config(trusted)[0].canary


def run_of(project: Project, canary: Canary) -> Run:
    """Return the candidate's run; UsageError where the ledger has it no more."""
    run = project.run(canary.start.run_id)
    if run is None:
        raise UsageError(f"the ledger has no run {canary.start.run_id}", hint="git fetch origin ledger:ledger")
    return run


def desk_of(project: Project, canary: Canary, note: Note) -> Desk:
    """Return the desk of a gray release, which has heard the host's time."""
    return heard_time(Desk.of_run(project, run_of(project, canary), note))


def heard_time(desk: Desk) -> Desk:
    """Return a desk that has heard the host's time, by which stages last: machines' clocks differ.

    A host that does not answer now stops nothing here: an abort is written down all the same.
    """
    netlify = desk.netlify
    if netlify.clock.now() is None:
        with contextlib.suppress(NetworkError):
            if netlify.settings.token:
                netlify.site()
            else:
                deploys.identity(netlify, netlify.settings.main_address())
    return desk


def _shows(desk: Desk, canary: Canary) -> bool | None:
    """Return whether the host splits its readers as the ledger says; None where that cannot be asked."""
    if canary.start.via == "script":
        return script.shows(desk.netlify, canary)
    if not desk.netlify.settings.token or canary.start.via == "link":
        return None
    split = splits.running(desk.netlify)
    shares = split.shares() if split else {}
    return shares.get(canaries.branch_of(canary.start.snapshot), 0) == canary.percent


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
