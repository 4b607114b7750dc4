"""`publisher doctor` says whether everything is set up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import ModelError, PublisherError, UsageError
from publisher.publishing.checkup.examine import findings
from publisher.publishing.checkup.finding import of_error
from publisher.publishing.checkup.machine import engine_findings, has_engine

if TYPE_CHECKING:
    from publisher.engine.doctor import EngineReport
    from publisher.publishing.checkup.finding import Finding

MARKS = {"fine": "✓", "note": "–", "wrong": "✗"}


@click.command("doctor")
@click.option("--engine", is_flag=True, help="Only look at llama.cpp.")
@click.option("--model", type=click.Path(path_type=Path), default=None, help="The GGUF to try (default: the builtin).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def command(ctx: click.Context, engine: bool, model: Path | None, as_json: bool) -> None:
    """Check the whole set-up, and say what to do about each finding: git, llama.cpp, the site, secrets, budgets.

    Marks: ✓ fine; – worth knowing; ✗ wrong. Exit code 3 when something is wrong. Nothing is changed, built or fetched.
    """
    if model is not None and not model.is_file():
        raise UsageError(f"there is no file {model}")
    report = _engine(model) if engine or has_engine() else None
    if engine and report is not None:
        _only_engine(report, as_json=as_json)
        return
    found = [*_findings(ctx), *engine_findings(report)]
    wrong = [one for one in found if one.state == "wrong"]
    if as_json:
        told = {"healthy": not wrong, "findings": found, "engine": report}
        echo_json(msgspec.to_builtins(told))
    else:
        for one in found:
            echo(f"{MARKS[one.state]} {one.what}: {one.says}")
            if one.do:
                echo(f"    {one.do}")
        for line in _engine_lines(report) if report is not None else []:
            echo(line)
        echo(f"{len(wrong)} wrong" if wrong else "nothing is wrong")
    ctx.exit(PublisherError.exit_code if wrong else 0)


def _findings(ctx: click.Context) -> list[Finding]:
    """Return what is found about the project; where there is none, just that."""
    try:
        return list(findings(open_project(ctx)))
    except PublisherError as error:
        return [of_error("repository", error)]


def _engine(model: Path | None) -> EngineReport:
    """Return what a trial run of llama.cpp finds."""
    # Without the extra this command checks the rest, and --help works.
    from publisher.bench.inputs.model_file import builtin_path  # noqa: PLC0415 - as above
    from publisher.engine.doctor import inspect_engine  # noqa: PLC0415 - as above

    return inspect_engine(model or builtin_path("builtin:abacus"))


def _only_engine(report: EngineReport, *, as_json: bool) -> None:
    """Print the engine's report; ModelError where something is wrong with it."""
    if as_json:
        echo_json(msgspec.to_builtins(report))
    else:
        for line in _engine_lines(report):
            echo(line)
    if not report.healthy:
        raise ModelError("; ".join(report.problems), hint="; ".join(report.hints))


def _engine_lines(report: EngineReport) -> list[str]:
    """Return the engine's build, its devices, how it is confined, and how the model ran."""
    from publisher.engine.doctor import report_lines  # noqa: PLC0415 - as above

    return report_lines(report)
