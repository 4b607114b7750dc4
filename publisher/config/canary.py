"""`[canary]`: how a snapshot is shown to some readers before it goes live, and what stops it."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from publisher.config.section import Section

Percent = Annotated[int, Meta(ge=1, le=100, description="a percentage from 1 to 100")]
MOST_STAGES = 20


class CanaryConfig(Section, frozen=True, kw_only=True):
    """Only the trusted branch's file counts; a canary keeps the stages that it was started with."""

    stages: list[Percent] = msgspec.field(default_factory=lambda: [10, 50, 100])
    """The shares of readers that see the candidate, one after the other; after the last it is promoted."""
    hours: Annotated[float, Meta(ge=0, le=8760, description="hours, at least 0")] = 24.0
    """The least time that a stage lasts."""
    days: Annotated[float, Meta(gt=0, le=365, description="days, above 0")] = 30.0
    """The longest that a canary lasts; one that is not promoted by then is aborted."""
    responses: Annotated[int, Meta(ge=0, le=100_000, description="a whole number, at least 0")] = 10
    """Readers' ratings and reviews of the candidate without which no stage follows."""
    worse: Annotated[float, Meta(ge=0, le=4, description="points of a rating from 1 to 5")] = 0.5
    """How much lower than the live snapshot's the candidate's mean rating may be; lower beyond doubt aborts."""
    rating: Annotated[float, Meta(ge=1, le=5, description="a rating from 1 to 5")] = 1.0
    """The least mean rating; lower beyond doubt aborts."""
    wrong: Annotated[int, Meta(ge=0, le=10_000, description="a whole number, at least 0")] = 0
    """Wrong answers that may be confirmed; one more aborts."""
    p95: Annotated[float, Meta(gt=0, description="seconds, above 0")] | None = None
    """The most seconds per answer that the candidate's run may have taken in 95 of 100 cases."""
    hourly: Annotated[int, Meta(ge=1, le=100_000, description="a whole number, at least 1")] = 60
    """Submissions in one hour beyond which the hour's are set aside, because nobody is that popular by chance."""
    alpha: Annotated[float, Meta(ge=1e-9, lt=0.5, description="a probability: at least 1e-9, below 0.5")] = 0.05
    """How likely a candidate that readers like as much as the live snapshot is ever aborted by its ratings."""


def canary_mistakes(section: CanaryConfig) -> list[str]:
    """Return what is wrong with `[canary]` beyond its bounds."""
    if not 1 <= len(section.stages) <= MOST_STAGES:
        return [f"canary.stages: 1 to {MOST_STAGES} stages are needed"]
    if any(later <= sooner for sooner, later in pairwise(section.stages)):
        return ["canary.stages: each stage must show the candidate to more readers than the one before"]
    if section.hours * len(section.stages) > 24 * section.days:
        return ["canary.days: the stages take longer than that"]
    return []
