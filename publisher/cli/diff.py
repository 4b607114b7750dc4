"""`publisher diff`: two runs beside each other."""

from __future__ import annotations

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import UsageError
from publisher.publishing.compare import diff
from publisher.publishing.difference import comparison_lines
from publisher.publishing.find import find_measured


@click.command("diff", context_settings={"ignore_unknown_options": True})
@click.argument("before", shell_complete=offers.runs, metavar="A")
@click.argument("after", shell_complete=offers.runs, metavar="[B]", default="HEAD")
@click.option("--tier", default="", help="Which tier's runs, where a commit has several (default: the published one).")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.pass_context
def command(ctx: click.Context, before: str, after: str, tier: str, as_json: bool) -> None:
    """Say what differs from A to B (default: HEAD): scores with a paired test, problems that turned, settings, figures.

    A and B are runs, snapshots, pins, commits, or -N for N before the live snapshot.
    """
    project = open_project(ctx)
    project.ledger.sync()
    one, other = (find_measured(project, wanted, tier) for wanted in (before, after))
    run_id, another = one.record.run_id, other.record.run_id
    if run_id == another:
        raise UsageError(f"{before} and {after} are the same run: {run_id}", hint="publisher log   lists the runs")
    found = diff(project, one, other)
    if as_json:
        echo_json(msgspec.to_builtins(found))
    else:
        shared = max(other.record.reused.get(run_id, 0), one.record.reused.get(another, 0))
        echo("\n".join(comparison_lines(found, shared=shared)))
