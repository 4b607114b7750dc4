"""How often rules fail a commit that changed nothing, and that no other history makes them fail more often."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from publisher.config import BestRatio, Drift, Erosion, Regression
from publisher.gate.baseline import Measured
from publisher.gate.slides import sampling_errors
from publisher.gate.trends import cusum, cusum_limit, residuals
from publisher.schema import Decision, StoppedEarly
from tests.gate_cases import drawn, policy, result_on, run_of, verdict_on

RATES = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 1.0, 0.0] * 3


def kept(count: int, k: int = 16) -> list[Measured]:
    """Return runs of a constant truth."""
    return [run_of(number, drawn(RATES, k, random.Random(number)), k) for number in range(1, count + 1)]


def at_first_look(right: list[int]) -> Measured:
    """Return a run of 16 samples per problem that a look sees after one of them."""
    whole = run_of(20, right, 1)
    early = StoppedEarly(look=1, share=1 / 16, samples=30, planned=480, why="")
    suites = [msgspec.structs.replace(whole.record.suites[0], samples=16)]
    score = msgspec.structs.replace(whole.line.scores["s"], k=16)
    return Measured(
        msgspec.structs.replace(whole.line, scores={"s": score}),
        msgspec.structs.replace(whole.record, stopped_early=early, suites=suites),
    )


@pytest.mark.parametrize("prove", ["harm", "no-harm"])
def test_what_is_undecided_at_a_look_is_not_rejected_there(prove: str) -> None:
    """`on_budget` says what becomes of a test at the end of its samples; at a look they have not ended."""
    rule = Regression(prove=prove, points=3.0, on_budget="reject")  # type: ignore[arg-type]
    verdict = verdict_on(at_first_look([round(rate) for rate in RATES]), kept(8), policy(rule))
    assert verdict.verdict == "inconclusive"


def test_a_hopeless_run_is_rejected_at_a_look_by_no_harm_too() -> None:
    """Where no remaining sample could rule the loss out, the end of the budget is known."""
    rule = Regression(prove="no-harm", points=3.0, on_budget="reject")
    assert verdict_on(at_first_look([0] * 30), kept(8), policy(rule)).verdict == "rejected"


def test_the_best_of_many_is_tested_as_such() -> None:
    """A significant best-ratio keeps its alpha although its base is the luckiest of twenty runs."""
    draw, failed = random.Random(3), 0
    for _ in range(60):
        runs = [run_of(number, drawn(RATES, 4, draw), 4) for number in range(21)]
        failed += result_on(runs[-1], runs[:-1], BestRatio(ratio=1.0, significant=True)).outcome == "fail"
    assert failed <= 2


def test_erosion_is_found_whichever_window_shows_it() -> None:
    """A window of many samples and a clear but small loss hides no window since which the loss is larger."""
    older = run_of(1, [15] * 30, 20)
    large = run_of(2, [14_250] * 30, 20_000)
    rule = Erosion(m=1, recent=1, windows=2, points=3.0)
    assert result_on(run_of(20, [280] * 30, 400), [older], rule).outcome == "fail"
    assert result_on(run_of(20, [280] * 30, 400), [older, large], rule).outcome == "fail"


def test_an_approved_run_does_not_begin_the_baseline_anew() -> None:
    """Every rule had kept it: what waited for approval is no change of the scores."""
    approval = Decision(run_id="x", number=1, verdict="kept", reason="fine", who="Ada", time="now")
    approved = run_of(9, drawn(RATES, 16, random.Random(1)), 16, decision=approval)
    result = result_on(run_of(20, drawn(RATES, 16, random.Random(2)), 16), [*kept(7), approved], Regression())
    assert result.runs == 8


@pytest.mark.parametrize("field", ["pruned", "given_up", "taken_down"])
def test_a_snapshot_that_is_gone_is_shared_by_nobody(field: str) -> None:
    """A commit that measures what a run without pages did gets a snapshot of its own."""
    (before,) = kept(1)
    again = run_of(2, drawn(RATES, 16, random.Random(1)), 16, fingerprint=before.record.fingerprint)
    commit = msgspec.structs.replace(again.record.commit, sha="b" * 40)
    again = Measured(
        msgspec.structs.replace(again.line, commit="b" * 40), msgspec.structs.replace(again.record, commit=commit)
    )
    gone = Measured(msgspec.structs.replace(before.line, **{field: "2026-11-20"}), before.record)
    assert verdict_on(again, [before], policy(Regression())).verdict == "unchanged"
    assert verdict_on(again, [gone], policy(Regression())).verdict == "kept"


@pytest.mark.parametrize(("problems", "k"), [(10, 1), (10, 2), (30, 2), (30, 16)])
def test_drift_alarms_as_seldom_as_it_says(problems: int, k: int) -> None:
    """A constant truth alarms at most at the share of runs that was asked for, however few samples a run has."""
    draw, rates, alarms = np.random.default_rng(5), np.array(RATES[:problems]), 0
    limit = cusum_limit(Drift().alarms)
    for _ in range(400):
        runs = [run_of(number, draw.binomial(k, rates).tolist(), k) for number in range(33)]
        scores = [run.line.scores["s"] for run in runs]
        alarms += cusum(list(residuals([one.score for one in scores], sampling_errors(scores))))[-1] > limit
    assert alarms <= 7
