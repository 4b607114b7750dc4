"""Which runs a list shows: by suite, tier, verdict, state, branch, label and time. What no run has is an error."""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import UsageError
from publisher.ledger.labels import read_labels
from publisher.publishing.labels import OWN, labels_of
from publisher.publishing.listing import STATES, state_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from publisher.ledger.history import Run
    from publisher.publishing.listing import Shown
    from publisher.publishing.project import Project

_MOST = 12
"""Known words that a message lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the listed runs have in common; empty where that does not matter."""

    suite: str = ""
    tier: str = ""
    verdict: str = ""
    state: str = ""
    branch: str = ""
    label: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, typed: Mapping[str, str | None]) -> Filters:
        """Return the filters that were typed, by their fields' names."""
        return cls(**{name: value or "" for name, value in typed.items()})


def chosen(project: Project, runs: Sequence[Run], shown: Shown, by: Filters) -> list[Run]:
    """Return the runs that pass every filter; UsageError for a word that no run has, and for a time that is none."""
    begin = _moment("--since", by.since)
    end = _moment("--until", by.until, whole_day=True)
    if not runs:
        return []
    labels = labels_of(project) if by.label else {}
    _known("--suite", by.suite, {name for run in runs for name in run.line.scores})
    _known("--tier", by.tier, {run.line.tier for run in runs})
    _known("--branch", by.branch, {run.line.branch for run in runs if run.line.branch})
    _known("--state", by.state, STATES)
    if by.label and not OWN.fullmatch(by.label):
        # A word that was taken off everywhere is known, and no run has it.
        used = {entry.name for entry in read_labels(project.ledger)}
        _known("--label", by.label, used | {name for names in labels.values() for name in names})
    return [
        run
        for run in runs
        if by.suite in {"", *run.line.scores}
        and by.tier in {"", run.line.tier}
        and by.verdict in {"", run.line.verdict}
        and by.branch in {"", run.line.branch}
        and by.state in {"", *state_names(run, shown)}
        and by.label in {"", *labels.get(run.run_id, ())}
        and _between(run.run_id.split("-", 1)[0], begin, end)
    ]


def _known(option: str, word: str, words: Iterable[str]) -> None:
    """Raise UsageError, with what is close to it, where no run has a word."""
    known = sorted(set(words))
    if not word or word in known:
        return
    close = difflib.get_close_matches(word, known, 1)
    listed = ", ".join(known[:_MOST]) + (", …" if len(known) > _MOST else "")
    raise UsageError(
        f"{option} {word[:80]!r}: no run has it",
        hint=f"did you mean {close[0]}?" if close else f"there are: {listed}" if known else "publisher log",
    )


def _moment(option: str, text: str, *, whole_day: bool = False) -> dt.datetime | None:
    """Return a time that was typed, in UTC where it names no zone; with `whole_day` a date means its end."""
    if not text:
        return None
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text[:80]!r} is no date", hint=f"{option} 2026-11-20, or 2026-11-20T18:30"
        ) from error
    moment = read if read.tzinfo else read.replace(tzinfo=dt.UTC)
    is_date = len(text) <= len("2026-11-20")
    try:
        return moment + dt.timedelta(days=1) if whole_day and is_date else moment
    except OverflowError as error:
        raise UsageError(f"{option} {text[:80]!r} is no date") from error


def _between(started: str, begin: dt.datetime | None, end: dt.datetime | None) -> bool:
    """Return whether a run began within two times; one whose time cannot be read did not."""
    if begin is None and end is None:
        return True
    try:
        read = dt.datetime.fromisoformat(started)
    except ValueError:
        return False
    moment = read if read.tzinfo else read.replace(tzinfo=dt.UTC)
    return (begin is None or moment >= begin) and (end is None or moment < end)
