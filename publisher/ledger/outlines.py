"""The older runs that a snapshot's pages can compare with any other: which ones, and their outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher import outline, schema
from publisher.errors import StorageError
from publisher.ledger.history import folder
from publisher.schema import Record
from publisher.schema.outline import MOST_OUTLINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from publisher.git import Repository
    from publisher.schema import HistoryLine

FILE = "outlines.json"
LARGEST_RECORD = 8 << 20
"""Bytes of a record that is read for its outline; a run with a larger one is left out."""


def file_of(
    repository: Repository, entered: str, own: Record, lines: Sequence[HistoryLine], headline: str
) -> dict[str, bytes]:
    """Return `outlines.json` of the run `own`, made from the ledger as of its commit `entered`.

    `lines` is the history as of then, with the snapshot of `own` named. Empty where nothing can be compared.
    """

    def read(line: HistoryLine) -> Record | None:
        (data,) = repository.read_small([f"{entered}:{folder(line.run_id)}/record.json"], LARGEST_RECORD)
        try:
            found = schema.decode(data, Record, "record.json") if data is not None else None
        except StorageError:
            return None
        return found if found is not None and found.run_id == line.run_id else None

    return packed(own, lines, headline, read)


def packed(
    own: Record, lines: Sequence[HistoryLine], headline: str, read: Callable[[HistoryLine], Record | None]
) -> dict[str, bytes]:
    """Return `outlines.json`: the run itself, and then the older kept ones that it can be compared with, newest first.

    The best of them is always there, and after it the newest, as many as fit. `read` returns the record of a line, or
    None where it cannot be used. Empty where there is no other run, or not even the run itself fits.
    """
    places = {line.run_id: place for place, line in enumerate(lines)}
    shown = next(line for line in lines if line.run_id == own.run_id)

    def records() -> Iterator[tuple[HistoryLine, Record]]:
        yield shown, own
        for line in _older(lines[: places[own.run_id]], shown, headline)[: 2 * MOST_OUTLINES]:
            record = read(line)
            if record is not None:
                yield line, record

    found = outline.outlines(records())
    if len(found.runs) < 2:
        return {}
    runs = sorted(found.runs, key=lambda run: -places[run.run_id])
    return {FILE: msgspec.json.encode(msgspec.structs.replace(found, runs=runs))}


def _older(lines: Sequence[HistoryLine], shown: HistoryLine, headline: str) -> list[HistoryLine]:
    """Return the kept runs of the same tier that share a suite, the best of the headline first, then the newest."""
    versions = {name: score.suite for name, score in shown.scores.items()}
    found = [
        line
        for line in reversed(lines)
        if line.verdict == "kept"
        and line.tier == shown.tier
        and not (line.taken_down or line.given_up)
        and any(versions.get(name) == score.suite for name, score in line.scores.items())
    ]

    def height(line: HistoryLine) -> float:
        score = line.scores.get(headline)
        return score.score if score and score.suite == versions.get(headline) else -1.0

    best = max(found, key=height, default=None)
    return [*filter(None, [best]), *(line for line in found if line is not best)]
