"""The answers of a suite, problem by problem, cut into pages that a phone can load."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from publisher.render import figures, reading, text, whole
from publisher.render.formulas import Formulas
from publisher.render.language import named, say
from publisher.render.material import site_folder
from publisher.render.parts import Draft
from publisher.render.reading import Reader
from publisher.render.suites import OUTCOMES, shares_right
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from publisher.render.gather import Snapshot
    from publisher.render.texts import Texts
    from publisher.schema import Sample, SuiteResult

    _Problem = tuple[int, str, list[Sample]]

PROBLEMS_PER_PAGE = 60
CHARACTERS_PER_PAGE = 96_000
"""Of answers; together with the problem count this keeps a page below its budget of 40 kB compressed."""
CHARACTERS = 12_000_000
"""Of all answers of a site, as far as each has its 1,500; the whole texts are in files of their own."""
SHORT_ANSWER = 700
"""Answers up to this many characters are shown open where a problem has few of them."""


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One sample: what came out, and the text, which is hostile and only ever shown as text."""

    number: int
    outcome: str
    answer: str
    figures: str
    """Its tokens, how long it and its first token took, and its seed."""
    finish: str
    reason: str
    redacted: str
    """How many passages a pattern of the team's took out of the text; empty for none."""
    folded: str
    """What stands folded before the end, and how long it is; empty where the whole answer is read at once."""
    head: str
    tail: str
    left_out: str
    body: Markup
    """The end of the answer, typeset."""
    loop: str
    """What the answer repeats at its end, and how often; empty for nothing."""
    passage: str
    whole: str
    """The file with the whole text, from the page, and after # the bytes in it; empty for a private suite."""
    place: str
    """Where in that file the text is: `from-to` in bytes."""
    open: bool


@dataclass(frozen=True, slots=True)
class ProblemView:
    """One problem with its answers; statement and expected answer only where the suite is public."""

    anchor: str
    name: str
    kind: str
    statement: Markup
    expected: str
    right: str
    level: str
    answers: tuple[AnswerView, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One problem in the overview: a link to its place on one of the pages."""

    href: str
    level: str
    title: str


@dataclass(frozen=True, slots=True)
class AnswersPage:
    """One page of a suite's answers; `tiles` only on the first."""

    suite: str
    number: int
    pages: int
    path: str
    older: str
    newer: str
    span: str
    problems: tuple[ProblemView, ...]
    tiles: tuple[Tile, ...]
    public: bool
    whole: str
    typeset: str
    """How many answers of each problem are typeset; empty where all of them are."""


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the pages of every suite's answers."""
    public = {suite.name for suite in snapshot.record.suites if suite.public}
    drawn = Counter((sample.suite, sample.problem) for sample in snapshot.samples if sample.suite in public)
    first = max(1, reading.ANSWERS // max(1, len(drawn)))
    told = sum(min(first, each) for each in drawn.values())
    reader = Reader(Formulas(site_folder() / "vendor/temml/temml.min.js"), told)
    for result in snapshot.record.results:
        for view in answers_pages(snapshot, result, reader, first):
            title = say("%(suite)s: answers", suite=result.suite)
            if view.number > 1:
                title = say("%(suite)s: answers, page %(number)s", suite=result.suite, number=view.number)
            yield Draft(view.path, title, say("Every problem with the model's answers."), view)


def texts(snapshot: Snapshot) -> dict[str, Callable[[], bytes]]:
    """Return what makes the files with the whole texts of public suites' answers, by path."""
    found: dict[str, Callable[[], bytes]] = {}
    for result in snapshot.record.results:
        if snapshot.identity(result.suite).public:
            for page, laid in enumerate(places_of_texts(snapshot, result.suite), 1):
                found |= whole.files(page_path(result.suite, page), laid, snapshot.texts)
    return found


def groups(snapshot: Snapshot, suite: str) -> list[list[_Problem]]:
    """Return a suite's problems page by page: number, name and answers of each, in the order of the samples file.

    Pages are cut by the number of problems and by the length of what they show of them.
    """
    known = _known(snapshot).groups
    if suite not in known:
        known[suite] = _grouped(snapshot, suite)
    return known[suite]


def places_of_texts(snapshot: Snapshot, suite: str) -> list[list[tuple[Sample, whole.Place]]]:
    """Return page by page where the whole text of each answer of a public suite is."""
    known = _known(snapshot).laid
    if suite not in known:
        known[suite] = [
            list(whole.layout((sample for _, _, own in group for sample in own), snapshot.texts))
            for group in groups(snapshot, suite)
        ]
    return known[suite]


class _Known:
    """What is worked out once for all pages, by suite."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.groups: dict[str, list[list[_Problem]]] = {}
        self.laid: dict[str, list[list[tuple[Sample, whole.Place]]]] = {}


@functools.lru_cache(maxsize=1)
def _known(_: Snapshot) -> _Known:
    return _Known()


def _grouped(snapshot: Snapshot, suite: str) -> list[list[_Problem]]:
    limit = _limit(snapshot, suite)
    chunks: list[list[_Problem]] = []
    chunk: list[_Problem] = []
    characters = 0
    for problem in _problems(snapshot, suite):
        samples = problem[2]
        length = len(samples[0].statement) + sum(min(limit, snapshot.texts.characters(sample)) for sample in samples)
        if chunk and (len(chunk) == PROBLEMS_PER_PAGE or characters + length > CHARACTERS_PER_PAGE):
            chunks.append(chunk)
            chunk, characters = [], 0
        chunk.append(problem)
        characters += length
    return [*chunks, chunk] if chunk else chunks


def places(snapshot: Snapshot, suite: str) -> dict[str, str]:
    """Return where each problem of a suite is shown, from the site's root; empty for a suite that was not measured."""
    if all(result.suite != suite for result in snapshot.record.results):
        return {}
    return {
        name: f"{page_path(suite, page)}#p{number}"
        for page, group in enumerate(groups(snapshot, suite), 1)
        for number, name, _ in group
    }


def answers_pages(snapshot: Snapshot, result: SuiteResult, reader: Reader, first: int) -> list[AnswersPage]:
    """Return the pages of one suite's answers, in the order of the samples file; at least one.

    Of each problem the `first` answers are typeset.
    """
    suite = snapshot.identity(result.suite)
    shares = shares_right(snapshot, result)
    limit = _limit(snapshot, result.suite)
    chunks: list[list[ProblemView]] = []
    for page, group in enumerate(groups(snapshot, result.suite)):
        laid = places_of_texts(snapshot, result.suite)[page] if suite.public else []
        places = {(sample.problem, sample.sample): place for sample, place in laid}
        show = _Show(reader, first, limit, places, snapshot.texts, public=suite.public)
        chunks.append([show.problem(number, name, samples, shares[name]) for number, name, samples in group])
    chunks = chunks or [[]]
    count = sum(map(len, chunks))
    tiles = tuple(_tile(result.suite, page, problem) for page, chunk in enumerate(chunks, 1) for problem in chunk)
    command = f"git show {snapshot.commit}:ledger/samples.jsonl.gz | gunzip"
    pages, begin = [], 1
    for page, chunk in enumerate(chunks, 1):
        last = begin + len(chunk) - 1
        pages.append(
            AnswersPage(
                suite=result.suite,
                number=page,
                pages=len(chunks),
                path=page_path(result.suite, page),
                newer=page_path(result.suite, page - 1) if page > 1 else "",
                older=page_path(result.suite, page + 1) if page < len(chunks) else "",
                span=_span(begin, last, count),
                problems=tuple(chunk),
                tiles=tiles if page == 1 else (),
                public=suite.public,
                whole=command,
                typeset=text.plural(first, "answer") if suite.public and first < suite.samples else "",
            )
        )
        begin = last + 1
    return pages


def _problems(snapshot: Snapshot, suite: str) -> list[_Problem]:
    """Return a suite's problems by number and name with their samples, in the order of the samples file."""
    found: dict[str, list[Sample]] = {}
    for sample in snapshot.samples:
        if sample.suite == suite:
            found.setdefault(sample.problem, []).append(sample)
    return [
        (number, name, sorted(own, key=lambda one: one.sample)) for number, (name, own) in enumerate(found.items(), 1)
    ]


def _limit(snapshot: Snapshot, suite: str) -> int:
    """Return how many characters of an answer a page shows: fewer where a problem, or the site, has many answers."""
    each = CHARACTERS_PER_PAGE // max(1, snapshot.identity(suite).samples)
    return max(1_500, min(20_000, each, CHARACTERS // max(1, len(snapshot.samples))))


def _span(first: int, last: int, problems: int) -> str:
    """Return which of how many problems a page shows."""
    every = text.plural(problems, "problem")
    if last - first + 1 == problems:
        return every
    return say("%(first)s–%(last)s of %(every)s", first=text.count(first), last=text.count(last), every=every)


def page_path(suite: str, page: int) -> str:
    """Return the path of a page of a suite's answers."""
    return f"samples/{suite}/" if page == 1 else f"samples/{suite}/{page}/"


@dataclass(frozen=True, slots=True)
class _Show:
    """Makes the views of one page's problems."""

    reader: Reader
    typeset: int
    """How many answers of each problem are."""
    limit: int
    """Characters of each answer."""
    places: Mapping[tuple[str, int], whole.Place]
    texts: Texts
    public: bool

    def problem(self, number: int, name: str, samples: list[Sample], share: float | None) -> ProblemView:
        """Return a problem with its answers."""
        first = samples[0]
        right = sum(sample.outcome == "right" for sample in samples)
        few = len(samples) <= 4
        return ProblemView(
            anchor=f"p{number}",
            name=text.line(name, 120),
            kind=text.line(first.kind, 60),
            statement=self.reader.statement(visible(first.statement)) if self.public else Markup(),
            expected=text.line(first.expected, 200) if self.public else "",
            right=named(first.outcome) if len(samples) == 1 else text.of_right(right, len(samples)),
            # Of a single answer its own outcome says more than a share of all or nothing.
            level=first.outcome if len(samples) == 1 and first.outcome in OUTCOMES else figures.level(share),
            answers=tuple(
                self.answer(sample, few=few, typeset=place < self.typeset) for place, sample in enumerate(samples)
            ),
        )

    def answer(self, sample: Sample, *, few: bool, typeset: bool) -> AnswerView:
        """Return one answer."""
        shown = visible(self.texts.of(sample))
        found = reading.parts(shown)
        before, end = self.reader.split(found.rest, typeset=typeset)
        folded = f"{found.thought}\n{before}" if found.thought and before else found.thought or before
        cut = max(0, len(folded) + len(end) - self.limit)
        room = len(folded) - cut
        first_part = room * 2 // 3
        head, tail = (folded[:first_part], folded[cut + first_part :]) if cut else (folded, "")
        left_out = len(folded) - len(head) - len(tail) + sample.clipped
        place = self.places.get((sample.problem, sample.sample))
        wrong = text.line(sample.expected, 60) if sample.outcome != "right" else ""
        write = self.reader.answer if typeset else self.reader.plain
        return AnswerView(
            number=sample.sample + 1,
            outcome=sample.outcome if sample.outcome in OUTCOMES else "error",
            answer=text.line(sample.answer, 200),
            figures=_figures(sample),
            finish=sample.finish,
            reason=text.line(sample.reason, 300),
            redacted=text.plural(sample.redacted, "passage") if sample.redacted else "",
            folded=_folded(found, folded),
            head=head,
            tail=tail,
            left_out=say("%(characters)s left out", characters=text.plural(left_out, "character")) if left_out else "",
            body=write(end, sample.outcome, wrong),
            loop=_loop(found),
            passage=text.line(found.loop, 200),
            whole=place.file if place and shown else "",
            place=f"{place.start}-{place.end}" if place else "",
            open=few and len(shown) <= SHORT_ANSWER,
        )


def _folded(found: reading.Parts, folded: str) -> str:
    """Return what is folded away, with its length."""
    if not found.thought:
        return (
            say("What comes before: %(characters)s", characters=text.plural(len(folded), "character")) if folded else ""
        )
    size = text.plural(found.thought_size, "character")
    if found.thought_times == 1:
        return say("Thinking: %(size)s", size=size)
    times = text.count(found.thought_times)
    return say("Thinking: %(size)s, its last passage %(times)s times", size=size, times=times)


def _loop(found: reading.Parts) -> str:
    return (
        say("Here the answer repeats one passage %(times)s times; it is shown once.", times=text.count(found.times))
        if found.loop
        else ""
    )


def _figures(sample: Sample) -> str:
    tokens, latency = text.count(sample.tokens), text.duration(sample.latency)
    said = say("%(tokens)s tokens · %(latency)s", tokens=tokens, latency=latency)
    first = say("first after %(time)s", time=text.duration(sample.prompt_time)) if sample.prompt_time > 0 else ""
    return f"{said}{', ' if first else ''}{first} · {say('seed %(seed)s', seed=sample.seed)}"


def _tile(suite: str, page: int, problem: ProblemView) -> Tile:
    return Tile(f"{page_path(suite, page)}#{problem.anchor}", problem.level, f"{problem.name}: {problem.right}")
