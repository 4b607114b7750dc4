"""`publisher reconcile`: finish what was interrupted."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.publishing import takedown
from publisher.publishing.reconcile import reconcile, unfinished


@click.command("reconcile")
@click.option("--dry-run", is_flag=True, help="Only list what is not finished.")
@click.pass_context
def command(ctx: click.Context, dry_run: bool) -> None:
    """Finish what was interrupted: publishing of kept runs, the move of the live site, takedowns.

    A run that cannot be finished is named and the others are; publisher give-up ends it for good.
    """
    project = open_project(ctx)
    if dry_run:
        project.ledger.sync()
        for run in unfinished(project):
            echo(f"would finish {run.run_id}")
        for run in takedown.half_taken_down(project):
            echo(f"would finish taking down {run.line.snapshot}")
        return
    done = reconcile(project, note)
    for receipt in done.receipts:
        echo(f"published: {receipt.address}")
    done.failures.check("finished")
    if not done.receipts:
        echo("nothing to finish: every kept run is published")
