"""What readers sent by forms: one file per submission, indexed by form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher.errors import StorageError
from publisher.files import atomic_write, compact_json
from publisher.host.store.records import SCHEMA, Submission, new_id

if TYPE_CHECKING:
    from pathlib import Path

MOST = 100_000
"""Submissions that are kept; more are turned away."""


class Submissions:
    """A folder with one file per submission."""

    def __init__(self, folder: Path) -> None:
        """Read what is in `folder`, which the first submission creates. A file that a crash cut short is left out."""
        self._folder = folder
        found = [_read(path) for path in folder.glob("*.json")]
        ordered = sorted((one for one in found if one is not None), key=lambda one: one.number)
        self._all = {one.id: one for one in ordered}
        self._last = ordered[-1].number if ordered else 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def add(self, form_id: str, data: dict[str, str], now: float) -> Submission:
        """Keep one more."""
        self._last += 1
        made = Submission(schema=SCHEMA, id=new_id(), number=self._last, form_id=form_id, created_at=now, data=data)
        atomic_write(self._path(made.id), compact_json(made), mode=0o600)
        self._all[made.id] = made
        return made

    def get(self, submission_id: str) -> Submission | None:
        """Return one, or None."""
        return self._all.get(submission_id)

    def newest_first(self, form_id: str = "") -> list[Submission]:
        """Return all, or those of one form, the newest first."""
        return [one for one in reversed(self._all.values()) if form_id in {"", one.form_id}]

    def remove(self, submission_id: str) -> None:
        """Delete one."""
        self._path(submission_id).unlink(missing_ok=True)
        del self._all[submission_id]

    def _path(self, submission_id: str) -> Path:
        return self._folder / f"{submission_id}.json"


def _read(path: Path) -> Submission | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Submission)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError:
        return None
