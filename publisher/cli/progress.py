"""Progress of a run on stderr: two live lines in a terminal, plain lines at a bounded rate elsewhere.

Tokens are counted while they are generated, so that one answer of 40,000 tokens does not look like a hang; and time is
shown from the first second, while a model is still being fetched or loaded.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from publisher.cli.terminal import harmless, note
from publisher.engine.protocol import LONGEST_RUNNING
from publisher.publishing.report import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from rich.console import Console, RenderableType
    from rich.live import Live

    from publisher.schema import Sample

EVERY = 10.0
"""Seconds between plain lines in the first minutes."""
SLOWEST = 60.0
"""Seconds between plain lines of a long run."""
_SHARE = 20
"""Between two plain lines passes at least the twentieth part of what has passed."""
_BAR = 12
_GIB = 2**30


class Watch:
    """Shows samples done, right so far, tokens, the longest running sample, memory, and time passed and left."""

    def __init__(self, *, every: float = EVERY, console: Console | None = None) -> None:
        """Start with nothing to show; `planned` gives it its length. `console` takes the place of a terminal."""
        terminal = console is not None or sys.stderr.isatty()
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)
        self._doing = "starting"
        self._figures: Callable[[], Mapping[str, float]] | None = None
        self._total = self._done = self._right = 0
        self._left = 0.0
        self._started = self._begun = time.monotonic()
        self._live = _live(self.shown, console) if terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        else:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._live:
            self._live.stop()
        else:
            self._thread.join(timeout=1)

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Say what will be run; a command may measure several times, tier by tier, and each counts from 0."""
        self._total, self._done, self._right, self._left = total, 0, 0, 0.0
        names = ", ".join(f"{name} ({count})" for name, count in suites)
        self.note(f"{one_line(model)}: {total} samples of {names}")
        self._doing, self._begun = f"loading {one_line(model, 24)}", time.monotonic()

    def generating(self, figures: Callable[[], Mapping[str, float]]) -> None:
        """Take what tells the engine's figures."""
        self._doing, self._begun, self._figures = "generating", time.monotonic(), figures

    def generated(self) -> None:
        """Say what there is in the end, and forget the engine, whose figures stand still from now on."""
        if self._live is None and self._done:
            note(self._whole())
        self._doing, self._begun, self._figures = "", time.monotonic(), None

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Count a finished sample."""
        self._done += 1
        self._right += sample.outcome == "right"
        self._left = statistics.get("seconds_left", 0.0)

    def note(self, text: str) -> None:
        """Print a line above the live ones."""
        if self._live:
            self._live.console.print(harmless(text), markup=False, highlight=False)
        else:
            note(text)

    def line(self) -> str:
        """Return what is being done, in one line; empty where there is nothing to wait for."""
        if self._figures is None:
            return f"{self._doing}, {_clock(time.monotonic() - self._begun)}" if self._doing else ""
        return self._whole()

    def shown(self) -> RenderableType:
        """Return the live lines of a terminal."""
        from rich.text import Text  # noqa: PLC0415 - only where there is a terminal

        if self._figures is None:
            return Text(f"{self._doing or 'finishing'} · {_clock(time.monotonic() - self._begun)}", overflow="ellipsis")
        filled = round(_BAR * self._done / max(1, self._total))
        first = " · ".join([f"{'━' * filled}{'─' * (_BAR - filled)} {self._counts()}", *self._times()])
        return Text(f"{first}\n{' · '.join(self._details())}", no_wrap=True, overflow="ellipsis")

    def _whole(self) -> str:
        return f"{self._counts()}; {', '.join([*self._details(), *self._times()])}"

    def _counts(self) -> str:
        share = f", {100 * self._right / self._done:.1f} % right" if self._done else ""
        return f"{self._done}/{self._total} samples{share}"

    def _details(self) -> list[str]:
        """Return the engine's figures as words; those that are not known yet are left out."""
        figures = dict(self._figures()) if self._figures else {}
        tokens, seconds = figures.get("decode_tokens", 0.0), figures.get("seconds", 0.0)
        longest = figures.get(LONGEST_RUNNING, 0.0)
        memory = figures.get("gpu_memory") or figures.get("peak_memory", 0.0)
        words = [
            f"{tokens:,.0f} tokens",
            f"{tokens / seconds:,.0f} tokens/s" if seconds > 0 else "",
            f"longest answer {longest:,.0f}" if longest else "",
            f"{memory / _GIB:.1f} GiB" if memory else "",
        ]
        return [word for word in words if word]

    def _times(self) -> list[str]:
        passed = _clock(time.monotonic() - self._begun)
        return [passed, f"{_clock(self._left)} left"] if self._left else [passed]

    def _tell(self) -> None:
        """Print a line now and then, ever more rarely in a long run: a job's log is read by people."""
        while not self._over.wait(max(self._every, min(SLOWEST, (time.monotonic() - self._started) / _SHARE))):
            text = self.line()
            if text:
                note(text)


def _live(shown: Callable[[], RenderableType], console: Console | None) -> Live:
    """Return the live lines of a terminal."""
    # Imported where there is a terminal: it takes as long as all of git's work for a commit that is published already.
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.live import Live  # noqa: PLC0415 - as above

    return Live(get_renderable=shown, console=console or Console(stderr=True), refresh_per_second=4, transient=True)


def _clock(seconds: float) -> str:
    """Return a duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
