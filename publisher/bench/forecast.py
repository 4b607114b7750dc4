"""Estimate how long a run still takes, from its finished samples and the tokens generated so far."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Forecast:
    """Learns how long samples are relative to their expected lengths, and estimates how many tokens are left."""

    def __init__(self, expected: Mapping[int, int]) -> None:
        """Start with the expected tokens per sample, by key; give all the same number where nothing is known."""
        self._expected = dict(expected)
        self._whole = float(sum(expected.values()))
        self._done = 0.0
        self._tokens = 0
        self._ratios: list[float] = []
        """Length divided by expected length, per finished sample, in ascending order."""
        self._sum = self._squares = 0.0

    def finished(self, key: int, tokens: int) -> None:
        """Learn that the sample `key` ended after `tokens` tokens."""
        self._done += self._expected[key]
        self._tokens += tokens
        ratio = tokens / max(1, self._expected[key])
        bisect.insort(self._ratios, ratio)
        self._sum += ratio
        self._squares += ratio * ratio

    def left(self, seconds: float, generated: float, at_once: int) -> float:
        """Return the seconds left after `seconds`, in which `at_once` slots generated `generated` tokens.

        Samples that finish early are shorter than the rest, so a plain mean would promise too little time. Renewal
        theory says by how much: in one slot whose samples have mean length m and coefficient of variation c,
        t/m - (1 - c^2)/2 samples have ended after t tokens (Cox, Renewal Theory, 1962, section 4.2). The slots are
        independent renewal processes side by side.
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
        """Return how much longer the last running sample takes than the mean of those running, per expected token.

        It counts once nothing waits any more: then slots fall idle while the longest sample finishes.
        """
        longest = self._ratios[int(len(self._ratios) * (1 - 1 / running))]
        return max(0.0, longest - mean * (1 + variation**2) / 2)
