"""Runs as people and programs list them: one line per run that fits 80 columns, its state, and the reason below it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from publisher.errors import PublisherError
from publisher.ledger import history
from publisher.publishing.live import is_locked
from publisher.publishing.report import one_line, table
from publisher.schema import HistoryLine, Receipt
from publisher.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project

WIDTH = 80
"""Columns of the narrowest terminal that the tables fit."""
_TIER, _SUITE = 8, 12
_SUBJECT = range(12, 40)
"""Columns of a subject: what the others leave of the width."""
HEADINGS = ["commit", "subject", "tier", "score ± s.e.", "state"]
_MARKS = {
    "published": "✓",
    "passed": "✓",
    "rejected": "✗",
    "inconclusive": "?",
    "unchanged": "=",
    "held": "?",
    "unreadable": "!",
    "unfinished": "…",
}
STATES = (*_MARKS, "given up", "pruned", "taken down", "live", "pinned", "locked")
"""The words that tell runs apart."""
OTHER_VERSION, OTHER_SUITE = "*", "†"
"""Mark a score of a suite with other problems or another grader than in its newest run here, and of another suite."""
_LEGEND = {
    OTHER_VERSION: "another version of the suite than in its newest run here",
    OTHER_SUITE: "of the run's first suite: it did not measure the headline one",
}
LOCK_TIMEOUT = 5.0
"""Seconds that the host may take to say whether the site is locked, before a list does without."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Where snapshots are shown: which run is live and whether the site is locked there, and each run's pins."""

    live: str = ""
    pins: Mapping[str, list[str]] = field(default_factory=dict)
    locked: bool | None = None
    """Whether the site stays at the live snapshot; None where that is not known."""

    @classmethod
    def of(cls, project: Project) -> Shown:
        """Read the live snapshot and the pins from the ledger, and ask the host for the lock where a token is set."""
        moves = history.live_moves(project.ledger)
        pins: dict[str, list[str]] = {}
        for name, pin in history.pins(project.ledger).items():
            pins.setdefault(pin.run_id, []).append(name)
        live = moves[-1].run_id if moves else ""
        return cls(live, pins, _lock(project, live) if live else None)


def _lock(project: Project, run_id: str) -> bool | None:
    """Return whether the live site is locked; None without a token, and where the host does not say so quickly."""
    run = project.run(run_id)
    if run is None or not project.environment.get("NETLIFY_AUTH_TOKEN"):
        return None
    try:
        netlify, _ = project.client_of(run)
        return is_locked(replace(netlify, web=Web(attempts=1, connect_timeout=LOCK_TIMEOUT, read_timeout=LOCK_TIMEOUT)))
    except PublisherError:
        return None  # a list of what is recorded needs no host


def state_of(run: Run) -> str:
    """Return how far a run has come: its verdict where it is not kept, otherwise what became of its snapshot."""
    if run.taken_down:
        return "taken down"
    if run.given_up:
        return "given up"
    if run.line.verdict != "kept":
        return run.line.verdict
    if run.line.pruned:
        return "pruned"
    return "published" if run.receipt else "unfinished"


def state_names(run: Run, shown: Shown) -> list[str]:
    """Return every word of STATES that is true of a run: its state, and whether it is live, pinned or locked."""
    words = [state_of(run)]
    if run.receipt is not None:
        is_live = run.run_id == shown.live
        words += (["live"] if is_live else []) + (["pinned"] if run.run_id in shown.pins else [])
        words += ["locked"] if is_live and shown.locked else []
    return words


def state_words(run: Run, shown: Shown) -> str:
    """Return a run's state with its mark, and whether it is live, pinned or locked where that can be seen."""
    state, *places = state_names(run, shown)
    if run.receipt is None:
        return f"{_MARKS.get(state, '–')} {state}"
    return f"{'●' if 'live' in places else '✓'} {', '.join(places) or state}"


def reason_of(run: Run) -> str:
    """Return why a run is not published: what ended it, a decision, the failing rule, or what is unreadable."""
    entry = run.taken_down or run.given_up
    if entry is not None:
        return f"by {entry.who or 'somebody'}: {entry.why}"
    decision = run.line.decision
    if decision is not None and decision.verdict == "rejected":
        return f"by {decision.who or 'somebody'}: {decision.reason}"
    return run.line.why


def runs_table(runs: Iterable[Run], shown: Shown, *, headline: str = "", addresses: bool = False) -> str:
    """Return a table of runs with their scores of the suite `headline`, or of their first one where it is empty.

    Below a row stands its reason or, with `addresses`, its permanent address and its pins.
    """
    listed = list(runs)
    newest = {name: score.suite for run in listed for name, score in run.line.scores.items()}
    headings = [*HEADINGS[:3], one_line(headline, _SUITE) if headline else HEADINGS[3], HEADINGS[4]]
    rows = [headings, *(_row(run, shown, headline, newest) for run in listed)]
    others = sum(max(len(row[column]) for row in rows) + 2 for column in (0, 2, 3, 4))
    width = min(max(WIDTH - others, _SUBJECT.start), _SUBJECT.stop)
    lines = table(headings, [[row[0], one_line(row[1], width), *row[2:]] for row in rows[1:]]).splitlines()
    below = [_below(run, shown, addresses=addresses) for run in listed]
    parts = [part for row, more in zip(lines[2:], below, strict=True) for part in (row, more) if part]
    marks = {_chosen(run.line, headline, newest)[-1] for run in listed}
    legend = [f"{mark} {words}" for mark, words in _LEGEND.items() if mark in marks]
    return "\n".join([*lines[:2], *parts, *legend])


def _row(run: Run, shown: Shown, headline: str, newest: Mapping[str, str]) -> list[str]:
    line = run.line
    return [
        one_line(line.commit[:12]),
        line.subject,
        one_line(line.tier, _TIER),
        _chosen(line, headline, newest),
        state_words(run, shown),
    ]


def _chosen(line: HistoryLine, headline: str, newest: Mapping[str, str]) -> str:
    """Return the score of the suite `headline`, or of the first one, marked where it is of another suite or version."""
    name = headline if headline in line.scores else next(iter(line.scores), "")
    score = line.scores.get(name)
    if score is None:
        return "—"
    mark = OTHER_SUITE if headline not in {"", name} else OTHER_VERSION if score.suite != newest[name] else ""
    return f"{score.score:.1f} ± {score.stderr:.1f}{mark}"


def headline_of(project: Project) -> str:
    """Return the suite whose score stands for a run by HEAD's publisher.toml; empty where it does not tell."""
    try:
        return project.config(project.repository.resolve("HEAD"))[0].headline
    except PublisherError:
        return ""


def _below(run: Run, shown: Shown, *, addresses: bool) -> str:
    if addresses and run.receipt:
        pins = ", ".join(sorted(shown.pins.get(run.run_id, [])))
        # An address is never cut: people copy it.
        pinned = f"\n  pinned: {one_line(pins, WIDTH - 10)}" if pins else ""
        return f"  {one_line(run.receipt.address, 300)}{pinned}"
    reason = reason_of(run)
    return f"  {one_line(reason, WIDTH - 2)}" if reason else ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Who ended a run for good, and why."""

    how: Literal["given up", "taken down"]
    who: str
    why: str
    time: str


class ListedRun(HistoryLine, frozen=True, kw_only=True):
    """A run as `log --json` and `snapshots --json` tell it: its line of history and what became of it."""

    state: str
    """One of the words by which `--state` chooses, but for live, pinned and locked."""
    live: bool
    locked: bool | None
    """Whether the live site stays at this run; None where it is not live, or where that is not known."""
    pins: list[str]
    ended: Ended | None
    receipt: Receipt | None


def run_json(run: Run, shown: Shown) -> dict[str, Any]:
    """Return a run as plain values, in the form of `ListedRun`."""
    entry, is_live = run.taken_down or run.given_up, run.receipt is not None and run.run_id == shown.live
    how: Literal["given up", "taken down"] = "taken down" if run.taken_down else "given up"
    listed = ListedRun(
        **msgspec.structs.asdict(run.line),
        state=state_of(run),
        live=is_live,
        locked=shown.locked if is_live else None,
        pins=sorted(shown.pins.get(run.run_id, [])),
        ended=Ended(how=how, who=entry.who, why=entry.why, time=entry.time) if entry else None,
        receipt=run.receipt,
    )
    plain: dict[str, Any] = msgspec.to_builtins(listed)
    return plain


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of what `log --json` and `snapshots --json` print."""
    found = msgspec.json.schema(list[ListedRun])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "publisher log --json", **found}
