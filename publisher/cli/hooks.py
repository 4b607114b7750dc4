"""`publisher hooks`: measure each commit in the background, and gate each push."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from publisher.cli.gate import exit_code
from publisher.cli.groups import Commands
from publisher.cli.init import hooks_folder
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.config import FILE
from publisher.publishing import pipeline
from publisher.publishing.adoption import hooks
from publisher.publishing.compare import report_of
from publisher.publishing.quiet import Quiet
from publisher.publishing.report import report_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.publishing.project import Project
    from publisher.schema import Record, Verdict

LARGEST = 1 << 20


@click.group("hooks", cls=Commands)
def command() -> None:
    """Measure each commit in the background and gate each push, by git's own hooks."""


@command.command("install")
@click.pass_context
def install(ctx: click.Context) -> None:
    """Install post-commit and pre-push here; scripts of others are left alone."""
    _show(hooks.install(open_project(ctx), hooks_folder()))
    echo("git push --no-verify   pushes without asking the gate")


@command.command("remove")
@click.pass_context
def remove(ctx: click.Context) -> None:
    """Remove our scripts."""
    _show(hooks.remove(open_project(ctx)))


@command.command("status")
@click.pass_context
def status(ctx: click.Context) -> None:
    """Say which hooks are installed."""
    _show(hooks.states(open_project(ctx)))


@command.command("after-commit")
@click.pass_context
def after_commit(ctx: click.Context) -> None:
    """Measure HEAD's quick tier in the background (called by post-commit)."""
    log = hooks.after_commit(open_project(ctx), os.environ)
    note(f"publisher measures this commit in the background: {log}")


@command.command("work", hidden=True)
@click.pass_context
def work(ctx: click.Context) -> None:
    """Measure the newest commit that was asked for."""
    project = open_project(ctx)
    with hooks.next_wanted(project) as commit:
        if commit:
            record = pipeline.bench(project, commit, hooks.tier_of(project, commit), Quiet(note))
            _say(project, record, pipeline.verdict_of(project, record))


@command.command("before-push")
@click.option("--from-environment", is_flag=True, help="Take the pushed commit from pre-commit's variables.")
@click.pass_context
def before_push(ctx: click.Context, from_environment: bool) -> None:
    """Say whether the gate lets the pushed commits pass (called by pre-push); measure those that are not measured."""
    project = open_project(ctx)
    lines = "" if from_environment else sys.stdin.read(LARGEST)
    worst = 0
    for commit in hooks.pushed(lines, os.environ if from_environment else {}):
        if project.repository.blob(commit, FILE) is None:
            note(f"{commit[:12]} has no {FILE}, so there is nothing to measure")  # such as a branch of pages
            continue
        record = pipeline.bench(project, commit, hooks.tier_of(project, commit), Quiet(note))
        verdict = pipeline.verdict_of(project, record)
        _say(project, record, verdict)
        config, _ = project.config(commit)
        # What is undecided may be pushed: its verdict is made where it is published.
        worst = max(worst, int(exit_code(verdict, config) == 1))
    if worst:
        note("the gate rejects it: git push --no-verify   pushes all the same")
    ctx.exit(worst)


def _say(project: Project, record: Record, verdict: Verdict) -> None:
    """Print what the gate says of a run."""
    echo("\n".join(report_lines(record, report_of(project, record, verdict))))


def _show(found: Sequence[hooks.HookState]) -> None:
    """Print the hooks as they are."""
    for hook in found:
        echo(f"{hook.state:<10} {hook.path}")
