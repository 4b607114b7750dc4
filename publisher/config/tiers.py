"""`[tiers]`: named selections of suites, from the cheapest up, each with its own samples, rules, alpha and minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta

from publisher.config.gate import EVERY, Alpha, AnyRule, GateConfig, Regression, own_alpha, spends_alpha
from publisher.config.section import Count, Section

AUTO = "auto"
"""Stands for all tiers up to the one that publishes; no tier may be called so."""


class TierSuite(Section, frozen=True, kw_only=True):
    """What a tier measures differently from what the suite says."""

    samples: Count | None = None
    """Answers to each problem; without it the suite's own number."""


class TierConfig(Section, frozen=True, kw_only=True):
    """A named selection of suites."""

    suites: dict[str, TierSuite] | list[str]
    """Names of suites, or a table of them: `{ aime25 = { samples = 2 } }`."""
    publish: bool = False
    """Whether a kept run of this tier becomes a snapshot; a run of another tier passes, and nothing more."""
    rules: list[AnyRule] | None = None
    """The tier's own policy. Without it the rules of `[gate]` that look at suites of this tier count."""
    alpha: Alpha | None = None
    """The part of `gate.alpha` that this tier's tests may spend; the other tiers share the rest equally."""
    minutes: Annotated[float, Meta(gt=0, le=100_000, description="minutes, above 0")] | None = None
    """How long a run of this tier may take: forecast before it starts, and enforced while it runs."""
    over: Literal["refuse", "trim"] = "refuse"
    """What a forecast beyond `minutes` does: end the command, or take fewer samples per problem."""


def rules_of(section: TierConfig, suites: Mapping[str, int], gate: GateConfig, headline: str) -> list[AnyRule]:
    """Return the rules that a tier's runs are checked by: its own, or those of the gate.

    A tier that publishes nothing skips the gate's rules on suites that it does not measure, because the tier that
    publishes has them. A tier that publishes skips none.
    """
    if section.rules is not None:
        return section.rules
    if section.publish:
        return gate.rules
    return [rule for rule in gate.rules if _looks_at(rule, headline) in {EVERY, *suites}]


def _looks_at(rule: AnyRule, headline: str) -> str:
    return EVERY if isinstance(rule, Regression) and rule.pooled else rule.suite or headline


def alphas(tiers: Mapping[str, TierConfig], rules: Mapping[str, list[AnyRule]], alpha: float) -> dict[str, float]:
    """Return the alpha of each tier's tests; together they spend that of the commit, whichever tiers are measured.

    What a tier names is its own; those that have tests share the rest equally. Source: Bonferroni.
    """
    named = {name: tier.alpha for name, tier in tiers.items() if tier.alpha is not None}
    sharing = [name for name in tiers if name not in named and any(map(spends_alpha, rules[name]))]
    rest = max(0.0, alpha - sum(named.values())) / max(1, len(sharing))
    return {name: named.get(name, rest if name in sharing else alpha) for name in tiers}


def ascending(samples: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the tiers of {tier: {suite: samples per problem}} from the cheapest up.

    They keep their order in the file, but one whose samples another one takes as well comes before that one.
    """
    order: list[str] = []
    for name, own in samples.items():
        larger = (place for place, other in enumerate(order) if _is_part(own, samples[other]))
        order.insert(next(larger, len(order)), name)
    return order


def _is_part(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Return whether a tier takes fewer samples than another, and none that the other does not take."""
    return one != other and all(other.get(suite, 0) >= samples for suite, samples in one.items())


def tier_mistakes(
    tiers: Mapping[str, TierConfig],
    samples: Mapping[str, Mapping[str, int]],
    gate: GateConfig,
    headline: str,
) -> Iterator[str]:
    """Yield what is contradictory in tiers whose suites all exist, `samples` of each of which are taken per problem."""
    if tiers and not any(tier.publish for tier in tiers.values()):
        last = ascending(samples)[-1]
        yield f"tiers: none has publish = true, so nothing is ever published; add it to [tiers.{last}]"
    if AUTO in tiers:
        yield f"tiers.{AUTO}: the name stands for all tiers (--tier {AUTO}), so none can have it"
    for name, tier in tiers.items():
        if tier.over == "trim" and tier.minutes is None:
            yield f"tiers.{name}.over: there are no minutes that a forecast could be beyond"
        rules = rules_of(tier, samples[name], gate, headline)
        yield from _rules_on_nothing(name, tier, rules, samples[name], headline)
    yield from _alpha_mistakes(tiers, samples, gate, headline)


def _rules_on_nothing(
    name: str, tier: TierConfig, rules: Iterable[AnyRule], suites: Mapping[str, int], headline: str
) -> Iterator[str]:
    """Yield a mistake for each rule that would never pass, because it looks at a suite that the tier leaves out."""
    for number, rule in enumerate(rules):
        own = tier.rules is not None
        # In a tier's own rules no suite means the headline or, where the tier leaves that out, its first suite.
        suite = _looks_at(rule, headline if headline in suites or not own else next(iter(suites)))
        if rule.effect == "block" and suite not in {EVERY, *suites}:
            where = f"tiers.{name}.rules[{number}]" if own else f"tiers.{name}.suites: gate.rules[{number}]"
            yield f"{where} looks at {suite!r}, which this tier does not measure, so no run would ever be kept"


def _alpha_mistakes(
    tiers: Mapping[str, TierConfig], samples: Mapping[str, Mapping[str, int]], gate: GateConfig, headline: str
) -> Iterator[str]:
    """Yield the tiers' contradictions about the alpha that one commit may spend."""
    rules = {name: rules_of(tier, samples[name], gate, headline) for name, tier in tiers.items()}
    named = sum(tier.alpha or 0.0 for tier in tiers.values())
    found = alphas(tiers, rules, gate.alpha)
    if named > gate.alpha + 1e-12:
        yield f"gate.alpha: the tiers name {named:g} for themselves, and one commit may spend {gate.alpha:g}"
        return
    for name, level in found.items():
        own = sum(own_alpha(rule) or 0.0 for rule in rules[name] if spends_alpha(rule))
        sharing = any(spends_alpha(rule) and own_alpha(rule) is None for rule in rules[name])
        if own > level + 1e-12 or (sharing and own > level - 1e-12):
            what = "which leaves nothing for its other tests" if sharing and own else "more than it may spend"
            yield (
                f"tiers.{name}: its rules name an alpha of {own:g} for themselves, {what} "
                f"({level:g} of gate.alpha = {gate.alpha:g}; tiers.{name}.alpha says how much)"
            )
