"""`publisher.toml` to `Config`: every option declared once, every mistake reported at once.

An option's type, default, bounds and sentence stand on its field; an unknown key comes back with a suggestion.
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Collection
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import Meta

from publisher.errors import ConfigError

FILE = "publisher.toml"

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="lower case, digits, . _ -")]
Digest = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", description="a sha256: 64 lower-case hexadecimal digits")]
Points = Annotated[float, Meta(ge=0, le=100, description="points, from 0 to 100")]
Count = Annotated[int, Meta(ge=1, le=1024, description="a whole number from 1 to 1024")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of publisher.toml."""


class SamplingConfig(Section, frozen=True, kw_only=True):
    """How tokens are drawn."""

    temperature: Annotated[float, Meta(ge=0, le=10, description="0 (greedy) to 10")] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1, description="above 0, at most 1")] = 1.0
    top_k: Annotated[int, Meta(ge=0, description="0 (off) or more")] = 0
    min_p: Annotated[float, Meta(ge=0, le=1, description="0 (off) to 1")] = 0.0
    max_tokens: Annotated[int, Meta(ge=1, le=1_048_576, description="1 or more")] = 1024


class ModelConfig(Section, frozen=True, kw_only=True):
    """The language model under test."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    source: Annotated[str, Meta(min_length=1, max_length=1000)]
    sha256: Digest = ""
    context: Annotated[int, Meta(ge=64, le=1_048_576, description="64 to 1048576 tokens")] = 4096
    gpu_layers: Literal["all"] | Annotated[int, Meta(ge=0, le=10_000)] = "all"
    sampling: SamplingConfig = SamplingConfig()


class PromptConfig(Section, frozen=True, kw_only=True):
    """What stands around each problem; only `{problem}` is replaced."""

    system: Annotated[str, Meta(max_length=20_000)] = ""
    template: Annotated[str, Meta(max_length=20_000)] = "{problem}"


class SuiteConfig(Section, frozen=True, kw_only=True):
    """A named list of problems with a grader."""

    source: Annotated[str, Meta(min_length=1, max_length=1000)]
    sha256: Digest = ""
    grader: Name = "math"
    """One of `publisher.graders.GRADERS`."""
    samples: Count = 1
    public: bool = False


class TierSuite(Section, frozen=True, kw_only=True):
    """What a tier changes of a suite."""

    samples: Count | None = None


class TierConfig(Section, frozen=True, kw_only=True):
    """A named selection of suites."""

    suites: dict[str, TierSuite] | list[str]
    publish: bool = False


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
    rules: list[AnyRule] = []


class EngineConfig(Section, frozen=True, kw_only=True):
    """How inference is scheduled; 0 lets the engine choose. Slots and threads are those of one of the `engines`."""

    mode: Literal["reproducible", "fast"] = "reproducible"
    engines: Annotated[int, Meta(ge=0, le=256, description="0 (chosen) to 256")] = 0
    slots: Annotated[int, Meta(ge=0, le=256, description="0 (chosen) to 256")] = 0
    threads: Annotated[int, Meta(ge=0, le=1024, description="0 (chosen) or more")] = 0
    batch: Annotated[int, Meta(ge=0, le=65_536, description="0 (chosen) or more")] = 0
    flash_attention: bool | Literal["auto"] = "auto"
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    timeout: Annotated[float, Meta(gt=0, description="seconds without any progress before a run is given up")] = 600.0


class LedgerConfig(Section, frozen=True, kw_only=True):
    """Where results are kept."""

    remote: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "origin"
    clip: Annotated[int, Meta(ge=0, le=1_000_000, description="characters of each answer that are stored")] = 20_000


class KeepConfig(Section, frozen=True, kw_only=True):
    """Which snapshots `publisher prune` leaves alone; the live one always is."""

    last: Annotated[int, Meta(ge=1)] = 50
    best_per_suite: Annotated[int, Meta(ge=0)] = 1
    pinned: bool = True
    labels: list[str] = []
    """Patterns of git tags: a snapshot whose commit has such a tag is kept."""


class NetlifyConfig(Section, frozen=True, kw_only=True):
    """The site that is published to; secrets come from the environment only."""

    site: Annotated[str, Meta(pattern=r"^([a-z0-9](-?[a-z0-9])*)?$", max_length=37, description="a-z 0-9 -")] = ""
    timeout: Annotated[float, Meta(gt=0, description="seconds to wait for a deploy")] = 1500.0
    lock: bool = False
    keep: KeepConfig = KeepConfig()
    builds_per_minute: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 3
    builds_per_day: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 100
    production_per_month: Annotated[int, Meta(ge=0, description="0 (no limit) or more")] = 0


class Config(Section, frozen=True, kw_only=True):
    """The whole of publisher.toml."""

    model: ModelConfig
    prompt: PromptConfig = PromptConfig()
    suites: dict[str, SuiteConfig]
    tiers: dict[str, TierConfig] = {}
    gate: GateConfig = GateConfig()
    engine: EngineConfig = EngineConfig()
    ledger: LedgerConfig = LedgerConfig()
    netlify: NetlifyConfig = NetlifyConfig()

    @property
    def headline(self) -> str:
        """The suite whose score stands for a run: the one named by the gate, or the first."""
        return self.gate.headline or next(iter(self.suites))

    @property
    def publishing_tier(self) -> str:
        """The tier that is measured before publishing: the first with `publish = true`, or the last, or `full`."""
        return next((name for name, tier in self.tiers.items() if tier.publish), next(reversed(self.tiers), "full"))

    def tier(self, name: str) -> dict[str, int]:
        """Return {suite: samples a problem} of the tier `name`; ConfigError when it is not declared."""
        if not self.tiers and name == "full":
            return {suite: section.samples for suite, section in self.suites.items()}
        if name not in self.tiers:
            raise ConfigError(
                f"{FILE} has no tier {name!r}{_suggest(name, self.tiers)}", hint=f"--tier {self.publishing_tier}"
            )
        chosen = self.tiers[name].suites
        wanted = dict.fromkeys(chosen, TierSuite()) if isinstance(chosen, list) else chosen
        return {suite: part.samples or self.suites[suite].samples for suite, part in wanted.items()}


def parse(data: bytes, where: str = FILE, *, graders: Collection[str] = ()) -> Config:
    """Return the configuration in `data`; ConfigError lists every mistake, each with its place and a suggestion.

    `graders` are the names that a suite may use; without them names are not checked, because a page may show a run
    whose grader is not installed where the page is rendered.
    """
    try:
        raw = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{where} is not TOML: {error}", hint=f"correct {where} and commit it") from error
    mistakes: list[str] = []
    _check(Config, raw, "", mistakes)
    mistakes += _unknown_graders(raw.get("suites"), graders)
    if not mistakes:
        config = msgspec.convert(raw, Config, strict=True)
        mistakes = _cross_check(config)
        if not mistakes:
            return config
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = "".join(f"\n  {number}. {text}" for number, text in enumerate(mistakes, 1))
    raise ConfigError(f"{where} has {count}:{lines}", hint=f"correct {where} and commit it")


def _unknown_graders(suites: Any, graders: Collection[str]) -> list[str]:
    """Return a mistake for each suite whose grader is none of `graders`."""
    sections = suites if graders and isinstance(suites, dict) else {}
    wanted = {name: section.get("grader") for name, section in sections.items() if isinstance(section, dict)}
    return [
        f"suites.{name}.grader: {_short(grader)} is none of {', '.join(graders)}{_suggest(grader, graders)}"
        for name, grader in wanted.items()
        if isinstance(grader, str) and grader not in graders
    ]


def _check(kind: Any, value: Any, path: str, mistakes: list[str]) -> None:
    """Append to `mistakes` everything in `value` that does not fit the declared type `kind`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    options = arguments if origin in {Union, types.UnionType} else ()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        _check_section(kind, value, path, mistakes)
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            _check_leaf(Name, key, f"the name {_join(path, key)}", mistakes)
            _check(arguments[1], item, _join(path, key), mistakes)
    elif origin is list and isinstance(value, list):
        for number, item in enumerate(value):
            _check(arguments[0], item, f"{path}[{number}]", mistakes)
    elif options and all(isinstance(option, type) and issubclass(option, Rule) for option in options):
        _check_rule({option.__struct_config__.tag: option for option in options}, value, path, mistakes)
    elif options and isinstance(value, dict | list):
        container = dict if isinstance(value, dict) else list
        fitting = [option for option in options if typing.get_origin(option) is container]
        _check(fitting[0], value, path, mistakes) if fitting else _check_leaf(kind, value, path, mistakes)
    else:
        _check_leaf(kind, value, path, mistakes)


def _check_section(kind: type[msgspec.Struct], value: dict[str, Any], path: str, mistakes: list[str]) -> None:
    """Check one table: unknown keys, missing keys, then each value."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    unknown = [key for key in value if key not in fields and key != tag]
    mistakes.extend(f"{_join(path, key)}: unknown key{_suggest(key, fields)}" for key in unknown)
    for name, field in fields.items():
        if name in value:
            _check(hints[field.name], value[name], _join(path, name), mistakes)
        elif field.required:
            mistakes.append(f"{_join(path, name)}: missing")


def _check_rule(rules: dict[Any, type[Rule]], value: Any, path: str, mistakes: list[str]) -> None:
    """Check one rule of the gate by its tag."""
    tag = value.get("rule") if isinstance(value, dict) else None
    if tag in rules and isinstance(tag, str):
        _check_section(rules[tag], value, path, mistakes)
    else:
        known = ", ".join(rules)
        mistakes.append(f"{path}.rule: {tag!r} is none of {known}{_suggest(str(tag), rules)}")


def _check_leaf(kind: Any, value: Any, path: str, mistakes: list[str]) -> None:
    """Check one plain value against its declared type and bounds."""
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        meta = next((item for item in typing.get_args(kind) if isinstance(item, Meta) and item.description), None)
        wanted = f" (wanted: {meta.description})" if meta else ""
        mistakes.append(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}, got {_short(value)}{wanted}")


def _cross_check(config: Config) -> list[str]:
    """Return the mistakes that only show between sections: names that point nowhere, digests that are missing."""
    mistakes: list[str] = []
    if not config.suites:
        mistakes.append("suites: at least one suite is needed")
        return mistakes
    for path, suite in [("gate.headline", config.gate.headline)] + [
        (f"gate.rules[{number}].suite", rule.suite) for number, rule in enumerate(config.gate.rules)
    ]:
        if suite and suite not in config.suites:
            mistakes.append(f"{path}: no suite is called {suite!r}{_suggest(suite, config.suites)}")
    for name, tier in config.tiers.items():
        mistakes += [
            f"tiers.{name}.suites: no suite is called {suite!r}{_suggest(suite, config.suites)}"
            for suite in tier.suites
            if suite not in config.suites
        ]
        if not tier.suites:
            mistakes.append(f"tiers.{name}.suites: at least one suite is needed")
    if "{problem}" not in config.prompt.template:
        mistakes.append("prompt.template: {problem} does not occur in it, so every prompt would be the same")
    sources = [("model", config.model.source, config.model.sha256)]
    sources += [(f"suites.{name}", suite.source, suite.sha256) for name, suite in config.suites.items()]
    mistakes += [
        f"{path}.sha256: required, because {source!r} is fetched from elsewhere"
        for path, source, digest in sources
        if source.startswith(("hf:", "https:")) and not digest
    ]
    return mistakes


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _suggest(key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, [str(name) for name in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
