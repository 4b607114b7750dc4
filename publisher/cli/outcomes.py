"""What a pipeline learns of a run: a few words, numbers and addresses of fixed form, from files that may be hostile."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from publisher import schema
from publisher.errors import StorageError, UsageError
from publisher.schema import Receipt, Report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST = 16 << 20
"""Bytes of a file that is read: more than anything we write."""
FORMS = {
    "verdict": re.compile(r"kept|passed|rejected|inconclusive|unchanged|held"),
    "score": re.compile(r"-?[0-9]{1,3}\.[0-9]"),
    "interval": re.compile(r"-?[0-9]{1,3}\.[0-9] to -?[0-9]{1,3}\.[0-9]"),
    "run-id": re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}-[a-z0-9][a-z0-9._-]{0,63}"),
    "snapshot": re.compile(r"snapshot-[0-9a-f]{12}(-[0-9]{1,4})?"),
    "address": re.compile(r"https?://[a-z0-9.-]{1,255}(:[0-9]{1,5})?"),
    "permalink": re.compile(r"https?://[a-z0-9.-]{1,255}(:[0-9]{1,5})?"),
}
"""What each output may look like; what looks otherwise is left out."""


def values(report: Report, receipt: Receipt | None) -> dict[str, str]:
    """Return what a run's outputs are, by name; what does not have its form is left out."""
    return {name: value for name, value in _found(report, receipt) if FORMS[name].fullmatch(value)}


def report_in(path: Path) -> Report:
    """Return the report in a file; UsageError where there is none, StorageError where it cannot be read."""
    return schema.decode(read(path), Report, path.name)


def receipt_in(path: Path) -> Receipt | None:
    """Return the receipt in what `publish --json` wrote; None where nothing was published."""
    try:
        found = json.loads(read(path))["receipt"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(f"{path.name} is not what publish --json writes") from error
    return schema.decode(json.dumps(found).encode(), Receipt, "receipt") if found else None


def _found(report: Report, receipt: Receipt | None) -> Iterator[tuple[str, str]]:
    """Yield the outputs that a run has, whatever they look like."""
    verdict = report.verdict
    yield "verdict", verdict.verdict
    yield "run-id", report.run.run_id
    result = report.scores.get(verdict.headline)
    if result is not None:
        yield "score", f"{result.score:.1f}"
        yield "interval", f"{result.low:.1f} to {result.high:.1f}"
    if receipt is not None:
        yield "snapshot", receipt.snapshot
        yield "address", receipt.address
        yield "permalink", receipt.permalink


def read(path: Path) -> bytes:
    """Return a file that an earlier step wrote; UsageError where it is absent or larger than anything we write."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path.name}: {error.strerror}", hint="did the step before fail?") from error
    if len(data) > LARGEST:
        raise UsageError(f"{path.name} is larger than {LARGEST} bytes")
    return data
