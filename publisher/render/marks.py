"""What a chart draws: a mark per run, and what happened between runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from publisher.render import text

Shape = Literal["kept", "rejected", "inconclusive", "unreadable"]


class Mark(msgspec.Struct, frozen=True):
    """One run in the chart: its score and interval in points, what became of it, and what to say and link."""

    score: float
    low: float
    high: float
    shape: Shape
    title: str
    started: str
    """When it was measured, as its record has it."""
    href: str = ""
    own: bool = False
    short: str = ""
    """The start of the commit, written below the chart in the place of a day that is the same for all."""
    row: str = ""
    """The run's line in the tables of the history, where it has one."""

    @property
    def label(self) -> str:
        """The day, written below the chart: of a few of thousands of marks."""
        return text.date(self.started)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened between runs: another model, another version of the suite, a way back."""

    kind: Literal["model", "suite", "rollback"]
    place: float
    """The number of the run that it comes before, or that a rollback leaves; runs of the chart count from 0."""
    title: str
    to: float = 0.0
    """The number of the run that a rollback goes to; less than 0 where that one is older than the chart."""
