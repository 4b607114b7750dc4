"""Looks at a run that is not complete: which samples belong to which look, and when a look is due.

A look must see an unbiased part of the run. Whatever finishes first is not one: short answers are right more often. So
the parts are fixed beforehand: complete rounds (one more sample of every problem) or, where there is one sample per
problem, the first problems of an order that the suite's digest draws. Samples beyond a look are ignored by it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.files import sha256_hex
from publisher.stats import LOOKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from publisher.bench.plan import Plan, PlannedSuite
    from publisher.schema import Record, Sample

    Key = tuple[str, str, int]
    """Suite, problem and number of a sample."""
    Watch = Callable[["Look"], str]
    """Says why a run can stop after a look, or nothing where it continues."""

SHARES = LOOKS
_FINENESS = 1024
"""Requests are ordered by this many parts of a run."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known at a look: per suite and problem, the samples that count, and those that are right."""

    number: int
    """1 for the first."""
    share: float
    """The share of all planned samples that the look sees."""
    right: Mapping[str, Mapping[str, int]]
    scored: Mapping[str, Mapping[str, int]]
    left: Mapping[str, Mapping[str, int]]
    """The samples that are still to come."""
    record: Record | None = None
    """What the run's record would be if it ended here."""


def shares(plan: Plan) -> dict[Key, float]:
    """Return, for each planned sample, the share of its suite that is there once its part is complete."""
    found: dict[Key, float] = {}
    for part in plan.suites:
        for place, problem in enumerate(_order(part)):
            for number in range(part.samples):
                share = (number + 1) / part.samples if part.samples > 1 else (place + 1) / len(part.suite.problems)
                found[part.suite.name, problem, number] = share
    return found


def _order(part: PlannedSuite) -> list[str]:
    """Return the suite's problems in an order that has nothing to do with what they ask."""
    ids = [problem.id for problem in part.suite.problems]
    return sorted(ids, key=lambda problem: sha256_hex(f"{part.suite.sha256} {problem}".encode()))


def rounds(plan: Plan, known: Mapping[Key, float]) -> dict[Key, int]:
    """Return the round of each sample's request: those of a lower one are generated first.

    A round is one more sample of every problem. A suite with one sample per problem has a round for each look instead,
    within which the longest answers start first.
    """
    single = {part.suite.name for part in plan.suites if part.samples == 1}
    return {
        key: int(_FINENESS * (next((edge for edge in SHARES if share <= edge), 1.0) if key[0] in single else share))
        for key, share in known.items()
    }


class Tracker:
    """Follows a run and says when the next look is due."""

    def __init__(self, known: Mapping[Key, float], done: Iterable[Key]) -> None:
        """Follow a run of which the samples `done` are there already."""
        self._part = {
            key: next((n for n, edge in enumerate(SHARES) if share <= edge), len(SHARES))
            for key, share in known.items()
        }  # one line would be longer than it is clear
        self._left = Counter(self._part.values())
        self._planned = Counter(self._part.values())
        self._next = 0
        for key in done:
            self._left[self._part[key]] -= 1

    def finished(self, key: Key) -> None:
        """Hear that a sample is there."""
        self._left[self._part[key]] -= 1

    def due(self) -> int | None:
        """Return the newest part that is complete with all before it and was not looked at yet, or None.

        The last part is never due: a complete run has its verdict, not a look.
        """
        newest = None
        while self._next < len(SHARES) and self._left[self._next] == 0:
            newest = self._next if self._planned[self._next] else newest
            self._next += 1
        return newest

    def sees(self, part: int, key: Key) -> bool:
        """Return whether a look at `part` sees a sample."""
        return self._part[key] <= part

    def look(self, part: int, done: Mapping[Key, Sample]) -> Look:
        """Return what a look at `part` sees."""
        right: dict[str, Counter[str]] = {}
        scored: dict[str, Counter[str]] = {}
        left: dict[str, Counter[str]] = {}
        for key, own in self._part.items():
            suite, problem, _ = key
            for table in (right, scored, left):
                table.setdefault(suite, Counter())[problem] += 0
            if own > part:
                left[suite][problem] += 1
            elif done[key].outcome != "error":
                scored[suite][problem] += 1
                right[suite][problem] += done[key].outcome == "right"
        seen = sum(own <= part for own in self._part.values())
        return Look(part + 1, seen / len(self._part), right, scored, left)


def _part(share: float) -> int:
    """Return the part of a run that a sample belongs to: the first whose look comes no earlier than the sample."""
    return next((number for number, edge in enumerate(SHARES) if share <= edge), len(SHARES))
