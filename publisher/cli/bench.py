"""`publisher bench`: commit to record."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import msgspec

from publisher.cli.progress import Watch
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.publishing import pipeline
from publisher.publishing.report import verdict_lines


@click.command("bench")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--tier", default="", help="Which tier of publisher.toml to run (default: the one that is published).")
@click.option("--fresh", is_flag=True, help="Measure again with new seeds, even if this commit has been measured.")
@click.option("--no-reuse", is_flag=True, help="Generate every sample, even those that earlier runs have.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the run to this file, for `publish --run` on another machine."
)
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.pass_context
def command(
    ctx: click.Context, revision: str, tier: str, fresh: bool, no_reuse: bool, out: Path | None, as_json: bool
) -> None:
    """Measure the model that commit REV (default: HEAD) describes, and keep the record for the gate.

    With --out it measures as `publish` would: it stops early where the gate rejects, and extends what is undecided.
    """
    project = open_project(ctx)
    with Watch() as watch:
        if out is None:
            record = pipeline.bench(project, revision, tier, watch, fresh=fresh, reuse=not no_reuse)
        else:
            record = pipeline.bench_for_another(project, revision, tier, watch, out, fresh=fresh)
    if as_json:
        echo_json(msgspec.to_builtins(record))
        return
    verdict = pipeline.verdict_of(project, record)
    for line in verdict_lines(record, verdict)[: 1 + len(record.results)]:
        echo(line)
    echo(f"run {record.run_id}")
    where = f"publish --run {shlex.quote(str(out))}" if out else "gate"
    echo(f"next: publisher {where} {shlex.quote(revision)}")
