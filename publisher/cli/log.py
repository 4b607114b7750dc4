"""`publisher log`: every run."""

from __future__ import annotations

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.labels import labels_of
from publisher.publishing.listing import Shown, run_json, runs_table


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
@click.option("--suite", default="", help="Whose score to show (default: the first suite of each run).")
@click.option(
    "--label", default="", help="Only runs with this label, such as kept, passed-full, rolled-back or your own."
)
@click.pass_context
def command(ctx: click.Context, as_json: bool, suite: str, label: str) -> None:
    """List every run in the ledger, oldest first, with its score and its state, and below it why it is not published.

    States: live, pinned or published; unfinished (kept, but not published to the end); rejected, inconclusive;
    given up, pruned or taken down; unreadable.
    """
    project = open_project(ctx)
    project.ledger.sync()
    runs = project.runs()
    if label:
        labels = labels_of(project)
        runs = [run for run in runs if label in labels.get(run.run_id, ())]
    shown = Shown.of(project)
    if as_json:
        echo_json([run_json(run, shown) for run in runs])
    elif runs:
        echo(runs_table(runs, shown, headline=suite))
    else:
        echo(f"no run has the label {label}" if label else "no runs yet: publisher publish")
