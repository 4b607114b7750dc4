"""Distributions that the tests of the gate need, from the standard library alone.

The gate runs where nothing that compiles is installed, so scipy is a reference of the tests, not a dependency.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NORMAL = NormalDist()
NEGLIGIBLE = 1e-25
"""Probability that may be cut off either end of a distribution while it is convolved: far below any alpha."""


class Distribution(NamedTuple):
    """Probabilities of the whole numbers from `start` on."""

    start: int
    masses: list[float]

    def below(self, value: int, *, mid: bool = False) -> float:
        """Return P(X ≤ value); with `mid`, only half of P(X = value) counts (the mid-p value)."""
        place = value - self.start
        if place < 0:
            return 0.0
        if place >= len(self.masses):
            return 1.0
        return min(1.0, math.fsum(self.masses[:place]) + self.masses[place] * (0.5 if mid else 1.0))

    def above(self, value: int, *, mid: bool = False) -> float:
        """Return P(X ≥ value); with `mid`, only half of P(X = value) counts (the mid-p value)."""
        place = value - self.start
        if place >= len(self.masses):
            return 0.0
        if place < 0:
            return 1.0
        return min(1.0, math.fsum(self.masses[place + 1 :]) + self.masses[place] * (0.5 if mid else 1.0))


@functools.lru_cache(maxsize=1 << 16)
def hypergeometric(population: int, marked: int, drawn: int) -> Distribution:
    """Return the number of marked items among `drawn` ones, taken without replacement.

    P(x) = C(marked, x) C(population - marked, drawn - x) / C(population, drawn). The masses follow from the mode
    outwards by their ratio, so that no factorial overflows.
    """
    low, high = max(0, drawn + marked - population), min(drawn, marked)
    mode = min(high, max(low, (drawn + 1) * (marked + 1) // (population + 2)))
    masses = [0.0] * (high - low + 1)
    masses[mode - low] = 1.0
    for x in range(mode, high):
        ratio = (marked - x) * (drawn - x) / ((x + 1) * (population - marked - drawn + x + 1))
        masses[x + 1 - low] = masses[x - low] * ratio
    for x in range(mode, low, -1):
        ratio = x * (population - marked - drawn + x) / ((marked - x + 1) * (drawn - x + 1))
        masses[x - 1 - low] = masses[x - low] * ratio
    total = math.fsum(masses)
    return Distribution(low, [mass / total for mass in masses])


def convolve(parts: Iterable[Distribution]) -> Distribution:
    """Return the distribution of a sum of independent variables.

    Ends whose probability stays below NEGLIGIBLE are cut off in between, which keeps the work near linear in the number
    of parts: thousands of problems take well under a second.
    """
    whole = Distribution(0, [1.0])
    for part in sorted(parts, key=lambda part: len(part.masses)):
        if len(part.masses) == 1:
            whole = Distribution(whole.start + part.start, whole.masses)
            continue
        short, long = sorted((part.masses, whole.masses), key=len)
        masses = [0.0] * (len(short) + len(long) - 1)
        for place, weight in enumerate(short):
            for other, mass in enumerate(long, place):
                masses[other] += weight * mass
        whole = _trimmed(whole.start + part.start, masses)
    return whole


def _trimmed(start: int, masses: list[float]) -> Distribution:
    """Cut off both ends while what is cut off stays negligible."""
    first, gone = 0, masses[0]
    while gone < NEGLIGIBLE and first < len(masses) - 1:
        first += 1
        gone += masses[first]
    last, gone = len(masses), masses[-1]
    while gone < NEGLIGIBLE and last > first + 1:
        last -= 1
        gone += masses[last - 1]
    return Distribution(start + first, masses[first:last])


def binomial_below(value: int, trials: int, share: float = 0.5) -> float:
    """Return P(X ≤ value) of a binomial variable."""
    if value < 0:
        return 0.0
    terms = (math.comb(trials, x) * share**x * (1 - share) ** (trials - x) for x in range(min(value, trials) + 1))
    return min(1.0, math.fsum(terms))


def student_below(value: float, freedom: float) -> float:
    """Return P(T ≤ value) of Student's t with `freedom` degrees of freedom."""
    tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + value * value)) / 2
    return 1 - tail if value > 0 else tail


def student_quantile(share: float, freedom: float) -> float:
    """Return the value that Student's t stays below with probability `share`."""
    if share < 0.5:
        return -student_quantile(1 - share, freedom)
    high = 1.0
    while student_below(high, freedom) < share:
        high *= 2
    return root(lambda value: student_below(value, freedom) - share, 0.0, high)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b), by Lentz's continued fraction.

    Source: Press et al., Numerical Recipes (3rd ed.), section 6.4.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1), tiny)
    fraction = d
    for step in range(1, 10_000):
        for factor in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1 / _off_zero(1 + factor * d, tiny)
            c = _off_zero(1 + factor / c, tiny)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction


def _off_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def root(function: Callable[[float], float], low: float, high: float, *, precision: float = 0.0) -> float:
    """Return where an increasing function crosses zero between `low` and `high`, by bisection, to full precision."""
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high} or high - low <= precision:
            break
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2
