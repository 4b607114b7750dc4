"""Notes on how far a download is: a line every few seconds, for terminals and logs alike."""

from __future__ import annotations

import contextlib
import threading
import time
from queue import Empty, Queue
from typing import TYPE_CHECKING, TypeVar, cast

from publisher.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from publisher.web.pace import Pace

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
        self.what, self._note, self._every, self._clock = what, note, every, clock
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
        self._note(f"{self.what}: {done / _UNIT:,.0f}{whole}, {speed:,.1f} MB/s")
        self._said, self._before = now, done


T = TypeVar("T")


def watched(folder: Path, progress: Progress, pace: Pace, fetch: Callable[[], T], *, every: float = EVERY) -> T:
    """Return what `fetch` returns, which lets some client download into `folder`, and tell `progress` how far it is.

    Raises NetworkError where less arrives than `pace` demands. The client's thread, which nothing can stop, is left
    behind then and ends with the process.
    """
    ended: Queue[tuple[T | None, BaseException | None]] = Queue()

    def work() -> None:
        try:
            ended.put((fetch(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            ended.put((None, error))

    before = _bytes_in(folder)
    threading.Thread(target=work, daemon=True).start()
    while True:
        pause = max(0.0, min(every, pace.left()))
        try:
            result, error = ended.get(timeout=pause)
        except Empty:
            there = _bytes_in(folder)
            pace.arrived = max(pace.arrived, there - before)
            progress(there, None)
            if pace.left() <= 0:
                raise NetworkError(
                    f"{progress.what}: it comes too slowly", hint="the same command continues the download"
                ) from None
            continue
        if error is not None:
            raise error
        return cast("T", result)


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # the client renames and removes files meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total
