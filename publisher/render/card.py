"""The headline by itself: the page that others show in a frame of theirs, and the picture of a link to the site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import resvg_py

from publisher.errors import ConfigError
from publisher.render import text
from publisher.render.material import site_folder
from publisher.render.parts import Draft
from publisher.render.suites import basis, gauge
from publisher.render.svg import number, path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from publisher.render.gather import Snapshot

FOLDER = "card/"
PREVIEW = "preview.png"
SIZE = (1200, 630)
"""Width and height of the picture in pixels, as social networks and chats want it (Open Graph)."""
MOST_RUNS = 24
_FONTS = ("Inter-Regular.ttf", "Inter-SemiBold.ttf")
# A document type may declare entities, which hide what a reference says.
_OUTSIDE = re.compile(r"<!DOCTYPE|\bhref\s*=\s*[\"'](?!#|data:)", re.IGNORECASE)
_LAST_LETTER = 0xFF
"""The vendored fonts have Latin-1: a name in other letters is left to the pages."""


@dataclass(frozen=True, slots=True)
class Trend:
    """The scores of the newest kept runs up to this one, in a box of 100 by 30, oldest left."""

    line: str
    x: str
    y: str
    runs: str
    """How many runs it shows, in words."""


@dataclass(frozen=True, slots=True)
class CardView:
    """The headline by itself."""

    model: str
    drawn: str
    """The model's name where the picture's fonts have its letters; else the snapshot's branch."""
    suite: str
    basis: str
    score: str
    stderr: str
    interval: str
    verdict: str
    short: str
    date: str
    gauge: Markup
    trend: Trend | None
    """None for the first kept run."""
    width: int
    height: int


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page for frames."""
    view = card(snapshot)
    yield Draft(FOLDER, f"{view.suite} {view.score} ± {view.stderr}", view.basis, view)


def card(snapshot: Snapshot) -> CardView:
    """Return the headline by itself."""
    record, result = snapshot.record, snapshot.headline
    name = text.line(record.model.name, 40)
    return CardView(
        model=name,
        drawn=name if all(ord(letter) <= _LAST_LETTER for letter in name) else snapshot.branch,
        suite=text.line(result.suite, 36),
        basis=basis(snapshot, result),
        score=text.points(result.score),
        stderr=text.points(result.stderr),
        interval=text.interval(result.interval.low, result.interval.high),
        verdict=snapshot.word,
        short=text.line(record.commit.sha[:12]),
        date=text.date(record.finished),
        gauge=gauge(result, snapshot.threshold, titled=False),
        trend=_trend(snapshot),
        width=SIZE[0],
        height=SIZE[1],
    )


def _trend(snapshot: Snapshot) -> Trend | None:
    kept = [score.score for line in snapshot.older[1 - MOST_RUNS :] if (score := snapshot.score(line))]
    scores = [min(max(score, 0.0), 100.0) for score in (*kept, snapshot.headline.score)]
    if len(scores) < 2:
        return None
    low, span = min(scores), max(max(scores) - min(scores), 1.0)
    points = [(100 * place / (len(scores) - 1), 30 - 30 * (score - low) / span) for place, score in enumerate(scores)]
    x, y = points[-1]
    return Trend(path(points), number(x), number(y), text.plural(len(scores), "kept run"))


def picture(drawing: bytes) -> bytes:
    """Return the PNG of the SVG `drawing`, of SIZE, with the vendored fonts only.

    Raises ConfigError where it is not an SVG image, or names a file: the library would draw any image of this machine.
    The library is pinned exactly and neither threads, fonts nor files of the machine take part: equal drawings give
    equal bytes.
    """
    fonts, shown = site_folder() / "vendor/inter", drawing.decode()
    if found := _OUTSIDE.search(shown):
        raise ConfigError(
            f"site/templates/preview.svg refers to something outside of it: {text.line(shown[found.start() :], 60)}",
            hint="put pictures into it as data:image/png;base64,…",
        )
    try:
        return resvg_py.svg_to_bytes(
            svg_string=shown,
            skip_system_fonts=True,
            font_files=[str(fonts / name) for name in _FONTS],
            width=SIZE[0],
            height=SIZE[1],
        )
    except ValueError as error:
        raise ConfigError(
            f"site/templates/preview.svg cannot be drawn: {text.line(str(error), 200)}",
            hint="correct site/templates/preview.svg",
        ) from error
