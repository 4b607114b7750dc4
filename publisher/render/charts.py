"""The chart of scores over runs, as SVG: it needs neither JavaScript nor inline styles, in light and in dark.

Colours and line widths come from classes of the site's style sheet. What a mark means is said three times: by its
shape, by its colour and by its title. Kept marks are links. A group with a title and a description instead of
`role="img"`, because that role would hide the links from screen readers.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from publisher.render import text
from publisher.render.svg import element, markup, number, path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from markupsafe import Markup

FULL_WHISKERS = 60
"""Above this many runs, single intervals give way to a band, in columns of four pixels."""
FULL_DETAIL = 500
"""Above this many runs, marks that are not kept become one path, without titles of their own."""
FEWEST_FOR_OUTLIERS = 5
"""With fewer runs nothing can be said to lie far off."""
Shape = Literal["kept", "rejected", "inconclusive", "unreadable"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One run in the chart: its score and interval in points, what became of it, and what to say and link."""

    score: float
    low: float
    high: float
    shape: Shape
    title: str
    label: str
    """The day, written below the chart."""
    href: str = ""
    own: bool = False
    short: str = ""
    """The commit, written below the chart in the place of a day that is the same for all."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a drawing in pixels and the room around its plot."""

    name: str
    width: int
    height: int
    left: int = 34
    right: int = 16
    top: int = 14
    bottom: int = 30


WIDE = Frame("wide", 960, 300)
NARROW = Frame("narrow", 360, 240)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From runs and points to pixels."""

    frame: Frame
    runs: int
    low: float
    high: float

    def x(self, position: float) -> float:
        room = self.frame.width - self.frame.left - self.frame.right
        return self.frame.left + room * (position + 0.5) / max(self.runs, 1)

    def y(self, value: float) -> float:
        room = self.frame.height - self.frame.top - self.frame.bottom
        within = min(max(value, self.low), self.high)
        return self.frame.top + room * (self.high - within) / (self.high - self.low)


def trend(
    marks: Sequence[Mark],
    frame: Frame,
    *,
    name: str,
    title: str,
    description: str,
    threshold: float | None,
    best_before: float | None = None,
) -> Markup:
    """Draw scores over runs, oldest left: the 95 % band, the best kept so far, the threshold and a mark per run.

    `best_before` is the best kept score of the runs that are older than `marks`, where there are such.
    """
    low, high, step = _axis(*_shown(marks, threshold, best_before))
    scale = _Scale(frame, len(marks), low, high)
    base = f"{name}-{frame.name}"
    return markup(
        element(
            "svg",
            element("title", title, id=f"title-{base}"),
            element("desc", description, id=f"desc-{base}"),
            *_grid(scale, step),
            *_band(scale, marks),
            *_threshold(scale, threshold),
            *_best(scale, marks, best_before),
            *_labels(scale, marks),
            *_beyond(scale, marks, threshold),
            *_marks(scale, marks),
            class_=f"chart chart-{frame.name}{'' if len(marks) <= FULL_DETAIL else ' chart-dense'}",
            viewBox=f"0 0 {frame.width} {frame.height}",
            role="group",
            aria_labelledby=f"title-{base}",
            aria_describedby=f"desc-{base}",
        )
    )


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


def _axis(lowest: float, highest: float) -> tuple[float, float, float]:
    """Return the ends of the vertical axis and the step of its ticks, on round numbers within 0 to 100."""
    low, high = max(0.0, lowest), min(100.0, highest)
    step = next((size for size in (1, 2, 5, 10) if (high - low) / size <= 5), 20)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return (low, high, step) if high > low else (max(0, low - step), min(100, low + step), step)


def _beyond(scale: _Scale, marks: Sequence[Mark], threshold: float | None) -> list[Element]:
    """Say what lies outside the axis, in a corner on the side where it would be; its marks stand on the edge."""
    scores = [mark.score for mark in marks if mark.shape != "unreadable"]
    nodes = []
    for side, count, gate, y in (
        ("above", sum(score > scale.high for score in scores), (threshold or 0.0) > scale.high, scale.frame.top - 3),
        (
            "below",
            sum(score < scale.low for score in scores),
            threshold is not None and threshold < scale.low,
            scale.frame.height - scale.frame.bottom - 5,
        ),
    ):
        parts = [text.plural(count, "run")] if count else []
        parts += [f"the gate at {text.points(threshold or 0.0)}"] if gate else []
        if parts:
            words = f"{' and '.join(parts)} {side} this scale"
            nodes.append(element("text", words, class_="beyond", x=scale.frame.width - scale.frame.right, y=y))
    return nodes


def _grid(scale: _Scale, step: float) -> list[Element]:
    """Draw a line and a number for each tick."""
    nodes, value = [], scale.low
    while value <= scale.high:
        y = scale.y(value)
        right = scale.frame.width - scale.frame.right
        nodes.append(element("line", class_="grid", x1=scale.frame.left, x2=right, y1=y, y2=y))
        nodes.append(element("text", text.points(value, 0), class_="tick", x=scale.frame.left - 8, y=y + 4))
        value += step
    return nodes


def _band(scale: _Scale, marks: Sequence[Mark]) -> list[Element]:
    """Draw the 95 % intervals: a whisker per run while there is room, a band around the kept runs beyond that."""
    places = [(scale.x(place), mark) for place, mark in enumerate(marks) if mark.shape != "unreadable"]
    if len(marks) <= FULL_WHISKERS:
        spread = min(3.0, (scale.x(1) - scale.x(0)) / 4)
        data = "".join(
            f"M{number(x)} {number(scale.y(mark.low))}V{number(scale.y(mark.high))}"
            + "".join(
                f"M{number(x - spread)} {number(scale.y(end))}h{number(2 * spread)}" for end in (mark.low, mark.high)
            )
            for x, mark in places
        )
        return [element("path", class_="whisker", d=data)]
    kept = [(x, mark) for x, mark in places if mark.shape == "kept"]
    columns = [(x, [mark for _, mark in group]) for x, group in groupby(kept, key=lambda item: _snapped(item[0]))]
    upper = [(x, scale.y(max(mark.high for mark in group))) for x, group in columns]
    lower = [(x, scale.y(min(mark.low for mark in group))) for x, group in columns]
    return [element("path", class_="band", d=path(upper + lower[::-1], closed=True))] if columns else []


def _best(scale: _Scale, marks: Sequence[Mark], before: float | None) -> list[Element]:
    """Draw the best kept score so far as steps; it starts at the left edge where an older run is `before` them all."""
    best = -math.inf if before is None else before
    points = [] if before is None else [(float(scale.frame.left), scale.y(best))]
    for place, mark in enumerate(marks):
        if mark.shape == "kept" and mark.score > best:
            x = scale.x(place)
            points += [(x, scale.y(best)), (x, scale.y(mark.score))] if points else [(x, scale.y(mark.score))]
            best = mark.score
    if not points:
        return []
    end = (float(scale.frame.width - scale.frame.right), scale.y(best))
    return [element("path", class_="best", d=path([*points, end]))]


def _threshold(scale: _Scale, threshold: float | None) -> list[Element]:
    """Draw the score that the gate asks for, where the axis has it."""
    if threshold is None or not scale.low <= threshold <= scale.high:
        return []
    y, right = scale.y(threshold), scale.frame.width - scale.frame.right
    words = f"gate {text.points(threshold)}"
    return [
        element("line", class_="threshold", x1=scale.frame.left, x2=right, y1=y, y2=y),
        element("text", words, class_="threshold-label", x=scale.frame.left + 3, y=y - 5),
    ]


def _labels(scale: _Scale, marks: Sequence[Mark]) -> list[Element]:
    """Date as many runs below the plot as fit, the last one always."""
    if not marks:
        return []
    fitting = max(1, (scale.frame.width - scale.frame.left) // 96)
    every = math.ceil(len(marks) / fitting)
    chosen = range((len(marks) - 1) % every, len(marks), every)
    y = scale.frame.height - 8
    alike = len(marks) > 1 and len({mark.label for mark in marks}) == 1
    labels = [mark.short if alike and mark.short else mark.label for mark in marks]
    return [element("text", labels[place], class_="name", x=_inside(scale, place), y=y) for place in chosen]


def _inside(scale: _Scale, place: int) -> float:
    """Return where a label's middle goes, so that neither end leaves the drawing."""
    return min(max(scale.x(place), 36.0), scale.frame.width - 36.0)


def _marks(scale: _Scale, marks: Sequence[Mark]) -> list[Element]:
    """Draw the marks, links last so that they lie on top and come in reading order."""
    places = [(scale.x(place), mark) for place, mark in enumerate(marks)]
    if len(marks) > FULL_DETAIL:
        return _overview(scale, places)
    rest = [
        element("path", element("title", mark.title), class_=f"mark {mark.shape}", d=_shape(scale, x, mark))
        for x, mark in places
        if mark.shape != "kept"
    ]
    return rest + [_kept(scale, x, mark) for x, mark in places if mark.shape == "kept"]


def _overview(scale: _Scale, places: Sequence[tuple[float, Mark]]) -> list[Element]:
    """Draw too many marks for one element each: a path per shape, a dot per cell, a link for each new best only."""
    chosen: list[tuple[float, Mark]] = []
    best = -math.inf
    for x, mark in places:
        if mark.own or (mark.shape == "kept" and mark.score > best):
            chosen.append((x, mark))
            best = max(best, mark.score)
    shapes: dict[str, dict[str, None]] = {}
    for x, mark in places:
        # An unreadable run has no score: it lies on the ground.
        y = scale.y(max(mark.score, scale.low))
        shapes.setdefault(mark.shape, {})[_speck(_snapped(x), _snapped(y), mark.shape)] = None
    paths = [element("path", class_=f"mark {shape}", d="".join(shapes[shape])) for shape in sorted(shapes)]
    return paths + [_kept(scale, x, mark, radius=3.5) for x, mark in chosen]


def _snapped(pixel: float) -> float:
    """Return the nearest place on a grid of four pixels, where marks that lie together become one."""
    return 4.0 * round(pixel / 4)


def _speck(x: float, y: float, shape: Shape) -> str:
    """Return the path of a mark in an overview: a small cross, square or diamond."""
    if shape == "rejected":
        return f"M{number(x - 2)} {number(y - 2)}l4 4m-4 0l4 -4"
    if shape == "kept":
        return f"M{number(x - 1)} {number(y - 1)}h3v3h-3Z"
    return f"M{number(x)} {number(y - 3)}l3 3l-3 3l-3 -3Z"


def _kept(scale: _Scale, x: float, mark: Mark, *, radius: float = 4.5) -> Element:
    """Draw a kept run: a dot that links to its snapshot, with a ring where it is the one being shown."""
    y = scale.y(mark.score)
    parts = [
        element("title", mark.title),
        element("circle", class_="hit", cx=x, cy=y, r=12),
        element("circle", class_="ring", cx=x, cy=y, r=8) if mark.own else None,
        element("circle", class_="mark kept", cx=x, cy=y, r=radius),
    ]
    return element("a", *parts, href=mark.href) if mark.href else element("g", *parts)


def _shape(scale: _Scale, x: float, mark: Mark) -> str:
    """Return the path of a mark without a link: a cross, a diamond, or a stone on the ground."""
    y = scale.y(mark.score)
    if mark.shape == "rejected":
        return f"M{number(x - 4)} {number(y - 4)}l8 8m-8 0l8 -8"
    if mark.shape == "inconclusive":
        return f"M{number(x)} {number(y - 5)}l5 5l-5 5l-5 -5Z"
    return f"M{number(x - 3.5)} {number(scale.y(scale.low))}v-7a3.5 3.5 0 0 1 7 0v7Z"
