"""`publisher prune`: delete old deploys."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.errors import StorageError
from publisher.publishing import prune
from publisher.publishing.failures import Failures
from publisher.publishing.listing import Shown, runs_table


@click.command("prune")
@click.option("--delete", is_flag=True, help="Really delete; without it this is a dry run.")
@click.pass_context
def command(ctx: click.Context, delete: bool) -> None:
    """Delete the deploys and branches of snapshots that `[netlify] keep` does not hold. Their records stay.

    The rules are those of the commit that you are on.
    """
    project = open_project(ctx)
    project.ledger.sync()
    keep = prune.keep_policy(project)
    runs = prune.prunable(project, keep)
    unreadable = [run.line for run in project.runs() if run.line.verdict == "unreadable"]
    if not runs and not unreadable:
        echo("nothing to prune: every snapshot is kept by [netlify] keep")
        return
    if not delete:
        echo(runs_table(runs, Shown.of(project), addresses=True))
        echo(f"{len(runs)} snapshots would be pruned: publisher prune --delete")
        return
    failures, pruned = Failures(note), 0
    for line in unreadable:
        with failures.of(line.run_id):
            raise StorageError(f"it is left alone, because {line.why}", hint="git log ledger   says who wrote it")
    for run in runs:
        with failures.of(run.run_id):
            pruned += prune.prune(project, run, keep, note)
    echo(f"{pruned} snapshot{'' if pruned == 1 else 's'} pruned")
    failures.check("pruned")
