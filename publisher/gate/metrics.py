"""Metrics beside the score: their names, units and directions, and how a record tells them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.schema import Quantiles, Record, SuiteResult

    Read = Callable[[Record, SuiteResult], float | None]

Kind = Literal["machine", "share", "length", "samples", "runs"]
"""What a change is weighed against: runs on the same machine, samples that have it or not, the lengths or values of
answers to one problem, or any runs before."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that a run has of a suite."""

    name: str
    unit: str
    better: Literal["lower", "higher"]
    kind: Kind
    read: Read
    timed: bool = False
    """Whether it tells how fast a run was, or what it drew meanwhile, which other programs on the machine change."""

    def worse(self, value: float, than: float) -> bool:
        """Return whether a value is worse than another."""
        return value > than if self.better == "lower" else value < than


def crowding(record: Record) -> float:
    """Return the share of the machine's processors that other programs kept busy, from 0; 0 where that is unknown."""
    return record.statistics.get("other_load", 0.0) / max(1, record.machine.cores)


def _gpu_memory(record: Record, result: SuiteResult) -> float | None:  # noqa: ARG001 - one shape for every metric
    found = [value for name, value in record.statistics.items() if name.startswith("gpu_peak_memory.")]
    return max(found) / (1 << 20) if found else None


def _memory(record: Record, result: SuiteResult) -> float | None:  # noqa: ARG001 - one shape for every metric
    found = [record.statistics[name] for name in ("gpu_memory", "peak_memory") if name in record.statistics]
    return max(found) / (1 << 20) if found else None


def _share(count: int, of: int) -> float | None:
    return 100 * count / of if of else None


def _joules(record: Record) -> float | None:
    """Return the joules per generated token, of everything that counts them; None where the GPUs do not."""
    if record.engine.gpus and "energy_gpu_joules" not in record.statistics:
        return None  # what the processor took meanwhile is a small part
    known = [
        record.statistics[name] for name in ("energy_cpu_joules", "energy_gpu_joules") if name in record.statistics
    ]
    tokens = record.statistics.get("decode_tokens", 0.0)
    return math.fsum(known) / tokens if known and tokens > 0 else None


def _per(answers: Literal["scored", "right"], of: Callable[[Record], float | None]) -> Read:
    """Return what reads a sum per answer: its tokens at the run's own rate, because answers can be reused."""

    def read(record: Record, result: SuiteResult) -> float | None:
        rate, count = of(record), getattr(result.counts, answers)
        return rate * result.tokens / count if rate is not None and count else None

    return read


def _quantile(field: str, name: Literal["p50", "p95", "p99"] = "p95") -> Read:
    def read(_: Record, result: SuiteResult) -> float | None:
        found: Quantiles | None = getattr(result, field)
        return getattr(found, name) if found else None

    return read


def _percentage(name: str) -> Read:
    def read(record: Record, _: SuiteResult) -> float | None:
        return 100 * record.statistics[name] if name in record.statistics else None

    return read


METRICS = {
    metric.name: metric
    for metric in (
        Metric("latency", "s", "lower", "machine", _quantile("latency"), timed=True),
        Metric("first-token", "s", "lower", "machine", _quantile("first_token"), timed=True),
        Metric("first-token-p50", "s", "lower", "machine", _quantile("first_token", "p50"), timed=True),
        Metric("first-token-p99", "s", "lower", "machine", _quantile("first_token", "p99"), timed=True),
        Metric("per-token", "s", "lower", "machine", _quantile("per_token"), timed=True),
        Metric("per-token-p50", "s", "lower", "machine", _quantile("per_token", "p50"), timed=True),
        Metric("per-token-p99", "s", "lower", "machine", _quantile("per_token", "p99"), timed=True),
        Metric("cpu-utilisation", "%", "higher", "machine", _percentage("cpu_utilisation"), timed=True),
        Metric("gpu-utilisation", "%", "higher", "machine", _percentage("gpu_utilisation"), timed=True),
        Metric("joules-per-answer", "J", "lower", "machine", _per("scored", _joules), timed=True),
        Metric("joules-per-right-answer", "J", "lower", "machine", _per("right", _joules), timed=True),
        Metric(
            "tokens-per-second",
            "tokens/s",
            "higher",
            "machine",
            lambda _, result: result.tokens_per_second,
            timed=True,
        ),
        Metric("memory", "MiB", "lower", "machine", _memory),
        Metric("gpu-memory", "MiB", "lower", "machine", _gpu_memory),
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
"""The metrics of a run itself; answers and the commit have others, which each record names with unit and direction."""


def metric_of(name: str, result: SuiteResult) -> Metric | None:
    """Return the metric of a name: one that every run has, or one that the result holds; None for neither."""
    if name in METRICS:
        return METRICS[name]
    found = result.metrics.get(name)
    if found is None:
        return None
    return Metric(name, found.unit, found.better, "samples" if found.by_problem else "runs", _own(name))


def _own(name: str) -> Read:
    def read(_: Record, result: SuiteResult) -> float | None:
        found = result.metrics.get(name)
        return None if found is None else found.value

    return read


def affected(name: str, result: SuiteResult) -> tuple[int, int]:
    """Return how many samples a metric of kind `share` counts, and of how many."""
    counts = result.counts
    if name == "error-rate":
        return counts.error, counts.scored + counts.error
    return (counts.unanswered if name == "unanswered" else counts.truncated), counts.scored
