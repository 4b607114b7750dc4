"""`publisher gate`: record and history to verdict."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import UsageError
from publisher.publishing import pipeline
from publisher.publishing.report import verdict_lines

if TYPE_CHECKING:
    from publisher.config import Config
    from publisher.schema import Verdict

EXIT_CODES = {"kept": 0, "unchanged": 0, "rejected": 1, "inconclusive": 4, "held": 4}


def exit_code(verdict: Verdict, config: Config) -> int:
    """Return the exit code of a verdict; where only a gain is missing, nothing was harmed and the policy says."""
    if verdict.no_gain and config.gate.no_gain == "pass":
        return 0
    return EXIT_CODES[verdict.verdict]


@click.command("gate")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--tier", default="", help="Which tier's run to decide on (default: the one that is published).")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.pass_context
def command(ctx: click.Context, revision: str, tier: str, as_json: bool) -> None:
    """Say whether commit REV (default: HEAD) is kept, with each rule's reason. Writes nothing."""
    project = open_project(ctx)
    commit = project.repository.resolve(revision)
    config, _ = project.config(commit)
    record = project.measured(commit, tier or config.publishing_tier)
    if record is None:
        raise UsageError(f"{commit[:12]} has not been measured", hint=f"publisher bench {shlex.quote(revision)}")
    verdict = pipeline.verdict_of(project, record)
    if as_json:
        echo_json(msgspec.to_builtins(verdict))
    else:
        echo("\n".join(verdict_lines(record, verdict)))
    ctx.exit(exit_code(verdict, config))
