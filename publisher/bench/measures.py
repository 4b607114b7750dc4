"""The metrics of a suite from its samples: of single answers, of groups of them, and the composites of a commit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from publisher.graders import make
from publisher.graders.choices import ChoiceGrader
from publisher.quality import classes, groups
from publisher.schema import MetricValue
from publisher.schema.metrics import PER_SAMPLE, PER_SUITE
from publisher.stats import estimate, estimate_shares

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from publisher.bench.inputs.problems import Problem
    from publisher.bench.plan import PlannedSuite
    from publisher.config import PricesConfig
    from publisher.schema import Record, Sample, SuiteResult
    from publisher.stats import Estimate

    Moments = dict[str, tuple[int, float, float]]
    """By problem: the number of samples, the sum of their values, and the sum of the squares."""

PERCENT = "%"


def metrics_of(part: PlannedSuite, scored: Sequence[Sample]) -> dict[str, MetricValue]:
    """Return a suite's metrics; those that no sample has are left out. `scored` are the samples that are no errors."""
    found: dict[str, MetricValue] = {}
    for name, kind in PER_SAMPLE.items():
        scale = 100.0 if kind.unit == PERCENT else 1.0
        values = moments((one.problem, scale * one.measures[name]) for one in scored if name in one.measures)
        if values:
            found[name] = MetricValue(value=_mean(values), unit=kind.unit, better=kind.better, by_problem=values)
    places = {
        problem.id: groups.Place(problem.group, _slices(problem), problem.language) for problem in part.suite.problems
    }
    for name, value in groups.measure(scored, places, code=part.code).items():
        kind = PER_SUITE[name]
        found[name] = MetricValue(value=round(value, 6), unit=kind.unit, better=kind.better)
    for name, factors in part.composites.items():
        values = moments((one.problem, 100 * product(one, factors)) for one in scored)
        if values:
            found[name] = MetricValue(value=_mean(values), unit=PERCENT, better="higher", by_problem=values)
    return found


def _slices(problem: Problem) -> tuple[str, ...]:
    """Return the slices that a problem is part of, each as `tag=value`; its kind is one."""
    kind = [f"kind={problem.kind}"] if problem.kind else []
    return (*kind, *(f"{tag}={value}" for tag, value in problem.tags.items()))


def classes_of(part: PlannedSuite, scored: Sequence[Sample]) -> list[classes.Named]:
    """Return which class each sample names, where the suite's answers are classes; nothing where words are withheld."""
    grader = make(part.grader)
    if not isinstance(grader, ChoiceGrader) or any(one.withheld for one in scored):
        return []
    expected = {problem.id: grader.label(problem.answer) for problem in part.suite.problems}
    return [classes.Named(one.problem, expected[one.problem], grader.label(one.answer)) for one in scored]


def class_metrics(named: Sequence[classes.Named]) -> dict[str, MetricValue]:
    """Return F1 and AUC of samples that name classes."""
    if not named:
        return {}
    values = {"macro-f1": classes.macro_f1(classes.confusion(named)), "auc": classes.macro_auc(named)}
    kinds = PER_SUITE
    return {
        name: MetricValue(value=round(value, 6), unit=kinds[name].unit, better=kinds[name].better)
        for name, value in values.items()
        if value is not None
    }


def costs_of(
    result: SuiteResult, statistics: Mapping[str, float], prices: PricesConfig | None, *, gpus: bool
) -> SuiteResult:
    """Return a result with what its answers cost: the price of time and energy per token, times their length.

    So a reused answer costs what it would have cost here. Nothing without prices, where nothing was generated, or where
    energy has a price and not every device tells what it took: a part of the costs is no figure.
    """
    tokens = statistics.get("decode_tokens", 0.0)
    if prices is None or tokens <= 0:
        return result
    taken = [statistics.get(name) for name in ("energy_cpu_joules", *(["energy_gpu_joules"] if gpus else []))]
    known = [joules for joules in taken if joules is not None]
    if prices.kwh and len(known) < len(taken):
        return result
    total = prices.hour * statistics.get("seconds", 0.0) / 3600 + prices.kwh * sum(known) / 3.6e6
    answers = {"cost-per-answer": result.counts.scored, "cost-per-right-answer": result.counts.right}
    costs = {
        name: MetricValue(value=total / tokens * result.tokens / count, unit=prices.currency, better="lower")
        for name, count in answers.items()
        if count
    }
    return msgspec.structs.replace(result, metrics=result.metrics | costs)


def unpriced(record: Record, prices: PricesConfig | None) -> str:
    """Return why a run has no costs although energy has a price; "" where it has them."""
    if prices is None or not prices.kwh or any("cost-per-answer" in result.metrics for result in record.results):
        return ""
    return "no costs: energy has a price in [prices], and not every device of this machine tells what it took"


def product(sample: Sample, factors: Sequence[str]) -> float:
    """Return a composite of one sample, from 0 to 1; a factor that the sample does not have is left out."""
    own = {**sample.measures, "right": float(sample.outcome == "right")}
    return math.prod(own.get(factor, 1.0) for factor in factors)


def score_of(part: PlannedSuite, scored: Sequence[Sample], right: Sequence[int], drawn: Sequence[int]) -> Estimate:
    """Return a suite's score: of right answers, or of the composite that it is scored by."""
    if not part.score:
        return estimate(right, drawn)
    values = moments((one.problem, product(one, part.composites[part.score])) for one in scored)
    return estimate_shares(list(values.values()))


def moments(values: Iterable[tuple[str, float]]) -> Moments:
    """Return the moments of values by problem."""
    found: Moments = {}
    for problem, value in values:
        drawn, total, squares = found.get(problem, (0, 0.0, 0.0))
        found[problem] = (drawn + 1, round(total + value, 6), round(squares + value * value, 6))
    return found


def _mean(values: Moments) -> float:
    """Return the mean over all samples."""
    drawn = sum(one[0] for one in values.values())
    return round(math.fsum(one[1] for one in values.values()) / drawn, 6)
