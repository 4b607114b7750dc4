"""More samples for a run that the gate cannot decide: twice as many each time, up to what the policy allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher.config import Regression, TierConfig, TierSuite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.config import Config
    from publisher.schema import Record, Verdict


def extension(verdict: Verdict, record: Record, config: Config) -> dict[str, int]:
    """Return the samples per problem of each suite that are to be measured next; empty where none are wanted.

    Every extension is part of the plan that the test's alpha is spent by, so asking again costs no false alarm.
    """
    most = _most(config)
    wanting = {result.suite for result in verdict.rules if result.wants_samples and result.effect == "block"}
    if verdict.verdict != "inconclusive" or not wanting or record.stopped_early is not None:
        return {}
    # A pooled test names no single suite: all of them get more.
    pooled = not wanting <= {part.name for part in record.suites}
    wanted = {
        part.name: min(most, 2 * part.samples) if pooled or part.name in wanting else part.samples
        for part in record.suites
    }
    grows = any(wanted[part.name] > part.samples for part in record.suites)
    return wanted if grows else {}


def extended(config: Config, tier: str, samples: dict[str, int]) -> Config:
    """Return a configuration whose tier takes so many samples per problem of each suite."""
    section = config.tiers.get(tier, TierConfig(suites=list(samples)))
    suites = {suite: TierSuite(samples=k) for suite, k in samples.items()}
    return msgspec.structs.replace(config, tiers=config.tiers | {tier: msgspec.structs.replace(section, suites=suites)})


def as_measured(config: Config, tier: str, record: Record) -> Config:
    """Return a configuration with a run's samples per problem, where the policy allows so many; else `config`.

    Extensions double the samples: a number between would be one that somebody picked after the answers.
    """
    wanted, took = config.tier(tier), {part.name: part.samples for part in record.suites}
    trims = tier in config.tiers and config.tiers[tier].over == "trim"
    allowed = wanted.keys() == took.keys() and all(
        (1 <= k <= max(wanted[n], _most(config)) if trims else k in _steps(wanted[n], _most(config)))
        for n, k in took.items()
    )
    return extended(config, tier, took) if allowed and took != wanted else config


def _steps(first: int, most: int) -> set[int]:
    """Return how many samples per problem a run can have that begins with `first`."""
    found = {first}
    while first < most:
        first = min(most, 2 * first)
        found.add(first)
    return found


def _most(config: Config) -> int:
    """Return the samples per problem that extensions may reach, or 0 where there are none."""
    return max((rule.max_samples for rule in config.gate.rules if isinstance(rule, Regression)), default=0)


def has(record: Record, samples: Mapping[str, int]) -> bool:
    """Return whether a record has so many samples per problem."""
    return all(part.samples >= samples.get(part.name, 0) for part in record.suites)
