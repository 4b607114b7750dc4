"""What a gray release writes down: its start, its stages, its end, and what readers and reviewers said."""

from __future__ import annotations

from typing import Literal

import msgspec

from publisher.schema.stored import Struct

CANARY_SCHEMA = 1


class CanaryStart(Struct, frozen=True, kw_only=True):
    """A snapshot began to be shown to some readers beside the live one."""

    schema: int = CANARY_SCHEMA
    number: int
    """1 for the first canary of a repository; each start adds one."""
    snapshot: str
    """The candidate's branch."""
    commit: str
    """The candidate's snapshot commit."""
    run_id: str
    live_snapshot: str
    """What was live when it began, and stays so for everybody else."""
    live_run_id: str
    moves: int = 0
    """How often the live site had been moved by then: any further move ends the canary."""
    stages: list[int]
    """The shares of readers in percent, in the order in which they are taken."""
    hours: float
    """The least time that a stage lasts."""
    via: Literal["split", "script", "link"]
    """`split`: a split test of the host. `script`: a script of the live deploy, for which no token and no split test is
    needed. `link`: readers follow the candidate's own address."""
    who: str
    why: str
    time: str
    """By the host's clock where that was heard, as all times here."""


class CanaryStage(Struct, frozen=True, kw_only=True):
    """The share of readers who see the candidate was set."""

    schema: int = CANARY_SCHEMA
    number: int
    """The canary's."""
    stage: int
    """1 for the first stage; each change adds one."""
    percent: int
    who: str
    why: str
    time: str


class Ratings(Struct, frozen=True, kw_only=True):
    """How a snapshot was rated: number, mean from 1 to 5, and bounds that hold at every moment at once."""

    count: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


class CanaryEvidence(Struct, frozen=True, kw_only=True):
    """What was known when a canary ended, kept as it was."""

    candidate: Ratings
    live: Ratings
    responses: int
    """Readers and reviews that rated the candidate."""
    reported: int
    """Answers that readers reported as wrong."""
    confirmed: list[str] = msgspec.field(default_factory=list)
    """Those that a person confirmed, by address in the snapshot."""
    set_aside: int = 0
    """Submissions that were not counted: out of range, repeated, or of an hour with too many."""
    reasons: list[str] = msgspec.field(default_factory=list)
    """What the policy said."""


class CanaryEnd(Struct, frozen=True, kw_only=True):
    """A gray release ended: all readers see one snapshot again."""

    schema: int = CANARY_SCHEMA
    number: int
    outcome: Literal["promoted", "aborted", "overtaken"]
    """`overtaken`: the live site was moved meanwhile, which ends a canary."""
    who: str
    why: str
    time: str
    moves: int = 0
    """How often the live site had been moved by then: a promotion that was interrupted gives way to any later move."""
    evidence: CanaryEvidence | None = None


class Confirmation(Struct, frozen=True, kw_only=True):
    """A person looked at an answer that was reported as wrong."""

    schema: int = CANARY_SCHEMA
    run_id: str
    answer: str
    """The answer's address in the snapshot, such as `/samples/aime25/#p12-3`."""
    number: int
    """1 for the first look at this answer; the last one counts."""
    wrong: bool
    who: str
    why: str
    time: str


class Review(Struct, frozen=True, kw_only=True):
    """One answer as a reviewer rated it."""

    schema: int = CANARY_SCHEMA
    run_id: str
    suite: str
    problem: str
    seed: int
    reviewer: str
    rating: int
    """1 to 5."""
    wrong: bool = False
    note: str = ""
    blind: bool = False
    """Whether the reviewer saw answers of two snapshots without knowing which is which."""
    time: str


class CanaryPage(Struct, frozen=True, kw_only=True):
    """What a candidate's deploy knows of its canary: `ledger/canary.json` in the tree that it is rendered from."""

    schema: int = CANARY_SCHEMA
    number: int
    other: str
    """The address of what is live."""
    script: bool = False
    """Whether a script of what is live splits the readers: a link there can tell it not to."""
    over: bool = False
    """Whether the canary has ended: then every page leads to what is live."""


class SplitPage(Struct, frozen=True, kw_only=True):
    """What a live deploy knows of the canary whose readers it splits: `ledger/split.json`, served as `split.json`.

    Not in the candidate's file: a publisher that does not know this one renders the live snapshot as it always was.
    """

    schema: int = CANARY_SCHEMA
    number: int
    """The canary's."""
    percent: int
    main: str
    """The site's main address: readers of no other address are moved."""
    candidate: str
    """The candidate's address."""
