"""What is left of the builds and production deploys that a site may still ask for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from publisher.ledger import history
from publisher.netlify import budget

if TYPE_CHECKING:
    from publisher.config import NetlifyConfig
    from publisher.publishing.project import Project


def build_times(project: Project) -> list[str]:
    """Return when each build was asked for, as the ledger has it."""
    return [request.time for run in project.runs() for request in run.requests]


def production_times(project: Project) -> list[str]:
    """Return when each production deploy was asked for: a move of the live site by the API is none."""
    return [move.time for move in history.live_moves(project.ledger) if move.via == "hook"]


def left(project: Project, limits: NetlifyConfig) -> list[str]:
    """Return a sentence per limit: how much of it is left, by this machine's clock."""
    return budget.left(build_times(project), production_times(project), time.time(), limits)
