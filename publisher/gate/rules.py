"""The literal rules: each compares one score with a limit, and says in words and figures what it found.

With `significant = true` the score must lie below the limit beyond doubt, at this rule's share of alpha.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import TYPE_CHECKING

import msgspec

from publisher.config import BestRatio, Budget, Declines, Drift, Erosion, MaxDrop, Regression, Relative, Rule, Threshold
from publisher.config.gate import name_of
from publisher.gate.baseline import strata, tallies
from publisher.gate.case import Case
from publisher.gate.distributions import NORMAL
from publisher.gate.early import completed, remaining
from publisher.gate.metrics import metric_of
from publisher.gate.regression import erosion, regression
from publisher.gate.slides import declines, drift
from publisher.gate.spending import budget
from publisher.gate.stratified import difference, score_interval, score_z, too_uneven
from publisher.schema import Interval, RuleResult
from publisher.stats import p_words, wilson

if TYPE_CHECKING:
    from publisher.schema import HistoryLine


def check(case: Case) -> RuleResult:
    """Return what a rule says of a run."""
    if any(suite not in case.run.line.scores for suite in case.suites):
        reason = f"{case.suite} was not measured in this tier, so this rule has nothing to look at"
        return RuleResult(
            rule=name_of(case.rule), suite=case.suite, outcome="inconclusive", reason=reason, effect=case.rule.effect
        )
    return _check(case.rule, case)


def check_early(case: Case) -> RuleResult:
    """Return what a rule says of a run that was stopped: a failure where a look shows it or nothing can change it.

    A loss is tested at the look's own level. Beyond that, a rule on the score fails where it would fail even if every
    remaining sample were right: no other outcome is better, so the complete run would be rejected as well.
    """
    if case.looks and isinstance(case.rule, Regression) and case.rule.prove != "gain":
        found = check(case)
        if found.outcome == "fail":
            return found
    if isinstance(case.rule, Threshold | Relative | BestRatio | MaxDrop | Regression | Erosion):
        best = check(replace(case, run=completed(case.run)))
        if best.outcome == "fail":
            reason = f"even if all {remaining(case.run.record)} remaining samples were right: {best.reason}"
            return msgspec.structs.replace(best, reason=reason)
    reason = f"{case.suite}: the run was stopped before this rule could decide"
    return RuleResult(
        rule=name_of(case.rule), suite=case.suite, outcome="inconclusive", reason=reason, effect=case.rule.effect
    )


@singledispatch
def _check(rule: Rule, case: Case) -> RuleResult:
    raise NotImplementedError(f"no check is written for the rule {name_of(rule)}")


@_check.register
def _(rule: Threshold, case: Case) -> RuleResult:
    passed = case.score.score >= rule.min - 1e-9
    figures: dict[str, object] = {"measured": case.score.score, "limit": rule.min}
    words = f"the threshold {rule.min:.1f}"
    if passed or not rule.significant:
        relation = "is at least" if passed else "is below"
        return case.finish("pass" if passed else "fail", f"{case.words()} {relation} {words}", **figures)
    high = _upper_bound(case)
    figures["level"] = case.level
    if high >= rule.min:
        reason = f"{case.words()} is below {words}, but not beyond doubt: it may be {high:.1f} (alpha {case.level:g})"
        return case.finish("pass", reason, **figures)
    reason = f"{case.words()} is below {words} beyond doubt: at most {high:.1f} (alpha {case.level:g})"
    return case.finish("fail", reason, **figures)


def _upper_bound(case: Case) -> float:
    """Return how many points the true score of these problems may have, at the rule's level.

    From the spread of samples within problems where it is known; else Wilson's bound of all samples taken together,
    which is on the safe side: problems of unequal difficulty only make a score vary less.
    """
    sampling = case.result.stderr_sampling
    z = NORMAL.inv_cdf(1 - case.level)
    if sampling:
        return min(100.0, case.score.score + z * sampling)
    draws = max(1, case.result.counts.scored)
    return 100 * wilson(case.score.score / 100, draws, 1 - 2 * case.level)[1]


@_check.register
def _(rule: Relative, case: Case) -> RuleResult:
    if not case.candidates.lines:
        return case.first()
    previous = case.candidates.lines[-1]
    before = previous.scores[case.suites[0]].score
    margin = before * rule.percent / 100 if rule.percent else rule.delta
    change = f"{rule.percent:+g} %" if rule.percent else f"{margin:+.1f}"
    limit = f"{before + margin:.1f} (the previous kept run's {before:.1f} {change})"
    return _against(case, previous, margin, limit, significant=rule.significant)


@_check.register
def _(rule: BestRatio, case: Case) -> RuleResult:
    if not case.candidates.lines:
        return case.first()
    best = max(case.candidates.lines, key=lambda line: line.scores[case.suites[0]].score)
    top = best.scores[case.suites[0]].score
    limit = f"{rule.ratio * top:.1f} ({rule.ratio:.0%} of the best kept score {top:.1f})"
    # The best of many is partly luck: at each one's share of the level, alpha holds for the best as well.
    case = replace(case, level=case.level / len(case.candidates.lines))
    return _against(case, best, (rule.ratio - 1) * top, limit, significant=rule.significant)


@_check.register
def _(rule: MaxDrop, case: Case) -> RuleResult:
    if not case.candidates.lines:
        return case.first()
    previous = case.candidates.lines[-1]
    before = previous.scores[case.suites[0]].score
    limit = f"{before - rule.points:.1f} (at most {rule.points:.1f} below the previous kept run's {before:.1f})"
    return _against(case, previous, -rule.points, limit, significant=rule.significant)


def _against(case: Case, other: HistoryLine, margin: float, words: str, *, significant: bool) -> RuleResult:
    """Compare a score with another run's plus a margin in points; equality passes, and rounding never decides."""
    before = other.scores[case.suites[0]].score
    limit = before + margin
    passed = case.score.score >= limit - 1e-9
    figures: dict[str, object] = {
        "measured": case.score.score,
        "limit": limit,
        "baseline": other.run_id,
        "runs": 1,
        "difference": case.score.score - before,
    }
    if passed or not significant:
        relation = "is at least" if passed else "is below"
        return case.finish("pass" if passed else "fail", f"{case.words()} {relation} {words}", **figures)
    return _beyond_doubt(case, other, margin, words, figures)


def _beyond_doubt(case: Case, other: HistoryLine, margin: float, words: str, figures: dict[str, object]) -> RuleResult:
    """Fail only where the score test rejects that the difference of both runs is at least the margin."""
    record = case.records.get(other.run_id)
    greedy = case.run.greedy
    new = tallies(case.run.record, case.suites, greedy=greedy)
    base = tallies(record, case.suites, greedy=greedy) if record else None
    if new is None or base is None:
        reason = f"{case.words()} is below {words}, but {other.run_id} does not tell its counts by problem"
        return case.finish("inconclusive", reason, **figures)
    pairs = strata(new, base)
    if too_uneven(pairs):
        reason = f"{case.words()} is below {words}, but some problems have too few of the samples that others have"
        return case.finish("inconclusive", reason, **figures)
    p_value = NORMAL.cdf(score_z(pairs, margin / 100))
    low, high = score_interval(pairs)
    figures |= {
        "difference": 100 * difference(pairs),
        "interval": Interval(low=100 * low, high=100 * high, method="score"),
        "p_value": p_value,
        "level": case.level,
    }
    doubt = f"{p_words(p_value)}, alpha {case.level:g}"
    if p_value > case.level:
        return case.finish("pass", f"{case.words()} is below {words}, but not beyond doubt ({doubt})", **figures)
    return case.finish("fail", f"{case.words()} is below {words} beyond doubt ({doubt})", **figures)


@_check.register
def _(rule: Regression, case: Case) -> RuleResult:
    return regression(rule, case)


@_check.register
def _(rule: Erosion, case: Case) -> RuleResult:
    return erosion(rule, case)


@_check.register
def _(rule: Declines, case: Case) -> RuleResult:
    return declines(rule, case)


@_check.register
def _(rule: Drift, case: Case) -> RuleResult:
    return drift(rule, case)


@_check.register
def _(rule: Budget, case: Case) -> RuleResult:
    metric = metric_of(rule.metric, case.result)
    if metric is None:
        reason = f"{case.suite}: the run did not record its {rule.metric}"
        return case.finish("inconclusive", reason)
    return budget(rule, metric, case)
