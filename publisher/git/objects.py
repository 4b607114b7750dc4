"""Reading objects and refs through two long-lived `git cat-file` processes: one says sizes, the other contents.

Starting git costs more than most reads. A size is asked for before the contents, so nothing large is read by accident:
neither here nor by git, which unpacks an object before it writes it.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from publisher.errors import GitError, StorageError
from publisher.git.process import start, stop

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

LARGEST = 128 << 20
"""Bytes of one object that are read unless the caller says otherwise."""
_PIECE = 1 << 20
"""Bytes of a blob that are copied at a time."""
_WINDOW = 4096
"""Bytes of names that are written before answers are read: no more than any pipe holds, so neither side can block."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object before it is read: its full hash, its kind and its size in bytes."""

    sha: str
    kind: str
    size: int


class ObjectReader:
    """The objects of one repository, read by name: a hash, a full ref name or COMMIT:PATH. Safe from any thread."""

    def __init__(self, folder: Path) -> None:
        """Prepare to read in `folder`; no process is started before the first read."""
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        # Called before any finalizer of a cycle that this reader is part of, when the processes are still whole.
        weakref.finalize(self, _end, self._processes)

    def close(self) -> None:
        """End the processes; the next read starts new ones."""
        with self._lock:
            _end(self._processes)

    def info(self, names: Iterable[str]) -> list[ObjectInfo | None]:
        """Return what each name stands for, None for one that names nothing (or several things)."""
        with self._lock:
            found: list[ObjectInfo | None] = []
            for window in _windows(names):
                process = self._asked("--batch-check", window)
                found += [_parsed(self._line(process, "--batch-check")) for _ in window]
            return found

    def contents(self, objects: Sequence[ObjectInfo | None], limit: int) -> list[bytes | None]:
        """Return the bytes of blobs, trees and commits, None for a missing object or one of another kind.

        Raises StorageError when one has more than `limit` bytes; nothing of it is read then.
        """
        wanted = [known for known in objects if known is not None and known.kind in {"blob", "commit", "tree"}]
        large = next((known for known in wanted if known.size > limit), None)
        if large is not None:
            raise StorageError(f"git object {large.sha} has {large.size} bytes, more than the {limit} that are read")
        data: dict[str, bytes] = {}
        with self._lock:
            for window in _windows(dict.fromkeys(known.sha for known in wanted)):
                process = self._asked("--batch", window)
                data |= {sha: self._body(process) for sha in window}
        return [data.get(known.sha) if known is not None else None for known in objects]

    def copy(self, blob: ObjectInfo, stream: BinaryIO) -> None:
        """Write a blob's bytes to `stream`, piece by piece; whatever `stream` raises passes through."""
        with self._lock:
            process = self._asked("--batch", [blob.sha])
            try:
                self._line(process, "--batch")
                left = blob.size + 1  # the contents are followed by a line break
                while left:
                    piece = process.stdout.read(min(left, _PIECE)) if process.stdout is not None else b""
                    if not piece:
                        self._fail("--batch")
                    left -= len(piece)
                    stream.write(piece if left else piece[:-1])
            except BaseException:
                # The rest of the blob would be taken for the next answer.
                _end(self._processes)
                raise

    def _asked(self, mode: str, names: Sequence[str]) -> subprocess.Popen[bytes]:
        """Write names to the process for `mode`, started again where it has ended, and return it."""
        request = "".join(f"{name}\n" for name in names).encode()
        process = self._processes.get(mode)
        if process is not None and process.poll() is not None:
            # Ctrl-C reaches these processes too, so one may be gone although we live on.
            stop(self._processes.pop(mode))
            process = None
        if process is None:
            process = self._processes[mode] = start(["cat-file", mode], self._folder)
        try:
            assert process.stdin is not None  # noqa: S101 - for the type checker: it was started with a pipe
            process.stdin.write(request)
            process.stdin.flush()
        except BrokenPipeError:
            self._fail(mode)
        return process

    def _line(self, process: subprocess.Popen[bytes], mode: str) -> str:
        line = process.stdout.readline() if process.stdout is not None else b""
        if not line.endswith(b"\n"):
            self._fail(mode)
        return line.decode(errors="replace")

    def _body(self, process: subprocess.Popen[bytes]) -> bytes:
        """Return the contents of the object that comes next."""
        known = _parsed(self._line(process, "--batch"))
        if known is None:
            self._fail("--batch")
        body = process.stdout.read(known.size + 1) if process.stdout is not None else b""
        if len(body) != known.size + 1:
            self._fail("--batch")
        return body[:-1]

    def _fail(self, mode: str) -> NoReturn:
        """Raise GitError with what the process said before it ended."""
        process = self._processes[mode]
        process.terminate()
        said = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
        _end(self._processes)
        raise GitError(f"git cat-file ended unexpectedly in {self._folder}", detail=said, hint="git fsck")


def _end(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    """End all processes and forget them."""
    while processes:
        stop(processes.popitem()[1])


def _windows(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield the names in lists that fit into a pipe; GitError for a name that would be read as two."""
    window: list[str] = []
    length = 0
    for name in names:
        size = len(name.encode(errors="surrogateescape")) + 1
        if "\n" in name or size > _WINDOW:
            raise GitError("a file name with a line break, or of more than 4,096 bytes, cannot be read")
        if window and length + size > _WINDOW:
            yield window
            window, length = [], 0
        window.append(name)
        length += size
    if window:
        yield window


def _parsed(line: str) -> ObjectInfo | None:
    words = line.rstrip("\n").rsplit(" ", 2)
    if len(words) != 3 or not words[2].isdigit():
        return None
    return ObjectInfo(words[0], words[1], int(words[2]))
