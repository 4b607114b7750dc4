"""`publisher bench`: commit to record."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.progress import Watch
from publisher.cli.shared import open_project, warn_of_changes
from publisher.cli.terminal import echo, echo_json
from publisher.errors import UsageError
from publisher.ledger.drift import checks
from publisher.publishing import cascade, pipeline
from publisher.publishing import prompts as side_by_side
from publisher.publishing.answers import outcome_lines
from publisher.publishing.report import score_lines
from publisher.publishing.scheduled import check, lines
from publisher.publishing.smoke import smoke

if TYPE_CHECKING:
    from publisher.bench.plan import Part
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
@click.option("--limit", type=click.IntRange(min=1), help="Smoke run: only the first problems of each suite.")
@click.option("--problem", "problems", multiple=True, metavar="ID", help="Smoke run: only this problem; repeatable.")
@click.option("--dirty", is_flag=True, help="Smoke run: publisher.toml and what it names as they are, uncommitted.")
@click.option("--scheduled", is_flag=True, help="Measure the live commit again, and say what has drifted.")
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
    limit: int | None,
    problems: tuple[str, ...],
    dirty: bool,
    scheduled: bool,
    as_json: bool,
) -> None:
    """Measure the model that commit REV (default: HEAD) describes, and keep the record for the gate.

    With --out it measures as `publish` would: it stops early where the gate rejects, and extends what is undecided.
    With --scheduled it measures the live commit with the same seeds, and exits with 1 where its score dropped.
    With --prompt it compares prompts on one loaded model, problem by problem, and keeps no record.
    With --limit, --problem or --dirty it is a smoke run: it never gets into the ledger, and `publisher show smoke` and
    `publisher diff HEAD smoke` look at it.
    """
    _require_engine()
    from publisher.bench.plan import Part  # noqa: PLC0415 - it needs the engine's extra, and --help does not

    project = open_project(ctx)
    if limit is not None or problems or dirty:
        if prompts or fresh or scheduled or out is not None or (dirty and revision != "HEAD"):
            raise UsageError(
                "--limit, --problem and --dirty make a smoke run, which takes only --tier, --no-reuse and --json"
            )
        part = Part(frozenset(problems), limit)
        _smoke(project, revision, tier, part, dirty=dirty, reuse=not no_reuse, as_json=as_json)
        return
    if scheduled:
        if prompts or fresh or no_reuse or out is not None or tier or revision != "HEAD":
            raise UsageError("--scheduled measures the live run as it was measured, so it takes no other options")
        _scheduled(ctx, project, as_json=as_json)
        return
    warn_of_changes(project, revision)
    if prompts:
        if fresh or no_reuse or out is not None:
            raise UsageError("--prompt only compares, so it takes neither --fresh, --no-reuse nor --out")
        _side_by_side(project, revision, tier, prompts, as_json=as_json)
        return
    with Watch() as watch:
        if out is None:
            record = pipeline.bench(project, revision, tier, watch, fresh=fresh, reuse=not no_reuse)
        else:
            record = cascade.bench_for_another(project, revision, tier, watch, out, fresh=fresh)
    if as_json:
        echo_json(msgspec.to_builtins(record))
        return
    for line in score_lines(record):
        echo(line)
    echo(f"run {record.run_id}")
    again = "--fresh " if record.salt else ""
    where = f"publish {again}--run {shlex.quote(str(out))}" if out else "gate"
    echo(f"next: publisher {where} {shlex.quote(revision)}")


def _require_engine() -> None:
    """Raise UsageError where nothing can be measured here."""
    if importlib.util.find_spec("llama_cpp") is None:
        raise UsageError(
            "measuring needs llama.cpp, which is not installed", hint="pip install 'snapshot-publisher[bench]'"
        )


def _smoke(project: Project, revision: str, tier: str, part: Part, *, dirty: bool, reuse: bool, as_json: bool) -> None:
    """Print what a smoke run scores, answer by answer."""
    if not dirty:
        warn_of_changes(project, revision)
    with Watch() as watch:
        record = smoke(project, revision, tier, watch, part=part, dirty=dirty, reuse=reuse)
    samples = list(project.published_samples(record.run_id))
    if as_json:
        echo_json({"record": msgspec.to_builtins(record), "samples": msgspec.to_builtins(samples)})
        return
    for line in (*score_lines(record), *outcome_lines(samples)):
        echo(line)
    echo("next: publisher show smoke   (a smoke run is not recorded)")


def _scheduled(ctx: click.Context, project: Project, *, as_json: bool) -> None:
    """Print what has drifted since the live run was measured."""
    with Watch() as watch:
        found = check(project, watch)
    if as_json:
        echo_json(msgspec.to_builtins(found))
    else:
        echo("\n".join(lines(found)))
        series = ", ".join(str(one.different) for one in checks(project.ledger) if one.run_id == found.run_id)
        echo(f"check {found.number} of this run; answers that differed, check by check: {series}")
    ctx.exit(1 if found.dropped else 0)


def _side_by_side(project: Project, revision: str, tier: str, names: tuple[str, ...], *, as_json: bool) -> None:
    """Print how several prompts of a commit compare."""
    with Watch() as watch:
        measured = side_by_side.side_by_side(project, revision, tier, names, watch)
    if as_json:
        records = {name: msgspec.to_builtins(record) for name, record in measured}
        echo_json({"records": records, "comparisons": msgspec.to_builtins(side_by_side.compare(measured))})
    else:
        echo("\n".join(side_by_side.lines(measured)))
