"""What a rejected run teaches: its reasons, what it lost, and some of its wrong answers, within a bound of bytes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from publisher.schema.comparison import Change, RunIdentity, SuiteComparison  # noqa: TC001 - msgspec reads them
from publisher.schema.record import Sample  # noqa: TC001 - as above
from publisher.schema.stored import Struct
from publisher.schema.verdict import HistoryScore, Verdict  # noqa: TC001 - as above

LESSON_SCHEMA = 1


class Lesson(Struct, frozen=True, kw_only=True):
    """A rejected run as the next kept snapshot carries it."""

    schema: int = LESSON_SCHEMA
    run: RunIdentity
    verdict: Verdict
    scores: dict[str, HistoryScore]
    baseline: list[SuiteComparison]
    """Each suite beside its baseline, as the gate compared them."""
    beside: RunIdentity | None = None
    """The kept run before it; None for the first of a tier."""
    changes: list[Change] = msgspec.field(default_factory=list)
    """What was changed since that one."""
    wrong: list[Sample] = msgspec.field(default_factory=list)
    """Wrong answers to public problems, the most telling first, each with the end of its text."""
    wrong_more: Annotated[int, Meta(ge=0)] = 0
    """How many further answers to public problems were not right."""
