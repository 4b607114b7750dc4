"""The vertical axis of a chart: what it has to hold, on which round numbers it ends, and what lies outside it."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

from publisher.render import text
from publisher.render.language import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.render.marks import Mark

FEWEST_FOR_OUTLIERS = 5
"""With fewer runs nothing can be said to lie far off."""


class Axis(NamedTuple):
    """The ends of an axis and the step of its ticks."""

    low: float
    high: float
    step: float


class Beyond(NamedTuple):
    """What lies on one side of an axis: how many runs, and whether the gate's limit."""

    side: str
    runs: int
    gate: bool


def axis(lowest: float, highest: float, *, bounds: tuple[float, float] = (0.0, 100.0)) -> Axis:
    """Return an axis that holds two values, on round numbers and within `bounds`."""
    low, high = max(bounds[0], lowest), min(bounds[1], highest)
    step = _step(high - low)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return Axis(low, high, step) if high > low else Axis(max(bounds[0], low - step), min(bounds[1], high + step), step)


def _step(span: float) -> float:
    """Return a round step of which at most five make up `span`: 1, 2 or 5 times a power of ten."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(size * power for size in (1, 2, 5, 10) if span / (size * power) <= 5 + 1e-9)


def of_scores(marks: Sequence[Mark], threshold: float | None, best: float | None) -> Axis:
    """Return the axis of a chart of scores, whose ticks are whole points."""
    lowest, highest = _shown(marks, threshold, best)
    found = axis(lowest, highest)
    return found if found.step >= 1 else Axis(math.floor(found.low), math.ceil(found.high), 1)


def _shown(marks: Sequence[Mark], threshold: float | None, best: float | None) -> tuple[float, float]:
    """Return the lowest and the highest value that the axis has to hold.

    Usually that is everything. Where a few runs lie so far off that all others would share less than two thirds of the
    height, they are left out. Far off is more than three times the spread of the middle half of the runs from that
    half, which the outliers themselves hardly move (Tukey, Exploratory Data Analysis, 1977, "far out").
    """
    readable = [mark for mark in marks if mark.shape != "unreadable"]
    extra = [value for value in (threshold, best) if value is not None]
    every = [*extra, *(value for mark in readable for value in (mark.low, mark.high))] or [0.0, 100.0]
    if len(readable) < FEWEST_FOR_OUTLIERS:
        return min(every), max(every)
    first, _, last = statistics.quantiles((mark.score for mark in readable), n=4, method="inclusive")
    widths = sorted(mark.high - mark.low for mark in readable)
    reach = 3 * max(last - first, widths[len(widths) // 2], 1.0)
    near = [mark for mark in readable if mark.own or first - reach <= mark.score <= last + reach]
    core = [value for mark in near for value in (mark.low, mark.high)]
    core += [value for value in extra if first - reach <= value <= last + reach]
    if max(core) - min(core) < (max(every) - min(every)) * 2 / 3:
        return min(core), max(core)
    return min(every), max(every)


def beyond(found: Axis, marks: Sequence[Mark], threshold: float | None) -> list[Beyond]:
    """Return what lies above and below an axis; nothing where it holds everything."""
    scores = [mark.score for mark in marks if mark.shape != "unreadable"]
    sides = [
        Beyond("above", sum(score > found.high for score in scores), threshold is not None and threshold > found.high),
        Beyond("below", sum(score < found.low for score in scores), threshold is not None and threshold < found.low),
    ]
    return [side for side in sides if side.runs or side.gate]


def beyond_words(side: Beyond, threshold: float | None) -> str:
    """Return what lies on one side of an axis in words."""
    parts = [text.plural(side.runs, "run")] if side.runs else []
    parts += [say("the gate at %(limit)s", limit=text.points(threshold or 0.0))] if side.gate else []
    listed = say("%(one)s and %(other)s", one=parts[0], other=parts[1]) if len(parts) > 1 else "".join(parts)
    if side.side == "above":
        return say("%(listed)s above this scale", listed=listed)
    return say("%(listed)s below this scale", listed=listed)
