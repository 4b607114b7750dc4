"""The journal of an unfinished run: its finished samples, a line each, so that a killed run continues.

A line counts only with its line break, so a line that a crash or a full disk cut off is dropped. Only one process at a
time may hold a journal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Self

import msgspec

from publisher.errors import StorageError
from publisher.files import compact_json, sha256_hex, storage_error
from publisher.schema import RECORD_SCHEMA, Sample

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from publisher.schema import EngineIdentity

_SYNC_EVERY = 32
"""Samples after which the file is synced. Only a power cut can lose more recent ones: a killed process loses none."""


def journal_path(workspace: Path, *, commit: str, tier: str, fingerprint: str, salt: str) -> Path:
    """Return the path of a run's journal: runs that generate or grade differently have different ones."""
    key = "\n".join([str(RECORD_SCHEMA), commit, tier, fingerprint, salt])
    return workspace / "journal" / f"{sha256_hex(key.encode())[:32]}.jsonl"


def choices_of(engine: EngineIdentity) -> str:
    """Return, as text, what an engine has chosen by itself that decides its answers; "" where no choice does.

    Only where the shape of a batch changes the order of sums does the number of slots belong to an engine's options.
    """
    if "slots" not in engine.options:
        return ""
    chosen = {"engines": engine.engines, "gpu_layers": engine.gpu_layers_offloaded, "options": engine.options}
    return compact_json(chosen).decode().strip()


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a journal whose answers depend on what its engine has chosen."""

    choices: str


class Journal:
    """The open journal of one run; `samples` are those that an earlier, interrupted process has finished.

    `choices` is what the engine had chosen for them; "" where that decides nothing.
    """

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
            self.choices, self.samples = self._recover()
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

    def settle(self, choices: str) -> bool:
        """Write down what the engine has chosen; return false where the samples so far were made by other choices.

        Those are dropped: a run has the answers of one engine. Raises StorageError on a full disk.
        """
        if choices == self.choices:
            return True
        begun = bool(self.samples)
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, msgspec.json.encode(_Head(choices)) + b"\n")
        except OSError as error:
            raise storage_error(error, self.path) from error
        self.samples, self.choices = [], choices
        return not begun

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, sample: Sample) -> None:
        """Add a finished sample. On a full disk raise StorageError and leave the journal as it was."""
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
        """Sync the file and release the journal. It stays on disk unless it is empty."""
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

    def _recover(self) -> tuple[str, list[Sample]]:
        """Return the choices and the samples of the whole lines, and truncate the file before the first broken line."""
        data = self.path.read_bytes()
        choices, good = "", 0
        if data.startswith(b'{"choices":') and (end := data.find(b"\n")) > 0:
            with contextlib.suppress(msgspec.MsgspecError):
                choices, good = msgspec.json.decode(data[:end], type=_Head).choices, end + 1
        samples = []
        while (end := data.find(b"\n", good)) >= 0:
            try:
                samples.append(msgspec.json.decode(data[good:end], type=Sample))
            except msgspec.MsgspecError:
                break
            good = end + 1
        if good < len(data):
            os.ftruncate(self._file, good)
        return choices, samples
