r"""The `numeric` grader: numbers that are measured or estimated, so that an answer close enough is right.

The `math` grader's notation is read (`1{,}200`, `\frac{1}{3}`, `6.0\times 10^{23}`), and the distance is exact: no
rounding of floating-point numbers decides.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from msgspec import Meta

from publisher.graders import options
from publisher.graders.comparison import RIGHT, Match, Stateless
from publisher.graders.extract import LIMIT
from publisher.graders.math import rationals
from publisher.graders.math.notation import Refused, tidy, ungrouped
from publisher.graders.math.quantities import quantity, unassigned


class NumericOptions(options.Options, frozen=True, kw_only=True):
    """How far an answer may lie from the expected one: within either distance is right."""

    absolute: Annotated[float, Meta(ge=0, le=1e300)] = 0.0
    relative: Annotated[float, Meta(ge=0, lt=1)] = 1e-6
    """A share of the expected answer's size."""


_DEFAULTS = NumericOptions()


class NumericGrader(Stateless):
    """Compares the last box, or else the last line, with a number, within a tolerance. Units do not count."""

    name = "numeric"
    version = "1"
    form = "line"
    Options = NumericOptions

    def __init__(self, given: NumericOptions = _DEFAULTS) -> None:
        """Take the tolerances."""
        self._absolute, self._relative = Fraction(str(given.absolute)), Fraction(str(given.relative))

    def mistake(self, expected: str) -> str:
        """Return why `expected` is no number, or nothing."""
        return "" if _number(expected) is not None else f"{expected[:40]!r} is not a number"

    def compare(self, answer: str, expected: str) -> Match:
        """Return right where the answer is a number that is close enough."""
        if len(answer) > LIMIT:
            return Match("wrong", f"longer than {LIMIT} characters")
        value, wanted = _number(answer), _number(expected)
        if wanted is None:
            return Match("error", "grader_error: the expected answer is not a number")
        if value is None:
            return Match("wrong", "not a number")
        if abs(value - wanted) <= max(self._absolute, self._relative * abs(wanted)):
            return RIGHT
        return Match("wrong", "too far from the expected number")


def _number(text: str) -> Fraction | None:
    """Return the exact value of a number, without its unit; None where there is none, or more than is ever read."""
    if len(text) > LIMIT:
        return None
    try:
        return rationals.value(ungrouped(quantity(unassigned(tidy(text))).value.strip()))
    except (Refused, rationals.NotRational, rationals.Unmanageable, RecursionError):
        return None
