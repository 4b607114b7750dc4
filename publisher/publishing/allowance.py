"""What is left of the builds and production deploys that a site may still ask for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from publisher.ledger import calls, history
from publisher.netlify import budget

if TYPE_CHECKING:
    from publisher.config import NetlifyConfig
    from publisher.publishing.project import Project


def build_times(project: Project) -> list[str]:
    """Return when each build of a snapshot, a pin or the live site was asked for, as the ledger has it."""
    asked = [request.time for run in project.runs() for request in run.requests]
    return asked + calls.other_times(project.ledger)


def production_times(project: Project, *, besides: str = "") -> list[str]:
    """Return when each production deploy was asked for; a move of the live site by the API is none.

    The calls in the folder `besides` are left out: a move that was interrupted must not use up its own budget.
    """
    place = "calls/live/"
    known = {path.split("/")[2].rpartition("-")[2] for path in project.ledger.paths(below=place)}
    moves = [move for move in history.live_moves(project.ledger) if move.via == "hook"]
    # Older publishers did not write down these calls, only the moves that came of them.
    older = [move.time for move in moves if move.commit[:12] not in known]
    return older + calls.other_times(project.ledger, below=place, besides=besides)


def left(project: Project, limits: NetlifyConfig) -> list[str]:
    """Return a sentence per limit: how much of it is left, by this machine's clock."""
    return budget.left(build_times(project), production_times(project), time.time(), limits)
