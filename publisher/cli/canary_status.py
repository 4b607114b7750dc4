"""What `publisher canary status` says of a gray release, as lines and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from publisher.cli.terminal import echo
from publisher.publishing import reviewing
from publisher.publishing.canary import answers, listen, state
from publisher.publishing.report import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.gate.canary import Decision
    from publisher.ledger.canaries import Canary
    from publisher.publishing.canary.answers import Answers
    from publisher.publishing.canary.state import State
    from publisher.publishing.project import Project
    from publisher.schema import Ratings

MOST_SHOWN = 20
"""Reported answers and comments that status lists."""
WORDS = {
    "wait": "wait",
    "advance": "show it to more readers",
    "promote": "promote it: it goes live",
    "abort": "abort: every reader sees what is live",
}


def as_json(project: Project, found: State) -> dict[str, Any]:
    """Return what is known of the gray release that is running."""
    said = found.feedback.of(found.canary.start.run_id)
    own, other = found.reviews
    beside = answers.beside(project, found.canary.start.run_id, found.canary.start.live_run_id)
    return {
        "canary": msgspec.to_builtins(found.canary),
        "address": found.address,
        "candidate": msgspec.to_builtins(state.rating(found, found.heard.candidate)),
        "live": msgspec.to_builtins(state.rating(found, found.heard.live)),
        "reviews": {
            "candidate": msgspec.to_builtins(reviewing.told(own)),
            "live": msgspec.to_builtins(reviewing.told(other)),
            "preference": msgspec.to_builtins(reviewing.preference(own, other)),
            "differences": list(found.heard.differences),
        },
        "reported": dict(listen.reported(said)),
        "confirmed": list(found.heard.confirmed),
        "set_aside": {
            "malformed": found.feedback.malformed,
            "repeated": found.feedback.repeated,
            "flooded": found.feedback.flooded,
        },
        "unheard": found.feedback.deaf,
        "p95": found.heard.p95,
        "answers": msgspec.to_builtins(dict(zip(("candidate", "live"), beside, strict=True))) if beside else None,
        "decision": {"outcome": found.decision.outcome, "reasons": found.decision.reasons},
        "host_agrees": found.shown,
    }


def show(project: Project, found: State) -> None:
    """Print what is known of the gray release that is running."""
    start = found.canary.start
    echo(line(found.canary))
    echo(f"link       {found.address}")
    if found.shown is False:
        echo("the host does not show that share: publisher canary step   brings it there")
    candidate, live = (state.rating(found, values) for values in (found.heard.candidate, found.heard.live))
    echo(f"ratings    {_rated(candidate)}; {start.live_snapshot} {_rated(live)}")
    if found.feedback.deaf:
        echo(f"           {found.feedback.deaf}")
    if not (found.heard.live or found.heard.differences):
        _show_what_to_compare(project, found)
    _show_reviews(found)
    _show_answers(found, answers.beside(project, start.run_id, start.live_run_id))
    said = found.feedback.of(start.run_id)
    _show_reports(said, found.heard.confirmed, start.run_id)
    _show_set_aside(found.feedback)
    show_decision(found.decision)


def line(canary: Canary) -> str:
    """Return a gray release in one line."""
    start = canary.start
    if canary.end is not None:
        who = f" by {canary.end.who}" if canary.end.who else ""
        text = (
            f"canary {start.number} of {start.snapshot}: {canary.end.outcome} {canary.end.time}{who}: {canary.end.why}"
        )
        return one_line(text, 1000)
    stage = f"stage {len(canary.stages)} of {len(start.stages)}"
    return one_line(f"canary {start.number} of {start.snapshot}: {canary.readers}, {stage}", 1000)


def show_scene(canary: Canary | None) -> None:
    """Print who saw a canary that is over, from when to when, and what was heard by then."""
    if canary is None or canary.end is None:
        return
    ends = [*(stage.time for stage in canary.stages[1:]), canary.end.time]
    for stage, until in zip(canary.stages, ends, strict=False):
        who = "its link" if canary.start.via == "link" else f"{stage.percent} %"
        echo("shown      " + one_line(f"{who} from {stage.time} to {until}, by {stage.who or 'nobody by name'}", 300))
    if canary.end.evidence is not None:
        heard = canary.end.evidence
        echo(f"ratings    {_rated(heard.candidate)}; {canary.start.live_snapshot} {_rated(heard.live)}")
        echo(
            f"reported   {heard.reported} answers, {len(heard.confirmed)} confirmed wrong; {heard.set_aside} set aside"
        )


def show_decision(decision: Decision) -> None:
    """Print what the policy does, and why."""
    echo("policy     " + one_line(f"{WORDS[decision.outcome]}: {'; '.join(decision.reasons)}", 1000))


def _rated(found: Ratings) -> str:
    if found.mean is None:
        return "not rated"
    return f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f}, {_many(found.count, 'rating')})"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _show_what_to_compare(project: Project, found: State) -> None:
    """Print how the live snapshot comes to be rated, without which the candidate is compared with nothing."""
    start = found.canary.start
    by_readers = (
        "its pages ask for ratings"
        if state.asks(project, found.canary)
        else "with [site] feedback = true in publisher.toml the next snapshots' pages ask for ratings"
    )
    echo(f"compare    nobody rated {start.live_snapshot} yet: {by_readers};")
    echo(f"           publisher review {start.snapshot} --against {start.live_snapshot}   rates both")


def _show_reviews(found: State) -> None:
    """Print how many reviewers there are, how far they agree, and which snapshot those who compared blind preferred."""
    start = found.canary.start
    for name, reviews in zip(("candidate", start.live_snapshot), found.reviews, strict=True):
        told = reviewing.told(reviews)
        if told.ratings:
            counts = f"{_many(told.ratings, 'answer')} rated by {_many(len(told.reviewers), 'reviewer')}"
            agree = "" if told.alpha is None else f", agreement {told.alpha:.2f} on {told.shared} rated by several"
            echo("reviews    " + one_line(f"{name}: {counts}{agree}", 300))
    if found.heard.differences:
        preferred = reviewing.preference(*found.reviews)
        echo(
            f"blind      {_many(len(found.heard.differences), 'reviewer')}: {preferred.better} answers better, "
            f"{preferred.alike} alike, {preferred.worse} worse than {start.live_snapshot}'s"
        )


def _show_answers(found: State, beside: tuple[Answers, Answers] | None) -> None:
    """Print latency, length and what went wrong of both runs' answers."""
    if beside is None:
        if found.heard.p95 is not None:
            echo(f"latency    95 of 100 answers within {found.heard.p95:.2f} s")
        return
    own, other = beside
    echo(f"latency    95 of 100 answers within {own.latency:.2f} s; live {other.latency:.2f} s")
    echo(
        f"length     median {_beside(own.median, other.median)}, 95 of 100 up to {_beside(own.p95, other.p95)} tokens, "
        f"{_many(own.count, 'answer')} and {other.count}"
    )
    if own.truncated or own.looping or other.truncated or other.looping:
        echo(
            f"anomalies  {own.truncated} cut off, {own.looping} repeating themselves; "
            f"live {other.truncated} and {other.looping}"
        )


def _beside(own: int, other: int) -> str:
    """Return a length with the live snapshot's: `210 (live 190, +11 %)`."""
    return f"{own} (live {other}{f', {100 * (own / other - 1):+.0f} %' if other else ''})"


def _show_reports(said: Sequence[listen.Feedback], confirmed: Sequence[str], run_id: str) -> None:
    reports = listen.reported(said).most_common(MOST_SHOWN)
    for answer, count in reports:
        known = "confirmed wrong" if answer in confirmed else "not looked at, or right"
        echo("reported   " + one_line(f"{answer}, {_many(count, 'time')}, {known}", 300))
    if reports:
        echo(f"           publisher suites promote {run_id} ADDRESS   makes a golden problem of one")
    for one in [one for one in said if one.comment][-MOST_SHOWN:]:
        echo("comment    " + one_line(f"{one.rating or '-'} {one.comment}", 300))


def _show_set_aside(feedback: listen.Feedbacks) -> None:
    parts = {
        "not of our form": feedback.malformed,
        "repeated": feedback.repeated,
        "of hours with too many": feedback.flooded,
    }
    said = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    if said or feedback.since:
        echo(f"set aside  {said or 'none'}{'; there are more than are read' if feedback.since else ''}")
