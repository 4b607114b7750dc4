"""`publisher regrade`: a run's recorded answers, scored with today's grader."""

from __future__ import annotations

import click

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing.find import find_measured
from publisher.publishing.regrade import as_json, lines, regrade


@click.command("regrade", context_settings={"ignore_unknown_options": True})
@click.argument("run", shell_complete=offers.runs, default="HEAD", metavar="[RUN]")
@click.option("--suite", default="", help="Only this suite.")
@click.option("--grader", default="", metavar="NAME", help="Another grader than the suite's own, to compare them.")
@click.option("--tier", default="", help="Which tier's run, where a commit has several (default: the published one).")
@click.option("--json", "json_", is_flag=True, help="Print every change as JSON.")
@click.pass_context
def command(ctx: click.Context, run: str, suite: str, grader: str, tier: str, json_: bool) -> None:
    """Score the recorded answers of RUN (default: HEAD's) with today's grader, and say what changes.

    The ledger stays as it is: a record is never edited. `publisher publish --fresh` makes a new run.
    """
    project = open_project(ctx)
    project.ledger.sync()
    record = find_measured(project, run, tier).record
    found = regrade(project, record, grader, suite)
    if json_:
        echo_json(as_json(record, found))
    else:
        echo("\n".join(lines(found)))
