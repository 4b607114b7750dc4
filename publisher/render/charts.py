"""The charts, drawn as SVG: readable without JavaScript, under a policy without inline styles, in light and dark.

Colours and line widths come from classes of the site's style sheet. What a mark means is said three times: by its
shape, by its colour and by its title. Kept marks are links. A group with a title and a description instead of
`role="img"`, because that role would hide the links from screen readers.
"""

from __future__ import annotations

import math
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
ORDER = ("ground", "all", "most", "some", "none", "unscored")
"""What lies on what among the tiles."""
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
    href: str = ""
    own: bool = False


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
        return self.frame.top + room * (self.high - value) / (self.high - self.low)


def trend(
    marks: Sequence[Mark], frame: Frame, *, name: str, title: str, description: str, threshold: float | None
) -> Markup:
    """Draw scores over runs, oldest left: the 95 % band, the best kept so far, the threshold and a mark a run."""
    readable = [mark for mark in marks if mark.shape != "unreadable"]
    low, high, step = _axis([value for mark in readable for value in (mark.low, mark.high)], threshold)
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
            *_best(scale, marks),
            *_labels(scale, marks),
            *_marks(scale, marks),
            class_=f"chart chart-{frame.name}{'' if len(marks) <= FULL_DETAIL else ' chart-dense'}",
            viewBox=f"0 0 {frame.width} {frame.height}",
            role="group",
            aria_labelledby=f"title-{base}",
            aria_describedby=f"desc-{base}",
        )
    )


def _axis(values: list[float], threshold: float | None) -> tuple[float, float, float]:
    """Return the ends of the vertical axis and the step of its ticks, on round numbers within 0 to 100."""
    wanted = [*values, *([threshold] if threshold is not None else [])] or [0.0, 100.0]
    low, high = max(0.0, min(wanted)), min(100.0, max(wanted))
    step = next((size for size in (1, 2, 5, 10) if (high - low) / size <= 5), 20)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return (low, high, step) if high > low else (max(0, low - step), min(100, low + step), step)


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
    """Draw the 95 % intervals: a whisker a run while there is room, a band around the kept runs beyond that."""
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


def _best(scale: _Scale, marks: Sequence[Mark]) -> list[Element]:
    """Draw the best kept score so far as steps."""
    points: list[tuple[float, float]] = []
    best = -math.inf
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
    """Draw the score that the gate demands."""
    if threshold is None:
        return []
    y, right = scale.y(threshold), scale.frame.width - scale.frame.right
    words = f"gate {text.points(threshold)}"
    return [
        element("line", class_="threshold", x1=scale.frame.left, x2=right, y1=y, y2=y),
        element("text", words, class_="threshold-label", x=scale.frame.left + 3, y=y - 5),
    ]


def _labels(scale: _Scale, marks: Sequence[Mark]) -> list[Element]:
    """Name as many runs below the plot as fit, the last one always."""
    if not marks:
        return []
    fitting = max(1, (scale.frame.width - scale.frame.left) // 84)
    every = math.ceil(len(marks) / fitting)
    chosen = range((len(marks) - 1) % every, len(marks), every)
    y = scale.frame.height - 8
    return [element("text", marks[place].label, class_="name", x=_inside(scale, place), y=y) for place in chosen]


def _inside(scale: _Scale, place: int) -> float:
    """Return where a label's middle goes, so that neither end leaves the drawing."""
    return min(max(scale.x(place), 28.0), scale.frame.width - 28.0)


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
    """Draw too many marks for one element each: a path a shape, a speck a place, and links for each new best only."""
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


def gauge(score: float, low: float, high: float, *, threshold: float | None = None, title: str = "") -> Markup:
    """Draw one score on a scale of 0 to 100: its interval as a bar, itself as a dot, the threshold as a tick."""
    width, middle = 240, 10.0

    def at(value: float) -> float:
        return 6 + (width - 12) * min(max(value, 0.0), 100.0) / 100

    limit = (
        element("line", class_="limit", x1=at(threshold), x2=at(threshold), y1=1, y2=19)
        if threshold is not None
        else None
    )
    return markup(
        element(
            "svg",
            element("title", title) if title else None,
            element("line", class_="rail", x1=6, x2=width - 6, y1=middle, y2=middle),
            element("line", class_="extent", x1=at(low), x2=at(high), y1=middle, y2=middle),
            limit,
            element("circle", class_="point", cx=at(score), cy=middle, r=5),
            class_="gauge",
            viewBox=f"0 0 {width} 20",
            aria_hidden=None if title else "true",
            role="img" if title else None,
        )
    )


def tiles(shares: Sequence[float | None], *, columns: int = 40, title: str) -> Markup:
    """Draw one square a problem: filled as far as its samples were right, a cross where none was right."""
    levels: dict[str, list[str]] = {"ground": []}
    for place, share in enumerate(shares):
        row, column = divmod(place, columns)
        name = level(share)
        levels.setdefault(name, []).append(_tile(name, 12.0 * column, 12.0 * row))
        if name in {"most", "some"}:
            levels["ground"].append(_tile("all", 12.0 * column, 12.0 * row))
    rows = max(1, math.ceil(len(shares) / columns))
    width, height = 12 * min(columns, max(len(shares), 1)) - 2, 12 * rows - 2
    return markup(
        element(
            "svg",
            element("title", title),
            *(element("path", class_=f"tile-{name}", d="".join(levels[name])) for name in ORDER if levels.get(name)),
            class_="tiles-map",
            viewBox=f"0 0 {width} {height}",
            width=str(width * 3 // 2),
            height=str(height * 3 // 2),
            role="img",
        )
    )


def level(share: float | None) -> Literal["all", "most", "some", "none", "unscored"]:
    """Return the word for a share of right samples."""
    if share is None:
        return "unscored"
    if share <= 0:
        return "none"
    return "all" if share >= 1 else "most" if share >= 0.5 else "some"


def _tile(name: str, x: float, y: float) -> str:
    """Return the path of one 10-pixel square of a level."""
    if name == "none":
        return f"M{number(x + 2)} {number(y + 2)}l6 6m-6 0l6 -6"
    if name == "unscored":
        return f"M{number(x + 4)} {number(y + 4)}h2v2h-2z"
    tall = {"all": 10, "most": 6, "some": 3}[name]
    return f"M{number(x)} {number(y + 10 - tall)}h10v{tall}h-10z"
