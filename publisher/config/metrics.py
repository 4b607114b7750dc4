"""`[metrics]` and `[prices]`: what a commit measures beside what every run does, and what a run costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from publisher.config.gate import EVERY, AnyRule, Budget, name_of, tests_right_answers
from publisher.config.section import Name, Section, short, suggest
from publisher.schema.metrics import CATALOGUE, SHARES

if TYPE_CHECKING:
    from publisher.config.bench import SuiteConfig

PROGRAM = "python:"
MEASURED = (
    "latency",
    "first-token",
    "first-token-p50",
    "first-token-p99",
    "per-token",
    "per-token-p50",
    "per-token-p99",
    "tokens-per-second",
    "memory",
    "gpu-memory",
    "cpu-utilisation",
    "gpu-utilisation",
    "joules-per-answer",
    "joules-per-right-answer",
    "cost-per-answer",
    "cost-per-right-answer",
    "unanswered",
    "truncated",
    "error-rate",
    "answer-length",
)
"""Metrics of the run itself: of its outcomes, its tokens, its seconds and its machine."""


class MetricConfig(Section, frozen=True, kw_only=True):
    """A metric of the commit's own: a number that a file or a program of the commit gives, or a composite.

    A file is JSON: one object of numbers by name, or such an object for each suite. A program is Python, runs in the
    sandbox once per suite, reads the suite's answers as lines of JSON and prints one object of numbers by name.
    """

    better: Literal["higher", "lower"] = "higher"
    """In which direction it is better."""
    unit: Annotated[str, Meta(max_length=20)] = ""
    """How it is shown."""
    source: Annotated[str, Meta(max_length=1000, description="FILE.json or python:FILE.py, both of the commit")] = ""
    """Where its numbers come from; a composite has a product instead."""
    product: list[Name] = msgspec.field(default_factory=list)
    """The composite of an answer is the product of these: `right` and metrics that are shares of an answer."""


class PricesConfig(Section, frozen=True, kw_only=True):
    """What the bench machine costs; from it a run's cost follows."""

    currency: Annotated[str, Meta(min_length=1, max_length=10)] = "EUR"
    """How it is shown."""
    hour: Annotated[float, Meta(ge=0, le=1e6, description="per hour that the engine runs")] = 0.0
    """The price of an hour of the engine."""
    kwh: Annotated[float, Meta(ge=0, le=1e6, description="per kilowatt hour: no costs where energy is unknown")] = 0.0
    """The price of energy."""


def metric_names(own: Mapping[str, MetricConfig]) -> list[str]:
    """Return every name that a budget can have: the run's own metrics, those of answers, and the commit's."""
    return [*MEASURED, *CATALOGUE, *own]


def metric_mistakes(own: Mapping[str, MetricConfig], suites: Mapping[str, SuiteConfig]) -> Iterator[str]:
    """Yield what is wrong with the commit's own metrics, and with the composites that suites are scored by."""
    taken = {"right", *MEASURED, *CATALOGUE}
    for name, metric in own.items():
        path = f"metrics.{name}"
        if name in taken:
            yield f"{path}: every run has a metric of this name"
        if bool(metric.source) == bool(metric.product):
            yield f"{path}: give source (FILE.json or python:FILE.py) or product, one of the two"
        elif metric.source and not _is_source(metric.source):
            yield f"{path}.source: {short(metric.source)} is neither FILE.json nor python:FILE.py, a path in the commit"
        elif metric.product:
            yield from _composite_mistakes(path, metric)
    for name, suite in suites.items():
        yield from _score_mistakes(f"suites.{name}.score", suite.score, own)


def _is_source(source: str) -> bool:
    path = source.removeprefix(PROGRAM)
    ending = ".py" if source.startswith(PROGRAM) else ".json"
    return path.isprintable() and path.endswith(ending) and not path.startswith("/") and ".." not in path.split("/")


def _composite_mistakes(path: str, metric: MetricConfig) -> Iterator[str]:
    for factor in metric.product:
        if factor not in SHARES:
            yield f"{path}.product: {short(factor)} is none of {', '.join(SHARES)}{suggest(factor, SHARES)}"
    if len(set(metric.product)) < 2:
        yield f"{path}.product: at least two different factors are needed"
    if metric.better == "lower":
        yield f"{path}.better: more of a product of good things is better"


def _score_mistakes(path: str, score: str, own: Mapping[str, MetricConfig]) -> Iterator[str]:
    if not score:
        return
    composites = [name for name, metric in own.items() if metric.product]
    if score not in composites:
        yield f"{path}: no composite is called {short(score)}{suggest(score, composites)}"
    elif "right" not in own[score].product:
        yield f"{path}: a score has right among its factors, or wrong answers would count"


def rules_on_metrics(
    place: str,
    rules: Iterable[AnyRule],
    own: Mapping[str, MetricConfig],
    suites: Mapping[str, SuiteConfig],
    headline: str,
) -> Iterator[str]:
    """Yield a mistake for each budget on what nothing reports, and each test of right answers on a composite."""
    known = metric_names(own)
    composites = [name for name, suite in suites.items() if suite.score]
    for number, rule in enumerate(rules):
        if isinstance(rule, Budget) and rule.metric not in known:
            yield f"{place}[{number}].metric: nothing reports {short(rule.metric)}{suggest(rule.metric, known)}"
        looked_at = composites if rule.suite == EVERY else [rule.suite or headline]
        scored = [name for name in looked_at if name in composites]
        if tests_right_answers(rule) and scored:
            yield (
                f"{place}[{number}].rule: {name_of(rule)} tests right answers, but {scored[0]} is a composite's score "
                "(a budget with percent tests that)"
            )
