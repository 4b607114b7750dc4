from __future__ import annotations

import msgspec
import pytest

from publisher.config import Budget
from publisher.gate.baseline import Measured
from publisher.schema import Counts, MetricValue, Quantiles
from tests.gate_cases import result_on, run_of


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        (Budget(metric="latency", limit=2.0), "pass"),
        (Budget(metric="latency", limit=1.0), "fail"),
        (Budget(metric="tokens-per-second", limit=800.0), "pass"),
        (Budget(metric="tokens-per-second", limit=1000.0), "fail"),
        (Budget(metric="memory", limit=100.0), "fail"),
        (Budget(metric="memory", limit=300.0), "pass"),
        (Budget(metric="unanswered", limit=10.0), "pass"),
        (Budget(metric="truncated", limit=4.0), "fail"),
        (Budget(metric="error-rate", limit=1.0), "pass"),
        (Budget(metric="answer-length", limit=10.0), "fail"),
    ],
)
def test_a_budget_has_a_direction(rule: Budget, outcome: str) -> None:
    """Each metric is compared with its limit on its own side."""
    run = run_of(
        20,
        [10] * 10,
        10,
        statistics={"peak_memory": 200.0 * (1 << 20)},
        result={
            "latency": Quantiles(p50=0.1, p90=1.0, p95=1.5, p99=3.0),
            "counts": Counts(right=90, unanswered=5, truncated=5),
            "tokens": 2000,
        },
    )
    assert result_on(run, [], rule).outcome == outcome


def test_a_metric_that_was_not_recorded_is_inconclusive() -> None:
    """A record without the 95th percentile says nothing about it."""
    assert result_on(run_of(20, [1] * 30, 1), [], Budget(metric="latency", limit=1.0)).outcome == "inconclusive"


@pytest.mark.parametrize(("value", "outcome"), [(-3.0, "fail"), (-1.0, "pass"), (-2.1, "pass")])
def test_a_number_below_zero_has_its_direction(value: float, outcome: str) -> None:
    """A log-likelihood that falls is worse, although its size grows."""

    def having(number: int, likelihood: float) -> Measured:
        own = {"likelihood": MetricValue(value=likelihood, unit="", better="higher")}
        return run_of(number, [1] * 30, 1, result={"metrics": own})

    history = [having(number, -2.0 - number / 1000) for number in range(1, 7)]
    found = result_on(having(20, value), history, Budget(metric="likelihood", percent=10.0))
    assert (found.outcome, round(found.limit or 0.0, 1)) == (outcome, -2.2)
    assert f"likelihood {value:.3g} against" in found.reason, "a number without a unit has no blank for it"
    least = result_on(having(20, 5.0), history, Budget(metric="likelihood", limit=1.0))
    assert "likelihood 5 is at least the limit 1" in least.reason


def test_speed_is_compared_with_the_spread_on_the_same_machine() -> None:
    """A tenth slower than runs that differ by a hundredth fails; on another machine there is nothing to compare."""
    history = [run_of(number, [1] * 30, 1, result={"tokens_per_second": 100.0 + number % 2}) for number in range(1, 7)]
    rule = Budget(metric="tokens-per-second", percent=5.0)
    slow, usual = ({"tokens_per_second": value} for value in (90.0, 99.5))
    failed = result_on(run_of(20, [1] * 30, 1, result=slow), history, rule)
    assert failed.outcome == "fail"
    assert failed.interval is not None
    assert failed.interval.method == "t"
    assert -13 < failed.interval.low < failed.interval.high < -8
    assert result_on(run_of(20, [1] * 30, 1, result=usual), history, rule).outcome == "pass"
    elsewhere = msgspec.structs.replace(history[0].record.machine, cpu="another")
    other = result_on(run_of(20, [1] * 30, 1, result=slow, machine=elsewhere), history, rule)
    assert other.outcome == "pass"
    assert "too few kept runs on this machine" in other.reason


def test_longer_answers_are_weighed_within_problems() -> None:
    """A fifth more tokens per answer fails where answers to one problem differ by a twentieth."""
    rule = Budget(metric="answer-length", percent=10.0)
    ids = [str(number) for number in range(30)]
    longer = {"tokens": 24 * 16 * 30, "tokens_by_problem": dict.fromkeys(ids, (24 * 16, 24 * 24 * 16 + 16))}
    same = {"tokens": 20 * 16 * 30}
    before = [run_of(number, [8] * 30, 16, result=same) for number in range(1, 5)]
    failed = result_on(run_of(20, [8] * 30, 16, result=longer), before, rule)
    assert failed.outcome == "fail"
    assert failed.interval is not None
    assert (failed.interval.low, failed.interval.high, failed.interval.method) == (4.0, 4.0, "bootstrap")
    assert result_on(run_of(20, [8] * 30, 16, result=same), before, rule).outcome == "pass"


def test_more_unanswered_samples_are_tested_exactly() -> None:
    """Two of a hundred may be chance where one was before; twenty are not."""
    before = [
        run_of(number, [9] * 10, 10, result={"counts": Counts(right=90, wrong=9, unanswered=1)})
        for number in range(1, 9)
    ]
    rule = Budget(metric="unanswered", percent=50.0)
    two, twenty = (
        run_of(20, [8] * 10, 10, result={"counts": Counts(right=80, wrong=20 - count, unanswered=count)})
        for count in (2, 20)
    )
    assert result_on(two, before, rule).outcome == "pass"
    assert result_on(twenty, before, rule).outcome == "fail"


def test_times_are_compared_with_runs_on_a_machine_as_busy() -> None:
    """What other programs took of the processors is no fault of the commit; memory has nothing to do with it."""

    def having(number: int, speed: float, busy: float) -> Measured:
        figures = {"other_load": busy, "peak_memory": 100.0 * (1 << 20)}
        return run_of(number, [1] * 30, 1, result={"tokens_per_second": speed}, statistics=figures)

    quiet = [having(number, 100.0 + number % 2, 0.0) for number in range(1, 7)]
    cores = quiet[0].record.machine.cores
    rule = Budget(metric="tokens-per-second", percent=5.0)
    assert result_on(having(20, 50.0, 0.1 * cores), quiet, rule).outcome == "fail"
    beside = result_on(having(20, 50.0, 0.9 * cores), quiet, rule)
    assert (beside.outcome, "as busy as it was now" in beside.reason) == ("pass", True)
    crowd = [having(number, 50.0 + number % 2, 0.9 * cores) for number in range(1, 7)]
    assert result_on(having(20, 25.0, 0.9 * cores), crowd, rule).outcome == "fail"
    limit = result_on(having(20, 25.0, 0.9 * cores), [], Budget(metric="tokens-per-second", limit=40.0))
    assert (limit.outcome, "measure again" in limit.reason) == ("inconclusive", True)
    assert result_on(having(20, 25.0, 0.9 * cores), [], Budget(metric="memory", limit=50.0)).outcome == "fail"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("first-token-p50", 1.0), ("first-token", 3.0), ("first-token-p99", 4.0)),
        *(("per-token-p50", 1.0), ("per-token", 3.0), ("per-token-p99", 4.0), ("gpu-memory", 300.0)),
    ],
)
def test_quantiles_and_the_fullest_gpu_are_metrics(name: str, expected: float) -> None:
    """A rule can be set on each of them."""
    times = Quantiles(p50=1.0, p90=2.0, p95=3.0, p99=4.0)
    memory = {"gpu_peak_memory.CUDA0": 200.0 * (1 << 20), "gpu_peak_memory.CUDA1": 300.0 * (1 << 20)}
    run = run_of(20, [1] * 30, 1, result={"first_token": times, "per_token": times}, statistics=memory)
    assert result_on(run, [], Budget(metric=name, limit=1000.0)).measured == expected
