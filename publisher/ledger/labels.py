"""Labels: words that people attach to runs and take off again; both are entries that stay."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from publisher import schema
from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.ledger.forms import check_time
from publisher.schema import Label

if TYPE_CHECKING:
    from publisher.ledger.store import Ledger

FOLDER = "labels"
_PATH = re.compile(r"labels/([0-9A-Za-z._-]{1,200})/([a-z0-9][a-z0-9._-]{0,62})-(\d{1,6})\.json\Z")
_LARGEST = 16 << 10
"""Bytes of one entry."""


def label_file(label: Label) -> dict[str, bytes]:
    """Return the ledger file of an entry."""
    return {f"{FOLDER}/{label.run_id}/{label.name}-{label.number}.json": canonical_json(label)}


def read_labels(ledger: Ledger) -> list[Label]:
    """Return every entry, by run, name and number; one that cannot be read or stands elsewhere is left out."""
    found = []
    paths = {path: match for path in ledger.paths(below=f"{FOLDER}/") if (match := _PATH.match(path))}
    blobs = ledger.repository.read_small([f"{ledger.head}:{path}" for path in paths], _LARGEST) if paths else []
    for (path, match), data in zip(paths.items(), blobs, strict=True):
        if data is None:
            continue
        try:
            label = schema.decode(data, Label, path)
            check_time(label.time)
        except StorageError:
            continue
        if (label.run_id, label.name, str(label.number)) == match.groups():
            found.append(label)
    return sorted(found, key=lambda label: (label.run_id, label.name, label.number))


def labels_now(entries: list[Label]) -> dict[str, set[str]]:
    """Return the labels that each run has now: the last entry of each name counts."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.on:
            found[entry.run_id].add(entry.name)
        else:
            found[entry.run_id].discard(entry.name)
    return {run_id: names for run_id, names in found.items() if names}
