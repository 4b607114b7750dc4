"""`publisher publish`: a commit all the way to its permanent address."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from publisher.cli.gate import exit_code
from publisher.cli.progress import Watch
from publisher.cli.shared import check_reports, open_project, report_option, warn_of_changes, write_reports
from publisher.cli.terminal import append, echo, echo_json, note
from publisher.config import AUTO
from publisher.errors import UsageError
from publisher.publishing import allowance, cascade, pins, pipeline
from publisher.publishing.compare import report_of
from publisher.publishing.markdown import report_markdown
from publisher.publishing.report import report_lines

if TYPE_CHECKING:
    from publisher.publishing.pipeline import Outcome
    from publisher.publishing.project import Project
    from publisher.schema import Record, Report, Verdict

_PUBLISHING = "snapshot branch, build hook, verification, live site"


@click.command("publish")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option(
    "--tier",
    default="",
    help="Which tier to run (default: the first with publish = true); auto: all of them up to that one, "
    "from the cheapest, until one does not pass.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Measure again with new seeds, even if this commit has been measured; with --run: take such a run.",
)
@click.option("--complete", is_flag=True, help="Measure what a run that was stopped early lacks; its verdict stays.")
@click.option(
    "--run", "archive", type=click.Path(path_type=Path, exists=True), help="Take the run that `bench --out` wrote here."
)
@click.option("--branch", default="", help="Where the commit was pushed to: [branches] says what becomes of it.")
@click.option("--dry-run", is_flag=True, help="Measure and decide only; say what would be done with the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, with the whole report.")
@report_option
@click.pass_context
def command(
    ctx: click.Context,
    revision: str,
    tier: str,
    fresh: bool,
    complete: bool,
    archive: Path | None,
    branch: str,
    dry_run: bool,
    as_json: bool,
    report_paths: tuple[Path, ...],
) -> None:
    """Measure commit REV (default: HEAD) and record the gate's verdict; publish a kept result and show it live."""
    check_reports(report_paths)
    _check_options(ctx, archive, measuring=complete or dry_run)
    project = open_project(ctx)
    convention = project.convention(revision, branch)
    tier = tier or convention.tier
    warn_of_changes(project, revision if archive is None else "")
    if dry_run:
        ctx.exit(_rehearse(project, revision, tier, report_paths, as_json=as_json))
    more: dict[str, Any] = {"fresh": fresh, "complete": complete, "archive": archive, "branch": branch}
    with Watch() as watch:
        if tier == AUTO:
            outcomes = cascade.publish_cascade(project, revision, watch, **more)
        else:
            outcomes = [pipeline.publish(project, revision, tier, watch, **more)]
    reports = [report_of(project, one.record, one.verdict) for one in outcomes]
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        for one, report in zip(outcomes, reports, strict=True):
            append(Path(summary), report_markdown(one.record, report, one.receipt))
    outcome = outcomes[-1]
    write_reports(report_paths, outcome.record, reports[-1], outcome.receipt)
    if as_json:
        told = [_as_json(one, report) for one, report in zip(outcomes, reports, strict=True)]
        echo_json(msgspec.to_builtins(told[-1] | ({"tiers": told} if tier == AUTO else {})))
    else:
        _show(outcomes, reports)
    config, _ = project.config(outcome.record.commit.sha)
    if outcome.news == "published":
        for line in allowance.left(project, config.netlify):
            note(line)
    if convention.pin:
        _pin(project, outcome, branch)
    ctx.exit(exit_code(outcome.verdict, config))


def _check_options(ctx: click.Context, archive: Path | None, *, measuring: bool) -> None:
    """Raise UsageError for options that contradict each other."""
    if ctx.find_root().obj["as_fetched"]:
        raise UsageError("--as-fetched: publishing needs the remote as it is now")
    if archive is not None and measuring:
        raise UsageError("--run takes a run that is measured already: not with --complete or --dry-run")


def _pin(project: Project, outcome: Outcome, branch: str) -> None:
    """Pin a published snapshot under its branch's name."""
    if outcome.receipt is not None and outcome.verdict.verdict == "kept":
        made = pins.pin(project, outcome.receipt.snapshot, pins.name_of_branch(branch), move=True, note=note)
        note(f"pinned: {made.address}")


def _as_json(outcome: Outcome, report: Report) -> dict[str, object]:
    """Return what `--json` tells of one tier's run."""
    told = {"news": outcome.news, "verdict": outcome.verdict, "receipt": outcome.receipt, "report": report}
    return {"tier": outcome.record.tier, **told}


def _show(outcomes: list[Outcome], reports: list[Report]) -> None:
    """Print each tier's report, one line per tier where there were several, and what became of the last run."""
    for one, report in zip(outcomes, reports, strict=True):
        echo("\n".join(report_lines(one.record, report)))
    if len(outcomes) > 1:
        echo("\n".join(cascade.tier_line(one.record, one.verdict) for one in outcomes))
    outcome = outcomes[-1]
    echo(f"{outcome.news}" + (f": {outcome.receipt.address}" if outcome.receipt else ""))
    if outcome.verdict.verdict == "rejected":
        note(_next(outcome, reports[-1]))


def _next(outcome: Outcome, report: Report) -> str:
    """Return what to type after a rejection: what differs, which answers are wrong."""
    commit = outcome.record.commit.sha[:12]
    look = f"publisher show {commit} --outcome wrong"
    if report.previous is None:
        return f"next: {look}"
    return f"next: publisher diff {report.previous.base.commit[:12]} {commit}; {look}"


def _rehearse(project: Project, revision: str, tier: str, report_paths: tuple[Path, ...], *, as_json: bool) -> int:
    """Measure a commit, say its verdict and what publishing would do, and return the exit code that it would have."""
    project.ledger.sync()
    with Watch() as watch:
        if tier == AUTO:
            done = cascade.rehearse_cascade(project, revision, watch)
        else:
            measured = pipeline.bench(project, revision, tier, watch, until="decided")
            done = [(measured, pipeline.verdict_of(project, measured))]
    reports = [report_of(project, one, said) for one, said in done]
    for (one, _), report in zip(done, reports, strict=True):
        write_reports(report_paths, one, report)
    record, verdict = done[-1]
    would = _would(project, record, verdict)
    if as_json:
        told: list[dict[str, object]] = [
            {"tier": one.tier, "news": "dry run", "verdict": said, "receipt": None, "report": report}
            for (one, said), report in zip(done, reports, strict=True)
        ]
        tiers = {"tiers": told} if tier == AUTO else {}
        echo_json(msgspec.to_builtins(told[-1] | tiers | {"would": would}))
    else:
        for (one, _), report in zip(done, reports, strict=True):
            echo("\n".join(report_lines(one, report)))
        echo(would)
    config, _ = project.config(record.commit.sha)
    return exit_code(verdict, config)


def _would(project: Project, record: Record, verdict: Verdict) -> str:
    """Say what publishing would do with a measured run."""
    known = next((run for run in project.runs() if run.run_id == record.run_id), None)
    if known is not None and known.receipt is not None:
        return f"is published already: {known.receipt.address}"
    recorded = "is in the ledger already" if known is not None else "would be recorded in the ledger"
    over = known is not None and (known.is_over or bool(known.line.pruned))
    publishes = verdict.verdict == "kept" and not over
    return f"{recorded}; then: {_PUBLISHING if publishes else 'no build'}"
