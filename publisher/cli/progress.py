"""Progress of a run on stderr: a live line in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from publisher.cli.terminal import harmless, note
from publisher.publishing.report import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from rich.progress import Progress

    from publisher.schema import Sample

EVERY = 10.0
"""Seconds between plain lines."""


class Watch:
    """Shows samples done, right so far, tokens per second and time left."""

    def __init__(self) -> None:
        """Start with nothing to show; `planned` gives it its length."""
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task = (
            self._bar.add_task("", total=None, visible=False, right="", rate="", left="") if self._bar else None
        )
        self._total = self._done = self._right = self._tokens = 0
        self._started = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Say what will be run; a command may measure several times, tier by tier, and each counts from 0."""
        self._total, self._started = total, time.monotonic()
        self._done = self._right = self._tokens = 0
        names = ", ".join(f"{name} ({count})" for name, count in suites)
        self.note(f"{one_line(model)}: {total} samples of {names}")
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=total, description=one_line(model, 24), visible=True)

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Count a finished sample."""
        self._done += 1
        self._right += sample.outcome == "right"
        self._tokens += sample.tokens
        passed = time.monotonic() - self._started
        rate = self._tokens / passed if passed > 0 else 0.0
        share = 100 * self._right / self._done
        left = statistics.get("seconds_left", 0.0)
        if self._bar and self._task is not None:
            self._bar.update(
                self._task,
                completed=self._done,
                right=f"{share:.1f} % right",
                rate=f"{rate:,.0f} tok/s",
                left=f"{_clock(left)} left",
            )
        elif time.monotonic() - self._said > EVERY or self._done == self._total:
            self._said = time.monotonic()
            note(f"{self._done}/{self._total} samples, {share:.1f} % right, {rate:,.0f} tokens/s, {_clock(left)} left")

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar:
            self._bar.console.print(harmless(text), markup=False, highlight=False)
        else:
            note(text)


def _bar() -> Progress:
    """Return the live line of a terminal."""
    # Imported where there is a terminal: it takes as long as all of git's work for a commit that is published already.
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - as above

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[right]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )


def _clock(seconds: float) -> str:
    """Return a duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
