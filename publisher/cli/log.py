"""`publisher log`: every run."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.report import HEADINGS, history_rows, run_json, table


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
@click.option("--suite", default="", help="Whose score to show (default: the first suite of each run).")
@click.pass_context
def command(ctx: click.Context, as_json: bool, suite: str) -> None:
    """List every run in the ledger, oldest first, with its score, verdict and address or reason."""
    project = open_project(ctx)
    project.ledger.sync()
    runs = project.runs()
    if as_json:
        echo_json([run_json(run) for run in runs])
    elif runs:
        echo(table(HEADINGS, history_rows(runs, suite)))
    else:
        echo("no runs yet: publisher publish")
