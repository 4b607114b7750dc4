"""What several commands need: opening the project, and an observer that passes notes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click  # noqa: TC002 - as in every command

from publisher.cli.terminal import note
from publisher.publishing.project import Project


def open_project(ctx: click.Context) -> Project:
    """Open the repository that the command was pointed at."""
    options = ctx.find_root().obj
    return Project.open(Path(options["repo"]), os.environ, options["remote"], note, options["policy_ref"])


class Notes:
    """An observer that only passes notes on."""

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Do nothing: no samples are made here."""

    def sampled(self, sample: Any, statistics: Any) -> None:
        """Do nothing: no samples are made here."""

    def note(self, text: str) -> None:
        """Say it on stderr."""
        note(text)
