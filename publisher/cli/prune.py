"""`publisher prune`: give up old deploys."""

from __future__ import annotations

import click

from publisher import upkeep
from publisher.cli.shared import note, open_place
from publisher.report import HEADINGS, history_rows, table


@click.command("prune")
@click.option("--delete", is_flag=True, help="Really delete; without it this is a dry run.")
@click.pass_context
def command(ctx: click.Context, delete: bool) -> None:
    """Delete the deploys and branches of snapshots that `[netlify] keep` does not hold. Their records stay."""
    place = open_place(ctx)
    place.ledger.sync()
    runs = upkeep.prunable(place)
    if not runs:
        click.echo("nothing to prune: every snapshot is kept by [netlify] keep")
        return
    if delete:
        for run in runs:
            upkeep.prune(place, run, note)
        click.echo(f"{len(runs)} snapshots pruned")
        return
    click.echo(table(HEADINGS, history_rows(runs)))
    click.echo(f"{len(runs)} snapshots would be pruned: publisher prune --delete")
