"""`publisher reconcile`: finish what was interrupted."""

from __future__ import annotations

import click

from publisher import pipeline
from publisher.cli.shared import Notes, open_place


@click.command("reconcile")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Bring every kept run that is not published yet to its end: snapshot branch, deploy, receipt."""
    receipts = pipeline.reconcile(open_place(ctx), Notes())
    for receipt in receipts:
        click.echo(f"published: {receipt.address}")
    if not receipts:
        click.echo("nothing to finish: every kept run is published")
