"""Small drawings beside a score: the gauge from 0 to 100, and the map of a suite's problems."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from publisher.render.svg import element, markup, number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

_WIDTH = 240
ORDER = ("ground", "all", "most", "some", "none", "unscored")
"""What lies on what among the tiles."""


def gauge(score: float, low: float, high: float, *, threshold: float | None = None, title: str = "") -> Markup:
    """Draw one score on a scale of 0 to 100: its interval as a bar, itself as a dot, the threshold as a tick."""
    places = (_at(low), _at(high), _at(score))
    if threshold is None and not title:
        # A long history has thousands of these, and serialising each took longer than all else of its row.
        return Markup(_plain_gauge().format(*places))  # noqa: S704 - the serialiser's own, with three numbers put in
    return markup(_gauge(*places, _at(threshold) if threshold is not None else None, title))


def _at(value: float) -> str:
    return number(6 + (_WIDTH - 12) * min(max(value, 0.0), 100.0) / 100)


@functools.cache
def _plain_gauge() -> str:
    """Return a gauge without threshold and title, with `{}` for the places of its two ends and its score."""
    return str(markup(_gauge("{}", "{}", "{}", None, "")))


def _gauge(low: str, high: str, score: str, threshold: str | None, title: str) -> Element:
    middle = 10.0
    limit = element("line", class_="limit", x1=threshold, x2=threshold, y1=1, y2=19) if threshold is not None else None
    return element(
        "svg",
        element("title", title) if title else None,
        element("line", class_="rail", x1=6, x2=_WIDTH - 6, y1=middle, y2=middle),
        element("line", class_="extent", x1=low, x2=high, y1=middle, y2=middle),
        limit,
        element("circle", class_="point", cx=score, cy=middle, r=5),
        class_="gauge",
        viewBox=f"0 0 {_WIDTH} 20",
        aria_hidden=None if title else "true",
        role="img" if title else None,
    )


def tiles(shares: Sequence[float | None], *, columns: int = 40, title: str) -> Markup:
    """Draw one square per problem: filled as far as its samples were right, a cross where none was right."""
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
