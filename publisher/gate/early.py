"""Judging a run before it is complete: levels for looks, and what no further sample can change.

A run may stop early to be rejected, never to be kept: a run that was stopped has a biased score, so it may not be
published or become a baseline.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from publisher.gate.looks import information, levels
from publisher.schema import Counts, Interval
from publisher.stats import LOOKS, estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.gate.baseline import Measured, Tally
    from publisher.schema import HistoryLine, HistoryScore, Record, SuiteResult

    Sizes = tuple[tuple[tuple[int, int], int], ...]
    """How many problems have so many planned samples and so many in the baseline: (planned, baseline) to problems."""


def level_now(
    run: Measured,
    base: Mapping[str, Tally],
    *,
    samples: Mapping[str, int],
    looks: bool,
    most: int,
    alpha: float,
) -> float:
    """Return the p-value that decides at the look that a run is at; a complete run is at the last look but extensions.

    `base` are the baseline's counts by suite/problem, `samples` how many samples of each problem the tier plans, by
    suite, and `most` how many an undecided test may ask for (0: no more).
    """
    sizes = Counter((samples[problem.split("/", 1)[0]], tally.drawn) for problem, tally in base.items())
    extent = max(1.0, most / max(samples.values()))
    now = _edge(run, samples)
    return planned_level(now, tuple(sorted(sizes.items())), looks=looks, extent=extent, alpha=alpha, greedy=run.greedy)


@functools.lru_cache(maxsize=4096)
def planned_level(now: float, sizes: Sizes, *, looks: bool, extent: float, alpha: float, greedy: bool = False) -> float:
    """Return the level of a test after `now` of the planned samples; `sizes` count problems by samples and baseline.

    All looks (if there are any) and extensions, up to `extent` times the samples, are one plan: what each may spend
    follows from its share of all samples, and how they hang together from the information.
    """
    edges = [*(LOOKS if looks else ()), *(2.0**power for power in range(math.ceil(math.log2(extent)))), extent]
    plan: dict[float, float] = {}
    for edge in edges:
        found = _information(edge, sizes, greedy=greedy)
        # Looks that see nothing new are one look, and what they may spend is what the latest of them may.
        plan |= {found: edge / extent} if found > 0 else {}
    wanted = _information(now, sizes, greedy=greedy)
    known = sorted(plan)
    found_levels = levels([plan[one] for one in known], known, alpha)
    return max((level for one, level in zip(known, found_levels, strict=True) if one <= wanted + 1e-9), default=0.0)


def _edge(run: Measured, samples: Mapping[str, int]) -> float:
    """Return the share of the tier's samples that a run has: below 1 at a look, above it once it was extended."""
    early = run.record.stopped_early
    if early is not None:
        return LOOKS[min(early.look, len(LOOKS)) - 1]
    return max(run.line.scores[suite].k / k for suite, k in samples.items())


def _information(edge: float, sizes: Sizes, *, greedy: bool) -> float:
    """Return the information that a stratified test has after a share of the samples.

    Complete rounds where there are several samples per problem; else that share of the problems.
    """
    parts = []
    for (k, base), problems in sizes:
        drawn = math.floor(edge * k + 1e-9) if k > 1 or edge >= 1 else 1
        share = edge if edge < 1 and k == 1 else 1.0
        parts.append(problems * share * information([(min(1, drawn) if greedy else drawn, base)]))
    return math.fsum(parts)


def remaining(record: Record) -> int:
    """Return how many samples a run that was stopped lacks; those that could not be scored count as lacking."""
    planned = sum(part.problems * part.samples for part in record.suites)
    return planned - sum(result.counts.scored for result in record.results)


def completed(run: Measured) -> Measured:
    """Return a stopped run as it would be, complete, if every remaining sample were right: no outcome is better."""
    sizes = {part.name: part.samples for part in run.record.suites}
    results = [_completed(result, sizes[result.suite]) for result in run.record.results]
    record = msgspec.structs.replace(run.record, results=results, stopped_early=None)
    scores = {result.suite: _score(run.line, result) for result in results}
    return type(run)(msgspec.structs.replace(run.line, scores=scores), record)


def _completed(result: SuiteResult, k: int) -> SuiteResult:
    right = {
        problem: hits + max(0, k - result.scored_by_problem.get(problem, 0))
        for problem, hits in result.right_by_problem.items()
    }
    scored = {problem: max(k, result.scored_by_problem.get(problem, 0)) for problem in right}
    found = estimate(list(right.values()), list(scored.values()))
    return msgspec.structs.replace(
        result,
        right_by_problem=right,
        scored_by_problem=scored,
        score=found.score,
        stderr=found.stderr,
        stderr_sampling=found.stderr_sampling,
        interval=Interval(low=found.low, high=found.high),
        counts=Counts(right=sum(right.values()), wrong=sum(scored.values()) - sum(right.values())),
    )


def _score(line: HistoryLine, result: SuiteResult) -> HistoryScore:
    return msgspec.structs.replace(
        line.scores[result.suite],
        score=result.score,
        stderr=result.stderr,
        sampling=result.stderr_sampling,
        low=result.interval.low,
        high=result.interval.high,
    )
