r"""The `integer` grader, for competitions whose answers are whole numbers (AIME): no symbolic algebra at all.

The `math` grader's notation rules reduce both sides to plain digits (`\text{025}` is 25, and so is `25.`). An answer
that is not a whole number then, such as `\frac{50}{2}` or `2.5`, is wrong.
"""

from __future__ import annotations

import re

from publisher.graders.comparison import RIGHT, WRONG, Match, Stateless
from publisher.graders.extract import LIMIT
from publisher.graders.math.notation import Refused, tidy, ungrouped

_INTEGER = re.compile(r"([+-]?)0*(\d{1,100})(?:\.0*)?")
_ASSIGNMENT = re.compile(r"[A-Za-z]\s*=\s*")


class IntegerGrader(Stateless):
    """Compares whole numbers; leading zeros do not count."""

    name = "integer"
    version = "1"
    form = "box"

    def mistake(self, expected: str) -> str:
        """Return why `expected` is no whole number, or nothing."""
        return "" if _integer(expected) is not None else f"{expected[:40]!r} is not a whole number"

    def compare(self, answer: str, expected: str) -> Match:
        """Return right where both sides are the same whole number."""
        if len(answer) > LIMIT:
            return Match("wrong", f"longer than {LIMIT} characters")
        value = _integer(answer)
        if value is None:
            return Match("wrong", "not a whole number")
        return RIGHT if value == _integer(expected) else WRONG


def _integer(text: str) -> int | None:
    try:
        plain = _ASSIGNMENT.sub("", ungrouped(tidy(text)), count=1)
    except (Refused, RecursionError):
        return None
    found = _INTEGER.fullmatch(plain.replace(" ", "") if re.fullmatch(r"[+-]\s+\S+", plain) else plain)
    return int(found[1] + found[2]) if found else None
