"""`publisher gate`: record and history to verdict."""

from __future__ import annotations

import click
import msgspec

from publisher import pipeline
from publisher.cli.shared import echo_json, open_place
from publisher.errors import UsageError
from publisher.report import verdict_lines

EXIT_CODES = {"kept": 0, "rejected": 1, "inconclusive": 4}


@click.command("gate")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--tier", default="", help="Which tier's run to judge (default: the one that is published).")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.pass_context
def command(ctx: click.Context, revision: str, tier: str, as_json: bool) -> None:
    """Say whether commit REV (default: HEAD) is kept, with each rule's reason. Writes nothing."""
    place = open_place(ctx)
    commit = place.repository.resolve(revision)
    config, _ = place.config(commit)
    record = place.measured(commit, tier or config.publishing_tier)
    if record is None:
        raise UsageError(f"{commit[:12]} has not been measured", hint=f"publisher bench {revision}")
    verdict = pipeline.judge(place, record)
    if as_json:
        echo_json(msgspec.to_builtins(verdict))
    else:
        click.echo("\n".join(verdict_lines(record, verdict)))
    ctx.exit(EXIT_CODES[verdict.verdict])
