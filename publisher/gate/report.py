"""The report of a verdict: each suite beside its baseline, what changed, and what the gate could not have seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.config import Regression
from publisher.gate.baseline import Measured, candidates, distinct, since_change, tallies
from publisher.gate.compare import compare, identity, pooled_beside
from publisher.gate.policy import suites_of
from publisher.schema import Blind, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from publisher.config import Config
    from publisher.gate.compare import Lengths
    from publisher.schema import Comparison, HistoryLine, Record, SuiteComparison, Verdict

MOST_TREND = 30
"""Runs that the trend of a report shows before the run itself."""


def report(
    run: Measured,
    history: Sequence[HistoryLine],
    config: Config,
    verdict: Verdict,
    *,
    records: Mapping[str, Record],
    lengths: Callable[[str], Lengths] = lambda _: {},
) -> Report:
    """Return the report of a verdict, given every earlier run, oldest first, and the records that `wanted` names.

    `lengths` returns the tokens of each sample of a run by suite; nothing for a run whose samples cannot be read.
    """
    own = run.record
    compared: list[Comparison | None] = []
    for line in references(run, history, verdict.headline):
        if line is None or line.run_id not in records:
            compared.append(None)
            continue
        base = Measured(line, records[line.run_id])
        compared.append(compare(run, base, (lengths(line.run_id), lengths(own.run_id))))
    suites = [result.suite for result in own.results if result.suite in run.line.scores]
    found = [_beside_baseline(run, history, config, records, suite) for suite in suites]
    return Report(
        run=identity(run),
        verdict=verdict,
        scores=run.line.scores,
        trend=_trend(run, history, verdict.headline),
        baseline=[one for one in found if one is not None],
        blind=blind(verdict, suites),
        samples=sum(result.counts.scored for result in own.results),
        planned=sum(part.problems * part.samples for part in own.suites),
        reused=sum(own.reused.values()),
        stopped_early=own.stopped_early,
        previous=compared[0],
        best=compared[1],
    )


def _trend(run: Measured, history: Sequence[HistoryLine], headline: str) -> list[float]:
    """Return the headline's score of the last kept runs of the tier on the same problems, and then this run's."""
    own = run.line.scores.get(headline)
    if own is None:
        return []
    kept = [line for line in history if _is_kept(line, run)]
    scores = [line.scores[headline] for line in kept if headline in line.scores]
    return [*[one.score for one in scores if one.suite == own.suite][-MOST_TREND:], own.score]


def wanted(run: Measured, history: Sequence[HistoryLine], config: Config) -> list[str]:
    """Return the ids of the runs whose records a report reads: the baselines, and those that stand beside the run."""
    found = [line for line in references(run, history, config.headline) if line is not None]
    for suite in run.line.scores:
        found += _baseline(run, history, config, suite)
    return list(dict.fromkeys(line.run_id for line in found))


def references(
    run: Measured, history: Sequence[HistoryLine], headline: str
) -> tuple[HistoryLine | None, HistoryLine | None]:
    """Return the newest kept run of the same tier, and the best one on the same problems where that is another.

    Runs whose pages were taken down stay out of sight.
    """
    kept = [line for line in history if _is_kept(line, run)]
    own = run.line.scores.get(headline)
    same = [line for line in kept if own and headline in line.scores and line.scores[headline].suite == own.suite]
    best = max(same, key=lambda line: line.scores[headline].score, default=None)
    previous = kept[-1] if kept else None
    return previous, None if best is previous else best


def _is_kept(line: HistoryLine, run: Measured) -> bool:
    """Return whether a line is of another run of the tier that was kept and may be shown."""
    other = line.tier == run.line.tier and line.run_id != run.line.run_id
    return line.verdict == "kept" and other and not line.stopped_early and not line.taken_down


def blind(verdict: Verdict, suites: Sequence[str]) -> list[Blind]:
    """Return what the gate could not have seen: the smallest drop that its rules find on each suite."""
    found = []
    for suite in suites:
        rules = [rule for rule in verdict.rules if suite in rule.suite.split(" + ") and rule.effect == "block"]
        drops = [rule.detectable for rule in rules if rule.detectable is not None]
        found.append(Blind(suite=suite, detectable=min(drops, default=None)))
    return found


def _baseline(run: Measured, history: Sequence[HistoryLine], config: Config, suite: str) -> list[HistoryLine]:
    """Return the runs that a suite is pooled from: as many as the rules pool, or the last one where none does."""
    rules = [
        rule
        for rule in config.gate.rules
        if isinstance(rule, Regression) and any(suite in group for group in suites_of(rule, run.line, config))
    ]
    most = 1 if run.greedy else max((rule.m for rule in rules), default=1)
    found = candidates(run, history, (suite,)).lines
    return distinct(run, found, (suite,))[-most:]


def _beside_baseline(
    run: Measured, history: Sequence[HistoryLine], config: Config, records: Mapping[str, Record], suite: str
) -> SuiteComparison | None:
    """Return a suite beside its baseline since the last change; None where nothing can be compared with."""
    parts = []
    for line in _baseline(run, history, config, suite):
        counts = tallies(records[line.run_id], (suite,), greedy=run.greedy) if line.run_id in records else None
        parts += [(line.run_id, counts)] if counts else []
    start = 0 if run.greedy or not parts else since_change([counts for _, counts in parts])
    return pooled_beside(run, suite, parts[start:])
