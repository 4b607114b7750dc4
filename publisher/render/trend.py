"""The chart of the headline's score over runs: which runs it shows at which width, and the words that go with it."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import axis, charts, text
from publisher.render.language import say
from publisher.render.lessons import addresses
from publisher.render.marks import Event
from publisher.render.multiples import panels
from publisher.render.tables import anchor, drawn, mark_of, runs_in_words, specks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.render.marks import Mark
    from publisher.render.multiples import Panel
    from publisher.render.tables import Drawn

FEWEST_MARKS = 2
"""A single dot is no chart: the pages say in words that this is the first run."""
RECENT_MARKS = charts.FULL_DETAIL
NARROW_MARKS = 24
ROWS_PER_PAGE = 150
MOST_ROWS = 7 * ROWS_PER_PAGE
"""Runs in the tables at most, so that a build costs the same however long the history is."""
WEDGE = 16
"""Pixels that a change of the model needs; where there are more of them, only their number is told."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart at one width: what it says and what its legend has to explain."""

    picture: Markup
    caption: str
    shapes: frozenset[str]
    """What is drawn of a run: `kept`, `rejected`, `inconclusive`, `unreadable`."""
    events: frozenset[str]
    """What is marked between runs: `model`, `suite`, `rollback`."""
    threshold: bool
    band: bool
    """Whether intervals are a band and not a bar per run."""
    dense: bool


@dataclass(frozen=True, slots=True)
class _Window:
    """Some runs as each width shows them."""

    marks: Sequence[Mark]
    events: tuple[Event, ...]
    best: float | None
    """The best kept score of older runs; None where there are none."""
    ends: axis.Axis


@dataclass(frozen=True, slots=True)
class ChartView:
    """A chart in two sizes, what it leaves out, and small charts of the other figures below it."""

    wide: Drawing
    narrow: Drawing
    note: str
    panels: tuple[Panel, ...]


def chart(snapshot: Snapshot, root: str, most: int = RECENT_MARKS, name: str = "recent") -> ChartView | None:
    """Return the chart of the newest `most` runs of this tier on the headline suite; None for a single run or none.

    `root` leads from the page to the site's root, and `name` tells two charts on one page apart. The phone's variant
    shows the newest few runs of the recent ones.
    """
    lines = drawn(snapshot)
    if len(lines) < FEWEST_MARKS:
        return None
    recent = name == "recent"
    same = sum(line.verdict == "unchanged" for line in snapshot.history.lines)
    others = len(snapshot.history.lines) - len(lines) - same
    notes = (
        [say("%(runs)s that measured the same as a snapshot left out.", runs=text.plural(same, "run"))] if same else []
    )
    notes += (
        [say("%(runs)s of other tiers or suite versions left out.", runs=text.plural(others, "run"))] if others else []
    )
    marks = _marks(snapshot, lines[-most:], root)
    few = marks[-NARROW_MARKS:] if recent else marks
    shown = _window(snapshot, lines, marks)
    return ChartView(
        wide=_drawing(snapshot, shown, charts.WIDE, name),
        narrow=_drawing(snapshot, _window(snapshot, lines, few) if recent else shown, charts.NARROW, name),
        note=" ".join(notes),
        panels=tuple(panels(snapshot, [line for line, _ in lines[-most:]])) if recent else (),
    )


def _marks(snapshot: Snapshot, shown: Sequence[Drawn], root: str) -> list[Mark]:
    """Return the marks of some lines, each with where it leads."""
    lessons = {line.run_id: root + path for line, path in addresses(snapshot)}
    dense = len(shown) > charts.FULL_DETAIL
    rows = _rows(snapshot, root) if dense else {}
    # A dense chart says in words what its newest run is, and of no other one.
    untitled = list(specks(snapshot, shown[:-1], rows)) if dense else []
    return untitled + [
        mark_of(snapshot, line, score, lesson=lessons.get(line.run_id, ""), row=rows.get(line.run_id, ""))
        for line, score in shown[len(untitled) :]
    ]


def _window(snapshot: Snapshot, lines: Sequence[Drawn], marks: Sequence[Mark]) -> _Window:
    """Return what a chart of `marks`, which are those of the newest of the lines, shows at any width."""
    older = lines[: len(lines) - len(marks)]
    best = max((score.score for line, score in older if score and line.verdict == "kept"), default=None)
    ends = axis.of_scores(marks, snapshot.threshold, best)
    return _Window(marks, tuple(_events(snapshot, lines, len(marks))), best, ends)


def _drawing(snapshot: Snapshot, shown: _Window, frame: charts.Frame, name: str) -> Drawing:
    """Return the chart of some runs at one width."""
    marks, events = shown.marks, shown.events
    models = sum(event.kind == "model" for event in events)
    if crowded := models > frame.width // WEDGE:
        events = tuple(event for event in events if event.kind != "model")
    limit = snapshot.threshold
    parts = [
        say(
            "%(suite)s: score of %(marks)s%(dates)s.",
            suite=snapshot.headline.suite,
            marks=runs_in_words(marks),
            dates=_dates(marks),
        ),
        _scale(shown, limit),
        say("The model changed %(models)s times, too often to be marked.", models=text.count(models))
        if crowded
        else "",
    ]
    picture = charts.trend(
        marks,
        frame,
        name=name,
        title=say("%(suite)s: score of %(marks)s", suite=snapshot.headline.suite, marks=runs_in_words(marks)),
        description=say(
            "Points with 95 %% intervals, oldest left. Latest: %(title)s. The table has the figures.",
            title=marks[-1].title,
        ),
        threshold=limit,
        best_before=shown.best,
        events=events,
        ends=shown.ends,
    )
    return Drawing(
        picture=picture,
        caption=" ".join(filter(None, parts)),
        shapes=frozenset(mark.shape for mark in marks),
        events=frozenset(event.kind for event in events),
        threshold=limit is not None,
        band=len(marks) > charts.FULL_WHISKERS,
        dense=len(marks) > charts.FULL_DETAIL,
    )


def _dates(marks: Sequence[Mark]) -> str:
    """Return from when to when the runs are."""
    first, last = marks[0].label, marks[-1].label
    return f", {say('%(first)s to %(last)s', first=first, last=last)}" if first != last else f", {last}"


def _scale(shown: _Window, threshold: float | None) -> str:
    """Say which part of 0 to 100 the axis shows, and what lies outside it; empty where it shows everything."""
    low, high, _ = shown.ends
    if (low, high) == (0, 100):
        return ""
    sides = axis.beyond(shown.ends, shown.marks, threshold)
    beyond = f"; {', '.join(axis.beyond_words(side, threshold) for side in sides)}" if sides else ""
    return say(
        "The axis runs from %(low)s to %(high)s of 100 points%(beyond)s.",
        low=text.points(low, 0),
        high=text.points(high, 0),
        beyond=beyond,
    )


def _rows(snapshot: Snapshot, root: str) -> dict[str, str]:
    """Return where each run's line in the tables of the history is, by run id; the oldest have none."""
    newest = snapshot.history.lines[: -MOST_ROWS - 1 : -1]
    return {
        line.run_id: f"{root}{page_of('history/', place)}#{anchor(line.run_id)}" for place, line in enumerate(newest)
    }


def page_of(path: str, place: int) -> str:
    """Return the page of a list of runs, newest first, that has the run at a place."""
    return numbered(path, place // ROWS_PER_PAGE + 1)


def numbered(path: str, number: int) -> str:
    """Return the path of a page of runs; the first has no number."""
    return path if number == 1 else f"{path}{number}/"


def _events(snapshot: Snapshot, lines: Sequence[Drawn], most: int) -> Iterator[Event]:
    """Yield what happened between the newest `most` of the lines, by their places among these."""
    start = len(lines) - most
    for place, others in _suite_changes(snapshot):
        if place >= start:
            title = say(
                "A new version of %(suite)s from here on: %(runs)s before it left out",
                suite=snapshot.headline.suite,
                runs=text.plural(others, "run"),
            )
            yield Event("suite", place - start, title)
    numbered = ((place, lines[place][0]) for place in reversed(range(len(lines))))
    kept = ((place, line) for place, line in numbered if line.verdict == "kept" and line.model)
    newest = list(itertools.islice(kept, most + 1))
    for (_, before), (place, line) in itertools.pairwise(reversed(newest)):
        if before.model != line.model and place >= start:
            title = say(
                "Another model file from %(commit)s on (%(started)s)",
                commit=text.line(line.commit[:7]),
                started=text.date(line.started),
            )
            yield Event("model", place - start, title)
    places = {line.run_id: place for place, (line, _) in enumerate(lines[start:])} if snapshot.history.rollbacks else {}
    for back in snapshot.history.rollbacks:
        if back.previous in places:
            ids = [
                text.line(run_id.split("-")[1][:7]) if "-" in run_id else "" for run_id in (back.previous, back.run_id)
            ]
            why = f": {text.line(back.why, 120)}" if back.why else ""
            title = say(
                "Rolled back from %(previous)s to %(snapshot)s, %(date)s%(why)s",
                previous=ids[0],
                snapshot=ids[1],
                date=text.date(back.time),
                why=why,
            )
            yield Event("rollback", places[back.previous], title, places.get(back.run_id, -1))


@functools.lru_cache(maxsize=1)
def _suite_changes(snapshot: Snapshot) -> list[tuple[int, int]]:
    """Return the places of runs before which the chart leaves out runs of another suite version, and how many."""
    places = {line.run_id: place for place, (line, score) in enumerate(drawn(snapshot)) if score}
    suite, others, found = snapshot.headline.suite, 0, []
    for line in snapshot.history.lines:
        if line.tier != snapshot.record.tier or suite not in line.scores:
            continue
        place = places.get(line.run_id)
        if place is None:
            others += line.verdict not in {"unchanged", "passed"}
            continue
        if others:
            found.append((place, others))
        others = 0
    return found
