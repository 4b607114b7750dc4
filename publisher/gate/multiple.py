"""Several tests of one commit: together they may fail an innocent one no more often than a single test may."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: one at or below alpha is rejected at alpha for the family.

    The smallest is multiplied by the number of tests, the next by one fewer, and none may fall below one before it. So
    the verdict is Bonferroni's (some test at alpha / tests), and more of the tests behind it can be named.
    Source: Holm (1979).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted
