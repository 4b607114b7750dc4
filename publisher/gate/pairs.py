"""Paired comparisons over problems: for greedy answers, and for metrics that are not counts of right samples."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple

from publisher.gate.distributions import NORMAL, binomial_below, student_quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


FEW = 200
"""Up to this many problems a mean's interval comes from resampling; beyond, the normal theory is as good."""


class Moments(NamedTuple):
    """The values of one problem's samples on one side: how many were drawn, their sum, and the sum of their squares."""

    drawn: int
    total: float
    squares: float


def mcnemar(lost: int, gained: int) -> float:
    """Return the exact one-sided p-value of a loss: `lost` pairs turned wrong, `gained` turned right.

    Under equal rates each pair that changed did so either way with probability 1/2: P(Binomial(lost + gained, 1/2)
    ≤ gained). The conditional test of `stratified` is this test where every problem has one sample on both sides.
    Source: McNemar (1947).
    """
    return binomial_below(gained, lost + gained)


def mean_interval(differences: Sequence[float], level: float = 0.95) -> tuple[float, float, str]:
    """Return the interval of a mean of paired differences, one per problem, and the name of its method."""
    if len(differences) < 2 or len(differences) > FEW:
        return (*t_interval(differences, level), "t")
    return (*bootstrap_interval(differences, level=level, resamples=2000), "bootstrap")


def further_interval(value: float, known: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of the difference between one further value and the mean of those before it.

    That is difference ± t(n - 1) s √(1 + 1/n), the prediction interval turned round; infinite for a single value.
    """
    count = len(known)
    mean = math.fsum(known) / count
    if count == 1:
        return -math.inf, math.inf
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in known) / (count - 1) * (1 + 1 / count))
    half = student_quantile(0.5 + level / 2, count - 1) * spread
    return value - mean - half, value - mean + half


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of the mean of values that were drawn independently; infinite for a single one."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return -math.inf, math.inf
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    spread = student_quantile(0.5 + level / 2, count - 1) * error
    return mean - spread, mean + spread


def bootstrap_interval(
    differences: Sequence[float], *, level: float = 0.95, resamples: int = 4000, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of a mean of paired differences, one per problem, by resampling problems.

    The bias-corrected and accelerated percentile interval; the acceleration comes from the jackknife. Deterministic:
    `seed` decides the resamples. Source: Efron (1987), "Better Bootstrap Confidence Intervals".
    """
    count = len(differences)
    mean = math.fsum(differences) / count
    if len(set(differences)) == 1:
        return mean, mean
    draw = random.Random(seed)  # noqa: S311 - resampling, not a secret
    means = sorted(math.fsum(draw.choices(differences, k=count)) / count for _ in range(resamples))
    below = sum(value < mean for value in means) + sum(value == mean for value in means) / 2
    bias = NORMAL.inv_cdf(min(1 - 0.5 / resamples, max(0.5 / resamples, below / resamples)))
    cubes = math.fsum((value - mean) ** 3 for value in differences)
    squares = math.fsum((value - mean) ** 2 for value in differences)
    acceleration = cubes / (6 * squares**1.5)

    def at(share: float) -> float:
        z = bias + NORMAL.inv_cdf(share)
        corrected = NORMAL.cdf(bias + z / (1 - acceleration * z))
        place = min(resamples - 1.0, max(0.0, corrected * resamples - 0.5))
        low = int(place)
        high = min(low + 1, resamples - 1)
        return means[low] + (place - low) * (means[high] - means[low])

    return at((1 - level) / 2), at((1 + level) / 2)


def permutation_z(pairs: Iterable[tuple[Moments, Moments]]) -> float:
    """Return the standardized difference (new less baseline) of a metric whose samples are exchanged within problems.

    Under equal distributions any n of a problem's N values are as likely to be the new ones, so the sum over problems
    of (n₂/N) Σ new - (n₁/N) Σ base has mean 0 and variance Σ n₁ n₂ S²/N, where S² is the variance of all N values with
    N - 1 below: the permutation distribution's own moments, with the normal curve in place of its tails. Answers of one
    problem are never compared with those of another. Source: Lehmann, Nonparametrics, section 3.3. 0 without evidence.
    """
    difference, variance = 0.0, 0.0
    for new, base in pairs:
        count = new.drawn + base.drawn
        if not new.drawn or not base.drawn:
            continue
        difference += (base.drawn * new.total - new.drawn * base.total) / count
        squares = new.squares + base.squares - (new.total + base.total) ** 2 / count
        variance += new.drawn * base.drawn * max(0.0, squares) / (count - 1) / count
    return difference / math.sqrt(variance) if variance > 0 else 0.0
