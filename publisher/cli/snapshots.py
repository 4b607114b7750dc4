"""`publisher snapshots`: what has been published."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.listing import Shown, run_json, runs_table


@click.command("snapshots")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshots as JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the published snapshots, oldest first, with their permanent addresses."""
    project = open_project(ctx)
    project.ledger.sync()
    runs = [run for run in project.runs() if run.receipt is not None]
    shown = Shown.of(project)
    if as_json:
        echo_json([run_json(run, shown) for run in runs])
    elif runs:
        echo(runs_table(runs, shown, addresses=True))
    else:
        echo("no snapshot is published yet: publisher publish")
