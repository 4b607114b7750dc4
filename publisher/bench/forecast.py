"""How long a run still takes, from the samples that are finished and the tokens of those in progress."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Forecast:
    """Learns how long samples are, relative to what was expected of each, and so how many tokens are left."""

    def __init__(self, expected: Mapping[int, int]) -> None:
        """Start with the tokens expected of every sample, by its key; equal numbers where nothing is known."""
        self._expected = dict(expected)
        self._whole = float(sum(expected.values()))
        self._done = 0.0
        self._tokens = 0
        self._ratios: list[float] = []
        """Lengths relative to what was expected, in ascending order."""
        self._sum = self._squares = 0.0

    def finished(self, key: int, tokens: int) -> None:
        """Learn from the sample `key`."""
        self._done += self._expected[key]
        self._tokens += tokens
        ratio = tokens / max(1, self._expected[key])
        bisect.insort(self._ratios, ratio)
        self._sum += ratio
        self._squares += ratio * ratio

    def left(self, seconds: float, generated: float, at_once: int) -> float:
        """Return the seconds left after `seconds`, in which `generated` tokens came out of `at_once` samples a time.

        What finishes first is shorter than the rest. Renewal theory says by how much: in a long row of samples with
        mean m and coefficient of variation c, t/m - (1 - c^2)/2 have ended when t tokens are out (Cox, Renewal Theory,
        1962, section 4.2); here so many rows run side by side as there are slots.
        """
        if not self._ratios or seconds <= 0:
            return 0.0
        generated = max(generated, float(self._tokens))
        mean = self._sum / len(self._ratios)
        variance = max(0.0, self._squares / len(self._ratios) - mean * mean)
        variation = math.sqrt(variance) / mean if mean > 0 else 0.0
        running = min(at_once, len(self._expected) - len(self._ratios))
        typical = self._whole / len(self._expected)
        begun = self._done + running * typical * max(0.0, 1 - variation**2) / 2
        left = max(0.0, self._whole * generated / max(1.0, begun) - generated)
        if running:
            left += running * typical * self._tail(mean, variation, running)
        return seconds * left / max(1.0, generated)

    def _tail(self, mean: float, variation: float, running: int) -> float:
        """Return by how much the last sample outlasts the mean of those that run when no other waits, per token due."""
        longest = self._ratios[int(len(self._ratios) * (1 - 1 / running))]
        return max(0.0, longest - mean * (1 + variation**2) / 2)
