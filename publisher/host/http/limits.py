"""Netlify's rate limits, by a clock that can be told to advance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from publisher.host.store.clock import Clock


@dataclass(slots=True)
class Window:
    """A window of `seconds` with at most `limit` requests; it starts with the first request after the last window."""

    limit: int
    seconds: int
    used: int = 0
    ends: float = 0.0

    def take(self, now: float) -> bool:
        """Count one more and return whether it was allowed."""
        if now >= self.ends:
            self.used, self.ends = 0, now + self.seconds
        self.used += 1
        return self.used <= self.limit

    def headers(self) -> dict[str, str]:
        """Return what Netlify says about a limit; the reset is in seconds since the epoch."""
        left = max(0, self.limit - self.used)
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(left),
            "x-ratelimit-reset": str(int(self.ends) + 1),
        }


class RateLimits:
    """500 requests per minute; of these, 3 per minute and 100 per day may start a deploy."""

    def __init__(self, clock: Clock, *, enabled: bool) -> None:
        """Count by `clock`; when not enabled, allow everything and say nothing."""
        self._clock = clock
        self._enabled = enabled
        self._requests = Window(500, 60)
        self._deploys = (Window(3, 60), Window(100, 86_400))

    def request(self) -> dict[str, str]:
        """Count a request and return the headers of its answer. Raises RefusedError (429)."""
        if not self._enabled:
            return {}
        self._take(self._requests, "requests")
        return self._requests.headers()

    def deploy(self) -> None:
        """Count the start of a deploy. Raises RefusedError (429)."""
        for window in self._deploys if self._enabled else ():
            self._take(window, "deploys")

    def _take(self, window: Window, what: str) -> None:
        if not window.take(self._clock.now()):
            raise RefusedError(429, f"Too many {what}: {window.limit} in {window.seconds} seconds", window.headers())
