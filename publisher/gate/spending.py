"""Budgets on metrics beside the score: a limit that stands by itself, or a change from the runs before."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from publisher.gate.baseline import result_of
from publisher.gate.distributions import NORMAL, student_below
from publisher.gate.metrics import Metric, affected, crowding
from publisher.gate.pairs import Moments, further_interval, mean_interval, permutation_z
from publisher.gate.stratified import Stratum, gain_p
from publisher.schema import Interval
from publisher.stats import p_words

if TYPE_CHECKING:
    from publisher.config import Budget
    from publisher.gate.case import Case
    from publisher.schema import Record, RuleResult, SuiteResult

CROWDED = 0.25
"""The share of a machine's processors that makes a difference: as much more or less of them that other programs keep
busy, and times are no longer compared."""


def budget(rule: Budget, metric: Metric, case: Case) -> RuleResult:
    """Fail where a metric is beyond its limit, or shown to be worse than before by over `percent`."""
    value = metric.read(case.run.record, case.result)
    if value is None or not math.isfinite(value):
        return case.finish("inconclusive", f"{case.suite}: the run did not record its {metric.name}", unit=metric.unit)
    if rule.limit is not None and metric.worse(value, rule.limit):
        side = "above" if metric.better == "lower" else "below"
        reason = f"{case.suite}: {metric.name} {_words(value, metric)} is {side} the limit {_words(rule.limit, metric)}"
        if metric.timed and crowding(case.run.record) > CROWDED:
            reason += f", but {_crowd(case.run.record)}: measure again when the machine is quiet"
            return case.finish("inconclusive", reason, measured=value, limit=rule.limit, unit=metric.unit)
        return case.finish("fail", reason, measured=value, limit=rule.limit, unit=metric.unit)
    if rule.percent is not None:
        return _compare(rule, metric, case, value)
    side = "at most" if metric.better == "lower" else "at least"
    limit = _words(rule.limit or 0.0, metric)
    reason = f"{case.suite}: {metric.name} {_words(value, metric)} is {side} the limit {limit}"
    return case.finish("pass", reason, measured=value, limit=rule.limit, unit=metric.unit)


def _compare(rule: Budget, metric: Metric, case: Case, value: float) -> RuleResult:
    """Compare a metric with the last kept runs; only a change beyond both `percent` and chance fails."""
    before = [
        (record, result, known)
        for record, result in _earlier(rule, metric, case)
        if (known := metric.read(record, result)) is not None and math.isfinite(known)
    ]
    if len(before) < (3 if metric.kind in {"machine", "runs"} else 1):
        where = " on this machine" if metric.kind == "machine" else ""
        if metric.timed and crowding(case.run.record) > CROWDED:
            where += f", as busy as it was now ({_crowd(case.run.record)}),"
        reason = f"{case.suite}: {metric.name} {_words(value, metric)}; too few kept runs{where} to compare with"
        return case.finish("pass", reason, measured=value, unit=metric.unit, runs=len(before))
    usual = statistics.fmean(known for _, _, known in before)
    sign = 1 if metric.better == "lower" else -1
    # By the size of the usual value, which a number of the commit's own may have below 0.
    change = sign * (value - usual)
    change = 100 * change / abs(usual) if usual else math.copysign(math.inf, change) if change else 0.0
    p_value = _p_value(metric, case, value, before)
    failed = change > (rule.percent or 0.0) and p_value <= case.level
    reason = (
        f"{case.suite}: {metric.name} {_words(value, metric)} against {_words(usual, metric)} of {len(before)} kept "
        f"runs, {abs(change):.1f} % {'worse' if change > 0 else 'better'} (allowed {rule.percent:g} %, "
        f"{p_words(p_value)}, alpha {case.level:g})"
    )
    return case.finish(
        "fail" if failed else "pass",
        reason,
        measured=value,
        limit=usual + sign * abs(usual) * (rule.percent or 0.0) / 100,
        difference=value - usual,
        unit=metric.unit,
        runs=len(before),
        baseline=before[-1][0].run_id,
        p_value=p_value,
        level=case.level,
        interval=_interval(metric, case, value, before),
    )


def _interval(
    metric: Metric, case: Case, value: float, before: list[tuple[Record, SuiteResult, float]]
) -> Interval | None:
    """Return the 95 % interval of the difference: by the spread between runs, or by resampling problems."""
    if metric.kind in {"machine", "runs"}:
        low, high = further_interval(value, [one for _, _, one in before])
        return Interval(low=low, high=high, method="t")
    if metric.kind == "share":
        return None
    new, base = _moments([case.result], metric), _moments([result for _, result, _ in before], metric)
    shared = [(new[one], base[one]) for one in new if one in base and new[one].drawn and base[one].drawn]
    if len(shared) < 2:
        return None
    low, high, method = mean_interval([own.total / own.drawn - other.total / other.drawn for own, other in shared])
    return Interval(low=low, high=high, method=method)


def _earlier(rule: Budget, metric: Metric, case: Case) -> list[tuple[Record, SuiteResult]]:
    """Return the records to compare with, oldest first.

    For speed and memory, only those of the same machine; for speed, only those of when it was about as busy as now.
    """
    lines = case.candidates.lines if metric.kind == "machine" else case.distinct
    records = [case.records[line.run_id] for line in lines[-rule.m :] if line.run_id in case.records]
    own = case.run.record.machine
    if metric.kind == "machine":
        records = [
            record
            for record in records
            if (record.machine.cpu, record.machine.cores, record.machine.gpu) == (own.cpu, own.cores, own.gpu)
        ]
    if metric.timed:
        now = crowding(case.run.record)
        records = [record for record in records if abs(crowding(record) - now) <= CROWDED]
    found = [(record, result_of(record, case.suites[0])) for record in records]
    return [(record, result) for record, result in found if result is not None]


def _crowd(record: Record) -> str:
    """Return how busy other programs kept the machine, in words."""
    return f"other programs kept {record.statistics['other_load']:.1f} of {record.machine.cores} processors busy"


def _p_value(metric: Metric, case: Case, value: float, before: list[tuple[Record, SuiteResult, float]]) -> float:
    """Return how likely chance alone makes the metric so bad.

    Speeds and memory: the new run against the spread between earlier ones (Student's t of a further value). Shares: the
    exact test of one share against another, mid-p. Lengths: permutations within each problem.

    Simulated at 1 % against eight runs, before `percent` is asked for as well: speeds fail 1.0 % of innocent runs where
    they vary normally, 1.5 to 1.8 % with long tails, and 5 % where one run in ten is slow for a reason of its own; so
    `percent` should be above what such a run loses. Shares fail 0.3 to 0.4 %, because problems differ. Lengths fail
    1.5 to 1.9 %, because they are skewed and the normal curve is not.
    """
    if metric.kind in {"machine", "runs"}:
        known = [one for _, _, one in before]
        spread = statistics.stdev(known) * math.sqrt(1 + 1 / len(known))
        worse = value - statistics.fmean(known) if metric.better == "lower" else statistics.fmean(known) - value
        if spread == 0:
            return 0.0 if worse > 0 else 1.0
        return 1 - student_below(worse / spread, len(known) - 1)
    if metric.kind == "share":
        have, of = affected(metric.name, case.result)
        others = [affected(metric.name, result) for _, result, _ in before]
        return gain_p([Stratum(have, of, sum(one for one, _ in others), sum(all_ for _, all_ in others))])
    new = _moments([case.result], metric)
    base = _moments([result for _, result, _ in before], metric)
    z = permutation_z([(new[problem], base[problem]) for problem in new if problem in base])
    return NORMAL.cdf(z if metric.better == "higher" else -z)


def _moments(results: list[SuiteResult], metric: Metric) -> dict[str, Moments]:
    """Return the summed moments of a metric's values, by problem."""
    found: dict[str, Moments] = {}
    for result in results:
        for problem, (drawn, total, squares) in _values(result, metric).items():
            known = found.get(problem, Moments(0, 0.0, 0.0))
            found[problem] = Moments(known.drawn + drawn, known.total + total, known.squares + squares)
    return found


def _values(result: SuiteResult, metric: Metric) -> dict[str, tuple[int, float, float]]:
    """Return how many samples of each problem have a metric, the sum of their values and of the squares."""
    if metric.kind == "samples":
        own = result.metrics[metric.name].by_problem
        return {problem: values for problem, values in own.items() if all(map(math.isfinite, values))}
    return {
        problem: (result.scored_by_problem.get(problem, 0), float(total), float(squares))
        for problem, (total, squares) in result.tokens_by_problem.items()
    }


def _words(value: float, metric: Metric) -> str:
    return f"{value:.3g} {metric.unit}".rstrip()
