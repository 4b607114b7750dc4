"""Rules about many runs in a row: a fall each time, a downward trend, a slow slide."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from publisher.gate.trends import cusum, cusum_limit, mann_kendall, residuals
from publisher.stats import p_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.config import Declines, Drift
    from publisher.gate.case import Case
    from publisher.schema import HistoryScore, RuleResult


def declines(rule: Declines, case: Case) -> RuleResult:
    """Fail where the score fell `runs` times in a row or, if `significant`, where the last runs show a trend.

    Without `significant`, chance alone does it: n values in a row fall with probability 1 / (n + 1)! at every run,
    whatever the number of samples.
    """
    lines = case.distinct
    scores = [line.scores[case.suites[0]].score for line in lines] + [case.score.score]
    if rule.significant:
        return _trend(case, scores[-rule.m :])
    if len(scores) <= rule.runs:
        return case.finish("pass", f"{case.words()}: fewer than {rule.runs + 1} runs to compare", measured=scores[-1])
    last = scores[-rule.runs - 1 :]
    fell = all(later < earlier for earlier, later in itertools.pairwise(last))
    way = " → ".join(f"{score:.1f}" for score in last)
    words = f"fell {rule.runs} times in a row" if fell else f"did not fall {rule.runs} times in a row"
    return case.finish(
        "fail" if fell else "pass",
        f"{case.suite} {words}: {way}",
        measured=scores[-1],
        baseline=lines[-1].run_id,
        runs=rule.runs,
    )


def _trend(case: Case, scores: list[float]) -> RuleResult:
    """Judge the last runs by Mann-Kendall's test."""
    if len(scores) < 4:
        return case.finish("pass", f"{case.words()}: too few runs for a trend", measured=scores[-1])
    _, p_value = mann_kendall(scores)
    found = p_value <= case.level
    words = "fell steadily" if found else "shows no steady fall"
    return case.finish(
        "fail" if found else "pass",
        f"{case.suite} {words} over {len(scores)} runs (Mann-Kendall {p_words(p_value)}, alpha {case.level:g})",
        measured=scores[-1],
        runs=len(scores) - 1,
        p_value=p_value,
        level=case.level,
    )


def drift(rule: Drift, case: Case) -> RuleResult:
    """Fail where the cumulative sum of what the last runs fell short of the mean before them passes its limit."""
    scores = [line.scores[case.suites[0]] for line in case.distinct[-rule.m :]] + [case.score]
    if len(scores) < 3:
        return case.finish("pass", f"{case.words()}: too few runs for a drift", measured=case.score.score)
    sums = cusum(list(residuals([score.score for score in scores], sampling_errors(scores))))
    limit = cusum_limit(rule.alarms)
    slid = sums[-1] > limit
    words = "has slid" if slid else "has not slid"
    reason = (
        f"{case.suite} {words} over {len(scores)} runs: the CUSUM stands at {sums[-1]:.1f} standard errors, its limit "
        f"is {limit:.1f} (false alarms in one of {1 / rule.alarms:.0f} runs)"
    )
    return case.finish(
        "fail" if slid else "pass", reason, measured=sums[-1], limit=limit, unit="standard errors", runs=len(scores) - 1
    )


def sampling_errors(scores: Sequence[HistoryScore]) -> list[float]:
    """Return the standard error of each score, from the spread within problems of all of them together.

    One run of few samples tells its own error badly: where all answers happen to agree it looks like none at all. The
    variances of single samples are pooled instead, weighted by their degrees of freedom. Runs of one sample per problem
    tell only the spread between problems, which is larger. No error is below what one more right sample changes.
    """
    inner = [(score.k - 1, score.k * score.sampling**2) for score in scores if score.sampling is not None]
    parts = [part for part in inner if part[0] > 0] or [(1, score.k * score.stderr**2) for score in scores]
    single = math.fsum(weight * one for weight, one in parts) / sum(weight for weight, _ in parts)
    return [max(math.sqrt(single / score.k), 100 / (score.n * score.k)) for score in scores]
