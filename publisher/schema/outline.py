"""Runs in outline: what any two snapshots need to stand beside each other, for as many as one small file holds."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from publisher.schema.comparison import Part  # noqa: TC001 - msgspec reads it while running
from publisher.schema.stored import Struct

OUTLINES_SCHEMA = 1
LARGEST_OUTLINES = 300_000
"""Bytes of all outlines of a snapshot together."""
MOST_OUTLINES = 51
"""Runs in outline of a snapshot: its own, and 50 older ones."""

_Count = Annotated[int, Meta(ge=0, le=1 << 20)]


class SuiteOutline(Struct, frozen=True, kw_only=True):
    """What one suite measured, in outline."""

    version: str
    """Digest of the problems and the grader: only scores with equal ones can be compared."""
    score: float
    stderr: float
    right: list[_Count] = msgspec.field(default_factory=list)
    """Right samples of each problem, in the order of the version's problems; empty where the record does not tell."""
    drawn: _Count | list[_Count] = 0
    """Samples of each problem that count; one number where all have as many."""
    kinds: dict[str, float] = msgspec.field(default_factory=dict)
    """Score by kind of problem, and by tag and value, in points."""
    figures: dict[str, float] = msgspec.field(default_factory=dict)
    """Tokens, latency and lengths, by name with the unit."""


class Outline(Struct, frozen=True, kw_only=True):
    """One run in outline."""

    run_id: str
    commit: str
    subject: str
    started: str
    tier: str
    snapshot: str = ""
    """Its snapshot's branch, and its permanent address: empty where there is none that leads anywhere."""
    address: str = ""
    greedy: bool
    """Whether its answers do not depend on seeds, so that more samples of a problem tell nothing new."""
    settings: list[Annotated[int, Meta(ge=0)]]
    """What decided its scores: places in the list of settings."""
    suites: dict[str, SuiteOutline]


class Outlines(Struct, frozen=True, kw_only=True):
    """`outlines.json`: a snapshot's own run first, then older kept runs, newest first."""

    schema: int = OUTLINES_SCHEMA
    problems: dict[str, list[str]]
    """The ids of the problems of each version of a suite."""
    settings: list[tuple[Part, str, str]]
    """Every setting of any of the runs once: part, name and value."""
    runs: list[Outline]
