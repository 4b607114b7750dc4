"""Measured runs on this machine that the ledger does not have: those without a verdict, and those still being measured.

Each is one file: the record's length, the record, the packed samples.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from publisher import schema
from publisher.bench.journal import journal_path
from publisher.errors import StorageError
from publisher.files import atomic_write, canonical_json
from publisher.samples import pack_samples
from publisher.schema import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.bench.so_far import SoFar

_LENGTH = 4
"""Bytes that hold the length of a record."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Measured runs that have no verdict yet, in a folder beside the repository's objects."""

    folder: Path

    def store(self, record: Record, samples: bytes) -> None:
        """Keep a measured run."""
        _write(self._path(record.run_id), record, samples)

    def records(self) -> Iterator[Record]:
        """Yield the pending records, oldest first; one that cannot be read is left out: it can be measured again."""
        for path in sorted(self.folder.glob("*.run")):
            record = _record(path)
            if record is not None:
                yield record

    def samples(self, run_id: str) -> bytes:
        """Return the packed samples of a pending run."""
        return _samples(self._path(run_id))

    def holds(self, run_id: str) -> bool:
        """Return whether a run is pending."""
        return self._path(run_id).is_file()

    def discard(self, run_id: str) -> None:
        """Forget a pending run, which is in the ledger, and the journal that a crash may have left of it."""
        for record in self.records():
            if record.run_id == run_id:
                journal_path(
                    self.folder.parent,
                    commit=record.commit.sha,
                    tier=record.tier,
                    fingerprint=record.fingerprint,
                    salt=record.salt,
                ).unlink(missing_ok=True)
        self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.run"


@dataclass(frozen=True, slots=True)
class Running:
    """What processes of this machine are measuring, as it is so far; each file is named after its process."""

    folder: Path

    @contextlib.contextmanager
    def shown(self) -> Iterator[SoFar]:
        """Yield what lets others look at the run that this process is measuring; it is forgotten in the end."""
        self._paths()  # what a killed process left goes with the next one that measures
        path = self.folder / f"{os.getpid()}.run"
        try:
            yield lambda record, samples: _write(path, record, pack_samples(samples))
        finally:
            path.unlink(missing_ok=True)

    def records(self) -> Iterator[Record]:
        """Yield the records of runs that are being measured; what a killed process left is removed."""
        for path in self._paths():
            record = _record(path)
            if record is not None:
                yield record

    def holds(self, run_id: str) -> bool:
        """Return whether a run is being measured, and has its first samples."""
        return any(record.run_id == run_id for record in self.records())

    def samples(self, run_id: str) -> bytes:
        """Return the packed samples that a run has so far; StorageError where it has just ended."""
        for path in self._paths():
            record = _record(path)
            if record is not None and record.run_id == run_id:
                return _samples(path)
        raise StorageError(f"{run_id} is not being measured any more", hint="publisher log")

    def state(self) -> str:
        """Return what changes whenever one of the runs has more samples."""
        return " ".join(f"{path.name}:{path.stat().st_mtime_ns}" for path in self._paths())

    def _paths(self) -> list[Path]:
        found = []
        for path in sorted(self.folder.glob("*.run")):
            if _lives(path.stem):
                found.append(path)
            else:
                path.unlink(missing_ok=True)
        return found


def _lives(name: str) -> bool:
    """Return whether the process that a file is named after is there."""
    try:
        os.kill(int(name), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _write(path: Path, record: Record, samples: bytes) -> None:
    head = canonical_json(record)
    atomic_write(path, len(head).to_bytes(_LENGTH, "big") + head + samples)


def _record(path: Path) -> Record | None:
    """Return the record in a file; None where it cannot be read, or has gone meanwhile."""
    try:
        return schema.decode(_head(path), Record, str(path))
    except (StorageError, FileNotFoundError):
        return None


def _samples(path: Path) -> bytes:
    try:
        return path.read_bytes()[_LENGTH + len(_head(path)) :]
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", hint="measure it again with --fresh") from error


def _head(path: Path) -> bytes:
    """Return the record at the beginning of a file."""
    with path.open("rb") as stream:
        return stream.read(int.from_bytes(stream.read(_LENGTH), "big"))
