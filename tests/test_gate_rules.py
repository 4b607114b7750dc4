from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.config import (
    BestRatio,
    Declines,
    Drift,
    Erosion,
    MaxDrop,
    Regression,
    Relative,
    Threshold,
)
from publisher.gate.baseline import Measured
from publisher.gate.policy import needed, shares_of_alpha
from publisher.schema import Decision
from tests.gate_cases import CONDITIONS, RATES, drawn, kept, lower, policy, result_on, run_of, verdict_on


def test_a_loss_beyond_the_points_is_rejected_with_its_figures() -> None:
    """Ten points fewer than eight pooled runs: rejected, with difference, interval, p-value, level and runs."""
    history = kept(8)
    bad = run_of(20, drawn(lower(RATES, 0.1), 16, random.Random(5)), 16)
    result = result_on(bad, history, Regression())
    assert result.outcome == "fail"
    assert "a loss beyond 1 points is shown" in result.reason
    assert result.runs == 8
    assert result.baseline == history[-1].line.run_id
    assert result.difference is not None
    assert result.interval is not None
    assert result.p_value is not None
    assert result.interval.low < result.difference < result.interval.high < 0
    assert result.level is not None
    assert result.p_value < result.level < 0.01
    assert result.detectable == pytest.approx(4.4, abs=0.6)
    assert "finds drops of" in result.reason


def test_an_innocent_run_is_kept() -> None:
    """The same rates again: no loss is shown."""
    result = result_on(run_of(20, drawn(RATES, 16, random.Random(6)), 16), kept(8), Regression())
    assert result.outcome == "pass"
    assert "no loss is shown" in result.reason


def test_a_loss_that_is_shown_but_small_asks_for_samples_and_then_keeps() -> None:
    """Significant but below `points`: undecided while samples may be added, then what on_budget says."""
    history, draw = kept(8, 64), random.Random(9)
    small = run_of(20, drawn(lower(RATES, 0.03), 64, draw), 64)
    open_ = result_on(small, history, Regression(points=20.0, max_samples=128))
    assert (open_.outcome, open_.wants_samples) == ("inconclusive", True)
    assert "more samples decide" in open_.reason
    assert result_on(small, history, Regression(points=20.0)).outcome == "pass"
    assert result_on(small, history, Regression(points=20.0, on_budget="reject")).outcome == "fail"
    assert result_on(small, history, Regression(points=20.0, on_budget="inconclusive")).outcome == "inconclusive"


def test_no_harm_keeps_only_what_rules_a_loss_out() -> None:
    """With few samples a loss of 3 points cannot be ruled out; with many it can; a large one is rejected."""
    draw = random.Random(3)
    rule = Regression(prove="no-harm", points=3.0)
    few = result_on(run_of(20, drawn(RATES, 4, draw), 4), kept(8, 4), rule)
    assert few.outcome == "inconclusive"
    assert "is not ruled out" in few.reason
    assert result_on(run_of(20, drawn(RATES, 64, draw), 64), kept(8, 64), rule).outcome == "pass"
    bad = run_of(20, drawn(lower(RATES, 0.12), 64, draw), 64)
    assert result_on(bad, kept(8, 64), rule).outcome == "fail"


def test_what_too_few_samples_of_a_problem_tell_is_inconclusive() -> None:
    """A problem with one scored sample of sixteen: non-inferiority and a significant drop are left open."""
    scored = dict.fromkeys((str(place) for place in range(30)), 16) | {"0": 1}
    for hits, rule in ((15, Regression(prove="no-harm", points=20.0)), (8, MaxDrop(points=1.0, significant=True))):
        run = run_of(20, [1, *[hits] * 29], 16, result={"scored_by_problem": scored})
        result = result_on(run, [run_of(1, [1, *[15] * 29], 16)], rule)
        assert (result.outcome, "some problems have too few" in result.reason) == ("inconclusive", True)


def test_gain_keeps_only_what_is_better_and_tells_no_gain_from_harm() -> None:
    """A run that is merely as good is not kept, without being called harm; one that is worse is."""
    draw = random.Random(4)
    history = kept(8, 16, rates=lower(RATES, 0.1))
    config = policy(Regression(prove="gain"))
    better = verdict_on(run_of(20, drawn(RATES, 16, draw), 16), history, config)
    same = verdict_on(run_of(21, drawn(lower(RATES, 0.1), 16, draw), 16), history, config)
    worse = verdict_on(run_of(22, drawn(lower(RATES, 0.25), 16, draw), 16), history, config)
    assert (better.verdict, better.no_gain) == ("kept", False)
    assert (same.verdict, same.no_gain) == ("rejected", True)
    assert (worse.verdict, worse.no_gain) == ("rejected", False)


def test_a_threshold_that_fails_beside_a_missing_gain_is_harm() -> None:
    """The exit code may only be 0 where nothing but a gain is missing."""
    run = run_of(20, drawn(RATES, 16, random.Random(4)), 16)
    verdict = verdict_on(run, kept(8), policy(Regression(prove="gain"), Threshold(min=99.0)))
    assert (verdict.verdict, verdict.no_gain) == ("rejected", False)


def test_without_a_baseline_a_comparison_passes() -> None:
    """The first run has nothing to be compared with, and a rejected one is no baseline."""
    rejected = run_of(1, [16] * 30, 16, "rejected")
    for rule in (Regression(), Erosion(), MaxDrop(points=1.0, significant=True)):
        result = result_on(run_of(20, [0] * 30, 16), [rejected], rule)
        assert result.outcome == "pass"
        assert "no kept run can be compared with" in result.reason


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"conditions": CONDITIONS | {"sampling": '{"temperature":1.0}'}}, "sampling"),
        ({"conditions": CONDITIONS | {"gpus": '["H200"]'}}, "gpus"),
        ({"conditions": {}}, "conditions, which an older publisher did not record"),
    ],
)
def test_a_baseline_under_other_conditions_is_never_compared_silently(changes: dict[str, Any], name: str) -> None:
    """The verdict names what differs."""
    history = [run_of(number, [16] * 30, 16, **changes) for number in range(1, 4)]
    result = result_on(run_of(20, [0] * 30, 16), history, Regression())
    assert result.outcome == "pass"
    assert result.differs == [name]
    assert name in result.reason


def test_other_problems_are_named() -> None:
    """A history with other problems is no baseline."""
    other = run_of(1, [16] * 30, 16)
    suites = [msgspec.structs.replace(other.record.suites[0], sha256="9" * 64)]
    other = run_of(1, [16] * 30, 16, suites=suites)
    assert result_on(run_of(20, [0] * 30, 16), [other], Regression()).differs == ["problems of s"]


def test_older_runs_under_the_same_conditions_still_count_and_the_newer_one_is_named() -> None:
    """Two machines take turns: each is compared with its own runs, and the reason says that others are newer."""
    history = [*kept(4), run_of(9, [16] * 30, 16, conditions=CONDITIONS | {"gpus": "H200"})]
    result = result_on(run_of(20, drawn(RATES, 16, random.Random(1)), 16), history, Regression())
    assert result.runs == 4
    assert "newer runs under other conditions do not count (gpus)" in result.reason


def test_equal_generations_count_once() -> None:
    """Eight runs with the same samples are one run's evidence, with the samples of the largest."""
    first = kept(1)[0]
    copies = [
        run_of(number, list(first.record.results[0].right_by_problem.values()), 16, generation=first.record.generation)
        for number in range(2, 9)
    ]
    result = result_on(run_of(20, drawn(RATES, 16, random.Random(1)), 16), [first, *copies], Regression())
    assert result.runs == 1
    fresh = [
        run_of(
            number, drawn(RATES, 16, random.Random(number)), 16, generation=first.record.generation, salt=str(number)
        )
        for number in range(2, 9)
    ]
    assert result_on(run_of(20, drawn(RATES, 16, random.Random(1)), 16), [first, *fresh], Regression()).runs == 8


def test_a_run_is_no_evidence_about_itself() -> None:
    """A kept run that shares this run's samples is left out of its baseline."""
    history = kept(3)
    again = run_of(20, [16] * 30, 16, generation=history[-1].record.generation)
    assert result_on(again, history, Regression()).runs == 2


def test_greedy_answers_are_tested_over_problems_against_the_last_generation() -> None:
    """Nothing is pooled, k does not matter, and the p-value is the exact McNemar test's."""
    history = [run_of(number, [4] * 30, 4, temperature=0.0) for number in range(1, 9)]
    worse = run_of(20, [0] * 6 + [4] * 24, 4, temperature=0.0)
    result = result_on(worse, history, Regression())
    assert result.runs == 1
    assert result.p_value == pytest.approx(0.5**6 / 2)
    assert result.outcome == "fail"
    assert "exact McNemar over 30 problems" in result.reason


def test_the_pool_reaches_back_only_to_the_last_change() -> None:
    """After an improvement of 20 points the runs before it do not dilute the baseline."""
    before = kept(4, rates=lower(RATES, 0.2))
    after = [run_of(number, drawn(RATES, 16, random.Random(number)), 16) for number in range(10, 14)]
    run = run_of(20, drawn(lower(RATES, 0.1), 16, random.Random(2)), 16)
    result = result_on(run, [*before, *after], Regression())
    assert result.runs == 4
    assert "4 older left out" in result.reason
    assert result.outcome == "fail"


def test_an_accepted_run_begins_the_baseline_anew() -> None:
    """What a maintainer traded on purpose is not fought over at each later run."""
    decision = Decision(run_id="x", number=1, verdict="kept", reason="faster", who="Ada", time="now", overrides=["x"])
    accepted = run_of(9, drawn(lower(RATES, 0.1), 16, random.Random(1)), 16, decision=decision)
    result = result_on(
        run_of(20, drawn(lower(RATES, 0.1), 16, random.Random(2)), 16), [*kept(8), accepted], Regression()
    )
    assert (result.outcome, result.runs) == ("pass", 1)


def test_pooled_suites_are_one_test() -> None:
    """A small loss in each of two suites shows in both together."""

    def double(number: int, rates: list[float], seed: int) -> Measured:
        one = run_of(number, drawn(rates, 16, random.Random(seed)), 16)
        two = run_of(number, drawn(rates, 16, random.Random(seed + 1000)), 16)
        second = msgspec.structs.replace(two.record.results[0], suite="t")
        suites = [*one.record.suites, msgspec.structs.replace(two.record.suites[0], name="t")]
        return run_of(
            number, [0], 1, results=[one.record.results[0], second], suites=suites, generation=one.record.generation
        )

    history = [double(number, RATES, number) for number in range(1, 9)]
    run = double(20, lower(RATES, 0.06), 77)
    both = result_on(run, history, Regression(pooled=True))
    single = result_on(run, history, Regression())
    assert both.suite == "s + t"
    assert both.p_value is not None
    assert single.p_value is not None
    assert both.p_value < single.p_value
    assert both.detectable is not None
    assert single.detectable is not None
    assert both.detectable < single.detectable


def test_alpha_is_shared_by_blocking_tests_only() -> None:
    """Rules with an alpha of their own keep it, the others share the rest; alerts spend nothing."""
    run = run_of(20, [1] * 30, 16)
    config = policy(
        Regression(),
        Regression(alpha=0.004),
        Threshold(min=10.0, significant=True),
        Regression(effect="alert"),
        Threshold(min=10.0),
        alpha=0.01,
    )
    assert shares_of_alpha(config, run.line) == pytest.approx([0.003, 0.004, 0.003, 0.01, 0.01])


def test_a_rule_on_every_suite_splits_its_alpha() -> None:
    """Two suites, two tests, half of alpha each."""
    run = run_of(20, [1] * 30, 16)
    both = {"s": run.line.scores["s"], "t": run.line.scores["s"]}
    line = msgspec.structs.replace(run.line, scores=both)
    assert shares_of_alpha(policy(Regression(suite="*")), line) == pytest.approx([0.005])


def test_every_suite_that_lost_is_named_once_one_is_rejected() -> None:
    """Holm's step: what half of alpha does not show fails beside a clear failure, and beside a pass it does not."""
    run = run_of(20, [8] * 30, 16)
    error = run.record.results[0].stderr_sampling
    assert error is not None
    unclear = Threshold(min=50 + 2.45 * error, significant=True)

    def outcomes(other: float) -> list[str]:
        rules = policy(Threshold(min=other, significant=True), unclear)
        return [rule.outcome for rule in verdict_on(run, [], rules).rules]

    assert outcomes(90.0) == ["fail", "fail"]
    assert outcomes(5.0) == ["pass", "pass"]


def test_an_alert_does_not_reject() -> None:
    """A failing rule whose effect is an alert is in the verdict, which stays kept."""
    verdict = verdict_on(run_of(20, [0] * 30, 16), kept(8), policy(Regression(effect="alert")))
    assert verdict.verdict == "kept"
    assert [(rule.outcome, rule.effect) for rule in verdict.rules] == [("fail", "alert")]


def test_ten_small_drops_are_erosion() -> None:
    """A point less at each of twelve runs: each is innocent beside its neighbours, all together are not."""
    history = kept(8, 64)
    for step in range(1, 13):
        history.append(run_of(20 + step, drawn(lower(RATES, 0.01 * step), 64, random.Random(step)), 64))
    result = result_on(history.pop(), history, Erosion())
    assert result.outcome == "fail"
    assert "it has eroded" in result.reason
    steady = result_on(run_of(60, drawn(RATES, 64, random.Random(5)), 64), kept(20, 64), Erosion())
    assert steady.outcome == "pass"


def test_a_significant_threshold_leaves_room_for_chance() -> None:
    """Just below the limit passes, far below does not, and one sample per problem has Wilson's bound."""
    run = run_of(20, drawn(RATES, 16, random.Random(1)), 16)
    score = run.line.scores["s"].score
    assert result_on(run, [], Threshold(min=score + 2)).outcome == "fail"
    assert result_on(run, [], Threshold(min=score + 2, significant=True)).outcome == "pass"
    assert result_on(run, [], Threshold(min=score + 12, significant=True)).outcome == "fail"
    single = run_of(20, [1] * 20 + [0] * 10, 1)
    assert result_on(single, [], Threshold(min=80.0, significant=True)).outcome == "pass"
    assert result_on(single, [], Threshold(min=90.0, significant=True)).outcome == "fail"


@pytest.mark.parametrize(
    ("rule", "significant"),
    [
        (MaxDrop(points=3.0), MaxDrop(points=3.0, significant=True)),
        (Relative(delta=-3.0), Relative(delta=-3.0, significant=True)),
        (BestRatio(ratio=0.97), BestRatio(ratio=0.97, significant=True)),
    ],
)
def test_significant_literal_rules_fail_beyond_doubt_only(
    rule: MaxDrop | Relative | BestRatio, significant: MaxDrop | Relative | BestRatio
) -> None:
    """A drop of 5 points at k = 4 is beyond the limit of 3, but not beyond doubt; one of 40 is."""
    history = [run_of(1, [4] * 15 + [2] * 15, 4)]
    little, much = run_of(20, [4] * 12 + [3] * 3 + [2] * 15, 4), run_of(21, [2] * 15 + [1] * 15, 4)
    little = run_of(20, [4] * 12 + [2] * 18, 4)
    assert result_on(little, history, rule).outcome == "fail"
    careful = result_on(little, history, significant)
    assert careful.outcome == "pass"
    assert "not beyond doubt" in careful.reason
    assert careful.p_value is not None
    assert result_on(much, history, significant).outcome == "fail"


def test_records_are_read_only_of_the_runs_that_count() -> None:
    """However long the history is, a regression reads eight records and a threshold none."""
    history = [one.line for one in kept(40, 2)]
    run = run_of(60, [1] * 30, 2)
    assert needed(run, history, policy(Regression(), Threshold(min=1.0))) == [line.run_id for line in history[-8:]]
    assert needed(run, history, policy(Threshold(min=1.0), Drift())) == []


@pytest.mark.parametrize("right", [{"0": 99}, {"0": -1}])
def test_impossible_counts_are_no_evidence(right: dict[str, int]) -> None:
    """A record in the ledger is somebody's file: more right samples than there are do not count."""
    odd = run_of(1, [16] * 30, 16, result={"right_by_problem": right, "scored_by_problem": {"0": 16}})
    result = result_on(run_of(20, [0] * 30, 16), [odd], Regression())
    assert "no kept run can be compared with" in result.reason


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6), st.integers(0, 5), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_better_run_is_never_rejected_where_a_worse_one_is_kept(right: list[int], place: int, seed: int) -> None:
    """Turning one wrong answer right never turns kept into rejected, under every one-sided rule together."""
    if right[place] == 4:
        return
    draw = random.Random(seed)
    history = [run_of(number, drawn([0.2, 0.5, 0.7, 0.9, 0.95, 1.0], 4, draw), 4) for number in range(1, 6)]
    better = [*right]
    better[place] += 1
    config = policy(
        Regression(), Erosion(m=2, recent=1), MaxDrop(points=5.0), Threshold(min=20.0), Relative(delta=-8.0), alpha=0.2
    )
    words = [verdict_on(run_of(20, counts, 4), history, config).verdict for counts in (right, better)]
    assert words != ["kept", "rejected"]


@given(st.permutations(range(30)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_problems_does_not_matter(order: list[int]) -> None:
    """The same counts under shuffled ids of problems have the same verdict and p-value."""
    right = drawn(RATES, 16, random.Random(2))
    history = kept(3)
    plain = result_on(run_of(20, right, 16), history, Regression())
    changed = {str(place): right[place] for place in order}
    scored = dict.fromkeys(changed, 16)
    shuffled = run_of(20, right, 16, result={"right_by_problem": changed, "scored_by_problem": scored})
    assert result_on(shuffled, history, Regression()) == plain


def test_the_verdict_is_deterministic() -> None:
    """Twice the same question, twice the same answer."""
    run, history = run_of(20, [8] * 30, 16), kept(8)
    config = policy(Regression(), Erosion(), Drift(), Declines(significant=True), Threshold(min=1.0))
    assert verdict_on(run, history, config) == verdict_on(run, history, config)
