"""What several commands need: opening the project, notes on stderr, JSON on stdout."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from publisher.publishing.project import Project
from publisher.publishing.report import plain


def open_project(ctx: click.Context) -> Project:
    """Open the repository that the command was pointed at."""
    options = ctx.find_root().obj
    return Project.open(Path(options["repo"]), os.environ, options["remote"])


def echo_json(value: Any) -> None:
    """Print a value as JSON; non-ASCII is escaped, so nothing in it can steer a terminal."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def note(text: str) -> None:
    """Say on stderr what is being done."""
    click.echo(plain(text), err=True)


class Notes:
    """An observer that only passes notes on."""

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Take notice of nothing: no samples are made here."""

    def sampled(self, sample: Any, statistics: Any) -> None:
        """Take notice of nothing: no samples are made here."""

    def note(self, text: str) -> None:
        """Say it on stderr."""
        note(text)
