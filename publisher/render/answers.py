"""The answers of a suite, problem by problem, cut into pages that a phone can load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import figures, text
from publisher.render.parts import Draft
from publisher.render.suites import OUTCOMES, shares_right
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from publisher.render.gather import Snapshot
    from publisher.schema import Sample, SuiteResult

PROBLEMS_PER_PAGE = 60
CHARACTERS_PER_PAGE = 96_000
"""Of answers; together with the problem count this keeps a page below its budget of 40 kB compressed."""
SHORT_ANSWER = 700
"""Answers up to this many characters are shown open where a problem has few of them."""


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One sample: what came out, and the text, which is hostile and only ever shown as text."""

    number: int
    outcome: str
    answer: str
    seed: str
    tokens: str
    latency: str
    first: str
    """How long the first token took; empty where that is not known."""
    finish: str
    reason: str
    redacted: str
    """How many passages a pattern of the team's took out of the text; empty for none."""
    head: str
    tail: str
    left_out: str
    open: bool


@dataclass(frozen=True, slots=True)
class ProblemView:
    """One problem with its answers; statement and expected answer only where the suite is public."""

    anchor: str
    name: str
    kind: str
    statement: str
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


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the pages of every suite's answers."""
    for result in snapshot.record.results:
        for view in answers_pages(snapshot, result):
            title = f"{result.suite}: answers" + (f", page {view.number}" if view.number > 1 else "")
            yield Draft(view.path, title, "Every problem with the model's answers.", view)


def answers_pages(snapshot: Snapshot, result: SuiteResult) -> list[AnswersPage]:
    """Return the pages of one suite's answers, in the order of the samples file; at least one."""
    by_problem: dict[str, list[Sample]] = {}
    for sample in snapshot.samples:
        if sample.suite == result.suite:
            by_problem.setdefault(sample.problem, []).append(sample)
    suite = snapshot.identity(result.suite)
    shares = shares_right(snapshot, result)
    limit = max(1_500, min(20_000, CHARACTERS_PER_PAGE // max(1, suite.samples)))
    problems = [
        _problem(place, name, samples, shares[name], limit, public=suite.public)
        for place, (name, samples) in enumerate(by_problem.items(), 1)
    ]
    chunks = list(_chunks(problems)) or [[]]
    tiles = tuple(_tile(result.suite, page, problem) for page, chunk in enumerate(chunks, 1) for problem in chunk)
    whole = f"git show {snapshot.commit}:ledger/samples.jsonl.gz | gunzip"
    pages, first = [], 1
    for page, chunk in enumerate(chunks, 1):
        last = first + len(chunk) - 1
        pages.append(
            AnswersPage(
                suite=result.suite,
                number=page,
                pages=len(chunks),
                path=page_path(result.suite, page),
                newer=page_path(result.suite, page - 1) if page > 1 else "",
                older=page_path(result.suite, page + 1) if page < len(chunks) else "",
                span=_span(first, last, len(problems)),
                problems=tuple(chunk),
                tiles=tiles if page == 1 else (),
                public=suite.public,
                whole=whole,
            )
        )
        first = last + 1
    return pages


def _span(first: int, last: int, problems: int) -> str:
    """Return which of how many problems a page shows."""
    shown = f"{text.count(first)}{text.NONE}{text.count(last)} of " if last - first + 1 < problems else ""
    return f"{shown}{text.plural(problems, 'problem')}"


def page_path(suite: str, page: int) -> str:
    """Return the path of a page of a suite's answers."""
    return f"samples/{suite}/" if page == 1 else f"samples/{suite}/{page}/"


def _chunks(problems: Iterable[ProblemView]) -> Iterable[list[ProblemView]]:
    """Cut problems into pages by their number and by the length of their text."""
    chunk: list[ProblemView] = []
    characters = 0
    for problem in problems:
        length = len(problem.statement) + sum(len(answer.head) + len(answer.tail) for answer in problem.answers)
        if chunk and (len(chunk) == PROBLEMS_PER_PAGE or characters + length > CHARACTERS_PER_PAGE):
            yield chunk
            chunk, characters = [], 0
        chunk.append(problem)
        characters += length
    if chunk:
        yield chunk


def _problem(
    place: int, name: str, samples: list[Sample], share: float | None, limit: int, *, public: bool
) -> ProblemView:
    first = samples[0]
    right = sum(sample.outcome == "right" for sample in samples)
    few = len(samples) <= 4
    return ProblemView(
        anchor=f"p{place}",
        name=text.line(name, 120),
        kind=text.line(first.kind, 60),
        statement=visible(first.statement) if public else "",
        expected=text.line(first.expected, 200) if public else "",
        right=first.outcome if len(samples) == 1 else f"{right} of {len(samples)} right",
        # Of a single answer its own outcome says more than a share of all or nothing.
        level=first.outcome if len(samples) == 1 and first.outcome in OUTCOMES else figures.level(share),
        answers=tuple(_answer(sample, limit, few=few) for sample in sorted(samples, key=lambda item: item.sample)),
    )


def _answer(sample: Sample, limit: int, *, few: bool) -> AnswerView:
    shown = visible(sample.text)
    cut = len(shown) - limit
    head, tail = (shown, "") if cut <= 0 else (shown[: limit * 2 // 3], shown[-(limit // 3) :])
    left_out = max(0, cut) + sample.clipped
    return AnswerView(
        number=sample.sample + 1,
        outcome=sample.outcome if sample.outcome in OUTCOMES else "error",
        answer=text.line(sample.answer, 200),
        seed=str(sample.seed),
        tokens=text.count(sample.tokens),
        latency=text.duration(sample.latency),
        first=_first(sample),
        finish=sample.finish,
        reason=text.line(sample.reason, 300),
        redacted=text.plural(sample.redacted, "passage") if sample.redacted else "",
        head=head,
        tail=tail,
        left_out=f"{text.plural(left_out, 'character')} left out" if left_out else "",
        open=few and len(shown) <= SHORT_ANSWER,
    )


def _first(sample: Sample) -> str:
    return f"first after {text.duration(sample.prompt_time)}" if sample.prompt_time > 0 else ""


def _tile(suite: str, page: int, problem: ProblemView) -> Tile:
    return Tile(f"{page_path(suite, page)}#{problem.anchor}", problem.level, f"{problem.name}: {problem.right}")
