"""Scores with their standard errors and intervals, from the number of right samples per problem.

The bench writes them into a record and the gate compares them. Sources: Miller, "Adding Error
Bars to Evals" (arXiv 2411.00640) for the clustered standard error; Wilson (1927) for the interval; Chen et al. (arXiv
2107.03374) for the unbiased pass@k.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOOKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""The shares of each suite's samples after which there is a look; the complete run is the last one."""


class Estimate(NamedTuple):
    """A score in points with its standard error and a 95 % interval, all in points."""

    score: float
    stderr: float
    stderr_sampling: float | None
    low: float
    high: float


def estimate(right: Sequence[int], samples: Sequence[int], level: float = 0.95) -> Estimate:
    """Return the score of problems that had `right[i]` right answers among `samples[i]` scored ones.

    The score is the mean over problems of the share of right samples. `stderr` is that of a mean of problem shares;
    the interval is Wilson's at the effective number of draws that this error implies, so it never leaves 0 to 100.
    Problems without a scored sample are left out. Raises ValueError when none is left.
    """
    pairs = [(hits, draws) for hits, draws in zip(right, samples, strict=True) if draws > 0]
    if not pairs:
        message = "no scored sample: there is nothing to estimate"
        raise ValueError(message)
    shares = [hits / draws for hits, draws in pairs]
    count = len(shares)
    mean = math.fsum(shares) / count
    variance = math.fsum((share - mean) ** 2 for share in shares) / (count - 1) if count > 1 else mean * (1 - mean)
    stderr = math.sqrt(variance / count)
    within = [share * (1 - share) / (draws - 1) for share, (_, draws) in zip(shares, pairs, strict=True) if draws > 1]
    sampling = math.sqrt(math.fsum(within)) / count if len(within) == count else None
    effective = mean * (1 - mean) / stderr**2 if stderr > 0 and 0 < mean < 1 else float(count)
    low, high = wilson(mean, effective, level)
    points = None if sampling is None else 100 * sampling
    return Estimate(100 * mean, 100 * stderr, points, 100 * low, 100 * high)


def estimate_shares(values: Sequence[tuple[int, float, float]]) -> Estimate:
    """Return the score of problems whose samples have shares from 0 to 1: per problem, count, sum and sum of squares.

    As `estimate`, of which this is the case of graded answers; the variance within a problem is the samples' own.
    """
    known = [one for one in values if one[0] > 0]
    if not known:
        message = "no scored sample: there is nothing to estimate"
        raise ValueError(message)
    means = [total / drawn for drawn, total, _ in known]
    count = len(means)
    mean = min(1.0, max(0.0, math.fsum(means) / count))
    variance = math.fsum((one - mean) ** 2 for one in means) / (count - 1) if count > 1 else mean * (1 - mean)
    stderr = math.sqrt(variance / count)
    within = [
        max(0.0, squares - total * total / drawn) / (drawn - 1) / drawn for drawn, total, squares in known if drawn > 1
    ]
    sampling = 100 * math.sqrt(math.fsum(within)) / count if len(within) == count else None
    effective = mean * (1 - mean) / stderr**2 if stderr > 0 and 0 < mean < 1 else float(count)
    low, high = wilson(mean, effective, level=0.95)
    return Estimate(100 * mean, 100 * stderr, sampling, 100 * low, 100 * high)


def wilson(share: float, draws: float, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval, as shares, for `share` observed in `draws` independent draws."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = share + z * z / (2 * draws)
    spread = z * math.sqrt(share * (1 - share) / draws + z * z / (4 * draws * draws))
    scale = 1 + z * z / draws
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def pass_at(right: Sequence[int], samples: Sequence[int], k: int) -> float | None:
    """Return the unbiased pass@k in points, or None where some problem has fewer than k scored samples."""
    if not right or min(samples) < k:
        return None
    missed = (math.comb(n - c, k) / math.comb(n, k) for c, n in zip(right, samples, strict=True))
    return 100 * (1 - math.fsum(missed) / len(right))


def majority_at(answers: Sequence[Mapping[str, int]], right: Sequence[str], k: int) -> float | None:
    """Return maj@k in points: the share of problems whose most frequent answer among their k samples is right.

    `answers[i]` counts the answers of problem i's samples, `right[i]` is the one that is right. Answers that tie share
    the point. None where some problem has not exactly k samples. Source: Wang et al. (arXiv 2203.11171).
    """
    if not answers or any(sum(counts.values()) != k for counts in answers):
        return None
    points = 0.0
    for counts, key in zip(answers, right, strict=True):
        most = max(counts.values())
        winners = [answer for answer, count in counts.items() if count == most]
        points += (key in winners) / len(winners)
    return 100 * points / len(answers)


LEAST_P = 1e-20
"""Below this a p-value is only known to be smaller: what the exact distributions cut off has no digits any more."""


def p_words(p_value: float, digits: int = 3) -> str:
    """Return a p-value as people read it; none is 0."""
    return f"p < {LEAST_P:g}" if p_value < LEAST_P else f"p = {p_value:.{digits}g}"
