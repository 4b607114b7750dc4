"""`publisher rollback`: move the live site."""

from __future__ import annotations

import click

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.publishing import live
from publisher.publishing.find import find_snapshot


@click.command("rollback", context_settings={"ignore_unknown_options": True})
@click.argument("snapshot", shell_complete=offers.snapshots)
@click.option("--why", "--reason", default="", metavar="WHY", help="The reason, which the ledger keeps: required.")
@click.option("--lock", is_flag=True, help="Also stop Netlify from publishing builds by itself.")
@click.option("--dry-run", is_flag=True, help="Only say what would be shown.")
@click.pass_context
def command(ctx: click.Context, snapshot: str, why: str, lock: bool, dry_run: bool) -> None:
    """Show SNAPSHOT on the live site: a branch, a pin, a commit's beginning, or -1 for the one before the present."""
    project = open_project(ctx)
    if dry_run:
        project.ledger.sync()
        run = find_snapshot(project, snapshot)
        echo(f"would show {run.line.snapshot} {run.line.address}")
        return
    receipt, move = live.rollback(project, snapshot, why=why, lock=lock, note=note)
    echo(f"live: {receipt.snapshot} {receipt.address}" if move else f"{receipt.snapshot} is live already")
