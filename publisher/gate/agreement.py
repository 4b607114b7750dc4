"""How far reviewers agree: Krippendorff's alpha for ratings on an ordinal scale. A pure function.

Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (University of
Pennsylvania, 2011), sections A to D.
Reviewers may have rated different answers, and any number of them; an answer that one alone rated tells nothing.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Return the agreement of ordinal ratings; each unit holds the ratings that one answer was given.

    1 is perfect agreement, 0 is what chance alone would give, below 0 is worse than chance. None where no two
    reviewers rated the same answer, or where every rating is the same: then nothing could have differed.
    """
    paired = [unit for unit in units if len(unit) > 1]
    counts = Counter(value for unit in paired for value in unit)
    if len(counts) < 2:
        return None
    total = counts.total()
    observed = math.fsum(
        _distance(counts, *pair) / (len(unit) - 1) for unit in paired for pair in itertools.permutations(unit, 2)
    )
    expected = math.fsum(
        counts[low] * counts[high] * _distance(counts, low, high) for low, high in itertools.permutations(counts, 2)
    )
    return 1 - (total - 1) * observed / expected


def _distance(counts: Counter[int], one: int, other: int) -> float:
    """Return the squared ordinal distance: the ratings between two values, each end counted half."""
    low, high = min(one, other), max(one, other)
    between = math.fsum(count for value, count in counts.items() if low <= value <= high)
    return 0.0 if low == high else (between - (counts[low] + counts[high]) / 2) ** 2
