"""`publisher reconcile`: finish what was interrupted."""

from __future__ import annotations

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note
from publisher.publishing import takedown
from publisher.publishing.canary import course
from publisher.publishing.reconcile import reconcile, unfinished


@click.command("reconcile")
@click.option("--dry-run", is_flag=True, help="Only list what is not finished.")
@click.option("--json", "as_json", is_flag=True, help="Print what is not finished, or what was and was not, as JSON.")
@click.pass_context
def command(ctx: click.Context, dry_run: bool, as_json: bool) -> None:
    """Finish what was interrupted: publishing of kept runs, the move of the live site, takedowns, a canary.

    A run that cannot be finished is named and the others are; publisher give-up ends it for good.
    """
    project = open_project(ctx)
    if dry_run:
        project.ledger.sync()
        left = [run.run_id for run in unfinished(project)]
        half = [run.line.snapshot for run in takedown.half_taken_down(project)]
        canary = course.unsettled(project)
        if as_json:
            left_behind = canary.start.number if canary else None
            echo_json({"unfinished": left, "takedowns": half, "canary": left_behind})
            return
        for run_id in left:
            echo(f"would finish {run_id}")
        for snapshot in half:
            echo(f"would finish taking down {snapshot}")
        if canary is not None:
            echo(f"would delete what canary {canary.start.number} of {canary.start.snapshot} left behind")
        return
    done = reconcile(project, note)
    if as_json:
        receipts = [msgspec.to_builtins(receipt) for receipt in done.receipts]
        echo_json({"published": receipts, "failed": done.failures.as_values()})
    else:
        for receipt in done.receipts:
            echo(f"published: {receipt.address}")
    done.failures.check("finished")
    if not (done.receipts or as_json):
        echo("nothing to finish: every kept run is published")
