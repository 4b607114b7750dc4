"""`publisher log`: every run."""

from __future__ import annotations

import click

from publisher.cli.filters import filter_options
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.filters import Filters, chosen
from publisher.publishing.listing import Shown, headline_of, run_json, runs_table


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
@filter_options
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **by: str | None) -> None:
    """List every run in the ledger, oldest first, with its score and its state, and below it why it is not published.

    States: live (locked), pinned or published; unfinished (kept, but not published to the end); rejected, inconclusive;
    given up, pruned or taken down; unreadable. An asterisk marks a score on another version of the suite.
    """
    project = open_project(ctx)
    project.ledger.sync()
    every, shown = project.runs(), Shown.of(project)
    runs = chosen(project, every, shown, Filters.of(by))
    if as_json:
        echo_json([run_json(run, shown) for run in runs])
    elif runs:
        echo(runs_table(runs, shown, headline=by["suite"] or headline_of(project)))
    else:
        echo("no run passes all of these filters" if every else "no runs yet: publisher publish")
