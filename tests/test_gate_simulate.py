from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from publisher.config import (
    AnyRule,
    BestRatio,
    Budget,
    Declines,
    Drift,
    Erosion,
    MaxDrop,
    Regression,
    Relative,
    Threshold,
)
from publisher.gate.stratified import Stratum, difference, loss_p, score_z
from publisher.publishing.simulate import arrays
from publisher.publishing.simulate.histories import Histories, alarms, found_drops
from publisher.publishing.simulate.past import Problems
from publisher.publishing.simulate.power import Setting, Share, power, smallest_drop, wanted_samples
from publisher.publishing.simulate.rules import Test as SimulatedTest
from publisher.publishing.suggestion import Wish, setting_of, suggested, suggestion_lines
from tests.gate_cases import policy, run_of, verdict_on
from tests.project import Project, config

if TYPE_CHECKING:
    from pathlib import Path

RATES = np.array([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 1.0, 0.0] * 3)


def on_s(*rules: AnyRule, level: float = 0.01, looks: bool = False) -> list[SimulatedTest]:
    """Return the rules as tests of the suite `s`."""
    return [SimulatedTest(rule, ("s",), level, looks) for rule in rules]


@pytest.mark.parametrize(("k", "runs"), [(1, 4000), (4, 3000), (16, 2400), (64, 600)])
def test_the_simulation_decides_as_the_gates_own_test(k: int, runs: int) -> None:
    """Ten thousand random runs, innocent and worse ones, at four sizes: never another verdict."""
    draw = np.random.default_rng(k)
    base = draw.binomial(8 * k, RATES, (runs, 30))
    lower = arrays.shifted(RATES, 0.6 / np.sqrt(30 * k))
    right = draw.binomial(k, np.where(np.arange(runs)[:, None] % 2, RATES, lower))
    found = arrays.rejected(right, k, base, 8 * k, alpha=0.01, points=1.0)
    for place in range(runs):
        strata = [Stratum(int(a), k, int(b), 8 * k) for a, b in zip(right[place], base[place], strict=True)]
        loss = -100 * difference(strata)
        if loss > 0:
            assert found[place] == (loss > 1 + 1e-9 and loss_p(strata) <= 0.01), strata
    assert 0.02 < found.mean() < 0.6


@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.02])
def test_the_simulated_score_test_is_the_gates(margin: float) -> None:
    """The same statistic to nine digits, problems without samples left out."""
    draw = np.random.default_rng(4)
    drawn, base_drawn = draw.integers(0, 5, (50, 30)), draw.integers(1, 40, (50, 30))
    right, base = draw.binomial(drawn, RATES), draw.binomial(base_drawn, RATES)
    found = arrays.score_z(right, drawn, base, base_drawn, margin)
    for row in range(50):
        rows = zip(right[row], drawn[row], base[row], base_drawn[row], strict=True)
        assert found[row] == pytest.approx(score_z([Stratum(*map(int, one)) for one in rows], margin), rel=1e-9)


@pytest.mark.parametrize(
    ("rule", "k"),
    [
        (Regression(m=4), 4),
        (Regression(points=0.0, m=4), 1),
        (Regression(prove="no-harm", points=4.0, m=4), 16),
        (Regression(prove="gain", m=4, effect="alert"), 4),
        (Erosion(m=2, windows=3, recent=2), 4),
        (Threshold(min=57.0, significant=True), 4),
        (Threshold(min=55.0), 1),
        (Relative(delta=-1.0, significant=True), 4),
        (Relative(percent=-5.0), 4),
        (BestRatio(ratio=0.95), 16),
        (BestRatio(ratio=1.0, significant=True), 4),
        (MaxDrop(points=2.0, significant=True), 4),
        (Declines(runs=2), 1),
        (Declines(significant=True, m=5), 4),
        (Drift(m=5, alarms=0.1), 4),
    ],
)
def test_simulated_histories_are_decided_as_by_the_whole_gate(rule: AnyRule, k: int) -> None:
    """Each commit of a few histories, innocent or not, gets the verdict of the gate on the same counts."""
    made = policy(rule, early=False, alpha=0.1)
    past = Histories(
        [Problems("s", RATES, k)], on_s(rule, level=0.1), histories=6, commits=4, draw=np.random.default_rng(k)
    )
    suite = past.past.suites["s"]
    failures = 0
    for number in range(4):
        before = past.past.count.copy()
        found = past.commit(0.06 if number % 2 else 0.0)
        new = found.runs["s"].right
        for row, count in enumerate(before):
            kept = np.diff(suite.right[row, : count + 1], axis=0)
            history = [run_of(place, [int(one) for one in run], k) for place, run in enumerate(kept, 1)]
            verdict = verdict_on(run_of(99, [int(one) for one in new[row]], k), history, made)
            assert (verdict.rules[0].outcome == "fail") == found.failed[0][row], verdict.rules[0].reason
            assert (verdict.verdict == "rejected") == found.rejected[row]
            failures += found.failed[0][row]
    assert 0 < failures < 24


def test_an_innocent_commit_is_rejected_once_in_a_hundred() -> None:
    """Over whole histories of a constant truth, within the Monte Carlo error, although only kept runs are pooled."""
    for k in (4, 64):
        found = alarms([Problems("s", RATES, k)], on_s(Regression()), histories=200, commits=60, seed=1)
        assert 0.7 < found.rejected.percent < 1.3
    assert found.rejected.error == pytest.approx(0.09, abs=0.03)


def test_looks_and_extensions_add_no_false_alarms() -> None:
    """They are one plan with the complete run."""
    for k, rule in ((1, Regression(points=0.0)), (16, Regression(max_samples=64, points=2.0))):
        found = alarms([Problems("s", RATES, k)], on_s(rule, looks=True), histories=200, commits=50, seed=2)
        assert found.rejected.percent < 1.3


def test_erosion_alarms_at_most_once_in_a_hundred_commits() -> None:
    """Under a constant truth, at any number of samples."""
    for k in (1, 16):
        found = alarms([Problems("s", RATES, k)], on_s(Erosion()), histories=200, commits=50, seed=3)
        assert found.rejected.percent <= 1.0


def test_ten_drops_of_one_point_are_caught_by_erosion() -> None:
    """Within 15 commits at k = 64, in every history."""
    draw = np.random.default_rng(7)
    past = Histories([Problems("s", RATES, 64)], on_s(Erosion()), histories=60, commits=15, draw=draw)
    caught = np.zeros(60, dtype=bool)
    for number in range(1, 16):
        caught |= past.commit(min(number, 10) / 100).failed[0]
    assert caught.all()


def test_rules_share_the_alpha_of_a_policy() -> None:
    """Two tests at half of alpha each reject no more innocent commits than one, and every test is counted."""
    problems = [Problems("s", RATES, 4), Problems("t", RATES[:10], 1)]
    tests = [SimulatedTest(Regression(points=0.0), (suite,), 0.005, looks=False) for suite in ("s", "t")]
    tests.append(SimulatedTest(Regression(pooled=True, effect="alert"), ("s", "t"), 0.01, looks=False))
    found = alarms(problems, tests, histories=200, commits=50, seed=5)
    assert found.rejected.percent < 1.3
    assert all(share.percent > 0.1 for share in found.failed)
    dropped, failed = found_drops(problems, tests, 0.2, trials=300, seed=6)
    assert dropped.rejected.percent > 90
    assert failed[2].percent > failed[1].percent


def test_more_samples_settle_what_is_undecided() -> None:
    """Non-inferiority that k = 16 leaves open is decided by up to 64 samples, which are counted."""
    few, more = (Regression(prove="no-harm", points=3.0, max_samples=most) for most in (0, 64))
    tests = on_s(few), [SimulatedTest(more, ("s",), 0.01, looks=False, most=64)]
    short, long = (found_drops([Problems("s", RATES, 16)], one, 0.0, trials=400, seed=8)[0] for one in tests)
    assert short.samples == 100
    assert long.samples > 150
    open_few, open_more = (alarms([Problems("s", RATES, 16)], one, histories=50, commits=4, seed=9) for one in tests)
    assert open_more.undecided.percent < open_few.undecided.percent / 2


def test_a_budget_is_not_simulated() -> None:
    """Speeds and lengths have no rates: such a rule fails nothing here."""
    rule = Budget(metric="latency", percent=10.0)
    assert alarms([Problems("s", RATES, 4)], on_s(rule), histories=20, commits=5, seed=1).rejected.percent == 0


def test_power_grows_with_the_drop_and_looks_save_samples() -> None:
    """A drop of 20 points is found with a fifth of the samples, and no drop takes them all."""
    draw = np.random.default_rng(2)
    setting = Setting(k=16, looks=True)
    none, five, twenty = (power(RATES, setting, drop, trials=1500, draw=draw) for drop in (0.0, 0.05, 0.2))
    assert none.rejected.percent < 2
    assert 50 < five.rejected.percent <= twenty.rejected.percent
    assert none.samples > 99
    assert twenty.samples < 20


def test_a_run_of_single_samples_is_looked_at_after_some_of_its_problems() -> None:
    """A model that solves nothing any more is rejected before all problems are asked."""
    found = power(RATES, Setting(k=1, looks=True), 0.5, trials=500, draw=np.random.default_rng(3))
    assert found.rejected.percent > 99
    assert found.samples < 80


def test_the_smallest_drop_is_found_with_the_wanted_power() -> None:
    """Four of five at the drop that it names; and the suggested k agrees with it."""
    draw = np.random.default_rng(5)
    setting = Setting(k=16)
    drop = smallest_drop(RATES, setting, trials=3000, draw=draw)
    assert drop is not None
    assert power(RATES, setting, drop, trials=4000, draw=draw).rejected.percent == pytest.approx(80, abs=4)
    k = wanted_samples(RATES, setting, drop, trials=2000, draw=draw)
    assert k == pytest.approx(16, abs=3)
    assert wanted_samples(RATES[:2], setting, 0.001, trials=100, draw=draw) is None
    assert smallest_drop(RATES[:2], Setting(k=1), trials=200, draw=draw) is None


def test_literal_rules_cry_wolf() -> None:
    """At k = 1 a floor at 97 % of the best ever rejects most innocent commits; a low threshold rejects none."""
    rules = BestRatio(ratio=0.97, effect="alert"), MaxDrop(points=3.0, effect="alert"), Threshold(min=5.0)
    found = alarms([Problems("s", RATES, 1)], on_s(*rules), histories=100, commits=50, seed=6)
    best, drop, low = found.failed
    assert best.percent > 70
    assert drop.percent > 30
    assert low.percent == 0
    assert found.rejected.percent == 0, "an alert rejects nothing"


def test_a_shift_has_the_mean_that_was_asked_for() -> None:
    """Rates stay shares, and their mean falls by the drop."""
    lower = arrays.shifted(np.stack([RATES, RATES[::-1] / 2]), 0.1)
    assert lower.mean(axis=1) == pytest.approx([RATES.mean() - 0.1, RATES.mean() / 2 - 0.1], abs=1e-9)
    assert ((lower >= 0) & (lower <= 1)).all()


def test_a_share_has_a_monte_carlo_error() -> None:
    """The binomial one, and never zero."""
    assert Share.of(25, 100) == pytest.approx((25.0, 4.33), abs=0.01)
    assert Share.of(0, 100).error > 0


def test_a_suggestion_is_for_the_level_that_the_policy_leaves_to_the_test() -> None:
    """Beside another blocking test a suite has half of alpha, and more samples are needed than with all of it."""
    line = run_of(1, [1] * 30, 16).line
    alone = policy(Regression(points=2.0, m=4))
    beside = policy(Threshold(min=5.0, significant=True), Regression(points=2.0, m=4))
    assert setting_of(alone, line, "s", Wish(5.0)) == Setting(k=1, alpha=0.01, points=2.0, m=4)
    assert setting_of(beside, line, "s", Wish(5.0)) == Setting(k=1, alpha=0.005, points=2.0, m=4)
    assert setting_of(beside, line, "s", Wish(5.0, alarms=2.0)).alpha == pytest.approx(0.01)
    assert setting_of(beside, line, "s", Wish(1.0)).points == 0.5
    assert setting_of(beside, line, "other", Wish(5.0)) == Setting(k=1, alpha=0.01, points=1.0, m=8)


def test_a_suggestion_fits_into_the_time_or_says_what_does() -> None:
    """More pooled runs save samples; where even they take too long, the drop that the time finds is named."""
    setting, found = Setting(k=1, points=0.5, m=1), []
    for minutes in (None, 20.0, 2.0):
        wish = Wish(5.0, minutes=minutes)
        found.append(suggested("s", RATES, setting, wish, 1.0))
    free, fits, short = found
    assert (free.m, free.in_time) == (1, True)
    assert free.minutes == free.k
    assert (free.k or 0) > 20
    assert (fits.m > 1, fits.in_time) == (True, True)
    assert fits.k is not None
    assert fits.k <= 20
    assert not short.in_time
    assert short.possible is not None
    assert short.possible > 5
    assert "which finds drops of" in suggestion_lines(found)[-1]


@pytest.mark.model
def test_the_command_tries_a_policy_out(tmp_path: Path) -> None:
    """False alarms, powers and the smallest drop for the whole policy and each rule, and what a drop takes to find."""
    project = Project.create(tmp_path, remote=False)
    rules = 'rules = [{ rule = "regression" }, { rule = "threshold", min = 5.0 }, { rule = "drift" }]'
    old = 'rules = [{ rule = "threshold", min = 40.0 }, { rule = "max-drop", points = 20.0 }]'
    project.folder.commit({"publisher.toml": config(temperature=0.7).replace(old, rules)}, "Warm")
    assert project.run("gate", "--simulate").code == 2, "nothing is measured yet"
    assert project.run("bench").code == 0
    found = project.run("gate", "--simulate", "--histories", "50", "--json").json
    assert [(trial["rule"], trial["effect"]) for trial in found["trials"]] == [
        ("regression", "block"),
        ("threshold", "block"),
        ("drift", "alert"),
    ]
    assert found["rejected"][0] < 5
    assert [round(100 * one[0]) for one in found["powers"]] == [1, 3, 5, 10]
    text = project.run("gate", "--simulate", "--histories", "50")
    assert (text.code, "a drop of 10 points:" in text.out) == (0, True)
    few, many = (project.run("gate", "--suggest", drop, "--json").json[0]["k"] for drop in ("30", "2"))
    assert few < (many or 1025)
    wish = project.run("gate", "--suggest", "5", "--minutes", "60", "--alarms", "5", "--power", "50")
    assert (wish.code, "in 50 of 100 commits (alpha = 0.05, " in wish.out) == (0, True)
    assert {project.run("gate", "--suggest", drop).code for drop in ("0", "1e-300", "nan", "101")} == {2}


@pytest.mark.model
def test_greedy_answers_have_no_noise_to_simulate(tmp_path: Path) -> None:
    """A clear message instead of figures that mean nothing."""
    project = Project.create(tmp_path, remote=False)
    assert project.run("bench").code == 0
    done = project.run("gate", "--simulate")
    assert (done.code, "greedy answers do not vary" in done.err) == (2, True)
