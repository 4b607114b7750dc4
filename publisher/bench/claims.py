"""What a measured run says of itself that cannot be computed again: it must have the form that `publisher` writes.

A claim that only looks odd is not harmless. A figure that is not finite, or a name that is too long, makes a record
that nobody can read once it is in the ledger; a further condition would be a baseline of the run's own.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import msgspec

from publisher.bench.plan import RECIPE
from publisher.files import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from publisher.schema import Record, StoppedEarly

LARGEST_IDENTITY = 1 << 20
"""Bytes of a record without its results."""
LARGEST_FIGURE = 1e18
LONGEST_NAME = 100
LONGEST_WHY = 1000
MOST_FIGURES = 200
MOST_PARALLEL = 1 << 20
"""Slots of all engines together."""
AHEAD = dt.timedelta(days=1)
"""How far the clock of a bench machine may be ahead of this one's."""
CONDITIONS = {
    "context",
    "sampling",
    "mode",
    "flash_attention",
    "kv_type",
    "engine",
    "recipe",
    "instructions",
    "gpu_layers",
    "gpus",
}
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_FIGURE = re.compile(r"[a-z0-9_]{1,64}")
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}-[a-z0-9][a-z0-9._-]{0,63}")


def odd_claims(record: Record, now: dt.datetime) -> Iterator[str]:
    """Yield, in a sentence each, what no publisher would have written into a record before `now`."""
    if len(canonical_json(msgspec.structs.replace(record, results=[]))) > LARGEST_IDENTITY:
        yield "what it says of itself is longer than any machine's description"
    started, finished = _moment(record.started), _moment(record.finished)
    if started is None or finished is None or f"{started:%Y%m%dT%H%M%SZ}" != record.run_id[:16]:
        yield "it did not start when its id says, or its times are not written as times are"
    elif not started <= now + AHEAD:
        yield f"it started on {started:%Y-%m-%d}, which is not yet: is the clock of its machine right?"
    if len(record.salt) > LONGEST_NAME:
        yield "its salt is longer than any that publisher makes"
    if not 1 <= record.engine.slots * record.engine.engines <= MOST_PARALLEL:
        yield "its engines cannot have so many slots"
    if not _are_figures(record.statistics):
        yield "a figure of the run is not a finite number from 0 on, or has an odd name"
    if not _are_reused(record):
        yield "it cannot have reused these samples"
    if record.conditions.keys() - {"shapes"} != CONDITIONS or record.conditions["recipe"] != str(RECIPE):
        yield "its conditions are not those that this version of publisher records"
    if record.stopped_early is not None and not _can_end(record.stopped_early):
        yield "it cannot have been stopped so"


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.strptime(text, _STAMP).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _are_figures(figures: Mapping[str, float]) -> bool:
    """Return whether figures can be an engine's; costs are per token, so there is none of less than one token."""
    known = all(_FIGURE.fullmatch(name) and 0 <= one < LARGEST_FIGURE for name, one in figures.items())
    tokens = figures.get("decode_tokens", 0.0)
    return known and len(figures) <= MOST_FIGURES and (tokens == 0 or tokens >= 1)


def _are_reused(record: Record) -> bool:
    planned = sum(part.problems * part.samples for part in record.suites)
    counts = record.reused.values()
    return all(map(_RUN.fullmatch, record.reused)) and all(one >= 0 for one in counts) and sum(counts) <= planned


def _can_end(early: StoppedEarly) -> bool:
    counted = 1 <= early.look <= MOST_PARALLEL and 0 <= early.samples <= early.planned < 1 << 40
    return counted and 0 <= early.share <= 1 and len(early.why) <= LONGEST_WHY
