"""What several commands need: opening the project, reports, and a remark on uncommitted changes."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.terminal import note, write_json, write_text
from publisher.errors import UsageError
from publisher.publishing.markdown import report_markdown
from publisher.publishing.project import Project
from publisher.publishing.uncommitted import remark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.schema import Receipt, Record, Report

REPORT_KINDS = (".md", ".json")

report_option = click.option(
    "--report",
    "report_paths",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the report to FILE.md or FILE.json; may be given for each.",
)
"""The option of the commands that end in a verdict."""


def check_reports(paths: Sequence[Path]) -> None:
    """Raise UsageError where a report could not be written to a file, before anything else is done."""
    for path in paths:
        if path.suffix not in REPORT_KINDS:
            raise UsageError(f"--report {path}: a report is Markdown or JSON", hint="--report FILE.md or FILE.json")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"--report {path}: there is no folder {path.parent}", hint=f"mkdir -p {path.parent}")


def write_reports(paths: Sequence[Path], record: Record, report: Report, receipt: Receipt | None = None) -> None:
    """Write a report to each file, as its name asks for."""
    for path in paths:
        if path.suffix == ".json":
            write_json(path, msgspec.to_builtins(report))
        else:
            write_text(path, report_markdown(record, report, receipt))


def open_project(ctx: click.Context) -> Project:
    """Open the repository that the command was pointed at."""
    options = ctx.find_root().obj
    project = Project.open(
        Path(options["repo"]),
        os.environ,
        options["remote"],
        note,
        options["policy_ref"],
        as_fetched=options["as_fetched"],
    )
    return replace(project, environment={**os.environ, **local_host(project)}) if options["local"] else project


def local_host(project: Project) -> dict[str, str]:
    """Return the variables that point to the host that `publisher serve` runs here; UsageError where none runs."""
    folder = project.workspace / "host"
    hint = "publisher serve   in another terminal (without --state)"
    if not (folder / "connection.json").is_file():  # it is there for as long as the host runs
        raise UsageError("--local: no host is running here", hint=hint)
    try:
        words = shlex.split((folder / "environment").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError("--local: what the host wrote down cannot be read", hint=hint) from error
    return dict(word.split("=", 1) for word in words if word.startswith("NETLIFY_") and "=" in word)


def warn_of_changes(project: Project, revision: str) -> None:
    """Say on stderr which files that decide a run have changes that no commit has."""
    text = remark(project, revision)
    if text:
        note(text)
