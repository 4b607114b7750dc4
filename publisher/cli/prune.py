"""`publisher prune`: delete old deploys."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.errors import StorageError
from publisher.publishing import prune
from publisher.publishing.failures import Failures
from publisher.publishing.listing import Shown, run_json, runs_table


@click.command("prune")
@click.option("--delete", is_flag=True, help="Really delete; without it this is a dry run.")
@click.option("--json", "as_json", is_flag=True, help="Print what is to be pruned, was pruned and was not, as JSON.")
@click.pass_context
def command(ctx: click.Context, delete: bool, as_json: bool) -> None:
    """Delete the deploys and branches of snapshots that `[netlify] keep` does not hold. Their records stay.

    The rules are those of the commit that you are on.
    """
    project = open_project(ctx)
    project.ledger.sync()
    keep = prune.keep_policy(project)
    runs = prune.prunable(project, keep)
    shown = Shown.of(project)
    unreadable = [run.line for run in project.runs() if run.line.verdict == "unreadable"]
    failures, pruned = Failures(note), []
    if delete:
        for line in unreadable:
            with failures.of(line.run_id):
                raise StorageError(f"it is left alone, because {line.why}", hint="git log ledger   says who wrote it")
        for run in runs:
            with failures.of(run.run_id):
                pruned += [run.run_id] if prune.prune(project, run, keep, note) else []
    if as_json:
        echo_json(
            {"prunable": [run_json(run, shown) for run in runs], "pruned": pruned, "failed": failures.as_values()}
        )
    elif not runs and not unreadable:
        echo("nothing to prune: every snapshot is kept by [netlify] keep")
    elif delete:
        echo(f"{_snapshots(len(pruned))} pruned")
    else:
        echo(runs_table(runs, shown, addresses=True))
        echo(f"{_snapshots(len(runs))} would be pruned: publisher prune --delete")
    failures.check("pruned")


def _snapshots(count: int) -> str:
    return f"{count} snapshot{'' if count == 1 else 's'}"
