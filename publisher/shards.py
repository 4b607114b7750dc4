"""The history of a snapshot as files: an index and parts of lines, which successive snapshots share.

Each snapshot shows all runs, so a history in one file would be stored and uploaded anew, whole, with each of them. In
parts that are named by their contents, a run is written three times in all: by itself in the index, in a part of 16
lines and in one of 256. Git stores a part once for all snapshots, and Netlify uploads it once for all deploys. A line
that changes later, since its snapshot was deleted, renews its part and no other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.errors import StorageError
from publisher.files import canonical_json, compact_json, sha256_hex
from publisher.schema import HISTORY_SCHEMA, History, HistoryIndex, HistoryPart, PartName, decode, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from publisher.schema import HistoryLine

INDEX = "history.json"
FOLDER = "lines"
SIZES = (256, 16)
"""Lines of a part. What is left after the last whole part is in the index."""
MOST_PARTS = 20_000
"""Parts that are read at most, some five million runs."""
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def split(history: History) -> dict[str, bytes]:
    """Return the files of a history by path: `history.json`, and `lines/SHA256.json` for each part."""
    parts = [HistoryPart(lines=list(lines)) for lines in _whole(history.lines)]
    stored = [compact_json(part) for part in parts]
    names = [PartName(sha256=sha256_hex(data), runs=len(part.lines)) for part, data in zip(parts, stored, strict=True)]
    index = HistoryIndex(
        site=history.site,
        headline=history.headline,
        runs=len(history.lines),
        parts=names,
        lines=history.lines[sum(name.runs for name in names) :],
        drift=history.drift,
        rollbacks=history.rollbacks,
    )
    files = {path(name.sha256): data for name, data in zip(names, stored, strict=True)}
    return {INDEX: canonical_json(index), **files}


def _whole(lines: Sequence[HistoryLine]) -> Iterator[Sequence[HistoryLine]]:
    """Yield the lines that fill whole parts: as many large parts as there can be, then small ones."""
    start = 0
    for size in SIZES:
        while len(lines) - start >= size:
            yield lines[start : start + size]
            start += size


def path(sha256: str) -> str:
    """Return the path of a part."""
    return f"{FOLDER}/{sha256}.json"


def join(index: bytes, read: Callable[[str], bytes], where: str = INDEX) -> tuple[History, dict[str, bytes]]:
    """Return the history that an index stands for, and its files by path; `read` returns a part's bytes by its path.

    A history in one piece, as older publishers stored it, is its own only file. Raises StorageError, naming `where`,
    where the index or a part cannot be read or a part is not the one that the index names.
    """
    if version(index, where) == HISTORY_SCHEMA:
        return decode(index, History, where), {INDEX: index}
    found = decode(index, HistoryIndex, where)
    if len(found.parts) > MOST_PARTS or not all(_DIGEST.match(name.sha256) for name in found.parts):
        raise StorageError(f"{where} names parts that cannot be its own")
    files = {path(name.sha256): read(path(name.sha256)) for name in found.parts}
    lines: list[HistoryLine] = []
    for name in found.parts:
        data = files[path(name.sha256)]
        if sha256_hex(data) != name.sha256:
            raise StorageError(f"{where}: {path(name.sha256)} is not the part that it names")
        lines += decode(data, HistoryPart, path(name.sha256)).lines
    lines += found.lines
    if len(lines) != found.runs:
        raise StorageError(f"{where} says that there are {found.runs} runs, and {len(lines)} are there")
    history = History(
        site=found.site, headline=found.headline, lines=lines, drift=found.drift, rollbacks=found.rollbacks
    )
    return history, {INDEX: index, **files}
