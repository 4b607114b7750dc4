"""The report of the verdict as pages show it: this run beside earlier ones, and answers side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher.render import answers, text
from publisher.render.language import named, phrase, say, translated
from publisher.visible import visible
from publisher.words import word_diff

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from publisher.render.gather import Snapshot
    from publisher.schema import Change, Comparison, Figure, Flip, Sample, SuiteComparison

MEANINGS = {
    "better": phrase("clearly better"),
    "worse": phrase("clearly worse"),
    "noise": phrase("within the noise"),
    "other": phrase("another version of the suite: not comparable"),
}
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
MOST_PAIRS = 10
"""Pairs of answers in one comparison: the page stays light, whatever turned."""
WINDOW = 600
"""Characters of each answer that are compared word by word, from where the two part."""
LEAD = 160
"""Characters of what both begin with that are shown before that."""
MOST_FIGURES = 60
"""Kinds and slices of one suite."""
MOST_ROWS = 30
"""Problems that turned, in one table."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text: `same`, `gone` or `new`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One suite here and there, with the test of the difference."""

    suite: str
    mine: str
    theirs: str
    change: str
    error: str
    """The 95 % interval of the change, or its standard error with `±`."""
    chance: str
    meaning: str
    word: str
    test: str


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A problem that turned, with how many of its samples were right."""

    suite: str
    problem: str
    word: str
    """What it turned to: `right` or `wrong`."""
    before: str
    now: str
    href: str
    """Its answers, from the site's root; empty where they are not in this deploy."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A setting that differs; a prompt as one text with its words marked."""

    part: str
    name: str
    before: str
    after: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A figure before and now."""

    suite: str
    name: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of two answers."""

    outcome: str
    answer: str
    pieces: tuple[Piece, ...]
    left_out: str
    """How much of it follows that is not shown."""


@dataclass(frozen=True, slots=True)
class PairView:
    """Two answers to one problem, side by side from where they part."""

    suite: str
    problem: str
    word: str
    statement: str
    expected: str
    alike: str
    """How much both begin with that is not shown."""
    before: Side
    now: Side


@dataclass(frozen=True, slots=True)
class Beside:
    """The run beside an earlier one."""

    rows: tuple[SuiteRow, ...]
    turned: tuple[TurnRow, ...]
    unlisted: str
    pairs: tuple[PairView, ...]
    changes: tuple[ChangeRow, ...]
    figures: tuple[FigureRow, ...]


def beside(snapshot: Snapshot, found: Comparison) -> Beside:
    """Return a comparison of the report as a page shows it."""
    turned = [row for suite in found.suites for row in turn_rows(suite, answers.places(snapshot, suite.suite))]
    more = sum(suite.unlisted for suite in found.suites) + len(turned[MOST_ROWS:])
    return Beside(
        rows=tuple(suite_row(suite) for suite in found.suites),
        turned=tuple(turned[:MOST_ROWS]),
        unlisted=say("%(problems)s turned.", problems=text.plural(more, "more problem")) if more else "",
        pairs=tuple(_pairs(snapshot, found)),
        changes=tuple(change_row(change) for change in found.changes),
        figures=tuple(row for suite in found.suites for row in _figures(suite)),
    )


def suite_row(suite: SuiteComparison) -> SuiteRow:
    """Return one suite's comparison as a row."""
    interval = suite.interval
    return SuiteRow(
        suite=text.line(suite.suite, 64),
        mine=f"{text.points(suite.score)} ± {text.points(suite.stderr)}",
        theirs=text.points(suite.base_score),
        change=text.change(suite.difference),
        error=text.changes(interval.low, interval.high) if interval else "",
        chance="" if suite.p_value is None else text.chance(suite.p_value),
        meaning=translated(MEANINGS[suite.meaning]),
        word=suite.meaning,
        test=text.line(suite.test, 120),
    )


def turn_rows(suite: SuiteComparison, places: Mapping[str, str] | None = None) -> Iterator[TurnRow]:
    """Yield the problems of a suite that turned, those that turned wrong first; `places` are their answers' addresses.

    An address leads from the site's root.
    """
    both: tuple[tuple[str, Sequence[Flip]], ...] = (("wrong", suite.turned_wrong), ("right", suite.turned_right))
    for word, flips in both:
        for flip in flips:
            yield TurnRow(
                suite=text.line(suite.suite, 64),
                problem=text.line(flip.problem, 120),
                word=word,
                before=_of(flip.base_right, flip.base_drawn),
                now=_of(flip.right, flip.drawn),
                href=(places or {}).get(flip.problem, ""),
            )


def _of(right: int, drawn: int) -> str:
    """Return how many samples were right; of a single one that is a word."""
    if drawn == 1:
        return named("right" if right else "wrong")
    return text.of_right(right, drawn)


def change_row(change: Change) -> ChangeRow:
    """Return a setting that differs as a row."""
    return ChangeRow(
        part=named(change.part),
        name=text.line(change.name, 80),
        before=_setting(sized(change.part, change.name, change.before)),
        after=_setting(sized(change.part, change.name, change.after)),
        pieces=tuple(Piece(one.kind, visible(one.text)) for one in change.passages),
    )


def sized(part: str, name: str, value: str) -> str:
    """Return a setting's value, the size of a model's file in a unit that reads well."""
    bytes_ = (part, name) == ("model", "size") and value.isascii() and value.isdigit() and len(value) < 16
    return text.size(int(value)) if bytes_ else value


def _setting(value: str) -> str:
    """Return a setting's value; of a digest its beginning, which tells two apart."""
    return f"{value[:12]}…" if _DIGEST.match(value) else text.line(value, 200) or text.NONE


def _figures(suite: SuiteComparison) -> Iterator[FigureRow]:
    name = text.line(suite.suite, 64)
    for kind, (before, after) in [*suite.kinds.items(), *suite.slices.items()][:MOST_FIGURES]:
        shown = (text.NONE if value is None else text.points(value) for value in (before, after))
        yield FigureRow(name, text.line(kind, 60), *shown)
    for figure in suite.figures:
        if (figure.before, figure.after) != (None, None):
            yield FigureRow(name, _named(figure), *(_value(value) for value in (figure.before, figure.after)))


def _named(figure: Figure) -> str:
    """Return a figure's name in words, with its unit where the name does not say it."""
    name, unit = text.line(figure.name.replace("-", " "), 60), text.line(figure.unit, 20)
    return name if unit in name or "per" in name else f"{name}, {unit}"


def _value(value: float | None) -> str:
    """Return a figure with three digits or more."""
    if value is None:
        return text.NONE
    return text.count(value) if abs(value) >= 100 else text.points(value, 2)


def _pairs(snapshot: Snapshot, found: Comparison) -> Iterator[PairView]:
    """Yield answers side by side: of the problems that turned wrong first, the clearest first."""
    theirs = _by_problem(snapshot.compared.get(found.base.run_id, ()))
    turned = [
        (suite.suite, flip, word)
        for word in ("wrong", "right")
        for suite in found.suites
        for flip in (suite.turned_wrong if word == "wrong" else suite.turned_right)
        if (suite.suite, flip.problem) in theirs
    ]
    wanted = {(suite, flip.problem) for suite, flip, _ in turned[:MOST_PAIRS]}
    own = _by_problem(
        msgspec.structs.replace(sample, text=snapshot.texts.of(sample))
        for sample in snapshot.samples
        if (sample.suite, sample.problem) in wanted
    )
    for suite, flip, word in turned[:MOST_PAIRS]:
        key = (suite, flip.problem)
        chosen = _chosen(theirs[key], own.get(key, ()), word)
        if chosen:
            yield _pair(*chosen, word)


def _by_problem(samples: Iterable[Sample]) -> dict[tuple[str, str], list[Sample]]:
    found: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.suite, sample.problem), []).append(sample)
    return found


def _chosen(before: Sequence[Sample], now: Sequence[Sample], word: str) -> tuple[Sample, Sample] | None:
    """Return two answers that show how a problem turned, of the same number where there are such."""
    old = [sample for sample in before if (sample.outcome == "right") == (word == "wrong")]
    new = {sample.sample: sample for sample in now if (sample.outcome == "right") == (word == "right")}
    if not old or not new:
        return None
    same = next((sample for sample in old if sample.sample in new), None)
    return (same, new[same.sample]) if same else (old[0], next(iter(new.values())))


def _pair(before: Sample, now: Sample, word: str) -> PairView:
    old, new = visible(before.text), visible(now.text)
    parted = next(
        (place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    start = max(0, parted - LEAD)
    # A word is shown whole.
    start = old.rfind(" ", 0, start) + 1 if start else 0
    end = parted + WINDOW
    passages = word_diff(old[start:end], new[start:end])
    pieces = [Piece(one.kind, one.text) for one in passages]
    return PairView(
        suite=text.line(now.suite, 64),
        problem=text.line(now.problem, 120),
        word=word,
        statement=visible(now.statement)[:WINDOW],
        expected=text.line(now.expected, 200),
        alike=say("%(characters)s alike", characters=text.plural(start, "character")) if start else "",
        before=_side(before, [one for one in pieces if one.kind != "new"], len(old) - end),
        now=_side(now, [one for one in pieces if one.kind != "gone"], len(new) - end),
    )


def _side(sample: Sample, pieces: Sequence[Piece], rest: int) -> Side:
    left_out = max(0, rest) + sample.clipped
    return Side(
        outcome=sample.outcome,
        answer=text.line(sample.answer, 200),
        pieces=tuple(pieces),
        left_out=say("%(characters)s more", characters=text.plural(left_out, "character")) if left_out else "",
    )
