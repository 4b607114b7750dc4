"""Labels of runs: those that follow from what the ledger says, and free ones that people attach."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from publisher.errors import LostRaceError, UsageError
from publisher.ledger import history
from publisher.ledger.labels import label_file, labels_now, read_labels
from publisher.publishing.give_up import check_reason
from publisher.publishing.project import now
from publisher.schema import Label

if TYPE_CHECKING:
    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")
OWN = re.compile(r"kept|rejected|live|rolled-back|pinned|passed-.*")
"""Labels that follow from the ledger; nobody can attach or remove them."""
ATTEMPTS = 12


def labels_of(project: Project) -> dict[str, set[str]]:
    """Return the labels of each run that has any.

    `passed-TIER` and `kept` follow from the verdict, `pinned` from the pins, `live` from the last move of the live
    site, `rolled-back` from a move by hand to an older snapshot. The others are what people attached.
    """
    found: dict[str, set[str]] = defaultdict(set)
    runs = {run.run_id: place for place, run in enumerate(project.runs())}
    for run in project.runs():
        if run.line.verdict == "kept":
            found[run.run_id] |= {"kept", f"passed-{run.line.tier}"}
        elif run.line.verdict == "passed":
            found[run.run_id].add(f"passed-{run.line.tier}")
        elif run.line.verdict == "rejected":
            found[run.run_id].add("rejected")
    for pin in history.pins(project.ledger).values():
        found[pin.run_id].add("pinned")
    shown = ""
    for move in history.live_moves(project.ledger):
        if shown and runs.get(move.run_id, 0) < runs.get(shown, 0):
            found[shown].add("rolled-back")
        shown = move.run_id
    if shown:
        found[shown].add("live")
    for run_id, names in labels_now(read_labels(project.ledger)).items():
        found[run_id] |= names
    return dict(found)


def set_label(project: Project, run: Run, name: str, *, on: bool, reason: str) -> bool:
    """Attach a label to a run, or take it off; return whether that changed anything.

    Raises UsageError for a name that is none or that follows from the ledger by itself.
    """
    check_name(name)
    for _ in range(ATTEMPTS):
        entries = [entry for entry in read_labels(project.ledger) if (entry.run_id, entry.name) == (run.run_id, name)]
        if (bool(entries) and entries[-1].on) == on:
            return False
        number = entries[-1].number + 1 if entries else 1
        why = check_reason(reason) if reason else ""
        made = Label(run_id=run.run_id, name=name, number=number, on=on, who=project.who, why=why, time=now())
        (path,) = label_file(made)
        word = "Label" if on else "Unlabel"
        if project.ledger.append(
            label_file(made), f"{word} {run.run_id}: {name}\n", unless=partial(project.ledger.has, path)
        ):
            return True
    raise LostRaceError("other people keep changing this label", hint="run the same command again")


def check_name(name: str) -> None:
    """Raise UsageError for a label that cannot be attached."""
    if not _NAME.match(name):
        raise UsageError(f"{name!r} is no label: 1 to 63 of a-z, 0-9, dot, hyphen and underscore, no hyphen at an end")
    if OWN.fullmatch(name):
        raise UsageError(f"{name!r} follows from the ledger and cannot be attached by hand", hint="choose another word")
