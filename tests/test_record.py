from __future__ import annotations

import msgspec
import pytest

from publisher.bench.inputs.problems import Problem
from publisher.bench.inputs.suites import Suite
from publisher.bench.plan import PlannedSuite
from publisher.bench.record import quantiles, suite_result
from publisher.schema import Sample


def made(problem: str, sample: int, outcome: str, latency: float = 1.0) -> Sample:
    """Return a sample with an outcome."""
    return msgspec.convert(
        {
            "suite": "s",
            "problem": problem,
            "sample": sample,
            "seed": 1,
            "outcome": outcome,
            "answer": "",
            "finish": "stop",
            "prompt_tokens": 3,
            "tokens": 10,
            "latency": latency,
            "text": "",
        },
        Sample,
    )


def test_results_are_worked_out_by_problem() -> None:
    """Score, pass@k and kinds are means over problems; an error is counted, and limits what pass@k can say."""
    problems = tuple(Problem(name, "?", "1", kind) for name, kind in (("a", "x"), ("b", "x"), ("c", "y")))
    part = PlannedSuite(Suite("s", "0" * 64, problems, public=True), 4, "integer", "1", "s.jsonl")
    words = {"a": "right right wrong unanswered", "b": "truncated wrong wrong wrong", "c": "right right right error"}
    samples = [made(name, number, word) for name, text in words.items() for number, word in enumerate(text.split())]
    found = suite_result(part, samples, slots=8)
    assert found.score == pytest.approx(50.0)
    assert found.kinds == {"x": 25.0, "y": 100.0}
    assert found.right_by_problem == {"a": 2, "b": 0, "c": 3}
    assert (found.counts.right, found.counts.error, found.counts.scored) == (5, 1, 11)
    assert found.pass_at == pytest.approx({"1": 50.0, "2": 100 * (5 / 6 + 0 + 1) / 3})
    assert (found.tokens, found.tokens_per_second) == (110, 80.0)


def test_quantiles_are_interpolated() -> None:
    """Of 0 to 100 seconds the quantiles are their own names; one duration is all three."""
    assert quantiles([float(n) for n in range(101)]) == quantiles([float(n) for n in reversed(range(101))])
    found = quantiles([float(n) for n in range(101)])
    assert (found.p50, found.p90, found.p99) == (50, 90, 99)
    assert quantiles([2.0]).p99 == 2.0
