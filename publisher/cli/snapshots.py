"""`publisher snapshots`: what has been published."""

from __future__ import annotations

import click

from publisher.cli.filters import filter_options
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.filters import Filters, chosen
from publisher.publishing.listing import Shown, headline_of, run_json, runs_table


@click.command("snapshots")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshots as JSON.")
@filter_options
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **by: str | None) -> None:
    """List the published snapshots, oldest first, with their permanent addresses."""
    project = open_project(ctx)
    project.ledger.sync()
    every, shown = project.runs(), Shown.of(project)
    published = [run for run in every if run.receipt is not None]
    runs = [run for run in chosen(project, every, shown, Filters.of(by)) if run.receipt is not None]
    if as_json:
        echo_json([run_json(run, shown) for run in runs])
    elif runs:
        echo(runs_table(runs, shown, headline=by["suite"] or headline_of(project), addresses=True))
    else:
        echo(
            "no snapshot passes all of these filters"
            if published
            else "no snapshot is published yet: publisher publish"
        )
