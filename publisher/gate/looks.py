"""Looks at a run before it is complete: how much alpha each may spend, so that all together spend what one test would.

A look tests at a nominal level that is far below alpha at first. Levels follow from how much alpha was planned to be
spent by then and from how strongly the looks' statistics are correlated, which only the information at each look
decides. Sources: Lan & DeMets (1983); Hwang, Shih & DeCani (1990); Jennison & Turnbull, Group Sequential Methods
(2000), chapters 7 and 19.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING

from publisher.gate.distributions import NORMAL, root

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAMMA = -4.0
"""How late alpha is spent: -4 keeps nearly all for the last look (as O'Brien and Fleming do), -1 spends sooner."""
_FINENESS = 18
"""Points of the numerical integration: errors of the levels stay below one part in a million."""


def spent(alpha: float, share: float, gamma: float = GAMMA) -> float:
    """Return the part of alpha that may be spent once `share` of all samples are there (Hwang, Shih & DeCani).

    alpha (1 - e^(-gamma share)) / (1 - e^(-gamma)); gamma 0 is its limit, alpha times share.
    """
    share = min(1.0, max(0.0, share))
    return alpha * share if abs(gamma) < 1e-9 else alpha * math.expm1(-gamma * share) / math.expm1(-gamma)


def information(counts: Iterable[tuple[int, int]]) -> float:
    """Return Σ n₁ n₂ / (n₁ + n₂) over problems with n₁ new and n₂ baseline samples.

    The correlation of two looks of a stratified test is the root of the ratio of their informations.
    """
    return math.fsum(new * base / (new + base) for new, base in counts if new and base)


def levels(shares: Sequence[float], informations: Sequence[float], alpha: float, gamma: float = GAMMA) -> list[float]:
    """Return the one-sided nominal level of each look: a look rejects where its own p-value is at or below its level.

    `shares` (of samples) say how much alpha is spent by each look, `informations` how the looks hang together; both
    grow. Raises ValueError where they do not.
    """
    if any(later <= earlier for earlier, later in itertools.pairwise(informations)):
        raise ValueError("the information of looks must grow")
    return list(_levels(tuple(spent(alpha, share, gamma) for share in shares), tuple(informations)))


def among_kept(alpha: float, runs: int) -> float:
    """Return the level at which a run is tested against `runs` kept ones, so that `alpha` of innocent ones fail.

    A baseline holds only what the same test kept, so it lies a little above the truth: the statistic of an innocent run
    has the mean -φ(z) / ((1 - level) (1 + 1/runs)), where z is the level's quantile (the mean of a normal variable that
    is truncated at z, times its correlation with a run's own score). So z is larger than alpha's own quantile by that.
    Without it a test at 1 % against eight runs rejects 1.08 % of the commits of a long history, with it 1.00 %. That
    selection also makes kept runs depend on each other is left out: against a single run 1.16 % remain (of 1.19 %).
    """
    wanted = NORMAL.inv_cdf(1 - alpha)
    z = wanted
    for _ in range(30):
        z = wanted + NORMAL.pdf(z) / (NORMAL.cdf(z) * (1 + 1 / runs))
    return NORMAL.cdf(-z)


@functools.lru_cache(maxsize=256)
def _levels(budget: tuple[float, ...], informations: tuple[float, ...]) -> tuple[float, ...]:
    """Return the levels that spend `budget` in total by each look.

    The density of the partial sum (a Brownian motion at time `information`) of what has not been rejected is carried
    from look to look on a grid; each level is where the mass beyond it is what this look may spend.
    """
    found: list[float] = []
    grid: list[tuple[float, float]] = [(0.0, 1.0)]
    before, used = 0.0, 0.0
    for total, now in zip(budget, informations, strict=True):
        step, scale = math.sqrt(now - before), math.sqrt(now)
        spend = max(0.0, total - used)
        edge = _edge(grid, step, spend, scale)
        found.append(NORMAL.cdf(-edge / scale))
        used += _beyond(grid, step, edge)
        grid = _carried(grid, step, edge, scale)
        before = now
    return tuple(found)


def _beyond(grid: Sequence[tuple[float, float]], step: float, edge: float) -> float:
    return math.fsum(weight * math.erfc((edge - place) / step / math.sqrt(2)) / 2 for place, weight in grid)


def _edge(grid: Sequence[tuple[float, float]], step: float, spend: float, scale: float) -> float:
    """Return the sum beyond which `spend` of the probability lies."""
    if spend <= 0:
        return 40 * scale
    return root(lambda edge: spend - _beyond(grid, step, edge), -12 * scale, 40 * scale)


def _carried(grid: Sequence[tuple[float, float]], step: float, edge: float, scale: float) -> list[tuple[float, float]]:
    """Return the mass after one more step, on a new grid that ends at `edge`: places with Simpson's weights."""
    places, widths = _simpson(edge, scale)
    norm = 1 / (step * math.sqrt(2 * math.pi))
    return [
        (
            place,
            width * norm * math.fsum(weight * math.exp(-(((place - old) / step) ** 2) / 2) for old, weight in grid),
        )
        for place, width in zip(places, widths, strict=True)
    ]


def _simpson(edge: float, scale: float) -> tuple[list[float], list[float]]:
    """Return Jennison and Turnbull's grid for a variable of this scale, cut off at `edge`, with Simpson's weights.

    It is even within three standard deviations and grows sparse beyond, where the density hardly matters.
    """
    fineness = _FINENESS
    far = [3 + 4 * math.log(fineness / index) for index in range(fineness, 0, -1)]
    near = [-3 + 3 * index / (2 * fineness) for index in range(4 * fineness + 1)]
    knots = sorted({*near, *far, *(-value for value in far)})
    top = edge / scale
    knots = [knot for knot in knots if knot < top] + [min(top, knots[-1])]
    knots = sorted(set(knots)) if len(set(knots)) > 1 else [top - 1, top]
    places = [knots[0]]
    for low, high in itertools.pairwise(knots):
        places += [(low + high) / 2, high]
    widths = [0.0] * len(places)
    for start in range(0, len(places) - 2, 2):
        width = (places[start + 2] - places[start]) / 6
        widths[start] += width
        widths[start + 1] += 4 * width
        widths[start + 2] += width
    return [place * scale for place in places], [width * scale for width in widths]
