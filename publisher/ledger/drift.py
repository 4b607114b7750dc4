"""Drift checks in the ledger: `drift/<run>-<number>.json`, each a measurement of the live commit on a later day."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.ledger import forms
from publisher.schema import DriftCheck, decode

if TYPE_CHECKING:
    from publisher.ledger.store import Ledger

FOLDER = "drift"
MOST = 500
"""Checks that are read, the newest ones; a check a day for more than a year."""
_PATH = re.compile(rf"{FOLDER}/({forms.RUN_ID})-(\d{{6}})\.json\Z")
_LARGEST = 1 << 18


def path_of(check: DriftCheck) -> str:
    """Return where a check is in the ledger."""
    return f"{FOLDER}/{check.run_id}-{check.number:06d}.json"


def file_of(check: DriftCheck) -> dict[str, bytes]:
    """Return the ledger file of a check."""
    return {path_of(check): canonical_json(check)}


def checks(ledger: Ledger, at: str | None = None) -> list[DriftCheck]:
    """Return the newest checks (as of the ledger's commit `at`), by run and number; unreadable ones are left out."""
    head = at or ledger.head
    paths = sorted(path for path in (ledger.repository.below(head, FOLDER) if head else {}) if _PATH.match(path))[
        -MOST:
    ]
    found = []
    for path, data in zip(
        paths, ledger.repository.read_small([f"{head}:{path}" for path in paths], _LARGEST), strict=True
    ):
        try:
            check = decode(data or b"", DriftCheck, path)
        except StorageError:
            continue
        if path_of(check) == path:
            found.append(check)
    return found
