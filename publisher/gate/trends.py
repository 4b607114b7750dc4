"""Trends over runs: Mann-Kendall's test for a steady direction, and a CUSUM that notices a slow slide."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from publisher.gate.distributions import NORMAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXACT = 30
"""Up to this many values without ties Mann-Kendall's p-value is exact."""
SLACK = 0.5
"""What a CUSUM takes off each step, in standard errors: half of the shift that it finds soonest."""


def mann_kendall(values: Sequence[float]) -> tuple[int, float]:
    """Return Mann-Kendall's S (rising less falling pairs) and the one-sided p-value of a decline.

    Exact, by counting permutations, for up to 30 values without ties; else normal, with the variance corrected for ties
    and a continuity correction. Source: Mann (1945); Kendall, Rank Correlation Methods.
    """
    count = len(values)
    steps = [(later > earlier) - (later < earlier) for earlier, later in itertools.combinations(values, 2)]
    score = sum(steps)
    if count <= EXACT and len(set(values)) == count:
        return score, share_with_at_most(count, (score + len(steps)) // 2)
    ties = [len(list(group)) for _, group in itertools.groupby(sorted(values))]
    variance = (count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance <= 0:
        return score, 1.0
    return score, NORMAL.cdf((score + 1) / math.sqrt(variance))


def share_with_at_most(count: int, rises: int) -> float:
    """Return the share of permutations of `count` values that have at most `rises` rising pairs."""
    ways = [1]
    for length in range(2, count + 1):
        ways = [sum(ways[max(0, total - length + 1) : total + 1]) for total in range(len(ways) + length - 1)]
    return sum(ways[: rises + 1]) / sum(ways)


def residuals(values: Sequence[float], errors: Sequence[float]) -> Iterator[float]:
    """Yield each value after the first against the mean of all before it, in standard errors.

    With known standard errors these are independent standard normal variables while the truth stands still, although
    the truth itself is unknown: a self-starting chart. Source: Hawkins (1987), "Self-Starting Cusum Charts".
    """
    weight = total = 0.0
    for value, error in zip(values, errors, strict=True):
        if weight:
            spread = math.sqrt(error * error + 1 / weight)
            yield (value - total / weight) / spread
        precision = 1 / (error * error) if error > 0 else 1e18
        weight += precision
        total += precision * value


def cusum(steps: Sequence[float], slack: float = SLACK) -> list[float]:
    """Return the lower cumulative sum after each standardized step: how far the values have slid, in standard errors.

    S = max(0, S - step - slack). An alarm is a sum above a limit h. Source: Page (1954).
    """
    return list(itertools.accumulate(steps, lambda sum_, step: max(0.0, sum_ - step - slack), initial=0.0))[1:]


def cusum_limit(alarms: float, slack: float = SLACK) -> float:
    """Return the limit that the sum of a constant truth stands above at a share `alarms` of all runs.

    A sum that passed its limit stays there for some runs, each of which tells so: a limit from the mean time between
    first passages would bring several times as many alarms. The sum of a long history is distributed as the maximum of
    a random walk that falls by `slack` per step: P(S > h) = e^(-2 slack (h + 0.583)), where 0.583 is the mean excess
    of a normal walk over its limit. Source: Siegmund, Sequential Analysis (1985), chapters 8 and 10.
    """
    return max(0.0, -math.log(alarms) / (2 * slack) - 0.583)
