"""`publisher rollback`: move the live site."""

from __future__ import annotations

import click

from publisher import pipeline
from publisher.cli.shared import Notes, open_place


@click.command("rollback", context_settings={"ignore_unknown_options": True})
@click.argument("snapshot")
@click.option("--why", default="rollback", show_default=True, help="The reason that the ledger keeps.")
@click.pass_context
def command(ctx: click.Context, snapshot: str, why: str) -> None:
    """Show SNAPSHOT (its name, a commit's beginning, or -1 for the one before the present) on the live site."""
    receipt, move = pipeline.rollback(open_place(ctx), snapshot, Notes(), why=why)
    click.echo(f"live: {receipt.snapshot} {receipt.address}" if move else f"{receipt.snapshot} is live already")
