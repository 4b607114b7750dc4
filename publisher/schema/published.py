"""What publishing writes down: a snapshot's name, each request, receipt and pin, and the moves of the live site."""

from __future__ import annotations

from typing import Literal

import msgspec

from publisher.schema.stored import Struct

RECEIPT_SCHEMA = 1


class BuildRequest(Struct, frozen=True, kw_only=True):
    """The intent to call the build hook, written before the call so that a crash is followed by a look."""

    schema: int = 1
    run_id: str
    branch: str
    commit: str
    attempt: int
    by: str
    """A random word of the publisher that makes the call, so that two of them cannot write the same request."""
    time: str
    """When it was written, by the host's clock where that was heard."""
    receipt: int = 1
    """The number of the receipt that the deploy will get: a repair has calls of its own."""
    patience: float = 0.0
    """Seconds for which others leave this turn alone while they see no answer to it; 0 is an older publisher's."""
    before: list[str] = msgspec.field(default_factory=list)
    """The branch's newest deploys before the call, newest first: any other shows that the call had its effect."""


class BuildAnswer(Struct, frozen=True, kw_only=True):
    """What became of a call of the build hook, where that is known: a call whose answer was lost has no such file."""

    schema: int = 1
    attempt: int
    outcome: Literal["accepted", "not made"]
    """`accepted` is believed for as long as a build may take; after `not made` anybody may call at once."""
    time: str


class Receipt(Struct, frozen=True, kw_only=True):
    """Proof of a deploy."""

    schema: int = RECEIPT_SCHEMA
    run_id: str
    number: int = 1
    """1 for the first deploy; each repair of a lost or damaged one adds one."""
    snapshot: str
    """The snapshot's branch."""
    commit: str
    """The snapshot commit S."""
    deploy_id: str
    permalink: str
    address: str
    """The branch address: what people pin."""
    manifest_sha256: str
    files: int
    via: Literal["api", "hook"]
    requested: str
    ready: str
    verified: str


class SnapshotName(Struct, frozen=True, kw_only=True):
    """Which branch and commit a kept run became."""

    schema: int = 1
    run_id: str
    branch: str
    commit: str
    address: str


class LiveEvidence(Struct, frozen=True, kw_only=True):
    """What was live before a move, as it was found then, and what the move changes."""

    snapshot: str
    run_id: str
    verdict: str
    state: Literal["whole", "damaged", "private", "unknown"]
    """What its permanent address served; `unknown` where that could not be looked at."""
    files: int = 0
    problems: list[str] = msgspec.field(default_factory=list)
    """The first paths that were missing or changed."""
    difference: dict[str, float] = msgspec.field(default_factory=dict)
    """By suite: the score that is live now minus the score that was live before, in points."""


class LiveMove(Struct, frozen=True, kw_only=True):
    """The live site moved to a snapshot: who did it, when and why."""

    schema: int = 1
    snapshot: str
    commit: str
    run_id: str
    deploy_id: str
    previous: str
    who: str
    why: str
    time: str
    via: Literal["api", "hook"]
    evidence: LiveEvidence | None = None
    """What was live before; None for the first move, and for moves that older publishers recorded."""


class Pin(Struct, frozen=True, kw_only=True):
    """A memorable branch address for a snapshot; a pin that is moved leaves its older entries in place."""

    schema: int = 1
    name: str
    number: int
    """1 for the first snapshot of this name; each move adds one."""
    snapshot: str
    run_id: str
    commit: str
    address: str
    who: str
    time: str


class Pruned(Struct, frozen=True, kw_only=True):
    """A snapshot whose deploy and branch were deleted; its record stays."""

    schema: int = 1
    run_id: str
    snapshot: str
    commit: str
    number: int
    """The number of the receipt whose deploy was deleted; a snapshot that is published again has a newer receipt."""
    who: str
    time: str


class GivenUp(Struct, frozen=True, kw_only=True):
    """A run that somebody ended for good: publishing, repairing and pruning skip it from then on."""

    schema: int = 1
    run_id: str
    who: str
    why: str
    time: str


class TakenDown(Struct, frozen=True, kw_only=True):
    """A snapshot whose pages were removed for good; written before anything is deleted."""

    schema: int = 1
    run_id: str
    snapshot: str
    commit: str
    """The snapshot commit S: every deploy of it and every pin to it goes."""
    who: str
    why: str
    time: str


class Notice(Struct, frozen=True, kw_only=True):
    """People were told about a run: of what, and how many of the targets could be reached."""

    schema: int = 1
    run_id: str
    kind: Literal["rejected", "alert", "drift", "recovered", "failed"]
    targets: int
    reached: int
    time: str


class DriftScore(Struct, frozen=True, kw_only=True):
    """A suite's score in a drift check, in points, beside that of the run."""

    then: float
    now: float
    low: float
    high: float
    p_value: float
    """One-sided, of a loss; Holm's over the suites."""


class DriftCheck(Struct, frozen=True, kw_only=True):
    """The live commit measured again with the same seeds: what came out otherwise, and what has changed around it."""

    schema: int = 1
    run_id: str
    """The run whose snapshot was live."""
    number: int
    """1 for the first check of a run; each one adds one."""
    time: str
    scores: dict[str, DriftScore]
    same: int
    different: int
    """Answers whose text is not what it was, to the letter."""
    changed: list[str]
    """What of driver, engine and machine is not as it was, one sentence each."""
    dropped: list[str]
    """The suites whose score fell beyond chance."""


class Label(Struct, frozen=True, kw_only=True):
    """A word that somebody attached to a run, or took off again."""

    schema: int = 1
    run_id: str
    name: str
    number: int
    """1 for the first entry of this name on this run; each change counts on."""
    on: bool
    who: str
    why: str
    time: str
