"""A clock that can be told to advance, so that what happens after 30 days can be seen today."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The time of day plus what it was advanced by."""

    def __init__(self, ahead: float = 0.0) -> None:
        """Start `ahead` seconds in the future."""
        self.ahead = ahead

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Advance the clock; it never goes back."""
        self.ahead += max(0.0, seconds)


def timestamp(seconds: float) -> str:
    """Return a time as Netlify writes it: UTC, milliseconds, `Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
