"""The rules of the gate on many simulated runs at once: what `gate.rules` says of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np

from publisher.config import BestRatio, Budget, Declines, Drift, Erosion, MaxDrop, Regression, Relative, Threshold
from publisher.gate.distributions import NORMAL
from publisher.gate.early import planned_level
from publisher.gate.looks import among_kept
from publisher.gate.trends import EXACT, SLACK, cusum_limit, share_with_at_most
from publisher.publishing.simulate.arrays import cdf, difference, lost, rejected, score_z
from publisher.publishing.simulate.past import Counted, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from publisher.config import AnyRule
    from publisher.publishing.simulate.arrays import Flags, Floats
    from publisher.publishing.simulate.past import Past, Rows

    Outcomes = npt.NDArray[np.int8]

PASS, FAIL, OPEN = 0, 1, 2
LEFT = {"keep": PASS, "reject": FAIL, "inconclusive": OPEN}


@dataclass(frozen=True, slots=True)
class Test:
    """One rule on one suite, or on several as one, at its share of alpha."""

    rule: AnyRule
    suites: tuple[str, ...]
    level: float
    looks: bool
    most: int = 0
    """Samples per problem up to which it may be repeated although it was not significant; see `gate.extensions`."""


@dataclass(frozen=True, slots=True)
class Bench:
    """New runs of some histories, after `now` of the planned samples (above 1 where they were extended)."""

    past: Past
    rows: Rows
    runs: Mapping[str, Counted]
    now: float = 1.0

    def new(self, test: Test) -> Counted:
        """Return the counts that a test looks at."""
        return side_by_side([self.runs[name] for name in test.suites])

    @property
    def count(self) -> Rows:
        """How many kept runs there are before each new one."""
        return self.past.count[self.rows]

    def k(self, test: Test) -> int:
        """Return the planned samples per problem of a test's first suite."""
        return self.past.suites[test.suites[0]].problems.k


def depth(rule: AnyRule) -> int:
    """Return how many earlier runs a rule looks back at."""
    match rule:
        case Erosion():
            return rule.recent - 1 + rule.m * rule.windows
        case Regression() | Drift():
            return rule.m
        case Declines():
            return max(rule.runs, rule.m)
        case _:
            return 1


@singledispatch
def check(rule: AnyRule, test: Test, bench: Bench) -> Outcomes:
    """Return what a rule says of each run."""
    raise NotImplementedError(type(rule).__name__)


def _outcomes(failed: Flags) -> Outcomes:
    return np.where(failed, FAIL, PASS).astype(np.int8)


@check.register(Budget)
def _(rule: Budget, test: Test, bench: Bench) -> Outcomes:  # noqa: ARG001 - one shape for every rule
    """Pass: speeds, lengths and errors are not simulated."""
    return np.zeros(len(bench.rows), dtype=np.int8)


@check.register(Threshold)
def _(rule: Threshold, test: Test, bench: Bench) -> Outcomes:
    new = bench.runs[test.suites[0]]
    below = new.scores() < rule.min - 1e-9
    if not rule.significant:
        return _outcomes(below)
    z = NORMAL.inv_cdf(1 - test.level)
    within, scores = new.variances()[0], new.scores()
    share, draws = scores / 100, new.drawn.sum(axis=1)
    half = z * np.sqrt(share * (1 - share) / draws + z * z / (4 * draws * draws))
    wilson = 100 * np.minimum(1.0, (share + z * z / (2 * draws) + half) / (1 + z * z / draws))
    known = np.nan_to_num(within) > 0
    high = np.where(known, np.minimum(100.0, scores + z * np.sqrt(np.where(known, within, 0.0))), wilson)
    return _outcomes(below & (high < rule.min))


@check.register(Relative)
def _(rule: Relative, test: Test, bench: Bench) -> Outcomes:
    place = bench.count - 1
    before = bench.past.suites[test.suites[0]].score[bench.rows, place]
    margin = before * rule.percent / 100 if rule.percent else np.full(len(before), rule.delta)
    return _against(test, bench, place, margin, significant=rule.significant)


@check.register(BestRatio)
def _(rule: BestRatio, test: Test, bench: Bench) -> Outcomes:
    suite = bench.past.suites[test.suites[0]]
    scores = suite.score[bench.rows]
    scores = np.where(np.arange(scores.shape[1]) < bench.count[:, None], scores, -1.0)
    place = scores.argmax(axis=1)
    margin = (rule.ratio - 1) * scores.max(axis=1)
    return _against(test, bench, place, margin, significant=rule.significant, tests=bench.count)


@check.register(MaxDrop)
def _(rule: MaxDrop, test: Test, bench: Bench) -> Outcomes:
    margin = np.full(len(bench.rows), -rule.points)
    return _against(test, bench, bench.count - 1, margin, significant=rule.significant)


def _against(
    test: Test, bench: Bench, place: Rows, margin: Floats, *, significant: bool, tests: Rows | int = 1
) -> Outcomes:
    """Compare each run with one earlier one plus a margin in points."""
    name = test.suites[0]
    suite, new = bench.past.suites[name], bench.runs[name]
    below = new.scores() < suite.score[bench.rows, place] + margin - 1e-9
    if significant and below.any():
        base = suite.window(bench.rows, place, place + 1)
        p_value = cdf(score_z(new.right, new.drawn, base.right, base.drawn, margin / 100))
        below &= p_value <= test.level / tests
    return _outcomes(below & (bench.count > 0))


@check.register(Regression)
def _(rule: Regression, test: Test, bench: Bench) -> Outcomes:
    new, start = bench.new(test), bench.past.since_change(test.suites, bench.rows, rule.m)
    base = bench.past.window(test.suites, bench.rows, start, bench.count)
    counts = new.right, new.drawn, base.right, base.drawn
    if rule.prove == "gain":
        wrong = new.drawn - new.right, new.drawn, base.drawn - base.right, base.drawn
        return _outcomes(~lost(*wrong, alpha=test.level))
    level = _levels(rule, test, bench, start)
    loss = -difference(*counts)
    most = rule.max_samples
    undecided = OPEN if bench.now < 1 or bench.now * bench.k(test) < most else LEFT[_at_end(rule)]
    if rule.prove == "harm" and rule.points == 0 and undecided == PASS:
        return _outcomes(rejected(*counts, alpha=level, points=0.0))
    if rule.prove == "harm":
        shown = lost(*counts, alpha=level, among=loss > (rule.points if undecided == PASS else 0.0))
        found = np.where(shown, np.where(loss > rule.points, FAIL, undecided), PASS)
    else:
        shown = 1 - cdf(score_z(*counts, -rule.points / 100)) <= level
        harm = lost(*counts, alpha=level, among=~shown & (loss > rule.points))
        found = np.where(shown, PASS, np.where(harm, FAIL, undecided))
    return found.astype(np.int8)


def _at_end(rule: Regression) -> str:
    return rule.on_budget or ("keep" if rule.prove == "harm" else "inconclusive")


def wants(rule: AnyRule, test: Test, bench: Bench, outcomes: Outcomes) -> Flags:
    """Return for which runs a rule asks for more samples."""
    if not isinstance(rule, Regression) or rule.effect != "block" or rule.prove == "gain":
        return np.zeros(len(outcomes), dtype=bool)
    return np.asarray((outcomes == OPEN) & (bench.now * bench.k(test) < rule.max_samples))


def _levels(rule: Regression, test: Test, bench: Bench, start: Rows) -> Floats:
    """Return the level of each run's test: it depends on how many runs and samples its baseline has."""
    suites = [bench.past.suites[name] for name in test.suites]
    drawn = [suite.drawn[bench.rows, bench.count] - suite.drawn[bench.rows, start] for suite in suites]
    keys, places = np.unique(np.stack([bench.count - start, *drawn]), axis=1, return_inverse=True)
    largest = max(suite.problems.k for suite in suites)
    found = []
    for runs, *pooled in keys.T.tolist():
        sizes = tuple(
            sorted(
                ((suite.problems.k, base), len(suite.problems.rates))
                for suite, base in zip(suites, pooled, strict=True)
            )
        )
        alpha = among_kept(test.level, runs) if rule.prove == "harm" else test.level
        extent = max(1.0, test.most / largest)
        found.append(planned_level(bench.now, sizes, looks=test.looks, extent=extent, alpha=alpha))
    return np.asarray(found)[places.reshape(-1)]


@check.register(Erosion)
def _(rule: Erosion, test: Test, bench: Bench) -> Outcomes:
    names, rows, count = test.suites, bench.rows, bench.count
    new = bench.new(test)
    newest = np.maximum(0, count - (rule.recent - 1))
    recent = bench.past.window(names, rows, newest, count)
    pooled = Counted(recent.right + new.right, recent.drawn + new.drawn)
    oldest = np.maximum(0, newest - rule.m * rule.windows)
    windows = np.maximum(1, -(-(newest - oldest) // rule.m))
    failed = np.zeros(len(rows), dtype=bool)
    for number in range(int(windows.max())):
        high = newest - number * rule.m
        low = np.maximum(oldest, high - rule.m)
        there = (number < windows) & (high > oldest)
        base = bench.past.window(names, rows, np.where(there, low, 0), np.where(there, high, 0))
        found = rejected(
            pooled.right, pooled.drawn, base.right, base.drawn, alpha=test.level / windows, points=rule.points
        )
        failed |= there & found
    return _outcomes(failed)


@check.register(Declines)
def _(rule: Declines, test: Test, bench: Bench) -> Outcomes:
    length = rule.m if rule.significant else rule.runs + 1
    values = _last(test, bench, length)
    if not rule.significant:
        return _outcomes(np.asarray((np.diff(values, axis=1) < 0).all(axis=1)))
    rising = np.sign(values[:, None, :] - values[:, :, None])
    score = np.triu(rising, 1).sum(axis=(1, 2)).astype(int)
    same = (rising == 0).sum(axis=2)
    variance = (length * (length - 1) * (2 * length + 5) - ((same - 1) * (2 * same + 5)).sum(axis=1)) / 18
    pairs = length * (length - 1) // 2
    exact = np.array([share_with_at_most(length, (s + pairs) // 2) for s in range(-pairs, pairs + 1)])
    p_value = np.where(variance > 0, cdf((score + 1) / np.sqrt(np.maximum(variance, 1e-9))), 1.0)
    if length <= EXACT:
        p_value = np.where((same == 1).all(axis=1), exact[score + pairs], p_value)
    return _outcomes(np.asarray(p_value <= test.level))


def _last(test: Test, bench: Bench, length: int) -> Floats:
    """Return the scores of the last runs, the new one last."""
    suite, new = bench.past.suites[test.suites[0]], bench.runs[test.suites[0]]
    places = bench.count[:, None] - np.arange(length - 1, 0, -1)
    return np.concatenate([suite.score[bench.rows[:, None], places], new.scores()[:, None]], axis=1)


@check.register(Drift)
def _(rule: Drift, test: Test, bench: Bench) -> Outcomes:
    suite, new = bench.past.suites[test.suites[0]], bench.runs[test.suites[0]]
    places = bench.count[:, None] - np.arange(rule.m, 0, -1)
    rows = bench.rows[:, None]
    values = _last(test, bench, rule.m + 1)
    sides = new.variances()
    within, between = (
        np.concatenate([known[rows, places], own[:, None]], axis=1)
        for known, own in zip((suite.within, suite.between), sides, strict=True)
    )
    drawn = np.concatenate([(suite.drawn[rows, places + 1] - suite.drawn[rows, places]), new.drawn[:, :1]], axis=1)
    # See `gate.slides.sampling_errors`: variances of single samples, pooled over runs by their degrees of freedom.
    inner = np.where(np.isnan(within), 0.0, drawn - 1)
    weights = np.where(inner.sum(axis=1, keepdims=True) > 0, inner, 1.0)
    single = drawn * np.where(inner.sum(axis=1, keepdims=True) > 0, np.nan_to_num(within), between)
    pooled = (weights * single).sum(axis=1) / weights.sum(axis=1)
    errors = np.maximum(np.sqrt(pooled[:, None] / drawn), 100 / new.right.shape[1] / drawn)
    return _outcomes(_cusum(values, errors) > cusum_limit(rule.alarms))


def _cusum(values: Floats, errors: Floats) -> Floats:
    """Return the lower cumulative sum of each row; see `gate.trends.residuals` and `cusum`."""
    weight = 1 / errors[:, 0] ** 2
    total, found = weight * values[:, 0], np.zeros(len(values))
    for place in range(1, values.shape[1]):
        error = errors[:, place]
        step = (values[:, place] - total / weight) / np.sqrt(error * error + 1 / weight)
        found = np.maximum(0.0, found - step - SLACK)
        weight += 1 / error**2
        total += values[:, place] / error**2
    return found


def at_look(test: Test, bench: Bench) -> Flags:
    """Return which runs a test rejects at a look: only a loss that is shown; see `gate.rules.check_early`."""
    rule = test.rule
    if not test.looks or not isinstance(rule, Regression) or rule.prove == "gain" or rule.effect != "block":
        return np.zeros(len(bench.rows), dtype=bool)
    return np.asarray(check(rule, test, bench) == FAIL)


def simulated(rule: AnyRule) -> bool:
    """Return whether a rule is about scores, which are simulated, and not about other metrics."""
    return not isinstance(rule, Budget)
