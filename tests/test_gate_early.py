from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.config import BestRatio, Declines, MaxDrop, Regression, Relative, Rule, Threshold
from publisher.gate.baseline import Measured, Tally
from publisher.gate.early import completed, level_now
from publisher.gate.extensions import stages
from publisher.gate.looks import among_kept
from publisher.schema import StoppedEarly
from publisher.stats import LOOKS, estimate
from tests.gate_cases import drawn, policy, result_on, run_of, verdict_on

RATES = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 1.0, 0.0] * 3
HISTORY = [run_of(number, drawn(RATES, 16, random.Random(number)), 16) for number in range(1, 9)]


def stopped(look: int, right: list[int], seen: int, k: int = 16, number: int = 20, **changes: Any) -> Measured:
    """Return a run of k samples per problem that was stopped after `seen` of them, `right` of which are right."""
    whole = run_of(number, right, seen, **changes)
    early = StoppedEarly(look=look, share=seen / k, samples=30 * seen, planned=30 * k, why="it is hopeless")
    record = msgspec.structs.replace(
        whole.record,
        stopped_early=early,
        suites=[msgspec.structs.replace(whole.record.suites[0], samples=k)],
    )
    score = msgspec.structs.replace(whole.line.scores["s"], k=k)
    line = msgspec.structs.replace(whole.line, scores={"s": score}, stopped_early=early.why, verdict="rejected")
    return Measured(line, record)


def test_a_broken_run_is_rejected_at_the_first_look() -> None:
    """One sample of each problem, none of them right: its p-value is far below what the first look may spend."""
    verdict = verdict_on(stopped(1, [0] * 30, 1), HISTORY, policy(Regression()))
    assert verdict.verdict == "rejected"
    assert verdict.stopped_early == "it is hopeless"
    assert verdict.rules[0].level is not None
    assert verdict.rules[0].level < 0.0002


def test_a_run_that_is_merely_unlucky_so_far_is_not() -> None:
    """What would be significant at the end is not enough at a first look."""
    one = [round(rate) for rate in RATES]
    for place in (4, 5, 14, 15):
        one[place] = 0
    verdict = verdict_on(stopped(1, one, 1), HISTORY, policy(Regression()))
    assert verdict.verdict == "inconclusive"


def test_the_last_look_has_nearly_all_of_alpha() -> None:
    """A complete run is tested a little below alpha; without looks, only the luck of kept runs is taken off."""
    run = run_of(20, drawn(RATES, 16, random.Random(99)), 16)
    level = result_on(run, HISTORY, Regression()).level
    assert level is not None
    assert 0.0085 < level < 0.0095
    config = policy(Regression(), early=False)
    assert verdict_on(run, HISTORY, config).rules[0].level == pytest.approx(among_kept(0.01, len(HISTORY)))


def test_levels_of_looks_grow_and_stay_below_alpha() -> None:
    """For k = 16 there are five looks, for k = 1 they are shares of the problems, and greedy answers have one."""
    base = {f"s/{number}": Tally(100, 128) for number in range(32)}
    found = [
        level_now(stopped(look, [0] * 30, 1), base, samples={"s": 16}, looks=True, most=0, alpha=0.01)
        for look in range(1, 5)
    ]
    assert found == sorted(found)
    assert found[0] > 0
    assert found[-1] < 0.01
    single = [
        level_now(stopped(look, [0] * 30, 1), base, samples={"s": 1}, looks=True, most=0, alpha=0.01)
        for look in range(1, 5)
    ]
    assert 0 < single[0] < single[-1] < 0.01
    greedy = stopped(3, [0] * 30, 1, temperature=0.0)
    assert level_now(greedy, base, samples={"s": 16}, looks=True, most=0, alpha=0.01) == pytest.approx(0.01)


def test_extensions_are_part_of_the_same_plan() -> None:
    """A run of 16 that may be extended to 64 may not spend all of alpha on its own."""
    base = {f"s/{number}": Tally(100, 128) for number in range(32)}
    run, twice, most = (run_of(20, [8] * 30, k) for k in (16, 32, 64))
    plain = level_now(run, base, samples={"s": 16}, looks=True, most=0, alpha=0.01)
    first, second, last = (
        level_now(one, base, samples={"s": 16}, looks=True, most=64, alpha=0.01) for one in (run, twice, most)
    )
    assert first < second < last < 0.01
    assert first < plain


def test_a_run_that_may_be_extended_spends_all_of_its_alpha() -> None:
    """More samples are only asked for once a loss is significant, so extensions take nothing from the test before."""
    run = run_of(20, drawn(RATES, 16, random.Random(99)), 16)
    plain, extensible = (result_on(run, HISTORY, Regression(max_samples=most)).level for most in (0, 128))
    assert plain == extensible
    config = policy(Regression(max_samples=64), early=False)
    for k in (16, 32, 64):
        longer = run_of(20, drawn(RATES, k, random.Random(99)), k)
        level = verdict_on(longer, HISTORY, config).rules[0].level
        assert level == pytest.approx(among_kept(0.01, len(HISTORY)))


def test_false_alarms_keep_to_alpha_over_all_looks_and_extensions() -> None:
    """A run is extended where it is significant: over its whole course it is rejected as often as alpha says."""
    draw, trials, rejected = random.Random(7), 1000, 0
    config = policy(Regression(max_samples=16, points=2.0), samples=4, early=False, alpha=0.05)
    rates = [0.3, 0.5, 0.7] * 10
    base = [run_of(number, drawn(rates, 32, random.Random(number)), 32) for number in range(1, 5)]
    for _ in range(trials):
        right = [0] * len(rates)
        for k, more in ((4, 4), (8, 4), (16, 8)):
            right = [one + new for one, new in zip(right, drawn(rates, more, draw), strict=True)]
            word = verdict_on(run_of(20, right, k), base, config).verdict
            if word != "inconclusive":
                break
        rejected += word == "rejected"
    assert 0.005 * trials < rejected < 0.07 * trials


def test_ruling_harm_out_shares_its_alpha_with_later_tries() -> None:
    """It asks for more samples until it succeeds, so the plan over all of them is fixed beforehand, for others too."""
    config = policy(Regression(prove="no-harm", max_samples=64), MaxDrop(points=1.0, significant=True), early=False)
    found = [verdict_on(run_of(20, [k] * 30, k), HISTORY, config).rules for k in (16, 32, 64)]
    first, second, last = (rules[0].level or 0.0 for rules in found)
    assert 0 < first < second < last <= 0.005 + 1e-9
    assert stages(64, 16) == 3
    worse = verdict_on(run_of(20, [4] * 30, 16), HISTORY, config).rules[1]
    assert worse.level == pytest.approx(0.005 / 3)


@pytest.mark.parametrize(
    "rule",
    [
        Threshold(min=90.0),
        MaxDrop(points=1.0),
        Relative(delta=0.0),
        BestRatio(ratio=1.0),
        Regression(),
        Regression(prove="gain"),
    ],
)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_curtailed_verdict_is_the_full_ones(rule: Rule, data: st.DataObject) -> None:
    """Where a stopped run is rejected because no outcome could change it, every way to complete it is rejected."""
    config = policy(rule, early=False)  # type: ignore[arg-type]
    seen = data.draw(st.integers(1, 4))
    right = [data.draw(st.integers(0, seen)) for _ in range(6)]
    history = [run_of(number, drawn([0.5, 0.7, 0.8, 0.9, 0.95, 1.0], 4, random.Random(number)), 4) for number in (1, 2)]
    part = stopped(4, right, seen, k=4)
    if verdict_on(part, history, config).verdict != "rejected":
        return
    more = [hits + data.draw(st.integers(0, 4 - seen)) for hits in right]
    assert verdict_on(run_of(21, more, 4), history, config).verdict == "rejected"


def test_a_threshold_that_cannot_be_reached_any_more_ends_a_run() -> None:
    """Half of the samples, none right: at most 50 points, which the reason says."""
    result = result_on(stopped(4, [0] * 30, 8), [], Threshold(min=60.0))
    assert result.outcome == "fail"
    assert "even if all 240 remaining samples were right" in result.reason
    assert result_on(stopped(4, [0] * 30, 8), [], Threshold(min=40.0)).outcome == "inconclusive"


def test_a_stopped_run_is_never_kept() -> None:
    """Its score is biased, so the best that a look can say is nothing."""
    part = stopped(4, [8] * 30, 8)
    assert verdict_on(part, HISTORY, policy(Regression(), Declines(effect="block"))).verdict == "inconclusive"


def test_a_stopped_run_is_never_a_baseline() -> None:
    """Whatever somebody wrote as its verdict."""
    part = stopped(1, [0] * 30, 1, number=9)
    odd = Measured(msgspec.structs.replace(part.line, verdict="kept"), part.record)
    assert result_on(run_of(20, [8] * 30, 16), [*HISTORY, odd], Regression()).baseline == HISTORY[-1].line.run_id


def test_completing_a_run_does_not_change_its_verdict() -> None:
    """A look that rejected has spent its alpha: a complete run of the same samples stays rejected, and says why."""
    part = stopped(1, [0] * 30, 1, number=9, generation="a" * 64)
    whole = run_of(20, drawn(RATES, 16, random.Random(5)), 16, generation="a" * 64)
    verdict = verdict_on(whole, [*HISTORY, part], policy(Regression()))
    assert verdict.verdict == "rejected"
    assert "completing it does not change the verdict" in verdict.rules[-1].reason
    other = run_of(20, drawn(RATES, 16, random.Random(5)), 16, generation="a" * 64, salt="fresh")
    assert verdict_on(other, [*HISTORY, part], policy(Regression())).verdict == "kept"


def test_completion_takes_every_missing_sample_as_right() -> None:
    """Counts, score and interval of the best case belong together."""
    best = completed(stopped(1, [0] * 29 + [1], 1))
    result = best.record.results[0]
    assert result.right_by_problem["0"] == 15
    assert result.scored_by_problem["0"] == 16
    assert result.score == pytest.approx(estimate([15] * 29 + [16], [16] * 30).score)
    assert best.line.scores["s"].score == result.score
    assert best.record.stopped_early is None


def test_looking_costs_no_false_alarms() -> None:
    """Over all looks together an innocent run is rejected about as often as alpha says (here 20 %, to see it)."""
    draw, rejected, trials = random.Random(12), 0, 150
    config = policy(Regression(points=0.0), alpha=0.2)
    for trial in range(trials):
        rounds = [[draw.random() < rate for rate in RATES] for _ in range(16)]
        for look, edge in enumerate((*LOOKS, 1.0), 1):
            seen = int(16 * edge)
            right = [sum(column[:seen]) for column in zip(*rounds, strict=True)]
            history = [run_of(9, drawn(RATES, 128, random.Random(trial)), 128)]
            run = stopped(look, right, seen) if edge < 1 else run_of(20, right, 16)
            if verdict_on(run, history, config).verdict == "rejected":
                rejected += 1
                break
    assert rejected / trials == pytest.approx(0.2, abs=0.1)
