"""`publisher gate`: record and history to verdict."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.shared import check_reports, open_project, report_option, write_reports
from publisher.cli.terminal import echo, echo_json, note
from publisher.errors import UsageError
from publisher.publishing import pipeline
from publisher.publishing.compare import report_of
from publisher.publishing.report import report_lines

if TYPE_CHECKING:
    from publisher.config import Config
    from publisher.publishing.project import Project
    from publisher.schema import Record, Verdict

EXIT_CODES = {"kept": 0, "passed": 0, "unchanged": 0, "rejected": 1, "inconclusive": 4, "held": 4}


def exit_code(verdict: Verdict, config: Config) -> int:
    """Return the exit code of a verdict; where only a gain is missing, nothing was harmed and the policy says."""
    if verdict.no_gain and config.gate.no_gain == "pass":
        return 0
    return EXIT_CODES[verdict.verdict]


@click.command("gate")
@click.argument("revision", default="HEAD", metavar="[REV]")
@click.option("--tier", default="", help="Which tier's run to decide on (default: the one that is published).")
@click.option("--run", "archive", type=click.Path(path_type=Path, exists=True), help="Decide on the run in this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, with the whole report.")
@report_option
@click.option("--simulate", is_flag=True, help="Say how often this policy rejects innocent commits, and what it finds.")
@click.option("--histories", default=1000, show_default=True, type=click.IntRange(10, 100_000), help="For --simulate.")
@click.option("--suggest", type=float, metavar="POINTS", help="Say how many samples find a drop of so many points.")
@click.option("--alarms", type=click.FloatRange(0.001, 40), help="For --suggest: false alarms per 100 commits.")
@click.option(
    "--power", default=80.0, show_default=True, type=click.FloatRange(1, 99.9), help="For --suggest: per cent."
)
@click.option("--minutes", type=click.FloatRange(0.001, 1e6), help="For --suggest: what a run may take here.")
@click.pass_context
def command(
    ctx: click.Context,
    revision: str,
    tier: str,
    archive: Path | None,
    as_json: bool,
    report_paths: tuple[Path, ...],
    simulate: bool,
    histories: int,
    suggest: float | None,
    alarms: float | None,
    power: float,
    minutes: float | None,
) -> None:
    """Say whether commit REV (default: HEAD) is kept, with each rule's reason. Writes nothing."""
    check_reports(report_paths)
    project = open_project(ctx)
    commit = project.repository.resolve(revision)
    config, _ = project.config(commit)
    tier = tier or config.publishing_tier
    config = config.of_tier(tier)
    record = _run_of(project, revision, tier, archive) if archive else project.measured(commit, tier)
    if record is None:
        raise UsageError(f"{commit[:12]} has not been measured", hint=f"publisher bench {shlex.quote(revision)}")
    # numpy belongs to the extra `bench`: only these two need it.
    if suggest is not None:
        from publisher.publishing import suggestion  # noqa: PLC0415

        wish = suggestion.Wish(suggest, power / 100, alarms, minutes)
        found = suggestion.suggest(project, record, config, wish)
        _show(found, suggestion.suggestion_lines(found), as_json=as_json)
        return
    if simulate:
        from publisher.publishing import rehearsal  # noqa: PLC0415

        tried = rehearsal.try_out(project, record, config, histories=histories)
        _show(tried, rehearsal.rehearsal_lines(tried), as_json=as_json)
        return
    verdict = pipeline.verdict_of(project, record)
    report = report_of(project, record, verdict)
    write_reports(report_paths, record, report)
    if as_json:
        echo_json({**msgspec.to_builtins(verdict), "report": msgspec.to_builtins(report)})
    else:
        echo("\n".join(report_lines(record, report)))
    ctx.exit(exit_code(verdict, config))


def _run_of(project: Project, revision: str, tier: str, archive: Path) -> Record:
    """Return the run that another machine measured, checked, with the history that it is compared with up to date."""
    from publisher.publishing.handover import read_run  # noqa: PLC0415 - slow to import, and only needed here

    project.ledger.sync()
    return read_run(project, project.target(revision, tier), archive, note).record


def _show(found: object, lines: list[str], *, as_json: bool) -> None:
    """Print what was found, as JSON or as text."""
    if as_json:
        echo_json(msgspec.to_builtins(found))
    else:
        echo("\n".join(lines))
