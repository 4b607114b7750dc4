"""A run while it is measured: what there is so far, handed on now and then to whoever looks at it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from publisher.schema import StoppedEarly

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.schema import Record, Sample

    SoFar = Callable[[Record, list[Sample]], None]
    """Takes the record of the samples so far, and those samples as they would be published."""

UNFINISHED = "it is still being measured"
"""Why such a record is not complete. No gate sees one, and no ledger."""
EVERY = 2.0
"""Seconds between two records at least."""
SLOWEST = 60.0
"""Seconds between two records at most."""
_SHARE = 50
"""Making one may take the fiftieth part of the time: with thousands of long samples it takes seconds."""


def unfinished(samples: int, planned: int) -> StoppedEarly:
    """Return what marks the record of a run that is not over."""
    return StoppedEarly(look=1, share=samples / max(1, planned), samples=samples, planned=planned, why=UNFINISHED)


class Teller:
    """Makes a record of what there is, as often as that costs little."""

    def __init__(self, take: SoFar | None, make: Callable[[], tuple[Record, list[Sample]] | None]) -> None:
        """Begin; with nobody to `take` it, nothing is made. `make` returns None while there is nothing to show."""
        self._take, self._make = take, make
        self._next = 0.0

    def finished(self) -> None:
        """Hear that there is another sample."""
        begun = time.monotonic()
        if self._take is None or begun < self._next:
            return
        made = self._make()
        if made is not None:
            self._take(*made)
        now = time.monotonic()
        self._next = now + max(EVERY, min(SLOWEST, _SHARE * (now - begun)))
