"""Small charts of the figures beside the headline's score: other suites, and how long answers were and took."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import text
from publisher.render.axis import axis
from publisher.render.language import say
from publisher.render.svg import element, markup, number, path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from xml.etree.ElementTree import Element

    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.schema import HistoryLine, HistoryScore

MOST_SUITES = 6
FEWEST = 2
"""Values that make a chart."""
WIDTH, HEIGHT, LEFT, EDGE = 300, 84, 44, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure over runs: its name, its value now, and the drawing."""

    name: str
    now: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class _Series:
    """A figure of each run, None where a run has none; `kept` says which runs were."""

    name: str
    values: tuple[float | None, ...]
    kept: tuple[bool, ...]
    words: Callable[[float], str]
    bounds: tuple[float, float]


def panels(snapshot: Snapshot, lines: Sequence[HistoryLine]) -> Iterator[Panel]:
    """Yield a small chart of each other suite's score, and of the headline's tokens and latency, over some runs."""
    headline = snapshot.headline.suite
    suites = [result.suite for result in snapshot.record.results if result.suite != headline][:MOST_SUITES]
    kept = tuple(line.verdict == "kept" for line in lines)

    latency = say("median latency")

    def series(name: str, suite: str, value: Callable[[HistoryScore], float | None]) -> _Series:
        own = snapshot.own.scores.get(suite)
        found = (line.scores.get(suite) for line in lines)
        same = (one if one and own and one.suite == own.suite else None for one in found)
        values = (value(one) if one else None for one in same)
        known = tuple(one if one is not None and math.isfinite(one) else None for one in values)
        score = name == suite
        words = text.points if score else text.duration if name == latency else text.count
        return _Series(name, known, kept, words, (0.0, 100.0) if score else (0.0, math.inf))

    every = [series(suite, suite, lambda score: score.score) for suite in suites]
    every.append(series(say("tokens per answer"), headline, lambda score: score.tokens))
    every.append(series(latency, headline, lambda score: score.latency))
    for one in every:
        if sum(value is not None for value in one.values) >= FEWEST:
            yield _panel(one)


def _panel(series: _Series) -> Panel:
    """Draw one figure: a line through the kept runs, a cross for each of the others."""
    known = [value for value in series.values if value is not None]
    found = axis(min(known), max(known), bounds=series.bounds)
    low, high = found.low, found.high
    room = WIDTH - LEFT - EDGE

    def at(place: int, value: float) -> tuple[float, float]:
        y = EDGE + (HEIGHT - 2 * EDGE) * (high - value) / (high - low)
        return LEFT + room * (place + 0.5) / len(series.values), y

    points = [(place, value, kept) for place, (value, kept) in enumerate(zip(series.values, series.kept, strict=True))]
    drawn = [(at(place, value), kept) for place, value, kept in points if value is not None]
    line = [point for point, kept in drawn if kept]
    crosses = "".join(f"M{number(x - 2.5)} {number(y - 2.5)}l5 5m-5 0l5 -5" for (x, y), kept in drawn if not kept)
    now = series.words(known[-1])
    title = say(
        "%(name)s: %(now)s now, %(low)s to %(high)s in %(runs)s",
        name=series.name,
        now=now,
        low=series.words(min(known)),
        high=series.words(max(known)),
        runs=text.plural(len(known), "run"),
    )
    told = zip((low, high), _ends(series.words, low, high), strict=True)
    grid = itertools.chain.from_iterable(_edge(at(0, value)[1], words) for value, words in told)
    picture = element(
        "svg",
        element("title", title),
        *grid,
        element("path", class_="best", d=path(line)) if len(line) > 1 else None,
        element("path", class_="mark rejected", d=crosses) if crosses else None,
        element("circle", class_="mark kept", cx=drawn[-1][0][0], cy=drawn[-1][0][1], r=3.5),
        class_="chart panel",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
    )
    return Panel(text.line(series.name, 64), now, markup(picture))


def _ends(words: Callable[[float], str], low: float, high: float) -> tuple[str, str]:
    """Return the ends of the axis in words, with as many decimals as tell them apart."""
    ends = words(low), words(high)
    unit = " s" if words is text.duration else ""
    for places in range(1, 5):
        if ends[0] != ends[1]:
            break
        ends = f"{text.points(low, places)}{unit}", f"{text.points(high, places)}{unit}"
    return ends


def _edge(y: float, words: str) -> list[Element]:
    """Draw an end of the axis with its figure."""
    return [
        element("line", class_="grid", x1=LEFT, x2=WIDTH - EDGE, y1=y, y2=y),
        element("text", words, class_="tick", x=LEFT - 6, y=y + 4),
    ]
