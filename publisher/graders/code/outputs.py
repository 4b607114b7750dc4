"""Whether what a program printed is what was expected, by the checker that its problem names.

`lines` (the default) compares line by line, without outer space, as text or as the same numbers. `exact` compares every
character but the last line break, `tokens` the words whatever separates them, `numbers` words that are numbers within a
tolerance, `unordered` the lines in any order. Where many outputs are right, the problem brings a function instead
(`Cases.checker_code`).
"""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Literal

Checker = Literal["lines", "exact", "tokens", "numbers", "unordered"]


def same_output(found: str, wanted: str, checker: Checker = "lines", tolerance: float = 1e-6) -> bool:
    """Return whether two outputs agree; `tolerance` is absolute and relative, and counts for `numbers` only."""
    if checker == "exact":
        return found.removesuffix("\n") == wanted.removesuffix("\n")
    if checker == "tokens":
        return found.split() == wanted.split()
    if checker == "numbers":
        return _all_near(found.split(), wanted.split(), tolerance)
    left, right = ([line.strip() for line in text.strip().splitlines()] for text in (found, wanted))
    if checker == "unordered":
        return Counter(left) == Counter(right)
    return len(left) == len(right) and all(map(_same_line, left, right))


def _same_line(found: str, wanted: str) -> bool:
    if found == wanted:
        return True
    try:
        return [Decimal(word) for word in found.split()] == [Decimal(word) for word in wanted.split()]
    except InvalidOperation:
        return False


def _all_near(found: list[str], wanted: list[str], tolerance: float) -> bool:
    return len(found) == len(wanted) and all(
        _near(left, right, tolerance) for left, right in zip(found, wanted, strict=True)
    )


def _near(found: str, wanted: str, tolerance: float) -> bool:
    """Return whether two words are the same, or numbers that are near enough; no number is near `nan`."""
    if found == wanted:
        return True
    try:
        left, right = float(found), float(wanted)
    except ValueError:
        return False
    # Nothing finite is near infinity, although every distance is within a share of it.
    return left == right or (math.isfinite(right) and abs(left - right) <= tolerance * max(1.0, abs(right)))
