"""Typed values as data frames, of polars or pandas, whichever is installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from publisher.api.runs import Run
from publisher.errors import UsageError
from publisher.schema import Comparison, HistoryLine, Record, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

Library = Literal["polars", "pandas"]
LIBRARIES: tuple[Library, ...] = ("polars", "pandas")
Row = dict[str, Any]
Values = Record | Comparison | Iterable[Record | Run | HistoryLine | Sample]


def frame(values: Values, library: Library | None = None) -> Any:
    """Return values as a data frame: of `library`, or else of polars, or else of pandas.

    A record and a comparison have a row per suite; runs and lines of history a row per run and suite; samples a row
    each. Values of one kind are taken alone or as any iterable. Scores are in points, durations in seconds, times UTC
    in ISO 8601.

    Raises UsageError where neither library is installed, or `library` is not, and for values of another kind.
    """
    rows = list(_rows(values))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    data = {name: [row.get(name) for row in rows] for name in columns}
    module = _library(library)
    if module.__name__ == "polars":
        return module.DataFrame(data, strict=False, infer_schema_length=None)
    return module.DataFrame(data)


def _library(wanted: Library | None) -> Any:
    """Return the library that makes the frame."""
    if wanted not in {None, *LIBRARIES}:
        raise UsageError(f"library={wanted!r} makes no data frames", hint="library='polars' or library='pandas'")
    for name in (wanted,) if wanted else LIBRARIES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    missing = wanted or "neither polars nor pandas"
    raise UsageError(
        f"a data frame needs a library: {missing} is {'not ' if wanted else ''}installed",
        hint=f"pip install {wanted or 'polars'}",
    )


def _rows(values: Any) -> Iterator[Row]:
    """Yield the rows of values of the known kinds."""
    for value in [values] if isinstance(values, msgspec.Struct | Run) else values:
        make = next((make for kind, make in _KINDS.items() if isinstance(value, kind)), None)
        if make is None:
            raise UsageError(
                f"{type(value).__name__} has no rows",
                hint="publisher.frame takes records, runs, lines of history, samples and comparisons",
            )
        yield from make(value)


def _sample_rows(sample: Sample) -> Iterator[Row]:
    row = msgspec.to_builtins(sample)
    yield {**row.pop("measures"), **row}  # what a measure is called cannot hide a field


def _line_rows(line: HistoryLine) -> Iterator[Row]:
    shared = {name: getattr(line, name) for name in _LINE}
    for suite, score in line.scores.items():
        yield {**shared, "suite": suite, **{name: getattr(score, name) for name in _SCORE}, "suite_sha256": score.suite}


_LINE = ("run_id", "commit", "subject", "branch", "tier", "started", "verdict", "why", "snapshot", "address")
_SCORE = ("score", "low", "high", "stderr", "sampling", "n", "k")


def _run_rows(run: Run) -> Iterator[Row]:
    for row in _line_rows(run.line):
        yield {**row, "state": run.state}


def _record_rows(record: Record) -> Iterator[Row]:
    shared = {
        "run_id": record.run_id,
        "commit": record.commit.sha,
        "tier": record.tier,
        "started": record.started,
        "model": record.model.name,
        "quantization": record.model.quantization,
    }
    for result in record.results:
        yield {
            **shared,
            "suite": result.suite,
            "score": result.score,
            "low": result.interval.low,
            "high": result.interval.high,
            "stderr": result.stderr,
            "stderr_sampling": result.stderr_sampling,
            **{f"pass@{k}": share for k, share in result.pass_at.items()},
            **msgspec.to_builtins(result.counts),
            "prompt_tokens": result.prompt_tokens,
            "tokens": result.tokens,
            "tokens_per_second": result.tokens_per_second,
            "latency_p50": result.latency.p50,
            "latency_p99": result.latency.p99,
            **{name: metric.value for name, metric in result.metrics.items()},
        }


def _comparison_rows(found: Comparison) -> Iterator[Row]:
    for suite in found.suites:
        interval = suite.interval
        yield {
            "before": found.base.run_id,
            "after": found.run.run_id,
            "suite": suite.suite,
            "score_before": suite.base_score,
            "score_after": suite.score,
            "difference": suite.difference,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "p_value": suite.p_value,
            "meaning": suite.meaning,
            "problems": suite.problems,
            "turned_wrong": len(suite.turned_wrong),
            "turned_right": len(suite.turned_right),
        }


_KINDS: dict[type, Callable[[Any], Iterator[Row]]] = {
    Sample: _sample_rows,
    HistoryLine: _line_rows,
    Run: _run_rows,
    Record: _record_rows,
    Comparison: _comparison_rows,
}
