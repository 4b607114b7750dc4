"""Slides over several runs: declines in a row, a trend, drift."""

from __future__ import annotations

import random

from publisher.config import (
    Declines,
    Drift,
)
from tests.gate_cases import RATES, drawn, kept, lower, policy, result_on, run_of, verdict_on


def test_declines_in_a_row_raise_an_alert() -> None:
    """Three falls in a row alert by default; a rise in between does not."""
    scores = [20, 19, 18]
    history = [run_of(number, [right] * 30, 20) for number, right in enumerate(scores, 1)]
    verdict = verdict_on(run_of(20, [17] * 30, 20), history, policy(Declines()))
    assert (verdict.verdict, verdict.rules[0].outcome, verdict.rules[0].effect) == ("kept", "fail", "alert")
    assert "100.0 → 95.0 → 90.0 → 85.0" in verdict.rules[0].reason
    assert result_on(run_of(20, [19] * 30, 20), history, Declines()).outcome == "pass"
    assert result_on(run_of(20, [17] * 30, 20), history[:2], Declines()).outcome == "pass"


def test_a_significant_decline_is_a_trend() -> None:
    """Eight runs that fall each time are a trend; three are too few to tell."""
    history = [run_of(number, [20 - number] * 30, 20) for number in range(1, 8)]
    assert result_on(run_of(20, [5] * 30, 20), history, Declines(significant=True)).outcome == "fail"
    assert result_on(run_of(20, [5] * 30, 20), history[:2], Declines(significant=True)).outcome == "pass"


def test_a_slow_slide_is_drift() -> None:
    """Half a standard error less at each run adds up; a constant truth does not."""
    draw = random.Random(8)
    steady = kept(20)
    sliding = [run_of(number, drawn(lower(RATES, 0.01 * number), 16, draw), 16) for number in range(1, 13)]
    assert result_on(run_of(60, drawn(RATES, 16, draw), 16), steady, Drift()).outcome == "pass"
    found = result_on(run_of(60, drawn(lower(RATES, 0.13), 16, draw), 16), sliding, Drift())
    assert (found.outcome, found.effect) == ("fail", "alert")
