from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from publisher.config import BestRatio, Declines, MaxDrop, Regression, Threshold
from publisher.gate.baseline import Tally, since_change
from publisher.gate.stratified import Stratum, difference, loss_p
from publisher.publishing import simulate
from publisher.publishing.rehearsal import setting_of
from publisher.publishing.simulate import Setting, Share
from tests.gate_cases import policy, run_of, verdict_on
from tests.project import Project, config

if TYPE_CHECKING:
    from pathlib import Path

RATES = np.array([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 1.0, 0.0] * 3)


@pytest.mark.parametrize(("k", "runs"), [(1, 4000), (4, 3000), (16, 2400), (64, 600)])
def test_the_simulation_decides_as_the_gates_own_test(k: int, runs: int) -> None:
    """Ten thousand random runs, innocent and worse ones, at four sizes: never another verdict."""
    draw = np.random.default_rng(k)
    base = draw.binomial(8 * k, RATES, (runs, 30))
    lower = simulate.shifted(RATES, 0.6 / np.sqrt(30 * k))
    right = draw.binomial(k, np.where(np.arange(runs)[:, None] % 2, RATES, lower))
    setting = Setting(k=k)
    found = simulate.rejected(right, k, base, 8 * k, setting)
    for place in range(runs):
        strata = [Stratum(int(a), k, int(b), 8 * k) for a, b in zip(right[place], base[place], strict=True)]
        loss = -100 * difference(strata)
        if loss > 0:
            assert found[place] == (loss > 1 + 1e-9 and loss_p(strata) <= setting.alpha), strata
    assert 0.02 < found.mean() < 0.6


def test_the_simulation_decides_as_the_whole_gate() -> None:
    """The rule itself, with its pooled history and its change detection, says the same of simulated commits."""
    draw = np.random.default_rng(3)
    config = policy(Regression(), early=False)
    for trial in range(25):
        kept = draw.binomial(16, RATES, (1, 8, 30))
        if trial % 2:
            kept[:, :4] = draw.binomial(16, simulate.shifted(RATES, 0.15), (1, 4, 30))
        right = draw.binomial(16, simulate.shifted(RATES, 0.045), (1, 30))
        tail = kept[:, ::-1].cumsum(axis=1)[:, ::-1]
        start = simulate._since_change(tail, 16)
        parts = [{str(n): Tally(int(hits), 16) for n, hits in enumerate(run)} for run in kept[0]]
        assert start[0] == since_change(parts)
        bad = simulate.rejected(right, 16, tail[:, start[0]], 16 * (8 - int(start[0])), Setting(k=16))
        history = [run_of(number, [int(one) for one in run], 16) for number, run in enumerate(kept[0], 1)]
        verdict = verdict_on(run_of(20, [int(one) for one in right[0]], 16), history, config)
        assert (verdict.verdict == "rejected") == bad[0]


def test_an_innocent_commit_is_rejected_once_in_a_hundred() -> None:
    """Over whole histories of a constant truth, within the Monte Carlo error and the slack of the mid-p value."""
    found = simulate.false_alarms(RATES, Setting(k=4), histories=200, commits=50, draw=np.random.default_rng(1))
    assert 0.5 < found.percent < 1.4
    assert found.error == pytest.approx(0.09, abs=0.03)


def test_power_grows_with_the_drop_and_looks_save_samples() -> None:
    """A drop of 20 points is found with a fifth of the samples, and no drop takes them all."""
    draw = np.random.default_rng(2)
    setting = Setting(k=16, looks=True)
    none, five, twenty = (simulate.power(RATES, setting, drop, trials=1500, draw=draw) for drop in (0.0, 0.05, 0.2))
    assert none.rejected.percent < 2
    assert 50 < five.rejected.percent <= twenty.rejected.percent
    assert none.samples > 99
    assert twenty.samples < 20


def test_the_smallest_drop_is_found_with_the_wanted_power() -> None:
    """Four of five at the drop that it names; and the suggested k agrees with it."""
    draw = np.random.default_rng(5)
    setting = Setting(k=16)
    drop = simulate.smallest_drop(RATES, setting, trials=3000, draw=draw)
    assert drop is not None
    assert simulate.power(RATES, setting, drop, trials=4000, draw=draw).rejected.percent == pytest.approx(80, abs=4)
    k = simulate.wanted_samples(RATES, setting, drop, trials=2000, draw=draw)
    assert k == pytest.approx(16, abs=3)
    assert simulate.wanted_samples(RATES[:2], setting, 0.001, trials=100, draw=draw) is None
    assert simulate.smallest_drop(RATES[:2], Setting(k=1), trials=200, draw=draw) is None


def test_literal_rules_cry_wolf() -> None:
    """At k = 1 a floor at 97 % of the best ever rejects most innocent commits; a low threshold rejects none."""
    draw = np.random.default_rng(6)
    arguments = {"histories": 100, "commits": 50}
    best = simulate.literal_alarms(RATES, BestRatio(ratio=0.97), 1, draw=draw, **arguments)
    drop = simulate.literal_alarms(RATES, MaxDrop(points=3.0), 1, draw=draw, **arguments)
    low = simulate.literal_alarms(RATES, Threshold(min=5.0), 1, draw=draw, **arguments)
    assert best is not None
    assert drop is not None
    assert low is not None
    assert best.percent > 70
    assert drop.percent > 30
    assert low.percent == 0
    assert simulate.literal_alarms(RATES, Declines(), 1, draw=draw, **arguments) is None


def test_a_shift_has_the_mean_that_was_asked_for() -> None:
    """Rates stay shares, and their mean falls by the drop."""
    lower = simulate.shifted(RATES, 0.1)
    assert lower.mean() == pytest.approx(RATES.mean() - 0.1, abs=1e-9)
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
    assert setting_of(alone, line, "s", drop=5.0) == Setting(k=1, alpha=0.01, points=2.0, m=4)
    assert setting_of(beside, line, "s", drop=5.0) == Setting(k=1, alpha=0.005, points=2.0, m=4)
    assert setting_of(beside, line, "s", drop=1.0).points == 0.5
    assert setting_of(beside, line, "other", drop=5.0) == Setting(k=1, alpha=0.01, points=1.0, m=8)


@pytest.mark.model
def test_the_command_tries_a_policy_out(tmp_path: Path) -> None:
    """False alarms, powers and the smallest drop for the rule that blocks, and the samples that a drop takes."""
    project = Project.create(tmp_path, remote=False)
    rules = 'rules = [{ rule = "regression" }, { rule = "threshold", min = 5.0 }, { rule = "drift" }]'
    old = 'rules = [{ rule = "threshold", min = 40.0 }, { rule = "max-drop", points = 20.0 }]'
    project.folder.commit({"publisher.toml": config(temperature=0.7).replace(old, rules)}, "Warm")
    assert project.run("gate", "--simulate").code == 2, "nothing is measured yet"
    assert project.run("bench").code == 0
    trials = project.run("gate", "--simulate", "--histories", "50", "--json").json
    assert [trial["rule"] for trial in trials] == ["regression", "threshold"]
    assert trials[0]["false_alarms"][0] < 5
    assert [round(100 * found[0]) for found in trials[0]["powers"]] == [1, 3, 5, 10]
    text = project.run("gate", "--simulate", "--histories", "50")
    assert (text.code, "a drop of 10 points:" in text.out) == (0, True)
    few, many = (project.run("gate", "--suggest", drop, "--json").json[0]["k"] for drop in ("30", "2"))
    assert few < (many or 1025)
    assert {project.run("gate", "--suggest", drop).code for drop in ("0", "1e-300", "nan", "101")} == {2}


@pytest.mark.model
def test_greedy_answers_have_no_noise_to_simulate(tmp_path: Path) -> None:
    """A clear message instead of figures that mean nothing."""
    project = Project.create(tmp_path, remote=False)
    assert project.run("bench").code == 0
    done = project.run("gate", "--simulate")
    assert (done.code, "greedy answers do not vary" in done.err) == (2, True)
