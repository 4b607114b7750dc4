"""The checks of the gate: each compares one score with a limit and says in words and figures what it found."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from publisher.config import BestRatio, MaxDrop, Relative, Rule, Threshold
from publisher.schema import HistoryLine, HistoryScore, RuleResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def comparable(history: Iterable[HistoryLine], suite: str, score: HistoryScore) -> list[HistoryLine]:
    """Return the kept runs that measured the same problems with the same grader, oldest first."""
    return [
        line
        for line in history
        if line.verdict == "kept" and suite in line.scores and line.scores[suite].suite == score.suite
    ]


def check(rule: Rule, suite: str, score: HistoryScore | None, history: Sequence[HistoryLine]) -> RuleResult:
    """Return what `rule` says of a run's `score` on `suite`, given every earlier run in `history`, oldest first."""
    if score is None:
        reason = f"{suite} was not measured in this tier, so this rule has nothing to look at"
        return RuleResult(rule=name_of(rule), suite=suite, outcome="inconclusive", reason=reason)
    return _check(rule, suite, score, comparable(history, suite, score))


def name_of(rule: Rule) -> str:
    """Return the name a rule has in publisher.toml."""
    return str(rule.__struct_config__.tag)


@singledispatch
def _check(rule: Rule, suite: str, score: HistoryScore, kept: list[HistoryLine]) -> RuleResult:
    raise NotImplementedError(f"no check is written for the rule {name_of(rule)}")


@_check.register
def _(rule: Threshold, suite: str, score: HistoryScore, kept: list[HistoryLine]) -> RuleResult:  # noqa: ARG001
    return _against(rule, suite, score, rule.min, f"the threshold {rule.min:.1f}")


@_check.register
def _(rule: Relative, suite: str, score: HistoryScore, kept: list[HistoryLine]) -> RuleResult:
    if not kept:
        return _first(rule, suite, score)
    previous = kept[-1]
    before = previous.scores[suite].score
    limit = f"{before + rule.delta:.1f} (the previous kept run's {before:.1f} {rule.delta:+.1f})"
    return _against(rule, suite, score, before + rule.delta, limit, previous)


@_check.register
def _(rule: BestRatio, suite: str, score: HistoryScore, kept: list[HistoryLine]) -> RuleResult:
    if not kept:
        return _first(rule, suite, score)
    best = max(kept, key=lambda line: line.scores[suite].score)
    top = best.scores[suite].score
    limit = f"{rule.ratio * top:.1f} ({rule.ratio:.0%} of the best kept score {top:.1f})"
    return _against(rule, suite, score, rule.ratio * top, limit, best)


@_check.register
def _(rule: MaxDrop, suite: str, score: HistoryScore, kept: list[HistoryLine]) -> RuleResult:
    if not kept:
        return _first(rule, suite, score)
    previous = kept[-1]
    before = previous.scores[suite].score
    limit = f"{before - rule.points:.1f} (at most {rule.points:.1f} below the previous kept run's {before:.1f})"
    return _against(rule, suite, score, before - rule.points, limit, previous)


def _against(
    rule: Rule, suite: str, score: HistoryScore, limit: float, limit_words: str, baseline: HistoryLine | None = None
) -> RuleResult:
    """Compare a score with its lower limit; equality passes, and rounding never decides."""
    passed = score.score >= limit - 1e-9
    relation = "is at least" if passed else "is below"
    reason = f"{suite} {score.score:.1f} ± {score.stderr:.1f} {relation} {limit_words}"
    return RuleResult(
        rule=name_of(rule),
        suite=suite,
        outcome="pass" if passed else "fail",
        reason=reason,
        measured=score.score,
        limit=limit,
        baseline=baseline.run_id if baseline else "",
    )


def _first(rule: Rule, suite: str, score: HistoryScore) -> RuleResult:
    """Pass a comparison that has nothing to compare with, and say so."""
    reason = f"{suite} {score.score:.1f} ± {score.stderr:.1f}: no kept run measured these problems before"
    return RuleResult(rule=name_of(rule), suite=suite, outcome="pass", reason=reason, measured=score.score)
