"""A log of everything that the host did, in order, so that its answers can be checked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from publisher.files import storage_error
from publisher.host.store.clock import timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.host.store.clock import Clock


class Effects:
    """An append-only file with one JSON object per line."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Continue the file at `path`, or start it."""
        self._path = path
        self._clock = clock
        self._end_cut_line()
        self._count = len(self.read())

    def record(self, effect: str, **facts: str | int | bool) -> None:
        """Append one effect with its time and the ids it is about."""
        self._count += 1
        line = {"number": self._count, "at": timestamp(self._clock.now()), "effect": effect, **facts}
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, msgspec.json.encode(line) + b"\n")
            finally:
                os.close(handle)
        except OSError as error:
            raise storage_error(error, self._path) from error

    def read(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the effects with a number greater than `after`; a line that a crash cut short is shown as `cut`."""
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().split(b"\n")[:-1]
        return [_decode(line) for line in lines[after:]]

    def _end_cut_line(self) -> None:
        if self._path.exists() and not self._path.read_bytes().endswith(b"\n"):
            with self._path.open("ab") as stream:
                stream.write(b"\n")


def _decode(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {"effect": "cut"}
