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
_TIER, _SUBJECT = 8, 24
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
STATES = (*_MARKS, "given up", "pruned", "taken down", "live", "pinned")
"""The words that tell runs apart."""
OTHER_VERSION = "*"
"""Marks a score of a suite that has other problems, or another grader, in its newest run here."""


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


def state_names(run: Run, shown: Shown) -> list[str]:
    """Return every word of STATES that is true of a run: its state, and whether it is live or pinned."""
    words = [state_of(run)]
    if run.receipt is not None:
        words += (["live"] if run.run_id == shown.live else []) + (["pinned"] if run.run_id in shown.pins else [])
    return words


def state_words(run: Run, shown: Shown) -> str:
    """Return a run's state with its mark, and whether it is live or pinned where that can be seen."""
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
    """Return a table of runs; below a row its reason or, with `addresses`, its permanent address and its pins."""
    listed = list(runs)
    newest = {name: score.suite for run in listed for name, score in run.line.scores.items()}
    lines = table(HEADINGS, [_row(run, shown, headline, newest) for run in listed]).splitlines()
    below = [_below(run, shown, addresses=addresses) for run in listed]
    rows = [part for row, more in zip(lines[2:], below, strict=True) for part in (row, more) if part]
    marked = any(_chosen(run.line, headline, newest).endswith(OTHER_VERSION) for run in listed)
    legend = [f"{OTHER_VERSION} another version of the suite than in its newest run here"] if marked else []
    return "\n".join([*lines[:2], *rows, *legend])


def _row(run: Run, shown: Shown, headline: str, newest: Mapping[str, str]) -> list[str]:
    line = run.line
    return [
        one_line(line.commit[:12]),
        one_line(line.subject, _SUBJECT),
        one_line(line.tier, _TIER),
        _chosen(line, headline, newest),
        state_words(run, shown),
    ]


def _chosen(line: HistoryLine, headline: str, newest: Mapping[str, str]) -> str:
    """Return the score of the suite `headline`, or of the first one, marked where it is of another version."""
    name = headline if headline in line.scores else next(iter(line.scores), "")
    score = line.scores.get(name)
    if score is None:
        return "—"
    return f"{score.score:.1f} ± {score.stderr:.1f}{OTHER_VERSION if score.suite != newest[name] else ''}"


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
