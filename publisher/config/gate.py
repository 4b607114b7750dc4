"""`[gate]`: the policy, and every rule that it can name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from publisher.config.section import Name, Points, Section, suggest
from publisher.schema.metrics import CATALOGUE

EVERY = "*"
"""A rule with this suite looks at each suite that was measured."""
LEAST_ALPHA = 1e-9
"""No smaller alpha is of use: the first look of an early verdict spends a thousandth of it."""
Alpha = Annotated[float, Meta(ge=LEAST_ALPHA, lt=1, description="a probability: above 0, below 1, such as 0.01")]
Runs = Annotated[int, Meta(ge=1, le=100, description="a whole number of runs from 1 to 100")]
Several = Annotated[int, Meta(ge=4, le=100, description="a whole number of runs from 4 to 100")]
Effect = Literal["block", "alert", "note"]
"""What a rule that fails does: reject the run, raise an alert beside the verdict, or only be written down."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule"):
    """One check of the gate. It looks at the headline suite, at `suite`, or at each one (`suite = "*"`)."""

    suite: str = ""
    """The suite that it looks at; "" for the headline suite, `*` for each one."""
    effect: Effect = "block"
    """What a failure does: reject the run, raise an alert, or only be written down."""


class Threshold(Rule, frozen=True, kw_only=True, tag="threshold"):
    """The score must be at least `min` points; with `significant` only a score below it beyond doubt fails."""

    min: Points
    """The least score."""
    significant: bool = False
    """Whether a score below it has to be shown beyond chance."""


class Relative(Rule, frozen=True, kw_only=True, tag="relative"):
    """The score must be at least the previous kept run's plus `delta` points, or plus `percent` per cent of it."""

    delta: Annotated[float, Meta(ge=-100, le=100, description="points, from -100 to 100")] = 0.0
    """Points beside the previous kept run's score."""
    percent: Annotated[float, Meta(ge=-100, le=1000, description="per cent, from -100 to 1000")] = 0.0
    """The same as a part of that score; give one of the two."""
    significant: bool = False
    """Whether a score below it has to be shown beyond chance."""


class BestRatio(Rule, frozen=True, kw_only=True, tag="best-ratio"):
    """The score must be at least `ratio` times the best kept score, which noise alone lifts from run to run."""

    ratio: Annotated[float, Meta(gt=0, le=1, description="above 0, at most 1")]
    """The part of the best kept score."""
    significant: bool = False
    """Whether a score below it has to be shown beyond chance."""


class MaxDrop(Rule, frozen=True, kw_only=True, tag="max-drop"):
    """The score may lie at most `points` below the previous kept run's."""

    points: Points
    """The largest drop."""
    significant: bool = False
    """Whether a larger drop has to be shown beyond chance."""


class Regression(Rule, frozen=True, kw_only=True, tag="regression"):
    """The run is tested against the last `m` kept runs under the same conditions together, problem by problem.

    `prove = "harm"` rejects a loss that is shown and exceeds `points`. `"no-harm"` keeps only what shows that no loss
    exceeds `points`. `"gain"` keeps only what is shown to be better. What stays open is decided with more samples, up
    to `max_samples` per problem, and then by `on_budget`. With `pooled` all suites are tested as one.
    """

    prove: Literal["harm", "no-harm", "gain"] = "harm"
    """What has to be shown: `harm` to reject, `no-harm` or `gain` to keep."""
    points: Points = 1.0
    """The loss that is tolerated."""
    alpha: Alpha | None = None
    """Its own part of the commit's alpha; without it, an equal share."""
    m: Runs = 8
    """Kept runs that are pooled as the baseline."""
    max_samples: Annotated[int, Meta(ge=0, le=1024, description="0 (the tier's) to 1024")] = 0
    """Answers per problem up to which an open question is measured further."""
    on_budget: Literal["keep", "reject", "inconclusive"] | None = None
    """What becomes of a run that is still open then."""
    pooled: bool = False
    """Whether all suites are tested as one."""


class Erosion(Rule, frozen=True, kw_only=True, tag="erosion"):
    """The last `recent` runs together must not lie below the best of up to `windows` earlier windows of `m` runs.

    It finds the slow slide of which no single step is significant.
    """

    points: Points = 1.0
    """The loss that is tolerated."""
    alpha: Alpha | None = None
    """Its own part of the commit's alpha; without it, an equal share."""
    m: Runs = 8
    """Runs of an earlier window."""
    recent: Runs = 2
    """The last runs, this one included."""
    windows: Annotated[int, Meta(ge=1, le=16, description="a whole number from 1 to 16")] = 8
    """Earlier windows of which the best counts."""


class Declines(Rule, frozen=True, kw_only=True, tag="declines"):
    """The score must not fall `runs` times in a row; with `significant` the last `m` runs must show no fall."""

    effect: Effect = "alert"
    """As for every rule; chance alone makes scores fall three times in a row now and then."""
    runs: Annotated[int, Meta(ge=2, le=100, description="a whole number from 2 to 100")] = 3
    """How many falls in a row fail."""
    significant: bool = False
    """Whether a fall has to be shown beyond chance."""
    alpha: Alpha | None = None
    """Its own part of the commit's alpha."""
    m: Several = 8
    """Runs that the test of a fall looks at."""


class Drift(Rule, frozen=True, kw_only=True, tag="drift"):
    """A cumulative sum over the last `m` kept runs must show no slide, with `alarms` false alarms per run."""

    effect: Effect = "alert"
    """As for every rule."""
    alarms: Alpha = 0.005
    """False alarms per run."""
    m: Several = 32
    """Kept runs that the sum is over."""


class Budget(Rule, frozen=True, kw_only=True, tag="budget"):
    """A metric must stay within `limit`, or must not be worse than in the last `m` kept runs by over `percent`.

    `limit` is compared as it stands: a maximum, for tokens-per-second a minimum. `percent` needs evidence as well:
    against the spread between runs on the same machine or, for answer-length, between answers to the same problem.
    """

    metric: Name
    """Of the run, of its answers (`schema/metrics.py`), or one that `[metrics]` declares."""
    limit: Annotated[float, Meta(ge=0, le=1e15, description="0 or more, in the metric's own unit")] | None = None
    """The largest value, for metrics where more is better the least."""
    percent: Annotated[float, Meta(gt=0, le=1000, description="per cent, above 0, at most 1000")] | None = None
    """How much worse than the last kept runs it may be."""
    alpha: Alpha | None = None
    """Its own part of the commit's alpha, with `percent`."""
    m: Runs = 8
    """Kept runs that `percent` compares with."""


AnyRule = Threshold | Relative | BestRatio | MaxDrop | Regression | Erosion | Declines | Drift | Budget


class GateConfig(Section, frozen=True, kw_only=True):
    """The policy: a headline suite, the rules, and the chance in all that they reject what changed nothing."""

    headline: str = ""
    """The suite whose score stands for a run; "" for the first."""
    alpha: Alpha = 0.01
    """Spent by all blocking tests of one commit together, however many rules and suites there are."""
    early: bool = True
    """Whether `publish` looks at a run before it is complete, and stops one that is rejected by then."""
    no_gain: Literal["pass", "fail"] = "pass"
    """The exit code where a gain was asked for and none was shown: 0 (`pass`) or 1 (`fail`)."""
    unchanged: Literal["share", "publish"] = "share"
    """Whether a commit that measures what a kept run did shares that run's snapshot, or gets one of its own."""
    approval: list[Literal["model", "prompt", "sampling", "engine"]] = msgspec.field(default_factory=list)
    """A run in which one of these differs from the last kept one is held until `publisher approve`."""
    baseline: Annotated[
        str,
        Meta(
            pattern=r"^([0-9a-f]{7,64}|[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}-[a-z0-9._-]+)?$",
            max_length=100,
            description="a commit (7 or more hexadecimal digits) or a run's id",
        ),
    ] = ""
    """Where the baseline starts: runs of this commit and those after it, or this run and those after it."""
    rules: list[AnyRule] = msgspec.field(default_factory=list)
    """The policy; without rules every run that was measured is kept."""


def name_of(rule: Rule) -> str:
    """Return the name a rule has in publisher.toml."""
    return str(rule.__struct_config__.tag)


def spends_alpha(rule: AnyRule) -> bool:
    """Return whether a rule rejects by a p-value, and so takes a share of the commit's alpha."""
    if rule.effect != "block":
        return False
    match rule:
        case Regression() | Erosion():
            return True
        case Drift():
            return False
        case Budget():
            return rule.percent is not None
        case Threshold() | Relative() | BestRatio() | MaxDrop() | Declines():
            return rule.significant
        case _:
            return False


def tests_right_answers(rule: AnyRule) -> bool:
    """Return whether a rule looks at how many answers are right, not only at the score."""
    if isinstance(rule, Relative | BestRatio | MaxDrop):
        return rule.significant
    return isinstance(rule, Regression | Erosion)


def own_alpha(rule: AnyRule) -> float | None:
    """Return the alpha that a rule names for itself."""
    return rule.alpha if isinstance(rule, Regression | Erosion | Declines | Budget) else None


def gate_mistakes(gate: GateConfig, samples: Mapping[str, int], *, greedy: bool) -> list[str]:
    """Return the mistakes of the gate's section that only show beside the suites, or beside its other rules.

    `samples` is the largest number of samples per problem that any tier takes of each suite. A policy that could never
    pass or never reject is a mistake.
    """
    unknown = bool(gate.headline) and gate.headline not in samples
    mistakes = [f"gate.headline: no suite is called {gate.headline!r}{suggest(gate.headline, samples)}"] * unknown
    mistakes += rule_mistakes("gate.rules", gate.rules, samples, gate.headline, greedy=greedy)
    own = sum(own_alpha(rule) or 0.0 for rule in gate.rules if spends_alpha(rule))
    sharing = any(spends_alpha(rule) and own_alpha(rule) is None for rule in gate.rules)
    if own > gate.alpha + 1e-12 or (sharing and own > gate.alpha - 1e-12):
        what = "which leaves nothing for the other tests" if sharing else "more than all tests of a commit may spend"
        mistakes.append(f"gate.alpha: the rules name {own:g} for themselves, {what} (gate.alpha is {gate.alpha:g})")
    return mistakes


def rule_mistakes(
    place: str, rules: list[AnyRule], samples: Mapping[str, int], headline: str, *, greedy: bool
) -> list[str]:
    """Return what is wrong with each of some rules: names that point nowhere, contradictions, impossible limits."""
    mistakes = [
        f"{place}[{number}].suite: no suite is called {rule.suite!r}{suggest(rule.suite, samples)}"
        for number, rule in enumerate(rules)
        if rule.suite not in {"", EVERY, *samples}
    ]
    for number, rule in enumerate(rules):
        chosen = rule.suite or headline or next(iter(samples), "")
        k = max(samples.values(), default=1) if rule.suite == EVERY else samples.get(chosen, 1)
        mistakes += [f"{place}[{number}].{text}" for text in _mistakes_of(rule, k, greedy=greedy)]
    return mistakes


def _mistakes_of(rule: AnyRule, k: int, *, greedy: bool) -> Iterator[str]:
    """Yield the mistakes of one rule: contradictions, and limits that nothing or everything is beyond."""
    if isinstance(rule, Threshold) and rule.min == 0:
        yield "min: no score is below 0, so this rule never rejects"
    if isinstance(rule, Relative) and rule.delta and rule.percent:
        yield "percent: give delta or percent, not both"
    if isinstance(rule, Relative) and (rule.delta == -100 or rule.percent == -100):
        yield "delta: no score falls by more than all of it, so this rule never rejects"
    if isinstance(rule, Relative) and rule.delta == 100:
        yield "delta: no score rises by 100 points, so this rule never passes"
    if isinstance(rule, MaxDrop | Regression | Erosion) and rule.points == 100:
        yield "points: no score falls by more than 100, so this rule never rejects"
    if isinstance(rule, Budget) and rule.limit is None and rule.percent is None:
        yield "limit: missing (or percent), so this rule never rejects"
    if isinstance(rule, Budget) and rule.limit is not None:
        yield from _unreachable(rule, rule.limit)
    if isinstance(rule, Regression):
        yield from _regression_mistakes(rule, k, greedy=greedy)


_BOUNDED = {"%", "points"}
"""Units of metrics that lie between 0 and 100."""


def _unreachable(rule: Budget, limit: float) -> Iterator[str]:
    """Yield a mistake where no run, or every run, is within a limit."""
    kind = CATALOGUE.get(rule.metric)
    share = rule.metric in {"unanswered", "truncated", "error-rate"} or (kind is not None and kind.unit in _BOUNDED)
    rises = kind is not None and kind.better == "higher"
    if share and not rises and limit >= 100:
        yield f"limit: {rule.metric} is never above 100, so this rule never rejects"
    if share and rises and limit > 100:
        yield f"limit: {rule.metric} is never above 100, so this rule never passes"
    if rises and limit == 0:
        yield f"limit: {rule.metric} is never below 0, so this rule never rejects"
    if rule.metric == "tokens-per-second" and limit == 0:
        yield "limit: no speed is below 0, so this rule never rejects"
    if rule.metric in {"latency", "memory", "answer-length"} and limit == 0:
        yield f"limit: every run has some {rule.metric}, so this rule never passes"


def _regression_mistakes(rule: Regression, k: int, *, greedy: bool) -> Iterator[str]:
    if 0 < rule.max_samples < k:
        yield f"max_samples: {rule.max_samples} is below the {k} samples per problem that a tier takes"
    if rule.max_samples > k and greedy:
        yield "max_samples: greedy answers are all alike, so more samples decide nothing (set model.sampling)"
    if rule.prove == "gain" and rule.on_budget:
        yield 'on_budget: prove = "gain" leaves nothing undecided'
    if rule.pooled and rule.suite:
        yield "pooled: all suites are tested together, so suite has no meaning"
