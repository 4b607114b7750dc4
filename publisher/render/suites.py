"""Suites: the result of each on the home page, and the page that leads to their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render import figures, text
from publisher.render.parts import Draft, Fact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from publisher.render.gather import Snapshot
    from publisher.schema import Counts, SuiteResult

MOST_TILES = 1200
OUTCOMES = ("right", "wrong", "unanswered", "truncated", "error")


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
    public: bool
    grader: str
    tiles: Markup | None
    headline: bool


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page that leads to the answers of each suite."""
    views = [suite_view(snapshot, result) for result in snapshot.record.results]
    yield Draft("samples/", "Answers", "Every answer of this snapshot, by suite.", views)


def suite_view(snapshot: Snapshot, result: SuiteResult) -> SuiteView:
    """Return one suite's result."""
    suite = snapshot.identity(result.suite)
    shares = list(shares_right(snapshot, result).values())
    drawn = figures.tiles(shares, title=f"{text.plural(len(shares), 'problem')} of {result.suite}, one square each")
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
            for kind, score in sorted(result.kinds.items())
        ),
        speed=tuple(_speed(result)),
        public=suite.public,
        grader=text.line(f"{suite.grader}, version {suite.grader_version}", 60),
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


def _by_k(pass_at: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(pass_at.items(), key=lambda item: (len(item[0]), item[0]))


def _outcomes(counts: Counts) -> list[Fact]:
    return [Fact(word, text.count(getattr(counts, word))) for word in OUTCOMES]


def _speed(result: SuiteResult) -> list[Fact]:
    answers = max(1, result.counts.scored + result.counts.error)
    return [
        Fact("tokens generated", text.count(result.tokens)),
        Fact("tokens per answer", text.count(result.tokens / answers)),
        Fact("tokens per second", text.count(result.tokens_per_second)),
        Fact("median latency", text.duration(result.latency.p50)),
        Fact("99th percentile of latency", text.duration(result.latency.p99)),
    ]


def basis(snapshot: Snapshot, result: SuiteResult) -> str:
    """Return how many answers a score rests on, in words."""
    suite = snapshot.identity(result.suite)
    return f"{text.plural(suite.problems, 'problem')} × {text.plural(suite.samples, 'sample')}"


def gauge(result: SuiteResult, limit: float | None = None, *, titled: bool = True) -> Markup:
    """Return a suite's score as a mark on a scale from 0 to 100, with its interval and perhaps the gate's limit."""
    low, high = result.interval.low, result.interval.high
    title = f"{text.points(result.score)} points, 95 % interval {text.interval(low, high)}" if titled else ""
    return figures.gauge(result.score, low, high, threshold=limit, title=title)
