"""Whole histories under a policy: commits that change nothing or lose some points, one after the other.

Kept runs become the baseline of later ones and rejected ones do not, the baseline reaches back to the last detected
change, looks reject early and undecided tests ask for more samples, all as in the gate. What is not simulated: metrics
other than scores, samples that cannot be scored, and runs that end because nothing can change their verdict any more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from publisher.config import Regression
from publisher.publishing.simulate.arrays import shifted
from publisher.publishing.simulate.past import Counted, Past
from publisher.publishing.simulate.power import Power, Share
from publisher.publishing.simulate.rules import FAIL, OPEN, Bench, Test, at_look, check, depth, wants
from publisher.stats import LOOKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from publisher.publishing.simulate.arrays import Flags, Floats
    from publisher.publishing.simulate.past import Problems, Rows

_NUMBERS = 4_000_000
"""Counts that the histories which are simulated together may have."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one commit in each history."""

    rejected: Flags
    undecided: Flags
    """Neither rejected nor kept when no more samples could be asked for."""
    failed: tuple[Flags, ...]
    """The runs that each test failed."""
    samples: Floats
    """The share of the planned samples that was taken; above 1 where more were asked for."""
    runs: Mapping[str, Counted]
    """The samples of each suite, those included that a look made unnecessary."""


class Histories:
    """Many histories under one policy, each with as many innocent kept runs as its rules look back at."""

    def __init__(
        self,
        problems: Sequence[Problems],
        tests: Sequence[Test],
        *,
        histories: int,
        commits: int,
        draw: np.random.Generator,
    ) -> None:
        """Draw the runs that every history begins with."""
        # The order of the problems is the one in which a run with one sample per problem takes them.
        self.problems = [type(one)(one.name, one.rates[draw.permutation(len(one.rates))], one.k) for one in problems]
        self.tests, self.draw = tests, draw
        filled = max((depth(test.rule) for test in tests), default=1)
        self.past = Past(self.problems, histories, filled + commits)
        self.rows: Rows = np.arange(histories)
        for _ in range(filled):
            self.past.put(self.rows, self._full({one.name: one.rates for one in self.problems}))

    def _full(self, rates: dict[str, Floats]) -> dict[str, Counted]:
        size = len(self.rows)
        return {
            one.name: Counted(
                self.draw.binomial(one.k, rates[one.name], (size, len(one.rates))),
                np.full((size, len(one.rates)), one.k),
            )
            for one in self.problems
        }

    def commit(self, drop: float = 0.0) -> Outcome:
        """Measure one more commit of each history, which lost `drop` (a share) on each suite, and decide on it."""
        rates = {one.name: shifted(one.rates, drop) for one in self.problems}
        rejected, taken = np.zeros(len(self.rows), dtype=bool), np.ones(len(self.rows))
        runs = {
            one.name: Counted(*(np.zeros((len(self.rows), len(one.rates)), dtype=np.int64) for _ in range(2)))
            for one in self.problems
        }
        looking = any(test.looks and isinstance(test.rule, Regression) for test in self.tests)
        for share in LOOKS if looking else ():
            self._top_up(runs, rates, share)
            for test in self.tests:
                if all(runs[name].drawn.any() for name in test.suites):
                    bad = at_look(test, Bench(self.past, self.rows, runs, share)) & ~rejected
                    taken = np.where(bad, share, taken)
                    rejected |= bad
        self._top_up(runs, rates, 1.0)
        found = self._decided(runs, self.rows)
        found.rejected[rejected], found.undecided[rejected], found.samples[:] = True, False, taken
        self._extended(runs, rates, found, ~rejected)
        good = ~(found.rejected | found.undecided)
        self.past.put(self.rows[good], {name: counted.of(good) for name, counted in runs.items()})
        return found

    def _top_up(self, runs: dict[str, Counted], rates: dict[str, Floats], share: float) -> None:
        """Draw samples until each suite has this share of what is planned: rounds or, at one sample, problems."""
        for one in self.problems:
            size = len(one.rates)
            wanted = np.full(size, int(share * one.k + 1e-9))
            if one.k == 1:
                wanted = (np.arange(size) < int(share * size + 1e-9)).astype(np.int64)
            missing = wanted - runs[one.name].drawn
            runs[one.name].right += self.draw.binomial(missing, rates[one.name], missing.shape)
            runs[one.name].drawn += missing

    def _decided(self, runs: dict[str, Counted], rows: Rows, now: float = 1.0) -> Outcome:
        """Return what the policy says of complete runs."""
        bench = Bench(self.past, rows, runs, now)
        found = [check(test.rule, test, bench) for test in self.tests]
        blocking = [(test, one) for test, one in zip(self.tests, found, strict=True) if test.rule.effect == "block"]
        rejected, undecided = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        for _, one in blocking:
            rejected |= one == FAIL
            undecided |= one == OPEN
        return Outcome(rejected, undecided & ~rejected, tuple(one == FAIL for one in found), np.ones(len(rows)), runs)

    def _extended(self, runs: dict[str, Counted], rates: dict[str, Floats], found: Outcome, going: Flags) -> None:
        """Double the samples of the runs whose tests ask for more, until none does; see `publishing.extend`."""
        most = max((test.rule.max_samples for test in self.tests if isinstance(test.rule, Regression)), default=0)
        now = 1.0
        open_ = np.flatnonzero(going & found.undecided)
        while len(open_) and now * max(one.k for one in self.problems) < most:
            bench = Bench(self.past, open_, {name: counted.of(open_) for name, counted in runs.items()}, now)
            wanting = np.zeros(len(open_), dtype=bool)
            for test in self.tests:
                wanting |= wants(test.rule, test, bench, check(test.rule, test, bench))
            open_ = open_[wanting]
            now = min(2 * now, most / max(one.k for one in self.problems))
            for one in self.problems:
                counted = runs[one.name]
                missing = int(now * one.k) - counted.drawn[open_]
                counted.right[open_] += self.draw.binomial(missing, rates[one.name], missing.shape)
                counted.drawn[open_] += missing
            again = self._decided({name: counted.of(open_) for name, counted in runs.items()}, open_, now)
            found.rejected[open_], found.undecided[open_], found.samples[open_] = again.rejected, again.undecided, now
            for whole, part in zip(found.failed, again.failed, strict=True):
                whole[open_] = part
            open_ = open_[again.undecided]


@dataclass(frozen=True, slots=True)
class Alarms:
    """What becomes of a hundred innocent commits."""

    rejected: Share
    undecided: Share
    failed: tuple[Share, ...]
    """By each test."""


def alarms(problems: Sequence[Problems], tests: Sequence[Test], *, histories: int, commits: int, seed: int) -> Alarms:
    """Return how often a policy rejects commits that changed nothing, over whole histories of a constant truth."""
    sums: Counter[str | int] = Counter()
    for some, draw in _parts(problems, tests, histories, commits, seed):
        past = Histories(problems, tests, histories=some, commits=commits, draw=draw)
        for _ in range(commits):
            found = past.commit()
            sums["rejected"] += int(found.rejected.sum())
            sums["undecided"] += int(found.undecided.sum())
            for number, failed in enumerate(found.failed):
                sums[number] += int(failed.sum())
    runs = histories * commits
    shares = tuple(Share.of(sums[number], runs) for number in range(len(tests)))
    return Alarms(Share.of(sums["rejected"], runs), Share.of(sums["undecided"], runs), shares)


def found_drops(
    problems: Sequence[Problems], tests: Sequence[Test], drop: float, *, trials: int, seed: int
) -> tuple[Power, tuple[Share, ...]]:
    """Return how often a policy rejects commits that lost `drop` (a share) on every suite, and how often each test."""
    rejected, samples, failed = 0, 0.0, [0] * len(tests)
    for some, draw in _parts(problems, tests, trials, 1, seed):
        found = Histories(problems, tests, histories=some, commits=1, draw=draw).commit(drop)
        rejected += int(found.rejected.sum())
        samples += float(found.samples.sum())
        failed = [sum_ + int(one.sum()) for sum_, one in zip(failed, found.failed, strict=True)]
    power = Power(drop, Share.of(rejected, trials), 100 * samples / trials)
    return power, tuple(Share.of(one, trials) for one in failed)


def _parts(
    problems: Sequence[Problems], tests: Sequence[Test], histories: int, commits: int, seed: int
) -> Iterator[tuple[int, np.random.Generator]]:
    """Yield histories in parts that fit into a processor's cache, each with random numbers of its own."""
    length = commits + max((depth(test.rule) for test in tests), default=1)
    each = max(16, _NUMBERS // (length * sum(len(one.rates) for one in problems)))
    starts = range(0, histories, each)
    for start, draw in zip(starts, np.random.default_rng(seed).spawn(len(starts)), strict=True):
        yield min(each, histories - start), draw
