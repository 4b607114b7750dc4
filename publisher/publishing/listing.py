"""Runs as people and programs list them: one line per run that fits 80 columns, its state, and the reason below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from publisher.ledger import history
from publisher.publishing.report import one_line, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.schema import HistoryLine

WIDTH = 80
"""Columns of the narrowest terminal that the tables fit."""
_TIER, _SUBJECT = 8, 26
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


@dataclass(frozen=True, slots=True)
class Shown:
    """Where snapshots are shown: which run is live, and the names that are pinned to each run."""

    live: str = ""
    pins: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project) -> Shown:
        """Read the live snapshot and the pins from the ledger."""
        moves = history.live_moves(project.ledger)
        pins: dict[str, list[str]] = {}
        for name, pin in history.pins(project.ledger).items():
            pins.setdefault(pin.run_id, []).append(name)
        return cls(moves[-1].run_id if moves else "", pins)


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


def state_words(run: Run, shown: Shown) -> str:
    """Return a run's state with its mark, and whether it is live or pinned where that can be seen."""
    state = state_of(run)
    if run.receipt is None:
        return f"{_MARKS.get(state, '–')} {state}"
    words = (["live"] if run.run_id == shown.live else []) + (["pinned"] if run.run_id in shown.pins else [])
    return f"{'●' if 'live' in words else '✓'} {', '.join(words) or state}"


def reason_of(run: Run) -> str:
    """Return why a run is not published: the entry that ended it, the failing rule, or what is unreadable."""
    entry = run.taken_down or run.given_up
    if entry is not None:
        return f"by {entry.who or 'somebody'}: {entry.why}"
    return run.line.why


def runs_table(runs: Iterable[Run], shown: Shown, *, headline: str = "", addresses: bool = False) -> str:
    """Return a table of runs; below a row its reason or, with `addresses`, its permanent address and its pins."""
    listed = list(runs)
    lines = table(HEADINGS, [_row(run, shown, headline) for run in listed]).splitlines()
    below = [_below(run, shown, addresses=addresses) for run in listed]
    rows = [part for row, more in zip(lines[2:], below, strict=True) for part in (row, more) if part]
    return "\n".join([*lines[:2], *rows])


def _row(run: Run, shown: Shown, headline: str) -> list[str]:
    line = run.line
    return [
        one_line(line.commit[:12]),
        one_line(line.subject, _SUBJECT),
        one_line(line.tier, _TIER),
        _score(line, headline),
        state_words(run, shown),
    ]


def _score(line: HistoryLine, headline: str) -> str:
    score = line.scores.get(headline) or next(iter(line.scores.values()), None)
    return f"{score.score:.1f} ± {score.stderr:.1f}" if score else "—"


def _below(run: Run, shown: Shown, *, addresses: bool) -> str:
    if addresses and run.receipt:
        pins = ", ".join(sorted(shown.pins.get(run.run_id, [])))
        # An address is never cut: people copy it.
        return one_line(f"  {run.receipt.address}", 300) + one_line(f"  pinned: {pins}" if pins else "", 100)
    reason = reason_of(run)
    return f"  {one_line(reason, WIDTH - 2)}" if reason else ""


def run_json(run: Run, shown: Shown) -> dict[str, Any]:
    """Return a run as plain values for `--json`: its line of history, its state, where it is shown, its receipt."""
    return {
        **msgspec.to_builtins(run.line),
        "state": state_of(run),
        "live": run.receipt is not None and run.run_id == shown.live,
        "pins": sorted(shown.pins.get(run.run_id, [])),
        "ended": msgspec.to_builtins(run.taken_down or run.given_up),
        "receipt": msgspec.to_builtins(run.receipt) if run.receipt else None,
    }
