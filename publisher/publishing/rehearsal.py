"""A policy tried out on what is known of the problems: its false alarms, its power, and what would do better.

The rates of right answers come from the run at hand and the kept runs before it. A problem that was always right, or
never, is given a little doubt (a prior of one sample at the suite's mean), so that it may change in a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from publisher.config import Regression
from publisher.config.gate import name_of
from publisher.errors import UsageError
from publisher.gate.baseline import Measured, Tally, candidates, distinct, pool, result_of, tallies
from publisher.gate.policy import needed, shares_of_alpha, suites_of
from publisher.ledger import history
from publisher.publishing.simulate import (
    Power,
    Setting,
    Share,
    false_alarms,
    literal_alarms,
    power,
    smallest_drop,
    wanted_samples,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from publisher.config import AnyRule, Config
    from publisher.publishing.project import Project
    from publisher.schema import HistoryLine, Record

DROPS = (0.01, 0.03, 0.05, 0.10)
"""The drops whose chance to be found is told, as shares."""
COMMITS = 100
"""How many commits a simulated history has."""
TRIALS = 2000
"""How many commits each number of samples is tried on."""
SEED = 20_261_120
SMALLEST = 0.01
"""The smallest drop that is looked for, in points; no suite is large enough for a smaller one."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule of the policy on one suite, tried out."""

    rule: str
    suite: str
    k: int
    problems: int
    false_alarms: Share | None
    """Per hundred innocent commits; None for a rule that is not simulated."""
    powers: tuple[Power, ...] = ()
    smallest: float | None = None
    """The smallest drop that is found with 80 % power, in points; None where none is, or for a literal rule."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What finds a wanted drop with 80 % power: samples per problem, and how long they take on this machine."""

    suite: str
    drop: float
    k: int | None
    """None where no number of samples that a tier can take is enough."""
    alpha: float
    m: int
    minutes: float | None


def try_out(project: Project, record: Record, config: Config, *, histories: int) -> list[Trial]:
    """Return what each blocking rule does over many simulated commits of the rates that are known."""
    run, rates = _rates(project, record, config)
    levels = shares_of_alpha(config, run.line)
    trials = []
    for number, rule in enumerate(config.gate.rules):
        for suites in suites_of(rule, run.line, config):
            known = [rates[suite] for suite in suites if suite in rates]
            if rule.effect == "block" and len(known) == len(suites):
                k = run.line.scores[suites[0]].k
                trials.append(
                    _trial(rule, " + ".join(suites), np.concatenate(known), k, levels[number], config, histories)
                )
    return trials


def _trial(
    rule: AnyRule, suite: str, rates: npt.NDArray[np.float64], k: int, level: float, config: Config, histories: int
) -> Trial:
    draw = np.random.default_rng(SEED)
    if not isinstance(rule, Regression) or rule.prove != "harm":
        found = literal_alarms(rates, rule, k, histories=histories, commits=COMMITS, draw=draw)
        return Trial(name_of(rule), suite, k, len(rates), found)
    looks = config.gate.early
    setting = Setting(k=k, alpha=level, points=rule.points, m=rule.m, looks=looks)
    return Trial(
        rule=name_of(rule),
        suite=suite,
        k=k,
        problems=len(rates),
        false_alarms=false_alarms(rates, setting, histories=histories, commits=COMMITS, draw=draw),
        powers=tuple(power(rates, setting, drop, trials=10 * histories, draw=draw) for drop in DROPS),
        smallest=_points(smallest_drop(rates, setting, trials=4 * histories, draw=draw)),
    )


def suggest(project: Project, record: Record, config: Config, *, drop: float) -> list[Suggestion]:
    """Return how many samples per problem find a drop of so many points with 80 % power, suite by suite."""
    if not SMALLEST <= drop <= 100:
        raise UsageError(
            f"a drop of {drop:g} points cannot be looked for, only one from {SMALLEST:g} to 100", hint="--suggest 5"
        )
    run, rates = _rates(project, record, config)
    found = []
    for suite, known in rates.items():
        draw = np.random.default_rng(SEED)
        setting = setting_of(config, run.line, suite, drop=drop)
        k = wanted_samples(known, setting, drop / 100, trials=TRIALS, draw=draw)
        minutes = _minutes(run.record, suite, k * len(known)) if k else None
        found.append(Suggestion(suite, drop, k, setting.alpha, setting.m, minutes))
    return found


def setting_of(config: Config, line: HistoryLine, suite: str, *, drop: float) -> Setting:
    """Return how the policy tests one suite: at the level that it leaves to this test, beside its other ones.

    A suite that no blocking regression rule looks at is taken as tested alone, by a rule as it comes. A drop that lies
    within the rule's `points` is never rejected as such, so half of it stands in for them.
    """
    rule, level = Regression(), config.gate.alpha
    for one, share in zip(config.gate.rules, shares_of_alpha(config, line), strict=True):
        if isinstance(one, Regression) and one.effect == "block" and (suite,) in suites_of(one, line, config):
            rule, level = one, share
            break
    return Setting(k=1, alpha=level, points=rule.points if rule.points < drop else drop / 2, m=rule.m)


def _minutes(record: Record, suite: str, samples: int) -> float | None:
    """Return how long so many samples take at the speed of a run, None where it has none."""
    result = result_of(record, suite)
    if result is None or not result.counts.scored or not result.tokens_per_second:
        return None
    return samples * result.tokens / result.counts.scored / result.tokens_per_second / 60


def _rates(project: Project, record: Record, config: Config) -> tuple[Measured, dict[str, npt.NDArray[np.float64]]]:
    """Return the run and, by suite, the rate of right answers to each problem."""
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


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def trial_lines(trials: list[Trial]) -> list[str]:
    """Return the trials as text, each figure with its Monte Carlo error."""
    lines = []
    for trial in trials:
        lines.append(f"{trial.rule} on {trial.suite}: {trial.problems} problems, k = {trial.k}")
        if trial.false_alarms is None:
            lines.append("  not simulated: it is no rule on one score against a limit or a baseline")
            continue
        lines.append(f"  innocent commits rejected: {_words(trial.false_alarms)} of 100")
        lines += [
            f"  a drop of {100 * found.drop:g} points: {_words(found.rejected)} % rejected, "
            f"{found.samples:.0f} % of the samples taken"
            for found in trial.powers
        ]
        if trial.powers:
            best = f"{trial.smallest:.1f} points" if trial.smallest is not None else "none"
            lines.append(f"  smallest drop found with 80 % power: {best}")
    return lines or ["the policy has no blocking rule on a suite that this run measured"]


def suggestion_lines(found: list[Suggestion]) -> list[str]:
    """Return the suggestions as text."""
    lines = []
    for one in found:
        if one.k is None:
            lines.append(
                f"{one.suite}: no number of samples finds a drop of {one.drop:g} points: it has too few problems"
            )
            continue
        time = "" if one.minutes is None else f"; about {one.minutes:.1f} minutes per run on this machine"
        lines.append(
            f"{one.suite}: samples = {one.k} finds a drop of {one.drop:g} points in four commits of five "
            f"(alpha = {one.alpha:g}, m = {one.m}){time}"
        )
    return lines


def as_values(found: list[Trial] | list[Suggestion]) -> Any:
    """Return trials or suggestions as plain values for `--json`."""
    return msgspec.to_builtins(found)


def _words(share: Share) -> str:
    return f"{share.percent:.2f} ± {share.error:.2f}"
