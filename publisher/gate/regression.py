"""Rules that compare a run with pooled earlier ones, problem by problem: `regression` and `erosion`."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from publisher.gate.baseline import Tally, mean_score, pool, since_change, strata, tallies
from publisher.gate.case import Case, Outcome, points
from publisher.gate.distributions import NORMAL
from publisher.gate.early import level_now
from publisher.gate.looks import among_kept
from publisher.gate.stratified import (
    Stratum,
    cmh,
    detectable_drop,
    difference,
    gain_p,
    loss_p,
    score_interval,
    score_z,
    too_uneven,
)
from publisher.schema import Interval
from publisher.stats import p_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.config import Erosion, Regression
    from publisher.schema import HistoryLine, RuleResult

Counts = dict[str, Tally]
BUDGET_WORDS: dict[str, Outcome] = {"keep": "pass", "reject": "fail", "inconclusive": "inconclusive"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against its pooled baseline."""

    pairs: list[Stratum]
    base: Counts
    runs: list[HistoryLine]
    """The runs that were pooled, oldest first."""
    base_score: float
    score: float
    dropped: int = 0
    """How many older runs were left out because the scores have changed since."""

    @property
    def loss(self) -> float:
        """How many points the run lost."""
        return -points(difference(self.pairs))


def compare(case: Case, m: int) -> Comparison | None:
    """Return the run beside its baseline of the last `m` runs since the last change, or None without any.

    Greedy answers have nothing to pool: the last kept generation alone is the baseline.
    """
    greedy = case.run.greedy
    new = tallies(case.run.record, case.suites, greedy=greedy)
    known = _counts(case, case.distinct[-1:] if greedy else case.distinct[-m:])
    if new is None or not known:
        return None
    start = 0 if greedy else since_change([counts for _, counts in known])
    base = pool(counts for _, counts in known[start:])
    pairs = strata(new, base)
    runs = [line for line, _ in known[start:]]
    return Comparison(pairs, base, runs, mean_score(base), mean_score(new), start) if pairs else None


def _counts(case: Case, lines: list[HistoryLine]) -> list[tuple[HistoryLine, Counts]]:
    """Return the counts of those runs whose records tell them."""
    found = [
        (line, tallies(case.records[line.run_id], case.suites, greedy=case.run.greedy))
        for line in lines
        if line.run_id in case.records
    ]
    return [(line, counts) for line, counts in found if counts]


def regression(rule: Regression, case: Case) -> RuleResult:
    """Test a run against its pooled baseline; see `config.Regression` for what each `prove` keeps."""
    found = compare(case, rule.m)
    if found is None:
        return case.first()
    if rule.prove != "gain":
        case = replace(case, level=_level(rule, case, found))
    low, high = score_interval(found.pairs)
    p_value = gain_p(found.pairs) if rule.prove == "gain" else loss_p(found.pairs)
    if rule.prove == "no-harm":
        p_value = 1 - NORMAL.cdf(score_z(found.pairs, -rule.points / 100))
    outcome, words = _decided(rule, case, found, p_value)
    if rule.prove == "no-harm" and outcome != "fail" and too_uneven(found.pairs):
        outcome, words = "inconclusive", "some problems have too few of the samples that others have"
    wants = outcome == "inconclusive" and case.score.k < rule.max_samples
    drop = points(detectable_drop(found.pairs, case.level))
    of = f"{len(found.runs)} kept run{'s' if len(found.runs) > 1 else ''}"
    if case.run.greedy:
        of = (
            f"the last kept generation (greedy: one answer per problem, exact McNemar over {len(found.pairs)} problems)"
        )
    since = f" since the last change ({found.dropped} older left out)" if found.dropped else ""
    reason = (
        f"{case.suite} {found.score:.1f} against {found.base_score:.1f} of {of}{since}: {words} "
        f"({-found.loss:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], {p_words(p_value)}, "
        f"alpha {case.level:.3g}); finds drops of {drop:.1f} points or more"
    )
    return case.finish(
        outcome,
        reason,
        measured=found.score,
        limit=found.base_score - (rule.points if rule.prove != "gain" else 0.0),
        baseline=found.runs[-1].run_id,
        runs=len(found.runs),
        difference=-found.loss,
        interval=Interval(low=100 * low, high=100 * high, method="score"),
        p_value=p_value,
        level=case.level,
        detectable=drop,
        wants_samples=wants,
        no_gain=rule.prove == "gain" and outcome == "fail" and loss_p(found.pairs) > case.level,
    )


def _level(rule: Regression, case: Case, found: Comparison) -> float:
    """Return the p-value that decides now, before or after other looks at the same run."""
    # Greedy answers do not vary, so it is no luck that a generation was kept.
    selected = rule.prove == "harm" and not case.run.greedy
    alpha = among_kept(case.level, len(found.runs)) if selected else case.level
    return level_now(
        case.run,
        found.base,
        samples={suite: case.samples[suite] for suite in case.suites},
        looks=case.looks,
        most=case.most,
        alpha=alpha,
    )


def _decided(rule: Regression, case: Case, found: Comparison, p_value: float) -> tuple[Outcome, str]:
    """Return the outcome and its words."""
    shown = p_value <= case.level
    beyond = f"a loss beyond {rule.points:g} points"
    if rule.prove == "gain" and shown:
        return "pass", "a gain is shown"
    if rule.prove == "gain":
        return "fail", "a loss is shown" if loss_p(found.pairs) <= case.level else "no gain is shown"
    if rule.prove == "no-harm" and shown:
        return "pass", f"{beyond} is ruled out"
    if rule.prove == "harm" and not shown:
        return "pass", "no loss is shown"
    if found.loss > rule.points and (rule.prove == "harm" or loss_p(found.pairs) <= case.level):
        return "fail", f"{beyond} is shown"
    words = f"a loss is shown, but not one beyond {rule.points:g} points"
    if rule.prove == "no-harm":
        words = f"{beyond} is not ruled out"
    return _undecided(rule, case, words)


def _undecided(rule: Regression, case: Case, words: str) -> tuple[Outcome, str]:
    """Return what becomes of a test that the samples do not decide: more of them, or what the budget's end says.

    At a look nothing has ended yet: the samples that are still to come may decide.
    """
    if case.run.record.stopped_early is not None or case.score.k < rule.max_samples:
        return "inconclusive", f"{words}: more samples decide"
    return BUDGET_WORDS[rule.on_budget or ("keep" if rule.prove == "harm" else "inconclusive")], words


def erosion(rule: Erosion, case: Case) -> RuleResult:
    """Test the last few runs together against the best earlier window.

    Each of up to `windows` windows of `m` runs is tested at its share of alpha, so a constant truth fails no more often
    than a single test would. Every window counts, those before a detected change too: a slide is many small changes.
    """
    greedy = case.run.greedy
    new = tallies(case.run.record, case.suites, greedy=greedy)
    known = _counts(case, case.distinct[-(rule.recent - 1 + rule.m * rule.windows) :])
    newest = known[len(known) - (rule.recent - 1) :] if rule.recent > 1 else []
    older = known[: len(known) - len(newest)]
    if new is None or not older:
        return case.first()
    recent = pool([*(counts for _, counts in newest), new])
    windows = _windows(older, rule.m)
    level = case.level / len(windows)
    pooled = [pool(counts for _, counts in window) for window in windows]
    window, base = _clearest(rule, recent, list(zip(windows, pooled, strict=True)))
    pairs = strata(recent, base)
    p_value, loss = loss_p(pairs), -points(difference(pairs))
    low, high = score_interval(pairs)
    failed = p_value <= level and loss > rule.points
    bound = _lower_bound(base, level)
    reason = (
        f"{case.suite} {mean_score(recent):.1f} over the last {len(newest) + 1} runs against {mean_score(base):.1f} "
        f"(at least {bound:.1f}) of the best of {len(windows)} earlier windows, up to {window[-1][0].run_id}: "
        f"{'it has eroded' if failed else 'no erosion is shown'} ({-loss:+.1f} points, {p_words(p_value)}, "
        f"alpha {level:.3g})"
    )
    return case.finish(
        "fail" if failed else "pass",
        reason,
        measured=mean_score(recent),
        limit=bound,
        baseline=window[-1][0].run_id,
        runs=len(window),
        difference=-loss,
        interval=Interval(low=100 * low, high=100 * high, method="score"),
        p_value=p_value,
        level=level,
        detectable=points(detectable_drop(pairs, level)),
    )


def _clearest(
    rule: Erosion, recent: Counts, windows: list[tuple[list[tuple[HistoryLine, Counts]], Counts]]
) -> tuple[list[tuple[HistoryLine, Counts]], Counts]:
    """Return the window since which a loss is clearest, with its pooled counts.

    Those since which it is beyond `points` come first: a window of many samples, whose loss is clearer but small, hides
    no other. So the rule fails where any window fails, and a better run is never rejected where a worse one is kept.
    """
    beyond = [one for one in windows if -points(difference(strata(recent, one[1]))) > rule.points]
    if beyond:
        return min(beyond, key=lambda one: loss_p(strata(recent, one[1])))
    return min(windows, key=lambda one: cmh(strata(recent, one[1])))


def _windows(known: list[tuple[HistoryLine, Counts]], m: int) -> list[list[tuple[HistoryLine, Counts]]]:
    """Return the runs in windows of `m`, counted from the newest; the oldest window holds the runs that are left."""
    first = len(known) % m if len(known) > m else len(known)
    cuts = [0, *range(first, len(known) + 1, m)] if first else list(range(0, len(known) + 1, m))
    return [known[low:high] for low, high in itertools.pairwise(cuts) if high > low]


def _lower_bound(counts: Mapping[str, Tally], level: float) -> float:
    """Return how many points the true score behind pooled counts has at least, by the spread within problems."""
    known = [tally for tally in counts.values() if tally.drawn]
    variance = math.fsum(
        tally.right * (tally.drawn - tally.right) / (tally.drawn**2 * max(1, tally.drawn - 1)) for tally in known
    )
    error = 100 * math.sqrt(variance) / len(known)
    return max(0.0, mean_score(counts) - NORMAL.inv_cdf(1 - level) * error)
