"""Metrics beside the score: their names, units and directions, and how a record tells them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.schema import Record, SuiteResult

    Read = Callable[[Record, SuiteResult], float | None]

Kind = Literal["machine", "share", "length"]
"""What a change is weighed against: runs on the same machine, samples that have it or not, answers to one problem."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a run has of a suite."""

    name: str
    unit: str
    better: Literal["lower", "higher"]
    kind: Kind
    read: Read

    def worse(self, value: float, than: float) -> bool:
        """Return whether a value is worse than another."""
        return value > than if self.better == "lower" else value < than


def _memory(record: Record, result: SuiteResult) -> float | None:  # noqa: ARG001 - one shape for every metric
    found = [record.statistics[name] for name in ("gpu_memory", "peak_memory") if name in record.statistics]
    return max(found) / (1 << 20) if found else None


def _share(count: int, of: int) -> float | None:
    return 100 * count / of if of else None


METRICS = {
    metric.name: metric
    for metric in (
        Metric("latency", "s", "lower", "machine", lambda _, result: result.latency.p95),
        Metric("tokens-per-second", "tokens/s", "higher", "machine", lambda _, result: result.tokens_per_second),
        Metric("memory", "MiB", "lower", "machine", _memory),
        Metric(
            "unanswered",
            "%",
            "lower",
            "share",
            lambda _, result: _share(result.counts.unanswered, result.counts.scored),
        ),
        Metric(
            "truncated", "%", "lower", "share", lambda _, result: _share(result.counts.truncated, result.counts.scored)
        ),
        Metric(
            "error-rate",
            "%",
            "lower",
            "share",
            lambda _, result: _share(result.counts.error, result.counts.scored + result.counts.error),
        ),
        Metric(
            "answer-length",
            "tokens",
            "lower",
            "length",
            lambda _, result: result.tokens / result.counts.scored if result.counts.scored else None,
        ),
    )
}
"""Every metric that a budget can be set on."""


def affected(name: str, result: SuiteResult) -> tuple[int, int]:
    """Return how many samples a metric of kind `share` counts, and of how many."""
    counts = result.counts
    if name == "error-rate":
        return counts.error, counts.scored + counts.error
    return (counts.unanswered if name == "unanswered" else counts.truncated), counts.scored
