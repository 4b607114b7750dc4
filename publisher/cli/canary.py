"""`publisher canary`: show a snapshot to some readers before it goes live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.errors import UsageError
from publisher.ledger import canaries
from publisher.publishing.canary import confirm, course, listen, state
from publisher.publishing.report import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.gate.canary import Decision
    from publisher.ledger.canaries import Canary
    from publisher.schema import Ratings

MOST_SHOWN = 20
"""Reported answers and comments that status lists."""
WORDS = {
    "wait": "wait",
    "advance": "show it to more readers",
    "promote": "promote it: it goes live",
    "abort": "abort: every reader sees what is live",
}


@click.group("canary")
def command() -> None:
    """Show a snapshot to some readers beside the live one, listen, then promote or abort."""


@command.command("start")
@click.argument("snapshot")
@click.option("--percent", type=click.IntRange(1, 100), help="The share of readers, as the only stage.")
@click.option("--stages", metavar="1,10,50,100", help="The shares, one stage after the other (default: [canary]).")
@click.option("--every", metavar="24h", help="How long a stage lasts at least, in hours or days (default: [canary]).")
@click.option("--link", is_flag=True, help="To who follows its own address only: needs no token, no split test.")
@click.option("--why", default="", metavar="TEXT", help="The reason, which the ledger keeps.")
@click.pass_context
def start(
    ctx: click.Context, snapshot: str, percent: int | None, stages: str | None, every: str | None, link: bool, why: str
) -> None:
    """Show SNAPSHOT to a share of the readers of the main address; everybody else stays with what is live."""
    if link and (percent or stages):
        raise UsageError("--link has no shares: who follows the link sees it", hint="leave --percent and --stages out")
    if percent and stages:
        raise UsageError("--percent is one stage, --stages are several", hint="leave one of them out")
    shares = [percent] if percent else _stages(stages) if stages else []
    hours = _hours(every) if every else None
    canary = course.start(open_project(ctx), snapshot, stages=shares, hours=hours, why=why, note=note, link=link)
    echo(_line(canary))


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say who sees what, how it is rated, what was reported, and what the policy would do now."""
    project = open_project(ctx)
    found = state.state(project, note)
    if found is None:
        known = canaries.canaries(project.ledger)
        if as_json:
            echo_json(msgspec.to_builtins(known[-1]) if known else None)
        else:
            echo(_line(known[-1]) if known else "there was no canary yet: publisher canary start SNAPSHOT")
            _show_scene(known[-1] if known else None)
        return
    candidate, live = (state.rating(found, values) for values in (found.heard.candidate, found.heard.live))
    said = found.feedback.of(found.canary.start.run_id)
    if as_json:
        echo_json(
            {
                "canary": msgspec.to_builtins(found.canary),
                "address": found.address,
                "candidate": msgspec.to_builtins(candidate),
                "live": msgspec.to_builtins(live),
                "reported": dict(listen.reported(said)),
                "confirmed": list(found.heard.confirmed),
                "set_aside": {
                    "malformed": found.feedback.malformed,
                    "repeated": found.feedback.repeated,
                    "flooded": found.feedback.flooded,
                },
                "p95": found.heard.p95,
                "decision": {"outcome": found.decision.outcome, "reasons": found.decision.reasons},
                "host_agrees": found.shown,
            }
        )
        return
    echo(_line(found.canary))
    echo(f"link       {found.address}")
    if found.shown is False:
        echo("the host does not show that share: publisher canary step   brings it there")
    echo(f"ratings    {_rated(candidate)}; {found.canary.start.live_snapshot} {_rated(live)}")
    if found.heard.p95 is not None:
        echo(f"latency    95 of 100 answers within {found.heard.p95:.2f} s")
    _show_reports(said, found.heard.confirmed, found.canary.start.run_id)
    _show_set_aside(found.feedback)
    _show_decision(found.decision)


@command.command("step")
@click.pass_context
def step(ctx: click.Context) -> None:
    """Do what the policy says now: wait, show it to more readers, promote, or abort. A workflow runs this hourly."""
    project = open_project(ctx)
    found = course.step(project, note)
    if found is None:
        echo("no canary is running")
        return
    _show_decision(found.decision)


@command.command("promote")
@click.option("--why", required=True, metavar="TEXT", help="The reason, which the ledger keeps.")
@click.pass_context
def promote(ctx: click.Context, why: str) -> None:
    """Put the candidate live now, for every reader, whatever the policy says."""
    echo(_line(course.end(open_project(ctx), "promoted", why=why, note=note)))


@command.command("abort")
@click.option("--why", required=True, metavar="TEXT", help="The reason, which the ledger keeps.")
@click.pass_context
def abort(ctx: click.Context, why: str) -> None:
    """End the canary now: every reader sees what is live."""
    echo(_line(course.end(open_project(ctx), "aborted", why=why, note=note)))


@command.command("confirm")
@click.argument("answer")
@click.option("--right", is_flag=True, help="The answer is right after all.")
@click.option("--why", required=True, metavar="TEXT", help="What is wrong with it, or why it is right.")
@click.pass_context
def confirm_(ctx: click.Context, answer: str, right: bool, why: str) -> None:
    """Say that you looked at an ANSWER that was reported as wrong, such as /samples/aime25/#p7-1, and what it is."""
    found = confirm.confirm(open_project(ctx), answer, wrong=not right, why=why)
    echo(f"{found.answer}: {'wrong' if found.wrong else 'right'}, says {found.who or 'nobody by name'}")


def _stages(text: str) -> list[int]:
    try:
        shares = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--stages {text!r} is not a list of percentages", hint="--stages 1,10,50,100") from None
    if any(not 1 <= share <= 100 for share in shares) or sorted(set(shares)) != shares:
        raise UsageError(
            f"--stages {text!r}: each stage must be from 1 to 100 and show it to more readers than the one before",
            hint="--stages 1,10,50,100",
        )
    return shares


def _hours(text: str) -> float:
    factor = {"h": 1.0, "d": 24.0}.get(text[-1:], 0.0)
    try:
        hours = float(text[:-1]) * factor
    except ValueError:
        hours = -1.0
    if not 0 < hours <= 8760 and text not in {"0h", "0d"}:
        raise UsageError(f"--every {text!r} is not a time of at most a year", hint="--every 24h, or 3d")
    return hours


def _line(canary: Canary) -> str:
    start = canary.start
    if canary.end is not None:
        who = f" by {canary.end.who}" if canary.end.who else ""
        text = (
            f"canary {start.number} of {start.snapshot}: {canary.end.outcome} {canary.end.time}{who}: {canary.end.why}"
        )
        return one_line(text, 1000)
    stage = f"stage {len(canary.stages)} of {len(start.stages)}"
    return one_line(f"canary {start.number} of {start.snapshot}: {canary.readers}, {stage}", 1000)


def _show_scene(canary: Canary | None) -> None:
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


def _rated(found: Ratings) -> str:
    if found.mean is None:
        return "not rated"
    count = f"{found.count} rating{'s' if found.count > 1 else ''}"
    return f"{found.mean:.2f} ({found.low:.2f} to {found.high:.2f}, {count})"


def _show_reports(said: Sequence[listen.Feedback], confirmed: Sequence[str], run_id: str) -> None:
    reports = listen.reported(said).most_common(MOST_SHOWN)
    for answer, count in reports:
        state = "confirmed wrong" if answer in confirmed else "not looked at, or right"
        times = f"{count} time{'s' if count > 1 else ''}"
        echo("reported   " + one_line(f"{answer}, {times}, {state}", 300))
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


def _show_decision(decision: Decision) -> None:
    echo("policy     " + one_line(f"{WORDS[decision.outcome]}: {'; '.join(decision.reasons)}", 1000))
