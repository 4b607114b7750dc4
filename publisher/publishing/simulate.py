"""What a policy does over many runs: how often it rejects innocent commits, and how small a drop it finds.

Whole histories at once, as arrays: [histories, problems] right samples per commit. The test of each run is the gate's
own: where the fast approximation of its p-value is not far from the level, the gate's exact function decides, so both
agree on every run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from publisher.config import BestRatio, MaxDrop, Relative, Threshold
from publisher.gate.baseline import CHANGE
from publisher.gate.distributions import NORMAL
from publisher.gate.looks import levels
from publisher.gate.stratified import Stratum, loss_p
from publisher.stats import LOOKS

if TYPE_CHECKING:
    import numpy.typing as npt

    from publisher.config import AnyRule

    Floats = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

MOST_SAMPLES = 1024
"""Samples per problem that a tier can take."""
_FAR = 0.5
"""An approximate p-value decides alone only where it is off the level by over this factor (both ways)."""
_NEAR = 0.06
"""The same where many samples differ, and the approximation is good."""
_MANY = 12.0
"""The variance of the number of right samples from which on it is."""


class Share(NamedTuple):
    """A share of simulated runs with its Monte Carlo standard error, both in per cent."""

    percent: float
    error: float

    @classmethod
    def of(cls, found: int, among: int) -> Share:
        """Return the share of `found` runs among all."""
        share = found / among
        return cls(100 * share, 100 * math.sqrt(max(share * (1 - share), 1 / among**2) / among))


@dataclass(frozen=True, slots=True)
class Setting:
    """A regression rule on one suite: its level, its margin, how many runs it pools, samples per problem."""

    k: int
    alpha: float = 0.01
    points: float = 1.0
    m: int = 8
    looks: bool = False


class Power(NamedTuple):
    """What becomes of commits that lost some points."""

    drop: float
    rejected: Share
    samples: float
    """The mean share of the samples that were taken, in per cent."""


def shifted(rates: Floats, drop: float) -> Floats:
    """Return rates whose mean is lower by `drop` (a share), each moved by the same amount on the logit scale."""
    wanted = max(0.0, float(rates.mean()) - drop)
    inner = np.clip(rates, 1e-12, 1 - 1e-12)
    logits = np.log(inner / (1 - inner))
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if float((1 / (1 + np.exp(-(logits + middle)))).mean()) < wanted else (low, middle)
    return np.asarray(1 / (1 + np.exp(-(logits + high))) if drop else rates, dtype=np.float64)


def rejected(right: Counts, drawn: Counts | int, base: Counts, base_drawn: Counts | int, setting: Setting) -> Flags:
    """Return which runs the gate rejects, from [runs, problems] counts: a loss that is shown and exceeds `points`.

    `drawn` and `base_drawn` may be one number for all problems, or one per run as [runs, 1]. Just the level of
    `setting` counts, not its looks.
    """
    new = np.broadcast_to(np.asarray(drawn, dtype=np.int64), right.shape)
    old = np.broadcast_to(np.asarray(base_drawn, dtype=np.int64), right.shape)
    counts = np.maximum(new, 1), np.maximum(old, 1)
    loss = -100 * (right / counts[0] - base / counts[1]).mean(axis=1)
    approximate, variance = _loss_p(right, new, base, old)
    shown = approximate <= setting.alpha
    width = np.where(variance > _MANY, _NEAR, _FAR)
    unclear = (approximate > setting.alpha * (1 - width)) & (approximate < setting.alpha * (1 + 2 * width) + 1e-7)
    for place in np.flatnonzero(unclear & (loss > setting.points - 1e-9)):
        strata = [
            Stratum(*map(int, one)) for one in zip(right[place], new[place], base[place], old[place], strict=True)
        ]
        shown[place] = loss_p(strata) <= setting.alpha
    return np.asarray(shown & (np.round(loss, 9) > setting.points))


def _loss_p(right: Counts, new: Counts, base: Counts, old: Counts) -> tuple[Floats, Floats]:
    """Return approximate mid-p values of a loss, and the variance of the number of right samples.

    Edgeworth's expansion of the sum of hypergeometric counts with the cumulants of each, Sheppard's corrections for
    whole numbers, and the mean of the tail with and without the count itself. Source: Kolassa & McCullagh (1990).
    """
    total, hits = (new + old).astype(float), (right + base).astype(float)
    n, misses = new.astype(float), total - hits
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = n * hits / total
        var = mean * misses * (total - n) / (total * (total - 1))
        third = var * (total - 2 * hits) * (total - 2 * n) / (total * (total - 2))
        a = (total - 1) * total**2 * (total * (total + 1) - 6 * hits * misses - 6 * n * (total - n))
        b = 6 * n * hits * misses * (total - n) * (5 * total - 6)
        fourth = (a + b) / (n * hits * misses * (total - n) * (total - 2) * (total - 3)) * var**2
    sums = [np.where(np.isfinite(part), part, 0.0).sum(axis=1) for part in (mean, var, third, fourth)]
    centre, spread, k3, k4 = sums[0], sums[1], sums[2], sums[3]
    wide = np.sqrt(np.maximum(spread, 1e-12) + 1 / 12)
    s3, s4 = k3 / wide**3, (k4 - np.sign(spread) / 120) / wide**4
    observed = right.sum(axis=1)
    tails = []
    for edge in (-0.5, 0.5):
        z = (observed + edge - centre) / wide
        bend = s3 * (z**2 - 1) / 6 + s4 * (z**3 - 3 * z) / 24 + s3**2 * (z**5 - 10 * z**3 + 15 * z) / 72
        tails.append(_cdf(z) - np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * bend)
    p_value = np.clip((tails[0] + tails[1]) / 2, 0.0, 1.0)
    return np.where(spread > 0, p_value, 0.5), spread


def _cdf(z: Floats) -> Floats:
    """Return the normal distribution function, by Hart's rational approximation (West 2005), to twelve digits."""
    x = np.abs(z)
    up = np.exp(-(x**2) / 2)
    top = (((((3.52624965998911e-02 * x + 0.700383064443688) * x + 6.37396220353165) * x + 33.912866078383) * x
            + 112.079291497871) * x + 221.213596169931) * x + 220.206867912376  # fmt: skip
    low = ((((((8.83883476483184e-02 * x + 1.75566716318264) * x + 16.064177579207) * x + 86.7807322029461) * x
             + 296.564248779674) * x + 637.333633378831) * x + 793.826512519948) * x + 440.413735824752  # fmt: skip
    far = up / (x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 0.65))))) / 2.506628274631
    tail = np.where(x < 7.07106781186547, up * top / low, far)
    return np.where(z > 0, 1 - tail, tail)


def false_alarms(rates: Floats, setting: Setting, *, histories: int, commits: int, draw: np.random.Generator) -> Share:
    """Return how many of a hundred innocent commits are rejected, over whole histories of a constant truth.

    Kept runs become the baseline of later ones, rejected ones do not, and the baseline reaches back to the last
    detected change, as in the gate. The first `m` commits of each history only fill the baseline.
    """
    problems, m, k = len(rates), setting.m, setting.k
    kept = draw.binomial(k, rates, (histories, m, problems)).astype(np.int64)
    found = 0
    for _ in range(commits):
        right = draw.binomial(k, rates, (histories, problems)).astype(np.int64)
        # Sums over the newest runs: tail[:, i] pools the runs from i on.
        tail = kept[:, ::-1].cumsum(axis=1)[:, ::-1]
        start = _since_change(tail, k)
        base = tail[np.arange(histories), start]
        bad = rejected(right, k, base, (k * (m - start))[:, None], setting)
        found += int(bad.sum())
        good = np.flatnonzero(~bad)
        kept[good, :-1] = kept[good, 1:]
        kept[good, -1] = right[good]
    return Share.of(found, histories * commits)


def literal_alarms(
    rates: Floats, rule: AnyRule, k: int, *, histories: int, commits: int, draw: np.random.Generator
) -> Share | None:
    """Return how many of a hundred innocent commits a literal rule rejects, or None for a rule of another kind."""
    if not isinstance(rule, Threshold | Relative | BestRatio | MaxDrop) or rule.significant:
        return None
    found = 0
    previous = best = 100 * draw.binomial(k, rates, (histories, len(rates))).mean(axis=1) / k
    for _ in range(commits):
        score = 100 * draw.binomial(k, rates, (histories, len(rates))).mean(axis=1) / k
        bad = score < _limit(rule, previous, best) - 1e-9
        found += int(bad.sum())
        previous = np.where(bad, previous, score)
        best = np.where(bad, best, np.maximum(best, score))
    return Share.of(found, histories * commits)


def _limit(rule: Threshold | Relative | BestRatio | MaxDrop, previous: Floats, best: Floats) -> Floats:
    match rule:
        case Threshold():
            return np.full_like(previous, rule.min)
        case Relative():
            return previous * (1 + rule.percent / 100) if rule.percent else previous + rule.delta
        case BestRatio():
            return rule.ratio * best
        case MaxDrop():
            return previous - rule.points


def _since_change(tail: Counts, k: int) -> npt.NDArray[np.int64]:
    """Return where the baseline of each history begins: `gate.baseline.since_change` for all of them at once."""
    histories, m, _ = tail.shape
    start = np.zeros(histories, dtype=np.int64)
    active = np.arange(histories)
    while len(active):
        first = tail[active, start[active]]
        best, cut = np.zeros(len(active)), np.zeros(len(active), dtype=np.int64)
        for place in range(1, m):
            valid = place > start[active]
            newer, older = tail[active, place], first - tail[active, place]
            z = _cmh(newer, k * (m - place), older, k * (place - start[active]))
            better = valid & (np.abs(z) > best)
            best, cut = np.where(better, np.abs(z), best), np.where(better, place, cut)
        splits = m - 1 - start[active]
        changed = (2 * _cdf(-best) * splits <= CHANGE) & (splits > 0)
        start[active[changed]] = cut[changed]
        active = active[changed]
    return start


def _cmh(right: Counts, drawn: int, base: Counts, base_drawn: Counts) -> Floats:
    """Return the signed statistic of each row; see `gate.stratified.cmh`."""
    old = base_drawn.astype(float)[:, None]
    total, hits = drawn + old, (right + base).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = (right - drawn * hits / total).sum(axis=1)
        variance = (drawn * old * hits * (total - hits) / (total * total * (total - 1))).sum(axis=1)
        return np.where(variance > 0, difference / np.sqrt(np.maximum(variance, 1e-300)), 0.0)


def power(rates: Floats, setting: Setting, drop: float, *, trials: int, draw: np.random.Generator) -> Power:
    """Return how often a commit that lost `drop` (a share) is rejected, and the share of samples that it takes.

    The baseline is `m` runs of the old rates. With looks, a run ends at the first that rejects it.
    """
    base = draw.binomial(setting.k * setting.m, rates, (trials, len(rates))).astype(np.int64)
    lower = shifted(rates, drop)
    if not setting.looks or setting.k == 1:
        right = draw.binomial(setting.k, lower, (trials, len(rates))).astype(np.int64)
        bad = rejected(right, setting.k, base, setting.k * setting.m, setting)
        return Power(drop, Share.of(int(bad.sum()), trials), 100.0)
    rounds = [*sorted({math.floor(share * setting.k) for share in LOOKS} - {0}), setting.k]
    alphas = _look_levels(rounds, setting, len(rates))
    open_, seen = np.arange(trials), 0
    right = np.zeros((trials, len(rates)), dtype=np.int64)
    found, taken = 0, 0.0
    for count, alpha in zip(rounds, alphas, strict=True):
        right += draw.binomial(count - seen, lower, right.shape)
        seen = count
        own = Setting(k=setting.k, alpha=alpha, points=setting.points, m=setting.m)
        bad = rejected(right, count, base[open_], setting.k * setting.m, own)
        found += int(bad.sum())
        taken += float(bad.sum()) * count / setting.k
        open_, right = open_[~bad], right[~bad]
    taken += len(open_)
    return Power(drop, Share.of(found, trials), 100 * taken / trials)


def _look_levels(rounds: list[int], setting: Setting, problems: int) -> list[float]:
    pooled = setting.k * setting.m
    informations = [problems * count * pooled / (count + pooled) for count in rounds]
    return levels([count / setting.k for count in rounds], informations, setting.alpha)


def smallest_drop(
    rates: Floats, setting: Setting, *, wanted: float = 0.8, trials: int, draw: np.random.Generator
) -> float | None:
    """Return the smallest drop (a share) that is rejected with the wanted power, or None where none is.

    By bisection over simulated powers; good to about a tenth of a point.
    """
    low, high = 0.0, float(rates.mean())
    if power(rates, setting, high, trials=trials, draw=draw).rejected.percent < 100 * wanted:
        return None
    while high - low > 0.001:
        middle = (low + high) / 2
        found = power(rates, setting, middle, trials=trials, draw=draw).rejected.percent
        low, high = (middle, high) if found < 100 * wanted else (low, middle)
    return high


def wanted_samples(
    rates: Floats, setting: Setting, drop: float, *, wanted: float = 0.8, trials: int, draw: np.random.Generator
) -> int | None:
    """Return how many samples per problem find a drop with the wanted power, or None where MOST_SAMPLES do not.

    The search begins at the normal approximation, (z₁₋α + z_power)² Σ p (1 - p) (1 + 1/m) / (problems drop)², which
    promises too much where few samples are wrong, and goes up by a tenth until the simulated power is there.
    """
    z = NORMAL.inv_cdf(1 - setting.alpha) + NORMAL.inv_cdf(wanted)
    variance = float((rates * (1 - rates)).sum()) / len(rates) ** 2
    k = max(1, math.ceil(0.8 * z * z * variance * (1 + 1 / setting.m) / drop**2))
    while k <= MOST_SAMPLES:
        own = replace(setting, k=k, looks=False)
        if power(rates, own, drop, trials=trials, draw=draw).rejected.percent >= 100 * wanted:
            return k
        k = max(k + 1, math.ceil(1.1 * k))
    return None
