"""The gate's verdict on a run, and the history that it was compared with: one compact line per run."""

from __future__ import annotations

from typing import Literal

import msgspec

from publisher.schema.published import DriftCheck  # noqa: TC001 - as below
from publisher.schema.record import Interval  # noqa: TC001 - msgspec reads it while running
from publisher.schema.stored import Struct

VERDICT_SCHEMA = 1
HISTORY_SCHEMA = 1
SUMMARY_SCHEMA = 1

DECISION_SCHEMA = 1

VerdictWord = Literal["kept", "passed", "rejected", "inconclusive", "unchanged", "held"]
"""`passed`: what would be kept, but its tier publishes nothing; `unchanged` shares the snapshot of a kept run that
measured the same; `held` waits for somebody's approval."""
Effect = Literal["block", "alert", "note"]
"""What a rule that fails does: reject the run, raise an alert, or only be written down."""


class RuleResult(Struct, frozen=True, kw_only=True):
    """One rule's outcome, with its reason in words and figures."""

    rule: str
    suite: str
    outcome: Literal["pass", "fail", "inconclusive"]
    reason: str
    measured: float | None = None
    limit: float | None = None
    baseline: str = ""
    """The run that was compared with, if any: the newest one where several were pooled."""
    effect: Effect = "block"
    unit: str = "points"
    """The unit of `measured`, `limit`, `difference` and `interval`."""
    runs: int = 0
    """How many earlier runs were pooled."""
    difference: float | None = None
    """This run less the baseline; negative is a loss where more is better."""
    interval: Interval | None = None
    """The 95 % interval of the difference, or of `measured` where nothing is compared."""
    p_value: float | None = None
    """One-sided: how likely a result at least as extreme is where nothing has changed."""
    level: float | None = None
    """The p-value that decides: this rule's share of the alpha that one commit may spend."""
    detectable: float | None = None
    """The smallest loss in points that this test finds in four runs of five."""
    wants_samples: bool = False
    """Whether more samples could decide what these leave open."""
    no_gain: bool = False
    """Whether it fails only because a gain was asked for: none is shown, and no loss either."""
    differs: list[str] = msgspec.field(default_factory=list)
    """What of the conditions differs from the newest kept run's, where that was no baseline for this reason."""


class Verdict(Struct, frozen=True, kw_only=True):
    """The gate's verdict on a run."""

    schema: int = VERDICT_SCHEMA
    run_id: str
    verdict: VerdictWord
    rules: list[RuleResult]
    headline: str
    policy_sha256: str
    decided: str
    no_gain: bool = False
    """Whether it was rejected only because a gain was asked for and none was shown: no harm was done."""
    stopped_early: str = ""
    """What decided a run that was stopped before it was complete; "" for a complete one."""
    same_as: str = ""
    """The kept run whose snapshot an `unchanged` one shares."""
    baseline: str = ""
    """Why the baseline starts anew on purpose, or why the wish for that does not count."""
    reset: str = ""
    """The commit whose trailer started the baseline anew."""


class Decision(Struct, frozen=True, kw_only=True):
    """A maintainer overrules the gate: from then on the run's verdict is this one. Append-only, numbered per run."""

    schema: int = DECISION_SCHEMA
    run_id: str
    number: int
    """1 for the first decision on a run; the last one counts."""
    verdict: Literal["kept", "passed", "rejected"]
    reason: str
    who: str
    time: str
    overrides: list[str] = msgspec.field(default_factory=list)
    """The reasons of the rules that are overruled."""


class HistoryScore(Struct, frozen=True, kw_only=True):
    """One suite's score in a history line."""

    score: float
    low: float
    high: float
    stderr: float
    n: int
    k: int
    suite: str
    """Digest of the suite's problems and its grader: only scores with equal ones can be compared."""
    sampling: float | None = None
    """Standard error of drawing k samples for exactly these problems; None where it is not known (k = 1)."""
    tokens: float | None = None
    """Mean tokens of an answer; None in lines of older publishers, as the two below."""
    latency: float | None = None
    """Median seconds that an answer took."""
    moved: tuple[float, float, float] | None = None
    """Where the gate's comparison with the baseline found a clear difference: this, and the ends of its 95 % interval,
    in points."""


class HistoryLine(Struct, frozen=True, kw_only=True):
    """One run in the history: enough for a table row, a chart mark and a gate's baseline."""

    schema: int = SUMMARY_SCHEMA
    run_id: str
    commit: str
    subject: str
    tier: str
    started: str
    verdict: VerdictWord | Literal["unreadable"]
    fingerprint: str
    generation: str = ""
    salt: str = ""
    scores: dict[str, HistoryScore]
    why: str = ""
    """The first failing rule's reason, for a rejected run."""
    snapshot: str = ""
    address: str = ""
    pruned: str = ""
    """When the snapshot's deploy was deleted on purpose; its address then leads nowhere."""
    given_up: str = ""
    """When somebody ended the run for good: nothing publishes, repairs or deletes it any more."""
    taken_down: str = ""
    """When the snapshot's pages were removed for good; they are never published again."""
    conditions: str = ""
    """Digest of everything but model and prompt that can change a sample; "" in runs of older publishers."""
    stopped_early: str = ""
    """What decided a run that was stopped before it was complete; such a run is never a baseline."""
    reset: str = ""
    """The commit at which the baseline of this run started anew; a run before the first of its runs is no baseline."""
    decision: Decision | None = None
    """The last word of a maintainer who overruled the gate; `verdict` is then theirs."""
    branch: str = ""
    """The branch that the commit was measured on; "" where that is not known."""
    model: str = ""
    """The first 12 digits of the model file's digest, which tell two models apart; "" in lines of older publishers."""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Return what makes two runs the same measurement of the same commit; an unreadable run equals none."""
        return (self.commit, self.tier, self.fingerprint, self.salt)


class Rollback(Struct, frozen=True, kw_only=True):
    """The site was moved back to an older snapshot."""

    run_id: str
    """The run that it shows from then on."""
    previous: str
    """The run that it showed before."""
    time: str
    who: str
    why: str


class History(Struct, frozen=True, kw_only=True):
    """One compact line per run as of a snapshot, in the order in which they came into the ledger."""

    schema: int = HISTORY_SCHEMA
    site: str
    headline: str
    lines: list[HistoryLine]
    drift: list[DriftCheck] = msgspec.field(default_factory=list)
    """The checks of live commits without a change, oldest first."""
    rollbacks: list[Rollback] = msgspec.field(default_factory=list)
    """The moves of the live site to an older snapshot, oldest first."""
