"""Notes on how far a download is: a line every few seconds, for terminals and logs alike."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EVERY = 10.0
"""Seconds between two notes."""
_UNIT = 1_000_000


class Progress:
    """Told of every piece that arrives, notes the state of a download now and then."""

    def __init__(
        self,
        what: str,
        note: Callable[[str], None],
        *,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin now; a download that ends before the first note is due leaves none."""
        self._what, self._note, self._every, self._clock = what, note, every, clock
        self._said = clock()
        self._before: int | None = None

    def __call__(self, done: int, size: int | None) -> None:
        """Hear that `done` bytes of `size` (None where that is not known) are here, earlier attempts included."""
        now = self._clock()
        if self._before is None:
            self._before = done  # bytes of an earlier attempt say nothing about the speed of this one
        if now - self._said < self._every:
            return
        speed = max(0, done - self._before) / (now - self._said) / _UNIT
        whole = f" of {size / _UNIT:,.0f} MB ({done / max(1, size):.0%})" if size is not None else " MB"
        self._note(f"{self._what}: {done / _UNIT:,.0f}{whole}, {speed:,.1f} MB/s")
        self._said, self._before = now, done


@contextlib.contextmanager
def watching(folder: Path, progress: Progress, *, every: float = EVERY) -> Iterator[None]:
    """Tell `progress` how many bytes `folder` holds while some client downloads into it."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            progress(_bytes_in(folder), None)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # the client renames and removes files meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total
