"""The history as it is stored from schema 2 on: an index, and parts of older lines that are named by their contents."""

from __future__ import annotations

import msgspec

from publisher.schema.published import DriftCheck  # noqa: TC001 - msgspec reads annotations while running
from publisher.schema.stored import Struct
from publisher.schema.verdict import HistoryLine, Rollback  # noqa: TC001 - as above

INDEX_SCHEMA = 2
"""One more than that of `History`, which such a file held in one piece before."""
PART_SCHEMA = 1


class HistoryPart(Struct, frozen=True, kw_only=True):
    """`lines/SHA256.json`: some runs of the history, oldest first."""

    schema: int = PART_SCHEMA
    lines: list[HistoryLine]


class PartName(Struct, frozen=True, kw_only=True):
    """One part in the index."""

    sha256: str
    """The SHA-256 of the part's bytes; it is in `lines/SHA256.json`."""
    runs: int


class HistoryIndex(Struct, frozen=True, kw_only=True):
    """`history.json`: the names of the parts, oldest first, and the newest runs themselves."""

    schema: int = INDEX_SCHEMA
    site: str
    headline: str
    runs: int
    """How many runs there are, those in the parts included."""
    parts: list[PartName]
    lines: list[HistoryLine]
    """The runs that no part has yet, oldest first; all of them are newer than those in the parts."""
    drift: list[DriftCheck] = msgspec.field(default_factory=list)
    """The checks of live commits without a change, oldest first."""
    rollbacks: list[Rollback] = msgspec.field(default_factory=list)
    """The moves of the live site to an older snapshot, oldest first."""
