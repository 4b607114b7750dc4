"""`publisher bench`: commit to record."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.progress import Watch
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import UsageError
from publisher.publishing import pipeline
from publisher.publishing import prompts as side_by_side
from publisher.publishing.report import verdict_lines

if TYPE_CHECKING:
    from publisher.publishing.project import Project


@click.command("bench")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--tier", default="", help="Which tier of publisher.toml to run (default: the one that is published).")
@click.option("--fresh", is_flag=True, help="Measure again with new seeds, even if this commit has been measured.")
@click.option("--no-reuse", is_flag=True, help="Generate every sample, even those that earlier runs have.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the run to this file, for `publish --run` on another machine."
)
@click.option(
    "--prompt", "prompts", multiple=True, metavar="NAME", help="Measure prompts/NAME.toml; give it twice or more."
)
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    revision: str,
    tier: str,
    fresh: bool,
    no_reuse: bool,
    out: Path | None,
    prompts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure the model that commit REV (default: HEAD) describes, and keep the record for the gate.

    With --out it measures as `publish` would: it stops early where the gate rejects, and extends what is undecided.
    With --prompt it compares prompts on one loaded model, problem by problem, and keeps no record.
    """
    project = open_project(ctx)
    if prompts:
        if fresh or no_reuse or out is not None:
            raise UsageError("--prompt only compares, so it takes neither --fresh, --no-reuse nor --out")
        _side_by_side(project, revision, tier, prompts, as_json=as_json)
        return
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


def _side_by_side(project: Project, revision: str, tier: str, names: tuple[str, ...], *, as_json: bool) -> None:
    """Print how several prompts of a commit compare."""
    with Watch() as watch:
        measured = side_by_side.side_by_side(project, revision, tier, names, watch)
    if as_json:
        records = {name: msgspec.to_builtins(record) for name, record in measured}
        echo_json({"records": records, "comparisons": msgspec.to_builtins(side_by_side.compare(measured))})
    else:
        echo("\n".join(side_by_side.lines(measured)))
