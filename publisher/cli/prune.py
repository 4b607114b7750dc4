"""`publisher prune`: give up old deploys."""

from __future__ import annotations

import click

from publisher.cli.shared import note, open_project
from publisher.publishing import prune
from publisher.publishing.report import HEADINGS, history_rows, table


@click.command("prune")
@click.option("--delete", is_flag=True, help="Really delete; without it this is a dry run.")
@click.pass_context
def command(ctx: click.Context, delete: bool) -> None:
    """Delete the deploys and branches of snapshots that `[netlify] keep` does not hold. Their records stay."""
    project = open_project(ctx)
    project.ledger.sync()
    runs = prune.prunable(project)
    if not runs:
        click.echo("nothing to prune: every snapshot is kept by [netlify] keep")
        return
    if delete:
        for run in runs:
            prune.prune(project, run, note)
        click.echo(f"{len(runs)} snapshots pruned")
        return
    click.echo(table(HEADINGS, history_rows(runs)))
    click.echo(f"{len(runs)} snapshots would be pruned: publisher prune --delete")
