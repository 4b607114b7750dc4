"""A run beside an earlier one: paired tests, the problems that turned, and the figures beside the score.

One comparison serves the terminal, the site and the comment on a pull request.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from publisher.gate.baseline import Tally, mean_score, pool, result_of, strata, tallies
from publisher.gate.case import points
from publisher.gate.changes import changes
from publisher.gate.distributions import NORMAL
from publisher.gate.metrics import METRICS
from publisher.gate.stratified import Stratum, detectable_drop, difference, gain_p, loss_p, score_interval
from publisher.outline import slices
from publisher.schema import Comparison, Figure, Flip, Interval, Meaning, RunIdentity, SuiteComparison

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from publisher.gate.baseline import Measured
    from publisher.schema import Record, SuiteResult

    Counts = Mapping[str, Tally]
    Lengths = Mapping[str, Sequence[int]]

LEVEL = 0.05
"""A difference whose two-sided p-value is below this is called clear, and one at or above it noise."""
MOST_FLIPS = 50
"""Problems that turned, listed each way."""
_QUANTILES = (("shortest tenth", 0.1), ("median length", 0.5), ("longest tenth", 0.9))


def compare(new: Measured, base: Measured, lengths: tuple[Lengths, Lengths] | None = None) -> Comparison:
    """Return a run beside an earlier one; `lengths` are the tokens of each sample by suite: of the earlier, of this."""
    results = [result for result in new.record.results if result_of(base.record, result.suite) is not None]
    names = ({result.suite for result in one.record.results} for one in (new, base))
    before, after = lengths or ({}, {})
    return Comparison(
        run=identity(new),
        base=identity(base),
        suites=[_suite(new, base, result, before.get(result.suite), after.get(result.suite)) for result in results],
        changes=changes(new.record, base.record),
        only=sorted(set.symmetric_difference(*names)),
    )


def identity(run: Measured) -> RunIdentity:
    """Return which run something is about."""
    line, record = run.line, run.record
    return RunIdentity(
        run_id=record.run_id,
        commit=record.commit.sha,
        subject=record.commit.subject,
        tier=record.tier,
        started=record.started,
        model=record.model.name,
        quantization=record.model.quantization,
        verdict=line.verdict,
        address=line.address,
    )


def beside(
    result: SuiteResult, counts: Counts, base: Counts, *, runs: Sequence[str], base_score: float
) -> SuiteComparison:
    """Return a suite's result beside the counts of one or more earlier runs of the same problems.

    The test is the exact conditional one, stratified by problem, which is McNemar's where each problem has one sample
    on both sides. Its two-sided p-value is twice the smaller one-sided mid-p value.
    """
    pairs = strata(counts, base)
    p_value = min(1.0, 2 * min(loss_p(pairs), gain_p(pairs)))
    seen = points(difference(pairs))
    low, high = score_interval(pairs) if pairs else (-1.0, 1.0)
    turned = flips(counts, base)
    wrong, right = ([one for one in turned if sign * one.change > 0] for sign in (-1, 1))
    listed = len(wrong[:MOST_FLIPS]) + len(right[:MOST_FLIPS])
    return SuiteComparison(
        suite=result.suite,
        score=result.score,
        stderr=result.stderr,
        base_score=base_score,
        runs=list(runs),
        meaning=_meaning(seen, clear=bool(pairs) and p_value < LEVEL),
        difference=seen,
        interval=Interval(low=100 * low, high=100 * high, method="score"),
        p_value=p_value,
        test=_test_words(pairs),
        detectable=points(detectable_drop(pairs, LEVEL)),
        problems=len(pairs),
        turned_wrong=wrong[:MOST_FLIPS],
        turned_right=right[:MOST_FLIPS],
        unlisted=len(turned) - listed,
    )


def flips(new: Counts, base: Counts) -> list[Flip]:
    """Return the problems that turned, the clearest first.

    A problem turned when most of its samples were right before and are wrong now, or the other way round, or when its
    rate changed by half or more. `new` and `base` are by suite/problem, and a flip names the problem alone.
    """
    found = []
    for name in sorted(new.keys() & base.keys()):
        one, other = new[name], base[name]
        if one.drawn and other.drawn:
            flip = Flip(
                problem=name.partition("/")[2],
                right=one.right,
                drawn=one.drawn,
                base_right=other.right,
                base_drawn=other.drawn,
            )
            if _turned(flip):
                found.append(flip)
    return sorted(found, key=lambda flip: -abs(flip.change))


def _turned(flip: Flip) -> bool:
    now, before = 2 * flip.right - flip.drawn, 2 * flip.base_right - flip.base_drawn
    return now * before < 0 or abs(flip.change) >= 0.5


def _suite(
    new: Measured, base: Measured, result: SuiteResult, before: Sequence[int] | None, after: Sequence[int] | None
) -> SuiteComparison:
    """Return one suite of two runs beside each other, paired where both measured the same problems."""
    old = result_of(base.record, result.suite)
    if old is None:
        raise LookupError(result.suite)
    greedy = new.greedy and base.greedy
    counts, known = (tallies(one.record, (result.suite,), greedy=greedy) for one in (new, base))
    same = new.line.scores[result.suite].suite == base.line.scores[result.suite].suite
    if same and counts and known:
        found = beside(result, counts, known, runs=[base.record.run_id], base_score=old.score)
    else:
        found = _unpaired(result, old, base.record.run_id, same=same)
    figures = [*_figures(new.record, base.record, result, old), *_lengths(before, after)]
    public = all(part.public for one in (new, base) for part in one.record.suites if part.name == result.suite)
    return msgspec.structs.replace(
        found,
        figures=figures,
        kinds=_both(result.kinds, old.kinds),
        slices=_both(slices(result), slices(old)),
        public=public,
    )


def _unpaired(result: SuiteResult, old: SuiteResult, run_id: str, *, same: bool) -> SuiteComparison:
    """Compare two scores as independent ones: of older records that do not tell their counts, or of other problems."""
    delta, error = result.score - old.score, math.hypot(result.stderr, old.stderr)
    p_value = 2 * NORMAL.cdf(-abs(delta) / error) if error else float(delta == 0)
    spread = NORMAL.inv_cdf(0.975) * error
    return SuiteComparison(
        suite=result.suite,
        score=result.score,
        stderr=result.stderr,
        base_score=old.score,
        runs=[run_id],
        meaning=_meaning(delta, clear=p_value < LEVEL) if same else "other",
        difference=delta,
        interval=Interval(low=delta - spread, high=delta + spread, method="normal") if same else None,
        p_value=p_value if same else None,
        test="of independent scores: the records do not tell the problems' counts" if same else "",
    )


def _meaning(delta: float, *, clear: bool) -> Meaning:
    if not clear:
        return "noise"
    return "better" if delta > 0 else "worse"


def _test_words(pairs: Sequence[Stratum]) -> str:
    if all(pair.drawn == pair.base_drawn == 1 for pair in pairs):
        return f"exact McNemar test over {len(pairs)} problems"
    return f"exact test within {len(pairs)} problems"


def _both(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, tuple[float | None, float | None]]:
    """Return scores by name, before and after."""
    return {name: (before.get(name), now.get(name)) for name in sorted(now.keys() | before.keys())}


def _figures(record: Record, base: Record, result: SuiteResult, old: SuiteResult) -> list[Figure]:
    """Return every metric that a budget can be set on, and the tokens in all."""
    found = [
        Figure(
            name=name,
            unit=metric.unit,
            before=metric.read(base, old),
            after=metric.read(record, result),
            better=metric.better,
        )
        for name, metric in METRICS.items()
    ]
    return [*found, Figure(name="tokens", unit="tokens", before=old.tokens, after=result.tokens, better="lower")]


def _lengths(before: Sequence[int] | None, after: Sequence[int] | None) -> list[Figure]:
    """Return how the lengths of the answers are spread, where both sides tell them."""
    if not before or not after:
        return []
    return [
        Figure(name=name, unit="tokens", before=_quantile(before, share), after=_quantile(after, share))
        for name, share in _QUANTILES
    ]


def _quantile(values: Iterable[int], share: float) -> float:
    """Return the value below which a share of the values lies (the nearest rank)."""
    known = sorted(values)
    return float(known[min(len(known) - 1, int(share * len(known)))])


def pooled_beside(new: Measured, suite: str, parts: Sequence[tuple[str, Counts]]) -> SuiteComparison | None:
    """Return a suite beside the pooled counts of earlier runs, oldest first, given by run id; None without any."""
    result = result_of(new.record, suite)
    counts = tallies(new.record, (suite,), greedy=new.greedy)
    if result is None or not counts or not parts:
        return None
    base = pool(counts for _, counts in parts)
    return beside(result, counts, base, runs=[run_id for run_id, _ in parts], base_score=mean_score(base))
