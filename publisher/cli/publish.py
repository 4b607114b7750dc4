"""`publisher publish`: a commit all the way to its permanent address."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from publisher import pipeline
from publisher.cli.gate import EXIT_CODES
from publisher.cli.progress import Watch
from publisher.cli.shared import echo_json, open_place
from publisher.report import verdict_lines, verdict_markdown


@click.command("publish")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--tier", default="", help="Which tier to run (default: the first with publish = true).")
@click.option("--fresh", is_flag=True, help="Measure again with new seeds, even if this commit has been measured.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_context
def command(ctx: click.Context, revision: str, tier: str, fresh: bool, as_json: bool) -> None:
    """Bench, judge and record commit REV (default: HEAD); when kept, publish its snapshot and show it live."""
    place = open_place(ctx)
    with Watch() as watch:
        outcome = pipeline.publish(place, revision, tier, watch, fresh=fresh)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(verdict_markdown(outcome.record, outcome.verdict, outcome.receipt))
    if as_json:
        echo_json(msgspec.to_builtins({"news": outcome.news, "verdict": outcome.verdict, "receipt": outcome.receipt}))
    else:
        click.echo("\n".join(verdict_lines(outcome.record, outcome.verdict)))
        click.echo(f"{outcome.news}" + (f": {outcome.receipt.address}" if outcome.receipt else ""))
    ctx.exit(EXIT_CODES[outcome.verdict.verdict])
