"""Simulated histories: the counts of every kept run, summed so that any window of runs is one subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from publisher.gate.baseline import CHANGE
from publisher.publishing.simulate.arrays import cdf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from publisher.publishing.simulate.arrays import Counts, Flags, Floats

    Rows = npt.NDArray[np.int64]
    """Numbers of histories."""


@dataclass(frozen=True, slots=True)
class Problems:
    """A suite as a simulation knows it: the rate of right answers to each problem, and k samples of each."""

    name: str
    rates: Floats
    k: int


@dataclass(slots=True)
class Counted:
    """New runs on one suite, one per history: right and drawn samples, [runs, problems]."""

    right: Counts
    drawn: Counts

    def of(self, rows: Rows | Flags) -> Counted:
        """Return the runs of some histories."""
        return Counted(self.right[rows], self.drawn[rows])

    def scores(self) -> Floats:
        """Return the score of each run in points: the mean over problems with samples of their share of right ones."""
        drawn = self.drawn > 0
        shares = np.where(drawn, self.right / np.maximum(self.drawn, 1), 0.0)
        return np.asarray(100 * shares.sum(axis=1) / np.maximum(drawn.sum(axis=1), 1))

    def variances(self) -> tuple[Floats, Floats]:
        """Return the squared standard errors in points: by samples (NaN at one per problem), and by problems."""
        draws = np.maximum(self.drawn, 1)
        shares = self.right / draws
        count = shares.shape[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            within = (shares * (1 - shares) / (draws - 1)).sum(axis=1) / count**2
        within = np.where((draws > 1).all(axis=1), within, np.nan)
        between = shares.var(axis=1, ddof=1) / count if count > 1 else shares[:, 0] * (1 - shares[:, 0])
        return np.asarray(1e4 * within), np.asarray(1e4 * between)


class Suite:
    """All histories of one suite."""

    def __init__(self, problems: Problems, histories: int, length: int) -> None:
        """Make room for `length` runs of each history."""
        self.problems = problems
        size = len(problems.rates)
        self.right = np.zeros((histories, length + 1, size), dtype=np.int32)
        """Right samples of each problem in all runs before a place."""
        self.drawn = np.zeros((histories, length + 1), dtype=np.int64)
        """Samples per problem in all runs before a place."""
        self.score = np.zeros((histories, length))
        self.within = np.zeros((histories, length))
        self.between = np.zeros((histories, length))

    def put(self, rows: Rows, places: Rows, runs: Counted) -> None:
        """Append one run to some histories, at their places."""
        self.right[rows, places + 1] = self.right[rows, places] + runs.right
        self.drawn[rows, places + 1] = self.drawn[rows, places] + runs.drawn[:, 0]
        self.score[rows, places] = runs.scores()
        self.within[rows, places], self.between[rows, places] = runs.variances()

    def window(self, rows: Rows, low: Rows, high: Rows) -> Counted:
        """Return the pooled runs from place `low` up to `high` of each history."""
        right = (self.right[rows, high] - self.right[rows, low]).astype(np.int64)
        drawn = self.drawn[rows, high] - self.drawn[rows, low]
        return Counted(right, np.broadcast_to(drawn[:, None], right.shape))


class Past:
    """The kept runs of many histories."""

    def __init__(self, problems: Sequence[Problems], histories: int, length: int) -> None:
        """Begin histories without any run."""
        self.suites = {one.name: Suite(one, histories, length) for one in problems}
        self.count = np.zeros(histories, dtype=np.int64)
        """How many kept runs each history has."""

    def put(self, rows: Rows, runs: Mapping[str, Counted]) -> None:
        """Append one run to some histories."""
        for name, suite in self.suites.items():
            suite.put(rows, self.count[rows], runs[name])
        self.count[rows] += 1

    def window(self, names: Sequence[str], rows: Rows, low: Rows, high: Rows) -> Counted:
        """Return the pooled runs from place `low` up to `high`; of several suites, all problems side by side."""
        return side_by_side([self.suites[name].window(rows, low, high) for name in names])

    def since_change(self, names: Sequence[str], rows: Rows, m: int) -> Rows:
        """Return where the last `m` runs since the last detected change begin; see `gate.baseline.since_change`."""
        start = np.maximum(0, self.count[rows] - m)
        active = np.arange(len(rows))
        while len(active):
            own, high = rows[active], self.count[rows[active]]
            best, cut = np.zeros(len(active)), start[active]
            for back in range(1, m):
                place = high - back
                z = np.abs(self._change(names, own, start[active], np.maximum(place, 0), high))
                better = (place > start[active]) & (z >= best)
                best, cut = np.where(better, z, best), np.where(better, place, cut)
            splits = high - start[active] - 1
            changed = (2 * cdf(-best) * splits <= CHANGE) & (splits > 0)
            start[active[changed]] = cut[changed]
            active = active[changed]
        return start

    def _change(self, names: Sequence[str], rows: Rows, low: Rows, cut: Rows, high: Rows) -> Floats:
        """Return the statistic of the runs from `cut` on against those before it; see `gate.stratified.cmh`.

        Samples per problem are equal within a suite, so sums over problems are enough.
        """
        difference, variance = np.zeros(len(rows)), np.zeros(len(rows))
        for name in names:
            suite = self.suites[name]
            whole = (suite.right[rows, high] - suite.right[rows, low]).astype(float)
            total = (suite.drawn[rows, high] - suite.drawn[rows, low]).astype(float)
            new = (suite.drawn[rows, high] - suite.drawn[rows, cut]).astype(float)
            hits = (suite.right[rows, high] - suite.right[rows, cut]).sum(axis=1)
            spread = (whole * (total[:, None] - whole)).sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                difference += hits - new * whole.sum(axis=1) / total
                variance += new * (total - new) * spread / (total * total * (total - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(variance > 0, difference / np.sqrt(variance), 0.0)


def side_by_side(parts: Sequence[Counted]) -> Counted:
    """Return the problems of several suites as those of one."""
    if len(parts) == 1:
        return parts[0]
    return Counted(
        np.concatenate([part.right for part in parts], axis=1), np.concatenate([part.drawn for part in parts], axis=1)
    )
