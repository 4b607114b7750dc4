"""What the gate said of a run, and the history that it was compared with: a compact line for each run."""

from __future__ import annotations

from typing import Literal

from publisher.schema.stored import Struct

VERDICT_SCHEMA = 1
HISTORY_SCHEMA = 1
SUMMARY_SCHEMA = 1

VerdictWord = Literal["kept", "rejected", "inconclusive"]


class RuleResult(Struct, frozen=True, kw_only=True):
    """One rule's outcome, with its reason in words and figures."""

    rule: str
    suite: str
    outcome: Literal["pass", "fail", "inconclusive"]
    reason: str
    measured: float | None = None
    limit: float | None = None
    baseline: str = ""
    """The run that was compared with, if any."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What the gate said of a run."""

    schema: int = VERDICT_SCHEMA
    run_id: str
    verdict: VerdictWord
    rules: list[RuleResult]
    headline: str
    policy_sha256: str
    decided: str


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

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Return what makes two runs the same measurement of the same commit; an unreadable run equals none."""
        return (self.commit, self.tier, self.fingerprint, self.salt)


class History(Struct, frozen=True, kw_only=True):
    """A compact line for each run as of a snapshot, oldest first."""

    schema: int = HISTORY_SCHEMA
    site: str
    headline: str
    lines: list[HistoryLine]
