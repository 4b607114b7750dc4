"""The whole of `publisher.toml`: from its bytes to a `Config`, or to every mistake in it at once."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any

import msgspec

from publisher.config.bench import EngineConfig, ModelConfig, PromptConfig, SuiteConfig, engine_mistakes
from publisher.config.canary import CanaryConfig, canary_mistakes
from publisher.config.check import MOST, check, control_characters
from publisher.config.gate import GateConfig, gate_mistakes, rule_mistakes
from publisher.config.metrics import MetricConfig, PricesConfig, metric_mistakes, rules_on_metrics
from publisher.config.prompts import prompt_mistakes, template_mistakes
from publisher.config.publishing import (
    BranchConfig,
    LedgerConfig,
    NetlifyConfig,
    Pattern,
    SiteConfig,
    ledger_mistakes,
)
from publisher.config.reading import mistaken, read
from publisher.config.registered import expanded
from publisher.config.section import Section, short, suggest
from publisher.config.sources import source_mistakes
from publisher.config.tiers import AUTO, TierConfig, TierSuite, alphas, ascending, rules_of, tier_mistakes
from publisher.config.unfit import names_and_texts
from publisher.errors import ConfigError

FILE = "publisher.toml"
MOST_RULES = 100


class Config(Section, frozen=True, kw_only=True):
    """All of publisher.toml."""

    model: ModelConfig
    prompt: PromptConfig = PromptConfig()
    suites: dict[str, SuiteConfig]
    """What is measured, by name; at least one."""
    tiers: dict[str, TierConfig] = msgspec.field(default_factory=dict)
    """By name; without any, `full` measures every suite and publishes."""
    metrics: dict[str, MetricConfig] = msgspec.field(default_factory=dict)
    """Metrics of your own, by name."""
    prices: PricesConfig | None = None
    """What the machine costs, for metrics of cost."""
    gate: GateConfig = GateConfig()
    engine: EngineConfig = EngineConfig()
    ledger: LedgerConfig = LedgerConfig()
    netlify: NetlifyConfig = NetlifyConfig()
    site: SiteConfig = SiteConfig()
    canary: CanaryConfig = CanaryConfig()
    branches: dict[Pattern, BranchConfig] = msgspec.field(default_factory=dict)
    """By pattern, such as `release/*`; the first that fits counts."""

    @property
    def headline(self) -> str:
        """The suite whose score stands for a run: the one named by the gate, or the first."""
        return self.gate.headline or next(iter(self.suites))

    @property
    def publishing_tier(self) -> str:
        """The tier that is measured before publishing: the first with `publish = true`, or the last, or `full`."""
        return next((name for name, tier in self.tiers.items() if tier.publish), next(reversed(self.tiers), "full"))

    @property
    def cascade(self) -> list[str]:
        """The tiers that a commit goes through, from the cheapest up to the first with `publish = true`."""
        order = ascending({name: self.tier(name) for name in self.tiers}) or ["full"]
        return order[: 1 + next((place for place, name in enumerate(order) if self.publishes(name)), len(order))]

    def branch(self, name: str) -> BranchConfig:
        """Return what becomes of commits on a branch; without a pattern that fits, nothing special."""
        fitting = (section for pattern, section in self.branches.items() if fnmatch.fnmatchcase(name, pattern))
        return next(fitting, BranchConfig())

    def publishes(self, name: str) -> bool:
        """Return whether a kept run of a tier becomes a snapshot; without any tiers, `full` does."""
        return self.tiers[name].publish if name in self.tiers else not self.tiers

    def of_tier(self, name: str) -> Config:
        """Return this configuration as it is for the runs of one tier, whose rules and alpha are then the gate's.

        A tier that is not declared has those of `[gate]`. Of the result, this returns the same again.
        """
        if name not in self.tiers:
            return self
        measured = {tier: self.tier(tier) for tier in self.tiers}
        rules = {
            tier: rules_of(section, measured[tier], self.gate, self.headline) for tier, section in self.tiers.items()
        }
        own = self.tiers[name]
        leads = self.headline in measured[name] or (own.publish and own.rules is None)
        gate = msgspec.structs.replace(
            self.gate,
            rules=rules[name],
            alpha=alphas(self.tiers, rules, self.gate.alpha)[name],
            headline=self.gate.headline if leads else next(iter(measured[name])),
        )
        alone = {name: msgspec.structs.replace(own, rules=None, alpha=None)}
        return msgspec.structs.replace(self, gate=gate, tiers=alone)

    def tier(self, name: str) -> dict[str, int]:
        """Return {suite: samples a problem} of the tier `name`; ConfigError when it is not declared."""
        if not self.tiers and name == "full":
            return {suite: section.samples for suite, section in self.suites.items()}
        if name not in self.tiers:
            raise ConfigError(
                f"{FILE} has no tier {name!r}{suggest(name, self.tiers)}", hint=f"--tier {self.publishing_tier}"
            )
        chosen = self.tiers[name].suites
        wanted = dict.fromkeys(chosen, TierSuite()) if isinstance(chosen, list) else chosen
        return {suite: part.samples or self.suites[suite].samples for suite, part in wanted.items()}


def parse(data: bytes, where: str = FILE, *, graders: Callable[[str], str] | None = None) -> Config:
    """Return the configuration in `data`; ConfigError lists every mistake, each with its place and a suggestion.

    `graders` returns what is wrong with a grader's name. Without it neither names nor control characters in texts are
    checked, because a page may show an older run, and its grader need not be installed where the page is rendered.
    """
    raw, mistakes = expanded(read(data, where))
    check(Config, raw, "", mistakes)
    if graders:
        mistakes += _unknown_graders(raw.get("suites"), graders)
        mistakes += control_characters(raw)
    if mistakes:
        raise mistaken(where, mistakes + names_and_texts(raw))
    config = msgspec.convert(raw, Config, strict=True)
    mistakes = _mistakes_between(config)
    if mistakes:
        raise mistaken(where, mistakes)
    return config


def parse_site(data: bytes, where: str = FILE) -> SiteConfig:
    """Return `[site]` of the configuration in `data`, whatever else is in it; ConfigError lists its mistakes.

    A page may be rendered by a later version, which need not know every other option of that time.
    """
    section, mistakes = read(data, where).get("site", {}), list[str]()
    check(SiteConfig, section, "site", mistakes)
    if mistakes:
        raise mistaken(where, mistakes)
    return msgspec.convert(section, SiteConfig, strict=True)


def _unknown_graders(suites: Any, mistake_in: Callable[[str], str]) -> list[str]:
    """Return a mistake for each suite whose grader is not known, or has options that it does not take."""
    sections = suites if isinstance(suites, dict) else {}
    wanted = {name: section.get("grader") for name, section in sections.items() if isinstance(section, dict)}
    return [
        f"suites.{name}.grader: {why}"
        for name, grader in wanted.items()
        if isinstance(grader, str) and (why := mistake_in(grader))
    ]


def _most_samples(config: Config) -> dict[str, int]:
    """Return the largest number of samples per problem that any tier takes of each suite."""
    most = dict.fromkeys(config.suites, 0)
    for name, tier in config.tiers.items():
        if all(suite in most for suite in tier.suites):
            most |= {suite: max(most[suite], samples) for suite, samples in config.tier(name).items()}
    return {name: most[name] or section.samples for name, section in config.suites.items()}


def _mistakes_between(config: Config) -> list[str]:
    """Return the mistakes that only show between sections: names that point nowhere, digests that are missing."""
    if not config.suites:
        return ["suites: at least one suite is needed"]
    if len(config.gate.rules) > MOST_RULES:
        return [f"gate.rules: more than {MOST_RULES} rules"]
    known = config.suites
    mistakes = gate_mistakes(config.gate, _most_samples(config), greedy=config.model.sampling.temperature == 0)
    named = {"gate.rules": config.gate.rules} | {
        f"tiers.{name}.rules": tier.rules or [] for name, tier in config.tiers.items()
    }
    for place, rules in named.items():
        mistakes += rules_on_metrics(place, rules[:MOST_RULES], config.metrics, known, config.headline)
    mistakes += metric_mistakes(config.metrics, known)
    mistakes += ledger_mistakes(config.ledger)
    mistakes += canary_mistakes(config.canary)
    mistakes += engine_mistakes(config.engine)
    mistakes += _mistakes_of_branches(config)
    for name, tier in config.tiers.items():
        unknown = [suite for suite in tier.suites if suite not in known][:MOST]
        mistakes += [
            f"tiers.{name}.suites: no suite is called {short(suite)}{suggest(suite, known)}" for suite in unknown
        ]
        if not tier.suites:
            mistakes.append(f"tiers.{name}.suites: at least one suite is needed")
        if len(mistakes) >= MOST:
            break
    if all(tier.suites and all(suite in known for suite in tier.suites) for tier in config.tiers.values()):
        mistakes += _mistakes_of_tiers(config)
    mistakes += prompt_mistakes("prompt.", config.prompt)
    if config.prompt.use and config.prompt != PromptConfig(use=config.prompt.use):
        mistakes.append(f"prompt.use: prompts/{config.prompt.use}.toml has the texts, so give none here")
    mistakes += source_mistakes("model", config.model.source, config.model.sha256, pinned=bool(config.model.shards))
    for name, suite in config.suites.items():
        mistakes += _suite_mistakes(f"suites.{name}", suite)
    return mistakes


def _suite_mistakes(path: str, suite: SuiteConfig) -> list[str]:
    """Return what is wrong with a suite's source and its template."""
    mistakes = source_mistakes(path, suite.source, suite.sha256, pinned=bool(suite.use))
    return mistakes + list(template_mistakes(f"{path}.template", suite.template) if suite.template else ())


def _mistakes_of_branches(config: Config) -> list[str]:
    """Return what is wrong with `[branches]`."""
    mistakes = []
    for pattern, section in list(config.branches.items())[:MOST]:
        place = f"branches.{short(pattern)}"
        if section.pin and not section.publish:
            mistakes.append(f"{place}.pin: what is not published cannot be pinned; write publish = true as well")
        if section.tier not in {"", AUTO, *(config.tiers or ["full"])}:
            mistakes.append(
                f"{place}.tier: no tier is called {short(section.tier)}{suggest(section.tier, config.tiers)}"
            )
    return mistakes


def _mistakes_of_tiers(config: Config) -> list[str]:
    """Return the contradictions between tiers and the mistakes in their own rules, where all their suites exist."""
    samples = {name: config.tier(name) for name in config.tiers}
    greedy = config.model.sampling.temperature == 0
    mistakes: list[str] = []
    for name, tier in config.tiers.items():
        place = f"tiers.{name}.rules"
        if len(tier.rules or ()) > MOST_RULES:
            return [f"{place}: more than {MOST_RULES} rules"]
        known = dict.fromkeys(config.suites, 1) | samples[name]
        mistakes += rule_mistakes(place, tier.rules or [], known, config.gate.headline, greedy=greedy)
    # A name that points nowhere is one mistake, not two.
    return mistakes or list(tier_mistakes(config.tiers, samples, config.gate, config.headline))
