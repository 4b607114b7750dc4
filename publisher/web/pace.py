"""How long a download may take: some minutes, and more as it arrives, so that a drip ends and a large file does not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pace:
    """The pace that a download has to keep, from now on."""

    grace: float = 300.0
    """Seconds for which nothing need arrive, all of them together."""
    slowest: float = 64_000.0
    """Bytes per second on average after that; each second's worth adds a second."""
    longest: float = 24 * 3600.0
    """Seconds for the whole download, however large it is: the same command continues it."""
    arrived: int = 0
    """Bytes that have arrived so far, those that had to be fetched again included."""
    _began: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Return for how many more seconds the download may continue; negative when its time is over."""
        return self._began + min(self.longest, self.grace + self.arrived / self.slowest) - time.monotonic()
