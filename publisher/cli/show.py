"""`publisher show`: the answers of a run."""

from __future__ import annotations

from typing import get_args

import click
import msgspec

from publisher.cli import offers
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo_json, page, width
from publisher.publishing.answers import Choice, answer_lines, check, chosen
from publisher.publishing.find import find_measured
from publisher.schema import Outcome


@click.command("show", context_settings={"ignore_unknown_options": True})
@click.argument("run", shell_complete=offers.runs, default="HEAD", metavar="[RUN]")
@click.option("--suite", default="", help="Only this suite.")
@click.option("--problem", default="", metavar="ID", help="Only this problem.")
@click.option("--outcome", type=click.Choice(get_args(Outcome)), help="Only answers that were scored so.")
@click.option("--tier", default="", help="Which tier's run, where a commit has several (default: the published one).")
@click.option("--json", "as_json", is_flag=True, help="Print the samples as JSON.")
@click.pass_context
def command(
    ctx: click.Context, run: str, suite: str, problem: str, outcome: str | None, tier: str, as_json: bool
) -> None:
    """Print the answers of RUN (default: HEAD's): a run, snapshot, pin, commit, or -N for N before the live snapshot.

    A run that is being measured here has its answers so far; `smoke` is the smoke run that was measured last. Of
    private suites only ids, outcomes and figures are shown.
    """
    project = open_project(ctx)
    project.ledger.sync()
    record = find_measured(project, run, tier, unfinished=True).record
    choice = Choice(suite, problem, outcome or "")
    check(choice, record)
    samples = chosen(record, project.published_samples(record.run_id), choice)
    if as_json:
        echo_json([msgspec.to_builtins(sample) for sample in samples])
    else:
        page(answer_lines(record, samples, width()))
