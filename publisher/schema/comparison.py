"""Two runs beside each other, and the report of a verdict: what terminal, Markdown, JSON and site show of both."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from publisher.schema.record import Interval, StoppedEarly  # noqa: TC001 - msgspec reads them while running
from publisher.schema.stored import Struct
from publisher.schema.verdict import HistoryScore, Verdict  # noqa: TC001 - as above

COMPARISON_SCHEMA = 1
REPORT_SCHEMA = 1

Part = Literal["model", "prompt", "sampling", "suite", "engine", "machine"]
"""What of a run a setting belongs to."""
Meaning = Literal["better", "worse", "noise", "other"]
"""What a difference says: more than chance either way, no more than chance, or that the suite is another one now."""


class Flip(Struct, frozen=True, kw_only=True):
    """A problem that turned: how many of its samples are right now, and how many were before."""

    problem: str
    right: Annotated[int, Meta(ge=0)]
    drawn: Annotated[int, Meta(ge=1)]
    base_right: Annotated[int, Meta(ge=0)]
    base_drawn: Annotated[int, Meta(ge=1)]

    @property
    def change(self) -> float:
        """The change of its rate, as a share; negative where it got worse."""
        return self.right / self.drawn - self.base_right / self.base_drawn


class Figure(Struct, frozen=True, kw_only=True):
    """A number beside the score, before and after; None where a run did not record it."""

    name: str
    unit: str
    before: float | None
    after: float | None
    better: Literal["lower", "higher", ""] = ""


class SuiteComparison(Struct, frozen=True, kw_only=True):
    """One suite of a run beside the same suite of one or more earlier runs."""

    suite: str
    score: float
    stderr: float
    base_score: float
    runs: list[str]
    """The earlier runs, oldest first; several are pooled."""
    meaning: Meaning
    difference: float
    """This run less the earlier ones, in points: of the problems that both answered."""
    interval: Interval | None = None
    """The 95 % interval of the difference; None where the suite is another one now."""
    p_value: float | None = None
    """Two-sided: how likely a difference at least as large is where nothing has changed."""
    test: str = ""
    """Which test that is, in words."""
    detectable: float | None = None
    """The smallest loss in points that a one-sided test at 5 % finds in four runs of five."""
    problems: int = 0
    """How many problems both sides answered."""
    turned_wrong: list[Flip] = msgspec.field(default_factory=list)
    """The problems that got worse, the clearest first: most samples were right before and are wrong now, or the rate
    fell by half or more."""
    turned_right: list[Flip] = msgspec.field(default_factory=list)
    """The mirror image."""
    unlisted: int = 0
    """How many problems turned that are not in these lists, which are bounded."""
    kinds: dict[str, tuple[float | None, float | None]] = msgspec.field(default_factory=dict)
    """Score by kind of problem, before and after."""
    slices: dict[str, tuple[float | None, float | None]] = msgspec.field(default_factory=dict)
    """Score by tag and value, before and after."""
    figures: list[Figure] = msgspec.field(default_factory=list)
    """Tokens, latency, lengths and the like; empty where several runs were pooled."""
    public: bool = False
    """Whether both runs may show the statements and answers of this suite."""


class Passage(Struct, frozen=True, kw_only=True):
    """A piece of a text beside its other version."""

    kind: Literal["same", "gone", "new"]
    text: str


class Change(Struct, frozen=True, kw_only=True):
    """A setting that differs between two runs."""

    part: Part
    name: str
    before: str
    after: str
    passages: list[Passage] = msgspec.field(default_factory=list)
    """For a prompt: both versions as one text, with what went and what came marked."""


class RunIdentity(Struct, frozen=True, kw_only=True):
    """Which run something is about, for people."""

    run_id: str
    commit: str
    subject: str
    tier: str
    started: str
    model: str
    quantization: str
    verdict: str = ""
    """Empty for a run that has none yet; `smoke` for a smoke run, which never gets one."""
    address: str = ""
    """The permanent address of its snapshot, where it has one."""


class Comparison(Struct, frozen=True, kw_only=True):
    """A run beside an earlier one: what came out, and what was changed."""

    schema: int = COMPARISON_SCHEMA
    run: RunIdentity
    base: RunIdentity
    suites: list[SuiteComparison]
    changes: list[Change]
    only: list[str] = msgspec.field(default_factory=list)
    """Suites that only one of the two measured."""


class Blind(Struct, frozen=True, kw_only=True):
    """What the gate could not have seen on a suite."""

    suite: str
    detectable: float | None
    """Drops of so many points or more are found in four runs of five; None where no rule compares the suite."""


class Report(Struct, frozen=True, kw_only=True):
    """Everything that is said of a verdict: what was measured, compared and changed, and what could not be seen."""

    schema: int = REPORT_SCHEMA
    run: RunIdentity
    verdict: Verdict
    scores: dict[str, HistoryScore]
    """Each suite's score, whether there is a baseline or not."""
    trend: list[float] = msgspec.field(default_factory=list)
    """The headline's score of the last kept runs on the same problems, oldest first, and then this run's."""
    baseline: list[SuiteComparison]
    """Each suite beside its baseline: the pooled kept runs that the gate compares with, since the last change."""
    blind: list[Blind]
    samples: int
    """How many samples the run has that count."""
    planned: int
    """How many samples it was to have."""
    reused: int = 0
    """How many of them were taken over from earlier runs."""
    stopped_early: StoppedEarly | None = None
    previous: Comparison | None = None
    """Beside the newest kept run before it of the same tier."""
    best: Comparison | None = None
    """Beside the best kept run before it, where that is another one."""
