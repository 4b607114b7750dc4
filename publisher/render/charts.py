"""The chart of scores over runs, as SVG: it needs neither JavaScript nor inline styles, in light and in dark.

Colours and line widths come from classes of the site's style sheet. What a mark means is said three times: by its
shape, by its colour and by its title. Kept marks are links. A group with a title and a description instead of
`role="img"`, because that role would hide the links from screen readers.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from publisher.render import axis, text
from publisher.render.axis import Axis
from publisher.render.language import say
from publisher.render.svg import element, markup, number, path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from markupsafe import Markup

    from publisher.render.marks import Event, Mark, Shape

FULL_WHISKERS = 60
"""Above this many runs, single intervals give way to a band, in columns of four pixels."""
FULL_DETAIL = 100
"""Above this many runs a column of one run is too narrow to be hit: columns of many lead to the tables instead."""
COLUMN = 24
"""The width in pixels of such a column."""
WIDEST_HIT = 24
"""The width in pixels of the column around a single run that is its link."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a drawing in pixels and the room around its plot."""

    name: str
    width: int
    height: int
    left: int = 34
    right: int = 16
    top: int = 14
    bottom: int = 38


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
    events: Sequence[Event] = (),
    ends: Axis | None = None,
) -> Markup:
    """Draw scores over runs, oldest left: the 95 % band, the best kept so far, the threshold and a mark per run.

    `best_before` is the best kept score of the runs that are older than `marks`, where there are such, and `ends` the
    axis, where it is known already.
    """
    low, high, step = ends or axis.of_scores(marks, threshold, best_before)
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
            *_events(scale, events),
            *_beyond(scale, marks, threshold),
            *_marks(scale, marks),
            class_=f"chart chart-{frame.name}{'' if len(marks) <= FULL_DETAIL else ' chart-dense'}",
            viewBox=f"0 0 {frame.width} {frame.height}",
            role="group",
            aria_labelledby=f"title-{base}",
            aria_describedby=f"desc-{base}",
        )
    )


def _beyond(scale: _Scale, marks: Sequence[Mark], threshold: float | None) -> list[Element]:
    """Break the axis on each side where something lies outside it, and say there what; its marks stand on the edge."""
    nodes = []
    bottom = scale.frame.height - scale.frame.bottom
    for side in axis.beyond(Axis(scale.low, scale.high, 1), marks, threshold):
        above = side.side == "above"
        words = axis.beyond_words(side, threshold)
        y = scale.frame.top - 3 if above else bottom - 5
        nodes.append(element("text", words, class_="beyond", x=scale.frame.width - scale.frame.right, y=y))
        edge = scale.frame.top if above else bottom
        zigzag = f"M{number(scale.frame.left)} {number(edge - 7)}l-5 3l10 4l-10 4l5 3"
        nodes.append(element("path", class_="break", d=zigzag))
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
    words = say("gate %(limit)s", limit=text.points(threshold))
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
    alike = len(marks) > 1 and all(mark.label == marks[0].label for mark in marks)
    names = (
        (place, text.line(marks[place].short) if alike and marks[place].short else marks[place].label)
        for place in chosen
    )
    return [element("text", name, class_="name", x=_inside(scale, place), y=y) for place, name in names]


def _inside(scale: _Scale, place: int) -> float:
    """Return where a label's middle goes, so that neither end leaves the drawing."""
    return min(max(scale.x(place), 36.0), scale.frame.width - 36.0)


def _events(scale: _Scale, events: Sequence[Event]) -> list[Element]:
    """Draw what happened below the plot: a wedge where something else begins, an arrow for a way back."""
    y = scale.frame.height - scale.frame.bottom + 8
    nodes = []
    for event in events:
        if event.kind == "rollback":
            left, right = (max(scale.x(place), float(scale.frame.left)) for place in (event.to, event.place))
            data = f"M{number(right)} {number(y)}H{number(left)}m5 -3.5l-5 3.5l5 3.5"
        else:
            data = f"M{number(scale.x(event.place - 0.5))} {number(y - 5)}l4.5 9h-9Z"
        nodes.append(element("path", element("title", event.title), class_=f"event {event.kind}", d=data))
    return nodes


def _marks(scale: _Scale, marks: Sequence[Mark]) -> list[Element]:
    """Draw the marks: links in reading order, then the others, whose titles a link's column would cover.

    Each link can be hit anywhere in its column, from half-way to the link before to half-way to the next one.
    """
    places = [(scale.x(place), mark) for place, mark in enumerate(marks)]
    if len(marks) > FULL_DETAIL:
        return _overview(scale, places)
    linked = [(x, mark) for x, mark in places if mark.href]
    middles = [(a + b) / 2 for (a, _), (b, _) in itertools.pairwise(linked)]
    links = []
    for (x, mark), before, after in zip(linked, [-math.inf, *middles], [*middles, math.inf], strict=False):
        hit = _column(scale, max(before, x - WIDEST_HIT / 2), min(after, x + WIDEST_HIT / 2))
        title = element("title", mark.title)
        links.append(element("a", title, hit, *_mark(scale, x, mark), href=mark.href))
    others = [element("g", element("title", mark.title), *_mark(scale, x, mark)) for x, mark in places if not mark.href]
    return links + others


def _column(scale: _Scale, left: float, right: float) -> Element:
    """Return what can be hit between two places: a column of the plot's whole height."""
    left, right = max(left, float(scale.frame.left)), min(right, float(scale.frame.width - scale.frame.right))
    height = scale.frame.height - scale.frame.top - scale.frame.bottom
    return element("rect", class_="hit", x=left, y=scale.frame.top, width=max(0.0, right - left), height=height)


def _overview(scale: _Scale, places: Sequence[tuple[float, Mark]]) -> list[Element]:
    """Draw too many marks for one element each: a path per shape, a dot per cell, and a dot for each new best.

    Columns of many runs lead to the newest of them in the tables: a single run could not be hit.
    """
    chosen: list[tuple[float, Mark]] = []
    best = -math.inf
    for x, mark in places:
        if mark.own or (mark.shape == "kept" and mark.score > best):
            chosen.append((x, mark))
            best = max(best, mark.score)
    cells: dict[Shape, dict[tuple[float, float], None]] = {}
    for x, mark in places:
        # An unreadable run has no score: it lies on the ground.
        y = scale.y(max(mark.score, scale.low))
        cells.setdefault(mark.shape, {})[_snapped(x), _snapped(y)] = None
    paths = [
        element("path", class_=f"mark {shape}", d="".join(_speck(x, y, shape) for x, y in cells[shape]))
        for shape in sorted(cells)
    ]
    radius = 3.5 if scale.frame is WIDE else 2.5
    dots = [node for x, mark in chosen for node in _mark(scale, x, mark, radius=radius)]
    return paths + dots + _columns(scale, places)


def _columns(scale: _Scale, places: Sequence[tuple[float, Mark]]) -> list[Element]:
    """Return a column for each `COLUMN` pixels of the plot, which says what its runs came to and leads to them."""
    left = scale.frame.left
    width = (scale.frame.width - left - scale.frame.right) / max(
        1, (scale.frame.width - left - scale.frame.right) // COLUMN
    )
    nodes = []
    for column, group in groupby(places, key=lambda item: int((item[0] - left) / width)):
        runs = [mark for _, mark in group]
        hit = _column(scale, left + column * width, left + (column + 1) * width)
        title = element("title", _in_words(runs))
        row = next((mark.row for mark in reversed(runs) if mark.row), "")
        nodes.append(element("a", title, hit, href=row) if row else element("g", title, hit))
    return nodes


def _in_words(runs: Sequence[Mark]) -> str:
    """Return when some runs were, what became of them, and the best that was kept."""
    kept = [mark.score for mark in runs if mark.shape == "kept"]
    days = list(dict.fromkeys([runs[0].label, runs[-1].label]))
    when = say("%(first)s to %(last)s", first=days[0], last=days[-1]) if len(days) > 1 else days[0]
    count, number = text.plural(len(runs), "run"), text.count(len(kept))
    if not kept:
        return say("%(when)s: %(runs)s, %(kept)s kept", when=when, runs=count, kept=number)
    best = text.points(max(kept))
    return say("%(when)s: %(runs)s, %(kept)s kept, best %(best)s", when=when, runs=count, kept=number, best=best)


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


def _mark(scale: _Scale, x: float, mark: Mark, *, radius: float = 4.5) -> list[Element]:
    """Draw a run: a dot where it was kept, with a ring where it is the one being shown, else its own shape."""
    if mark.shape != "kept":
        return [element("path", class_=f"mark {mark.shape}", d=_shape(scale, x, mark))]
    y = scale.y(mark.score)
    ring = [element("circle", class_="ring", cx=x, cy=y, r=8)] if mark.own else []
    return [*ring, element("circle", class_="mark kept", cx=x, cy=y, r=radius)]


def _shape(scale: _Scale, x: float, mark: Mark) -> str:
    """Return the path of a mark that is no dot: a cross, a diamond, or a stone on the ground."""
    y = scale.y(mark.score)
    if mark.shape == "rejected":
        return f"M{number(x - 4)} {number(y - 4)}l8 8m-8 0l8 -8"
    if mark.shape == "inconclusive":
        return f"M{number(x)} {number(y - 5)}l5 5l-5 5l-5 -5Z"
    return f"M{number(x - 3.5)} {number(scale.y(scale.low))}v-7a3.5 3.5 0 0 1 7 0v7Z"
