"""What a regression rule finds, tried on one commit at a time: its power, and the samples that a wanted power takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from publisher.gate.distributions import NORMAL
from publisher.gate.early import planned_level
from publisher.gate.looks import among_kept
from publisher.publishing.simulate.arrays import rejected, shifted
from publisher.stats import LOOKS

if TYPE_CHECKING:
    from publisher.publishing.simulate.arrays import Floats

MOST_SAMPLES = 1024
"""Samples per problem that a tier can take."""


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


def power(rates: Floats, setting: Setting, drop: float, *, trials: int, draw: np.random.Generator) -> Power:
    """Return how often a commit that lost `drop` (a share) is rejected, and the share of samples that it takes.

    `rates` are those of one set of problems, or [trials, problems] of a set per trial. The baseline is `m` runs of the
    old rates. With looks, a run ends at the first that rejects it: after complete rounds or, where there is one sample
    per problem, after the first problems of a random order.
    """
    old = np.broadcast_to(rates, (trials, rates.shape[-1]))
    new = np.broadcast_to(shifted(rates, drop), old.shape)
    if setting.k == 1:
        order = draw.permuted(np.broadcast_to(np.arange(old.shape[1]), old.shape), axis=1)
        old, new = (np.take_along_axis(side, order, axis=1) for side in (old, new))
    pooled = setting.k * setting.m
    base = draw.binomial(pooled, old)
    right, taken, seen, lost = np.zeros(old.shape, dtype=np.int64), 0.0, 0, 0
    for problems, count, alpha in _stages(setting, old.shape[1]):
        if setting.k == 1:
            right[:, seen:problems] = draw.binomial(1, new[:, seen:problems])
        else:
            right += draw.binomial(count - seen, new)
        seen = problems if setting.k == 1 else count
        bad = rejected(right[:, :problems], count, base[:, :problems], pooled, alpha=alpha, points=setting.points)
        lost += int(bad.sum())
        taken += float(bad.sum()) * problems * count
        right, base, new = right[~bad], base[~bad], new[~bad]
    taken += len(right) * old.shape[1] * setting.k
    return Power(drop, Share.of(lost, trials), 100 * taken / (trials * old.shape[1] * setting.k))


def _stages(setting: Setting, problems: int) -> list[tuple[int, int, float]]:
    """Return the problems, the samples per problem and the level of each look, the complete run last."""
    k, sizes = setting.k, (((setting.k, setting.k * setting.m), problems),)
    found = {}
    for share in (*(LOOKS if setting.looks else ()), 1.0):
        size = (math.floor(share * problems), 1) if k == 1 else (problems, math.floor(share * k))
        alpha = among_kept(setting.alpha, setting.m)
        if min(size) > 0:
            found[size] = planned_level(share, sizes, looks=setting.looks, extent=1.0, alpha=alpha)
    return [(*size, level) for size, level in found.items()]


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
