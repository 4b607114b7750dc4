"""Finished samples of a run that is not finished: appended line by line, so that a killed run goes on where it was.

A line counts only with its line break, so a line that was cut off by a crash or a full disk is dropped. One process
at a time may hold a journal.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

import msgspec

from publisher.errors import StorageError
from publisher.files import sha256_hex, storage_error
from publisher.schema import RECORD_SCHEMA, Sample

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_SYNC_EVERY = 32
"""Samples after which what was written is made to survive a power cut (a killed process loses nothing)."""


def journal_path(workspace: Path, *, commit: str, tier: str, fingerprint: str, salt: str) -> Path:
    """Return where the samples of a run wait for its end."""
    key = "\n".join([str(RECORD_SCHEMA), commit, tier, fingerprint, salt])
    return workspace / "journal" / f"{sha256_hex(key.encode())[:32]}.jsonl"


class Journal:
    """The open journal of one run; `samples` are those that an earlier, interrupted process finished."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal and read what is in it.

        Raises StorageError when another process holds it, or it cannot be read or created.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.samples = self._recover()
        except BlockingIOError as error:
            os.close(self._file)
            raise StorageError(
                "another publisher is measuring this commit right now",
                hint="wait for it to end, then run the same command again",
            ) from error
        except OSError as error:
            os.close(self._file)
            raise storage_error(error, path) from error
        self._unsynced = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, sample: Sample) -> None:
        """Add a finished sample; StorageError when the disk is full, and the journal is as it was before."""
        size = os.fstat(self._file).st_size
        line = msgspec.json.encode(sample) + b"\n"
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
            self._unsynced += 1
            if self._unsynced >= _SYNC_EVERY:
                self._sync()
        except OSError as error:
            os.ftruncate(self._file, size)
            raise storage_error(error, self.path) from error

    def close(self) -> None:
        """Make everything durable and let the journal go; it stays on disk unless it is empty."""
        if self._file >= 0:
            try:
                self._sync()
                if not os.fstat(self._file).st_size:
                    self.path.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(error, self.path) from error
            finally:
                os.close(self._file)
                self._file = -1

    def _sync(self) -> None:
        os.fsync(self._file)
        self._unsynced = 0

    def _recover(self) -> list[Sample]:
        """Return the whole lines and cut off whatever comes after the first broken one."""
        data = self.path.read_bytes()
        samples, good = [], 0
        while (end := data.find(b"\n", good)) >= 0:
            try:
                samples.append(msgspec.json.decode(data[good:end], type=Sample))
            except msgspec.MsgspecError:
                break
            good = end + 1
        if good < len(data):
            os.ftruncate(self._file, good)
        return samples
