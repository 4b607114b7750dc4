"""Suites: the result of each on the home page, and the page that leads to their answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import figures, text
from publisher.render.language import say, say_of, translated
from publisher.render.parts import Draft, Fact
from publisher.schema.metrics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.schema import Counts, MetricValue, SuiteResult

MOST_TILES = 1200
MOST_METRICS = 60
MOST_CLASSES = 20
"""Rows of a confusion matrix, and columns."""
OUTCOMES = ("right", "wrong", "unanswered", "truncated", "error")

MOST_SLICES = 40


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix: the answered classes, and per expected class its counts, each with whether it is right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, bool], ...]], ...]
    left_out: str


@dataclass(frozen=True, slots=True)
class SuiteView:
    """One suite's result."""

    name: str
    href: str
    score: str
    stderr: str
    interval: str
    gauge: Markup
    size: str
    outcomes: tuple[Fact, ...]
    pass_at: tuple[Fact, ...]
    kinds: tuple[tuple[str, str, Markup], ...]
    speed: tuple[Fact, ...]
    metrics: tuple[Fact, ...]
    classes: Matrix | None
    """What was answered for what, where a public suite's answers are classes."""
    score_words: str
    public: bool
    grader: str
    tiles: Markup | None
    headline: bool


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page that leads to the answers of each suite."""
    views = [suite_view(snapshot, result) for result in snapshot.record.results]
    yield Draft("samples/", say("Answers"), say("Every answer of this snapshot, by suite."), views)


def suite_view(snapshot: Snapshot, result: SuiteResult) -> SuiteView:
    """Return one suite's result."""
    suite = snapshot.identity(result.suite)
    shares = list(shares_right(snapshot, result).values())
    drawn = figures.tiles(
        shares,
        title=say(
            "%(problems)s of %(suite)s, one square each",
            problems=text.plural(len(shares), "problem"),
            suite=result.suite,
        ),
    )
    return SuiteView(
        name=result.suite,
        href=f"samples/{result.suite}/",
        score=text.points(result.score),
        stderr=text.points(result.stderr),
        interval=text.interval(result.interval.low, result.interval.high),
        gauge=gauge(result, titled=False),
        size=basis(snapshot, result),
        outcomes=tuple(_outcomes(result.counts)),
        pass_at=tuple(Fact(f"pass@{text.line(k, 8)}", text.points(value)) for k, value in _by_k(result.pass_at)),
        kinds=tuple(
            (text.line(kind, 60), text.points(score), figures.gauge(score, score, score))
            for kind, score in _slices(result)
        ),
        speed=tuple(_speed(result)),
        metrics=tuple(_metrics(result)),
        classes=_matrix(result) if suite.public and result.classes else None,
        score_words=text.line(suite.score, 100),
        public=suite.public,
        grader=text.line(
            say(
                "%(grader)s, version %(version)s",
                grader=suite.grader,
                version=suite.grader_version.partition("+")[0],
            ),
            100,
        ),
        tiles=drawn if 0 < len(shares) <= MOST_TILES else None,
        headline=result.suite == snapshot.headline.suite,
    )


def shares_right(snapshot: Snapshot, result: SuiteResult) -> dict[str, float | None]:
    """Return each problem's share of right samples, in the order of the answers; None where none was scored."""
    scored: dict[str, int] = {}
    for sample in snapshot.samples:
        if sample.suite == result.suite:
            scored[sample.problem] = scored.get(sample.problem, 0) + (sample.outcome != "error")
    return {name: result.right_by_problem.get(name, 0) / draws if draws else None for name, draws in scored.items()}


def _slices(result: SuiteResult) -> list[tuple[str, float]]:
    """Return the scores by kind, and then by tag and value with the number of problems, as many as a page shows."""
    tagged = [
        (f"{tag} {value} ({text.plural(one.problems, 'problem')})", one.score)
        for tag, values in result.slices.items()
        for value, one in values.items()
    ]
    return [*sorted(result.kinds.items()), *tagged][:MOST_SLICES]


def _matrix(result: SuiteResult) -> Matrix:
    """Return the confusion matrix, of as many classes as a page shows, each row with the samples of one class."""
    expected = sorted(result.classes)[:MOST_CLASSES]
    named = sorted({name for row in result.classes.values() for name in row if name} | set(expected))[:MOST_CLASSES]
    columns = [*named, ""]
    rows = tuple(
        (
            text.line(name, 40),
            tuple((text.count(result.classes[name].get(other, 0)), other == name) for other in columns),
        )
        for name in expected
    )
    more = max(0, len(result.classes) - len(expected))
    left_out = say_of(
        "%(count)s more class not shown.", "%(count)s more classes not shown.", more, count=text.count(more)
    )
    return Matrix(tuple(text.line(name, 40) or say("no class") for name in columns), rows, left_out if more else "")


def _by_k(pass_at: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(pass_at.items(), key=lambda item: (len(item[0]), item[0]))


def _outcomes(counts: Counts) -> list[Fact]:
    return [Fact(word, text.count(getattr(counts, word))) for word in OUTCOMES]


def _speed(result: SuiteResult) -> list[Fact]:
    answers = max(1, result.counts.scored + result.counts.error)
    return [
        Fact(say("tokens generated"), text.count(result.tokens)),
        Fact(say("tokens per answer"), text.count(result.tokens / answers)),
        Fact(say("tokens per second"), text.count(result.tokens_per_second)),
        Fact(say("median latency"), text.duration(result.latency.p50)),
        Fact(say("99th percentile of latency"), text.duration(result.latency.p99)),
        *_times(result),
    ]


def _times(result: SuiteResult) -> list[Fact]:
    """Return how long the first token and each further one took, where the record says."""
    facts = []
    for name, times in (
        (say("time to the first token"), result.first_token),
        (say("time per token"), result.per_token),
    ):
        if times is not None:
            facts.append(Fact(say("median %(time)s", time=name), text.duration(times.p50)))
            if times.p95 is not None:
                facts.append(Fact(say("95th percentile of %(time)s", time=name), text.duration(times.p95)))
            facts.append(Fact(say("99th percentile of %(time)s", time=name), text.duration(times.p99)))
    return facts


def _metrics(result: SuiteResult) -> list[Fact]:
    """Return what the answers are like, in the order of the metrics' list, and then what the commit itself measured."""
    known = [name for name in CATALOGUE if name in result.metrics]
    own = sorted(name for name in result.metrics if name not in CATALOGUE)
    return [Fact(text.line(name, 64), _figure(result.metrics[name])) for name in [*known, *own][:MOST_METRICS]]


def meanings(snapshot: Snapshot) -> Iterator[Fact]:
    """Yield what each metric of any suite means, in the order of the metrics' list; what a team measured is its own."""
    for name, kind in CATALOGUE.items():
        if any(name in result.metrics for result in snapshot.record.results):
            yield Fact(name, translated(kind.means))


def _figure(metric: MetricValue) -> str:
    """Return a metric's value with its unit; a value that no run can have is left out."""
    if not math.isfinite(metric.value):
        return text.NONE
    places = 1 if abs(metric.value) >= 1 or not metric.value else 4
    return f"{text.line(text.points(metric.value, places), 24)}\u202f{text.line(metric.unit, 20)}".rstrip("\u202f")


def basis(snapshot: Snapshot, result: SuiteResult) -> str:
    """Return how many answers a score rests on, in words."""
    suite = snapshot.identity(result.suite)
    return text.each(suite.problems, suite.samples)


def gauge(result: SuiteResult, limit: float | None = None, *, titled: bool = True) -> Markup:
    """Return a suite's score as a mark on a scale from 0 to 100, with its interval and perhaps the gate's limit."""
    low, high = result.interval.low, result.interval.high
    title = (
        say(
            "%(score)s points, 95 %% interval %(interval)s",
            score=text.points(result.score),
            interval=text.interval(low, high),
        )
        if titled
        else ""
    )
    return figures.gauge(result.score, low, high, threshold=limit, title=title)
