from __future__ import annotations

import msgspec
import pytest

from publisher.config import AnyRule, BestRatio, MaxDrop, Relative, Threshold
from publisher.gate.baseline import Measured
from publisher.gate.policy import decide
from publisher.schema import HistoryLine, Verdict
from tests.gate_cases import policy
from tests.made import line, record

HISTORY = [line("1-a-full", 80.0), line("2-b-full", 74.0), line("3-c-full", 20.0, "rejected")]


def judged(score: float, *rules: AnyRule, history: list[HistoryLine] | None = None) -> Verdict:
    """Return the verdict of a run with this score after HISTORY."""
    run = Measured(line("4-d-full", score), record())
    return decide(run, HISTORY if history is None else history, policy(*rules), records={}, decided="now")


@pytest.mark.parametrize(("score", "word"), [(74.9, "rejected"), (75.0, "kept"), (75.1, "kept")])
def test_threshold(score: float, word: str) -> None:
    """A score at the threshold is kept, below it rejected."""
    assert judged(score, Threshold(min=75.0)).verdict == word


@pytest.mark.parametrize(("score", "word"), [(72.9, "rejected"), (73.0, "kept")])
def test_relative_compares_with_the_previous_kept_run(score: float, word: str) -> None:
    """The rejected run in between is not what is compared with."""
    assert judged(score, Relative(delta=-1.0)).verdict == word


@pytest.mark.parametrize(("score", "word"), [(75.9, "rejected"), (76.0, "kept")])
def test_best_ratio_compares_with_the_best_kept_run(score: float, word: str) -> None:
    """95 % of the best kept 80 points is 76."""
    assert judged(score, BestRatio(ratio=0.95)).verdict == word


@pytest.mark.parametrize(("score", "word"), [(70.9, "rejected"), (71.0, "kept"), (99.0, "kept")])
def test_max_drop(score: float, word: str) -> None:
    """Three points below the previous kept run are allowed, more are not, and a rise always is."""
    assert judged(score, MaxDrop(points=3.0)).verdict == word


@pytest.mark.parametrize(("score", "word"), [(75.47, "rejected"), (75.48, "kept"), (75.5, "kept")])
def test_relative_takes_a_percentage(score: float, word: str) -> None:
    """Two per cent better than the previous kept 74 points is 75.48."""
    assert judged(score, Relative(percent=2.0)).verdict == word


@pytest.mark.parametrize("rule", [Relative(delta=5.0), BestRatio(ratio=1.0), MaxDrop(points=0.0)])
def test_the_first_run_has_nothing_to_compare_with(rule: AnyRule) -> None:
    """A comparison without a kept run passes, and says why."""
    verdict = judged(1.0, rule, history=[HISTORY[2]])
    assert verdict.verdict == "kept"
    assert "no kept run can be compared with" in verdict.rules[0].reason


def test_a_run_on_other_problems_is_no_baseline() -> None:
    """When the suite changes, older scores are not compared with."""
    older = line(
        "1-a-full",
        99.0,
        scores={"s": {"score": 99.0, "low": 98, "high": 100, "stderr": 0.5, "n": 400, "k": 1, "suite": "0" * 64}},
    )
    assert judged(50.0, MaxDrop(points=1.0), history=[older]).verdict == "kept"


def test_every_rule_is_reported_even_after_one_has_failed() -> None:
    """A rejected commit sees all of its reasons at once, each with figures."""
    verdict = judged(60.0, Threshold(min=75.0), MaxDrop(points=3.0), Threshold(min=10.0))
    assert [rule.outcome for rule in verdict.rules] == ["fail", "fail", "pass"]
    assert "60.0 ± 2.0 is below the threshold 75.0" in verdict.rules[0].reason
    assert verdict.rules[1].baseline == "2-b-full"


def test_a_suite_that_was_not_measured_is_inconclusive() -> None:
    """A rule with nothing to look at neither keeps nor rejects."""
    empty = Measured(line("4-d-full", 1.0, scores={}), record())
    assert decide(empty, [], policy(Threshold(min=1.0)), records={}, decided="now").verdict == "inconclusive"


def test_a_policy_without_rules_keeps_everything() -> None:
    """No rule, no rejection."""
    assert judged(0.0).verdict == "kept"


def test_a_missing_offload_stands_in_the_verdict() -> None:
    """In a first run's, too, which is compared with none; it is written down, and decides nothing."""
    said = "no layer is on a GPU, though all were asked for"
    own = record()
    own = msgspec.structs.replace(own, engine=msgspec.structs.replace(own.engine, offload_missing=said))
    verdict = decide(Measured(line("1-a-full", 80.0), own), [], policy(), records={}, decided="now")
    assert verdict.verdict == "kept"
    assert [(rule.rule, rule.effect, rule.reason) for rule in verdict.rules] == [("offload", "note", said)]
