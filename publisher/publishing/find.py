"""Which published snapshot a word on the command line means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.errors import UsageError
from publisher.ledger import history

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

    Note = Callable[[str], None]


def find_snapshot(project: Project, wanted: str) -> Run:
    """Return the snapshot that a branch, a pin, a commit's beginning, a run id or `-N` (N before live) stands for."""
    named = [run for run in project.runs() if run.last_receipt]
    if re.fullmatch(r"-\d+", wanted):
        return _before_live(project, [run for run in named if run.receipt], int(wanted[1:]))
    pin = history.pins(project.ledger).get(wanted)
    found = [
        run
        for run in named
        if wanted in {run.run_id, run.line.snapshot}
        or (pin is not None and pin.run_id == run.run_id)
        or (len(wanted) >= 7 and run.line.commit.startswith(wanted))
    ]
    if len(found) == 1:
        return found[0]
    many = "names several snapshots" if found else "names no published snapshot"
    raise UsageError(f"{wanted!r} {many}", hint="publisher snapshots   lists them")


def _before_live(project: Project, published: Sequence[Run], steps: int) -> Run:
    """Return the snapshot `steps` before the live one."""
    moves = history.live_moves(project.ledger)
    shown = next((number for number, run in enumerate(published) if moves and run.run_id == moves[-1].run_id), None)
    if shown is None or shown < steps:
        raise UsageError(f"there is no snapshot {steps} before the live one", hint="publisher snapshots   lists them")
    return published[shown - steps]
