"""Bounds on the mean of values from 0 to 1 that hold at every moment at once, however often somebody looks.

Ratings arrive one by one and are looked at every hour, so a test at a fixed number would be wrong in a large part of
innocent cases. These are confidence sequences by betting: a gambler who bets that the mean is lower than `m`, with
stakes that depend on the past only, multiplies the capital by 1/alpha with probability at most alpha if it is not.
Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting" (JRSS B 2024,
arXiv 2010.09686), their predictable plug-in stakes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = 400
"""The bounds are found to a 400th."""
_BOLDEST = 0.75
"""The largest part of the capital that one value may cost."""


def upper(values: Sequence[float], alpha: float) -> float:
    """Return a bound that the mean of independent `values`, each from 0 to 1, exceeds with probability alpha at most.

    Rounded up to a 400th, never below.
    """
    stakes = _stakes(values, alpha)
    low, high = 0, _STEPS
    # What is rejected grows with m: the capital of a bet against a higher mean is never smaller.
    while low < high:
        middle = (low + high) // 2
        if _is_rejected(values, stakes, middle / _STEPS, alpha):
            high = middle
        else:
            low = middle + 1
    return low / _STEPS


def lower(values: Sequence[float], alpha: float) -> float:
    """Return a bound that the mean falls below with probability alpha at most."""
    return 1 - upper([1 - value for value in values], alpha)


def _stakes(values: Sequence[float], alpha: float) -> list[float]:
    """Return the stake before each value, from the values before it alone."""
    stakes: list[float] = []
    total, squares = 0.5, 0.25
    for number, value in enumerate(values, 1):
        variance = squares / number
        stakes.append(math.sqrt(2 * math.log(1 / alpha) / (variance * number * math.log(1 + number))))
        mean = (total + value) / (number + 1)
        squares += (value - mean) ** 2
        total += value
    return stakes


def _is_rejected(values: Sequence[float], stakes: Sequence[float], mean: float, alpha: float) -> bool:
    """Return whether a gambler who bets against a mean of at least `mean` has ever had 1/alpha of the capital."""
    boldest = _BOLDEST / (1 - mean) if mean < 1 else math.inf
    wanted, capital = math.log(1 / alpha), 0.0
    for value, stake in zip(values, stakes, strict=True):
        gain = 1 - min(stake, boldest) * (value - mean)
        capital += math.log(gain) if gain > 0 else -math.inf
        if capital >= wanted:
            return True
    return False
