"""`publisher canary`: show a snapshot to some readers before it goes live."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import canary_status, offers
from publisher.cli.groups import Commands
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.errors import UsageError
from publisher.ledger import canaries
from publisher.publishing.canary import confirm, course, state, ways


@click.group("canary", cls=Commands)
def command() -> None:
    """Show a snapshot to some readers beside the live one, listen, then promote or abort."""


@command.command("start")
@click.argument("snapshot", shell_complete=offers.snapshots)
@click.option("--percent", type=click.IntRange(1, 100), help="The share of readers, as the only stage.")
@click.option("--stages", metavar="1,10,50,100", help="The shares, one stage after the other (default: [canary]).")
@click.option("--every", metavar="24h", help="How long a stage lasts at least, in hours or days (default: [canary]).")
@click.option("--script", is_flag=True, help="By a script of the live deploy: needs no token, no split test.")
@click.option("--link", is_flag=True, help="To readers who follow its own address only.")
@click.option("--why", "--reason", "why", default="", metavar="WHY", help="The reason, which the ledger keeps.")
@click.pass_context
def start(
    ctx: click.Context,
    snapshot: str,
    percent: int | None,
    stages: str | None,
    every: str | None,
    script: bool,
    link: bool,
    why: str,
) -> None:
    """Show SNAPSHOT to a share of the readers of the main address; everybody else stays with what is live.

    A split test of Netlify's does that where there is a token and the site has them, otherwise a script.
    """
    if link and script:
        raise UsageError("--link and --script are two ways", hint="leave one of them out")
    if link and (percent or stages):
        raise UsageError("--link has no shares: who follows the link sees it", hint="leave --percent and --stages out")
    if percent and stages:
        raise UsageError("--percent is one stage, --stages are several", hint="leave one of them out")
    shares = [percent] if percent else _stages(stages) if stages else []
    hours = _hours(every) if every else None
    way: ways.Way | None = "link" if link else "script" if script else None
    canary = course.start(open_project(ctx), snapshot, stages=shares, hours=hours, why=why, note=note, way=way)
    echo(canary_status.line(canary))


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
            echo(canary_status.line(known[-1]) if known else "there was no canary yet: publisher canary start SNAPSHOT")
            canary_status.show_scene(known[-1] if known else None)
        return
    if as_json:
        echo_json(canary_status.as_json(project, found))
    else:
        canary_status.show(project, found)


@command.command("step")
@click.pass_context
def step(ctx: click.Context) -> None:
    """Do what the policy says now: wait, show it to more readers, promote, or abort. A workflow runs this hourly."""
    project = open_project(ctx)
    found = course.step(project, note)
    if found is None:
        echo("no canary is running")
        return
    canary_status.show_decision(found.decision)


@command.command("promote")
@click.option("--why", "--reason", "why", required=True, metavar="WHY", help="The reason, which the ledger keeps.")
@click.pass_context
def promote(ctx: click.Context, why: str) -> None:
    """Put the candidate live now, for every reader, whatever the policy says."""
    echo(canary_status.line(course.end(open_project(ctx), "promoted", why=why, note=note)))


@command.command("abort")
@click.option("--why", "--reason", "why", required=True, metavar="WHY", help="The reason, which the ledger keeps.")
@click.pass_context
def abort(ctx: click.Context, why: str) -> None:
    """End the canary now: every reader sees what is live."""
    echo(canary_status.line(course.end(open_project(ctx), "aborted", why=why, note=note)))


@command.command("confirm")
@click.argument("answer")
@click.option("--right", is_flag=True, help="The answer is right after all.")
@click.option(
    "--why", "--reason", "why", required=True, metavar="WHY", help="What is wrong with it, or why it is right."
)
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
