"""A policy tried out on what is known of the problems: its false alarms, and the drops that it finds.

The rates of right answers come from the run at hand and the kept runs before it. A problem that was always right, or
never, is given a little doubt (a prior of one sample at the suite's mean), so that it may change in a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from publisher.config import Budget, Regression
from publisher.config.gate import name_of
from publisher.errors import UsageError
from publisher.gate.baseline import Measured, Tally, candidates, distinct, pool, tallies
from publisher.gate.policy import needed, planned_tests
from publisher.ledger import history
from publisher.publishing.simulate.histories import alarms, found_drops
from publisher.publishing.simulate.past import Problems
from publisher.publishing.simulate.power import Power, Setting, Share, smallest_drop
from publisher.publishing.simulate.rules import Test

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from publisher.config import Config
    from publisher.publishing.project import Project
    from publisher.schema import HistoryLine, Record

DROPS = (0.01, 0.03, 0.05, 0.10)
"""The drops whose chance to be found is told, as shares."""
COMMITS = 100
"""How many commits a simulated history has."""
SEED = 20_261_120


@dataclass(frozen=True, slots=True)
class Trial:
    """One test of the policy, a rule on a suite, tried out beside all others."""

    rule: str
    suite: str
    effect: str
    k: int
    problems: int
    false_alarms: Share | None
    """How many of a hundred innocent commits fail it; None for a rule that is not simulated."""
    powers: tuple[tuple[float, Share], ...] = ()
    """How often a drop (a share, on every suite) fails it."""
    smallest: float | None = None
    """The smallest drop that it finds with 80 % power, in points; None where none is, or for a literal rule."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A whole policy, tried out."""

    rejected: Share
    """Of a hundred innocent commits."""
    undecided: Share
    powers: tuple[Power, ...]
    """What becomes of commits that lost some points on every suite."""
    trials: tuple[Trial, ...]


def try_out(project: Project, record: Record, config: Config, *, histories: int) -> Rehearsal:
    """Return what the policy does over many simulated commits of the rates that are known."""
    run, rates = known_rates(project, record, config)
    problems = [Problems(suite, known, run.line.scores[suite].k) for suite, known in rates.items()]
    tests = tests_of(config, run.line, rates)
    innocent = alarms(problems, tests, histories=histories, commits=COMMITS, seed=SEED)
    drops = [found_drops(problems, tests, drop, trials=10 * histories, seed=SEED) for drop in DROPS]
    trials = []
    for number, test in enumerate(tests):
        own = [one for one in problems if one.name in test.suites]
        known = not isinstance(test.rule, Budget)
        trials.append(
            Trial(
                rule=name_of(test.rule),
                suite=" + ".join(test.suites),
                effect=test.rule.effect,
                k=own[0].k,
                problems=sum(len(one.rates) for one in own),
                false_alarms=innocent.failed[number] if known else None,
                powers=tuple((power.drop, failed[number]) for power, failed in drops) if known else (),
                smallest=_smallest(test, own, histories),
            )
        )
    return Rehearsal(innocent.rejected, innocent.undecided, tuple(power for power, _ in drops), tuple(trials))


def tests_of(config: Config, line: HistoryLine, rates: Mapping[str, Any]) -> list[Test]:
    """Return the policy's tests of a run, each at its share of alpha, on the suites whose rates are known."""
    samples = {name: score.k for name, score in line.scores.items()}
    return [
        Test(test.rule, test.suites, test.level, config.gate.early, test.most)
        for test in planned_tests(config, line, samples)
        if test.suites and all(suite in rates for suite in test.suites)
    ]


def _smallest(test: Test, own: list[Problems], histories: int) -> float | None:
    rule = test.rule
    if not isinstance(rule, Regression) or rule.prove != "harm" or rule.effect != "block":
        return None
    setting = Setting(k=own[0].k, alpha=test.level, points=rule.points, m=rule.m, looks=test.looks)
    rates = np.concatenate([one.rates for one in own])
    found = smallest_drop(rates, setting, trials=4 * histories, draw=np.random.default_rng(SEED))
    return None if found is None else 100 * found


def known_rates(
    project: Project, record: Record, config: Config
) -> tuple[Measured, dict[str, npt.NDArray[np.float64]]]:
    """Return the run and, by suite, the rate of right answers to each problem.

    Raises UsageError for greedy answers, which do not vary.
    """
    run = Measured(history.summarize(record), record)
    lines = [one.line for one in project.runs_before(record.run_id)]
    records = project.records(needed(run, lines, config))
    found = {}
    for suite in run.line.scores:
        known = distinct(run, candidates(run, lines, (suite,)).lines, (suite,))
        parts = [tallies(records[line.run_id], (suite,)) for line in known if line.run_id in records]
        own = tallies(record, (suite,))
        counts = pool(part for part in [*parts, own] if part)
        if counts:
            found[suite] = _smoothed(counts)
    if run.greedy:
        raise UsageError(
            "greedy answers do not vary, so there is no noise to simulate: a rejection is a change of answers",
            hint="set  [model.sampling] temperature  above 0 to have several samples per problem",
        )
    return run, found


def _smoothed(counts: Mapping[str, Tally]) -> npt.NDArray[np.float64]:
    drawn = [tally for tally in counts.values() if tally.drawn]
    mean = sum(tally.right / tally.drawn for tally in drawn) / len(drawn)
    return np.array([(tally.right + mean) / (tally.drawn + 1) for tally in drawn])


def rehearsal_lines(found: Rehearsal) -> list[str]:
    """Return a rehearsal as text, each figure with its Monte Carlo error."""
    if not found.trials:
        return ["the policy has no rule on a suite that this run measured"]
    lines = [f"of 100 innocent commits the policy rejects {_words(found.rejected)}"]
    if found.undecided.percent:
        lines[0] += f" and leaves {_words(found.undecided)} undecided"
    lines += [
        f"  a drop of {100 * one.drop:g} points: {_words(one.rejected)} % rejected, {one.samples:.0f} % of the samples "
        "taken"
        for one in found.powers
    ]
    for trial in found.trials:
        lines.append(f"{trial.rule} on {trial.suite} ({trial.effect}): {trial.problems} problems, k = {trial.k}")
        if trial.false_alarms is None:
            lines.append("  not simulated: only scores are")
            continue
        lines.append(f"  innocent commits that fail it: {_words(trial.false_alarms)} of 100")
        lines += [f"  a drop of {100 * drop:g} points fails it: {_words(share)} %" for drop, share in trial.powers]
        if trial.rule == "regression":
            best = f"{trial.smallest:.1f} points" if trial.smallest is not None else "none"
            lines.append(f"  smallest drop found with 80 % power: {best}")
    return lines


def _words(share: Share) -> str:
    return f"{share.percent:.2f} ± {share.error:.2f}"
