"""`[gate]`: the policy, and every rule that it can name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import msgspec
from msgspec import Meta

from publisher.config.section import Points, Section, suggest


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule"):
    """One check of the gate."""

    suite: str = ""


class Threshold(Rule, frozen=True, kw_only=True, tag="threshold"):
    """The suite's score must be at least `min` points."""

    min: Points


class Relative(Rule, frozen=True, kw_only=True, tag="relative"):
    """The score must be at least the previous kept run's score plus `delta` points (negative: a tolerated drop)."""

    delta: Annotated[float, Meta(ge=-100, le=100)] = 0.0


class BestRatio(Rule, frozen=True, kw_only=True, tag="best-ratio"):
    """The score must be at least `ratio` times the best kept score."""

    ratio: Annotated[float, Meta(gt=0, le=1, description="above 0, at most 1")]


class MaxDrop(Rule, frozen=True, kw_only=True, tag="max-drop"):
    """The score may lie at most `points` below the previous kept run's."""

    points: Points


AnyRule = Threshold | Relative | BestRatio | MaxDrop


class GateConfig(Section, frozen=True, kw_only=True):
    """The policy: a headline suite and the rules, which must all pass."""

    headline: str = ""
    rules: list[AnyRule] = msgspec.field(default_factory=list)


def gate_mistakes(gate: GateConfig, suites: Collection[str]) -> list[str]:
    """Return the mistakes of the gate's section that only show beside the suites: names that point nowhere."""
    named = {"gate.headline": gate.headline}
    named |= {f"gate.rules[{number}].suite": rule.suite for number, rule in enumerate(gate.rules)}
    return [
        f"{path}: no suite is called {suite!r}{suggest(suite, suites)}"
        for path, suite in named.items()
        if suite and suite not in suites
    ]
