"""What it takes to find a drop: samples per problem, pooled runs and alpha, within the time that there is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from publisher.config import Regression
from publisher.errors import UsageError
from publisher.gate.baseline import result_of
from publisher.gate.policy import shares_of_alpha, suites_of
from publisher.publishing.rehearsal import SEED, known_rates
from publisher.publishing.simulate.power import MOST_SAMPLES, Setting, smallest_drop, wanted_samples

if TYPE_CHECKING:
    from publisher.config import Config
    from publisher.publishing.project import Project
    from publisher.publishing.simulate.arrays import Floats
    from publisher.schema import HistoryLine, Record

TRIALS = 2000
"""How many commits each number of samples is tried on."""
SMALLEST = 0.01
"""The smallest drop that is looked for, in points; no suite is large enough for a smaller one."""
WINDOWS = (8, 16, 32)
"""How many runs may be pooled, where the policy's own m takes too long: more give a firmer baseline."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a drop in points, a power, false alarms per hundred commits, and minutes per run."""

    drop: float
    power: float = 0.8
    alarms: float | None = None
    """None for the policy's own alpha."""
    minutes: float | None = None
    """None for any time."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What finds the drop: samples per problem, and how long they take on this machine."""

    suite: str
    drop: float
    k: int | None
    """None where no number of samples that a tier can take is enough."""
    alpha: float
    m: int
    power: float
    minutes: float | None
    """None where the run has no speed to tell from."""
    in_time: bool = True
    possible: float | None = None
    """Where the time is too short: the smallest drop, in points, that is found within it."""


def suggest(project: Project, record: Record, config: Config, wish: Wish) -> list[Suggestion]:
    """Return what finds the wanted drop with the wanted power, suite by suite.

    Raises UsageError where the wish cannot be understood, or answers are greedy.
    """
    if not SMALLEST <= wish.drop <= 100:
        raise UsageError(
            f"a drop of {wish.drop:g} points cannot be looked for, only one from {SMALLEST:g} to 100",
            hint="--suggest 5",
        )
    run, rates = known_rates(project, record, config)
    found = []
    for suite, known in rates.items():
        setting = setting_of(config, run.line, suite, wish)
        sample = _minutes(run.record, suite, len(known))
        found.append(suggested(suite, known, setting, wish, sample))
    return found


def suggested(suite: str, rates: Floats, setting: Setting, wish: Wish, round_: float | None) -> Suggestion:
    """Return what finds the drop with the fewest pooled runs that fit the time; `round_` is what one round takes."""
    most = MOST_SAMPLES if wish.minutes is None or not round_ else max(1, int(wish.minutes / round_))
    windows = [setting.m, *(m for m in WINDOWS if m > setting.m)] if wish.minutes is not None else [setting.m]
    first: int | None = None
    for m in windows:
        own = replace(setting, m=m)
        draw = np.random.default_rng(SEED)
        k = wanted_samples(rates, own, wish.drop / 100, wanted=wish.power, trials=TRIALS, draw=draw)
        first = first or k
        if k is not None and k <= most:
            minutes = k * round_ if round_ else None
            return Suggestion(suite, wish.drop, k, setting.alpha, m, wish.power, minutes)
        if k is not None and k > 1.5 * most:
            break  # Even an endless baseline takes at most a factor 1 + 1/m off.
    minutes = first * round_ if first and round_ else None
    within = wish.minutes is None
    own = replace(setting, k=min(most, MOST_SAMPLES), points=0.0)
    draw = np.random.default_rng(SEED)
    possible = None if within else smallest_drop(rates, own, wanted=wish.power, trials=TRIALS, draw=draw)
    return Suggestion(
        suite=suite,
        drop=wish.drop,
        k=first,
        alpha=setting.alpha,
        m=setting.m,
        power=wish.power,
        minutes=minutes,
        in_time=within,
        possible=None if possible is None else 100 * possible,
    )


def setting_of(config: Config, line: HistoryLine, suite: str, wish: Wish) -> Setting:
    """Return how the policy tests one suite: at the level that it leaves to this test, beside its other ones.

    A suite that no blocking regression rule looks at is taken as tested alone, by a rule as it comes. A drop that lies
    within the rule's `points` is never rejected as such, so half of it stands in for them. Other false alarms than the
    policy's change every test's level in proportion.
    """
    rule, level = Regression(), config.gate.alpha
    for one, share in zip(config.gate.rules, shares_of_alpha(config, line), strict=True):
        if isinstance(one, Regression) and one.effect == "block" and (suite,) in suites_of(one, line, config):
            rule, level = one, share
            break
    if wish.alarms is not None:
        level *= wish.alarms / 100 / config.gate.alpha
    if not 0 < level < 0.5:
        raise UsageError(f"{wish.alarms:g} false alarms per hundred commits leave no test", hint="--alarms 1")
    return Setting(k=1, alpha=level, points=rule.points if rule.points < wish.drop else wish.drop / 2, m=rule.m)


def _minutes(record: Record, suite: str, samples: int) -> float | None:
    """Return how long so many samples take at the speed of a run, None where it has none."""
    result = result_of(record, suite)
    if result is None or not result.counts.scored or not result.tokens_per_second:
        return None
    return samples * result.tokens / result.counts.scored / result.tokens_per_second / 60


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
            f"{one.suite}: samples = {one.k} finds a drop of {one.drop:g} points in {100 * one.power:g} of 100 commits "
            f"(alpha = {one.alpha:g}, m = {one.m}){time}"
        )
        if not one.in_time:
            best = f"drops of {one.possible:.1f} points or more" if one.possible is not None else "no drop at all"
            lines.append(f"{one.suite}: that takes longer than the time allows, which finds {best}")
    return lines
