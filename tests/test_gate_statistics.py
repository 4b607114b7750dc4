from __future__ import annotations

import math
import random
from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import test_proportions_2indep as two_proportions

from publisher.gate import distributions, looks, pairs, stratified, trends
from publisher.gate.pairs import Moments
from publisher.gate.stratified import Stratum, detectable_drop
from publisher.stats import majority_at

NORMAL = NormalDist()


def random_strata(seed: int, problems: int = 30, drawn: int = 4, base: int = 16) -> list[Stratum]:
    """Return the counts of problems whose rates are bimodal, some of them with fewer samples than the rest."""
    draw = random.Random(seed)
    strata = []
    for _ in range(problems):
        rate = draw.betavariate(0.7, 0.3)
        new, old = drawn - draw.randrange(2), base - draw.randrange(3)
        right = sum(draw.random() < rate for _ in range(new))
        strata.append(Stratum(right, new, sum(draw.random() < rate for _ in range(old)), old))
    return strata


@st.composite
def strata_lists(draw: st.DrawFn) -> list[Stratum]:
    """Draw up to six problems with uneven counts."""
    strata = []
    for _ in range(draw(st.integers(1, 6))):
        new, base = draw(st.integers(1, 6)), draw(st.integers(1, 12))
        strata.append(Stratum(draw(st.integers(0, new)), new, draw(st.integers(0, base)), base))
    return strata


@pytest.mark.parametrize("seed", range(20))
def test_cmh_is_statsmodels(seed: int) -> None:
    """The squared statistic of random tables is that of statsmodels, without continuity correction."""
    strata = random_strata(seed)
    tables = [
        np.array([[one.right, one.drawn - one.right], [one.base_right, one.base_drawn - one.base_right]], dtype=float)
        for one in strata
        if 0 < one.right + one.base_right < one.drawn + one.base_drawn
    ]
    reference = StratifiedTable(tables).test_null_odds(correction=False)
    assert stratified.cmh(strata) ** 2 == pytest.approx(reference.statistic, rel=1e-9)


@pytest.mark.parametrize(("population", "marked", "drawn"), [(17, 5, 1), (144, 120, 16), (576, 300, 64), (9, 9, 4)])
def test_the_hypergeometric_distribution_is_scipys(population: int, marked: int, drawn: int) -> None:
    """Each mass agrees to nine digits."""
    ours = distributions.hypergeometric(population, marked, drawn)
    places = range(ours.start, ours.start + len(ours.masses))
    reference = scipy.stats.hypergeom(population, marked, drawn)
    assert ours.masses == pytest.approx([reference.pmf(place) for place in places], rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_conditional_distribution_is_a_convolution(seed: int) -> None:
    """Tails agree with numpy's convolution of scipy's masses, far out as well."""
    strata = random_strata(seed)
    whole = np.ones(1)
    for one in strata:
        reference = scipy.stats.hypergeom(one.drawn + one.base_drawn, one.right + one.base_right, one.drawn)
        whole = np.convolve(whole, reference.pmf(np.arange(one.drawn + 1)))
    ours = stratified.conditional(strata)
    for value in range(ours.start, ours.start + len(ours.masses), 3):
        below = float(whole[: value + 1].sum())
        if below > 1e-14:
            assert ours.below(value) == pytest.approx(below, rel=1e-9)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (5, 0), (7, 2), (3, 8)])
def test_mcnemar_is_scipys_and_the_conditional_test_of_single_pairs(lost: int, gained: int) -> None:
    """The exact binomial test, and the same p-value as the stratified test of one sample on both sides."""
    if lost + gained:
        reference = scipy.stats.binomtest(gained, lost + gained, 0.5, alternative="less").pvalue
        assert pairs.mcnemar(lost, gained) == pytest.approx(reference, rel=1e-9)
    strata = [Stratum(0, 1, 1, 1)] * lost + [Stratum(1, 1, 0, 1)] * gained + [Stratum(1, 1, 1, 1)] * 4
    exact = stratified.conditional(strata).below(sum(one.right for one in strata))
    assert pairs.mcnemar(lost, gained) == pytest.approx(exact, rel=1e-9)


@given(strata_lists(), st.integers(0, 5))
def test_p_values_of_a_loss_only_rise_when_a_wrong_answer_turns_right(strata: list[Stratum], place: int) -> None:
    """A better run is never more suspect, whatever the sizes of both sides."""
    chosen = place % len(strata)
    one = strata[chosen]
    if one.right == one.drawn:
        return
    better = [*strata]
    better[chosen] = one._replace(right=one.right + 1)
    assert stratified.loss_p(better) >= stratified.loss_p(strata) - 1e-12


@given(strata_lists(), st.randoms(use_true_random=False))
def test_p_values_do_not_depend_on_the_order_of_problems(strata: list[Stratum], draw: random.Random) -> None:
    """The same problems in another order have the same p-value."""
    shuffled = [*strata]
    draw.shuffle(shuffled)
    assert stratified.loss_p(shuffled) == pytest.approx(stratified.loss_p(strata), rel=1e-9)


@given(strata_lists())
def test_losses_and_gains_mirror_each_other(strata: list[Stratum]) -> None:
    """The mid-p values of both sides add up to one."""
    assert stratified.loss_p(strata) + stratified.gain_p(strata) == pytest.approx(1.0, abs=1e-12)


def test_a_thousand_problems_are_tested_in_no_time() -> None:
    """1,319 problems at k = 4 against eight runs: the tail is that of the normal curve, computed within seconds."""
    strata = random_strata(3, problems=1319, drawn=4, base=32)
    assert stratified.loss_p(strata) == pytest.approx(NORMAL.cdf(stratified.cmh(strata)), abs=0.01)


@pytest.mark.parametrize("counts", [(11, 16, 90, 128), (1, 9, 12, 13), (0, 5, 3, 8), (4, 4, 8, 8)])
@pytest.mark.parametrize("margin", [-0.2, -0.03, 0.1])
def test_the_restricted_rate_is_the_most_likely_one(counts: tuple[int, int, int, int], margin: float) -> None:
    """No other rate explains both sides better; checked by scipy's search, since statsmodels 0.15 errs off zero.

    (Its cubic has the baseline's right samples where Miettinen and Nurminen's has all of them.)
    """
    stratum = Stratum(*counts)

    def unlikely(rate: float) -> float:
        new = scipy.stats.binom.logpmf(stratum.right, stratum.drawn, rate)
        return -float(new + scipy.stats.binom.logpmf(stratum.base_right, stratum.base_drawn, rate - margin))

    found = stratified.restricted_rate(stratum, margin)
    bounds = (max(0.0, margin) + 1e-12, min(1.0, 1 + margin) - 1e-12)
    reference = scipy.optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    assert found == pytest.approx(reference.x, abs=1e-5)
    assert unlikely(min(max(found, bounds[0]), bounds[1])) <= reference.fun + 1e-9


@pytest.mark.parametrize("counts", [(11, 16, 90, 128), (1, 9, 12, 13), (0, 5, 3, 8)])
def test_the_score_test_of_one_problem_is_statsmodels(counts: tuple[int, int, int, int]) -> None:
    """Without a margin a single stratum has Miettinen and Nurminen's statistic."""
    reference = two_proportions(*counts, method="score", compare="diff", alternative="smaller")
    assert stratified.score_z([Stratum(*counts)], 0.0) == pytest.approx(reference.statistic, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_score_interval_holds_what_the_test_does_not_reject(seed: int) -> None:
    """At its ends the statistic is exactly the normal quantile."""
    strata = random_strata(seed)
    low, high = stratified.score_interval(strata, 0.9)
    assert stratified.score_z(strata, low) == pytest.approx(1.6448536, abs=1e-4)
    assert stratified.score_z(strata, high) == pytest.approx(-1.6448536, abs=1e-4)
    assert low < stratified.difference(strata) < high


def test_the_score_test_rejects_as_often_as_it_says() -> None:
    """A true loss of exactly the margin is called a smaller one in about 5 of 100 runs."""
    draw = random.Random(5)
    rates = [min(0.97, 0.1 + draw.betavariate(0.7, 0.3)) for _ in range(30)]
    wrong = 0
    for _ in range(400):
        strata = []
        for rate in rates:
            right = sum(draw.random() < rate - 0.05 for _ in range(8))
            strata.append(Stratum(right, 8, sum(draw.random() < rate for _ in range(32)), 32))
        wrong += stratified.score_z(strata, -0.05) > 1.645
    assert wrong / 400 == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 400))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_score_test_is_monotone_where_it_is_relied_on(data: st.DataObject) -> None:
    """One more right answer never weakens the case against a loss, on tables that are even enough."""
    chosen = data.draw(st.lists(st.tuples(st.integers(4, 16), st.integers(8, 32)), min_size=1, max_size=5))
    strata = [
        Stratum(data.draw(st.integers(0, new)), new, data.draw(st.integers(0, base)), base) for new, base in chosen
    ]
    assert not stratified.too_uneven(strata)
    place = data.draw(st.integers(0, len(strata) - 1))
    if strata[place].right < strata[place].drawn:
        better = [*strata]
        better[place] = strata[place]._replace(right=strata[place].right + 1)
        margin = data.draw(st.sampled_from([-0.1, -0.03, -0.01]))
        assert stratified.score_z(better, margin) >= stratified.score_z(strata, margin) - 1e-9


def test_very_uneven_tables_are_told() -> None:
    """A problem with one sample beside one with sixteen; and where one more right answer does weaken the case."""
    uneven = [Stratum(0, 4, 0, 1), Stratum(1, 1, 1, 128)]
    assert stratified.too_uneven(uneven)
    better = [uneven[0]._replace(right=1), uneven[1]]
    assert stratified.score_z(better, -0.005) < stratified.score_z(uneven, -0.005)
    assert not stratified.too_uneven([Stratum(1, 4, 3, 32), Stratum(1, 3, 2, 8)])
    assert not stratified.too_uneven([])


def test_no_evidence_is_no_loss() -> None:
    """Without a problem on both sides, or with problems that are all right, the p-value stays one half and z zero."""
    for strata in ([], [Stratum(0, 0, 3, 4)], [Stratum(4, 4, 8, 8)]):
        assert stratified.loss_p(strata) == pytest.approx(0.5)
        assert stratified.cmh(strata) == 0
        assert stratified.difference(strata) == 0


@pytest.mark.parametrize("freedom", [1, 4, 29, 200.5])
@pytest.mark.parametrize("share", [0.005, 0.2, 0.5, 0.975, 0.9999])
def test_students_quantiles_are_scipys(freedom: float, share: float) -> None:
    """Student's t without scipy, to nine digits."""
    reference = scipy.stats.t.ppf(share, freedom)
    assert distributions.student_quantile(share, freedom) == pytest.approx(reference, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("a", "b", "x"), [(0.5, 0.5, 0.3), (8, 3, 0.9), (120, 40, 0.7), (2, 2, 0.0), (2, 2, 1.0)])
def test_the_incomplete_beta_function_is_scipys(a: float, b: float, x: float) -> None:
    """The continued fraction converges to scipy's value."""
    assert distributions.incomplete_beta(a, b, x) == pytest.approx(scipy.special.betainc(a, b, x), rel=1e-9)


def test_the_t_interval_is_scipys() -> None:
    """Mean and spread of a few values."""
    values = [0.5, -0.25, 0.0, 0.75, 0.5]
    reference = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert pairs.t_interval(values, 0.9) == pytest.approx((reference.low, reference.high), rel=1e-9)
    assert pairs.t_interval([3.0]) == (-math.inf, math.inf)


def test_the_bootstrap_interval_is_scipys_up_to_its_own_randomness() -> None:
    """The bias-corrected and accelerated interval of skewed differences, deterministic for a seed."""
    values = [0.0] * 20 + [0.1, 0.2, 0.4, 0.8, 1.0, -0.1, -0.2, 0.6, 0.3, 0.9]
    ours = pairs.bootstrap_interval(values, resamples=8000)
    reference = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=8000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours == pytest.approx((reference.low, reference.high), abs=0.012)
    assert ours == pairs.bootstrap_interval(values, resamples=8000)
    assert pairs.bootstrap_interval([0.5] * 4) == (0.5, 0.5)


def test_the_interval_of_a_further_value_is_students_prediction() -> None:
    """Turned round: the difference covers zero where the value is within the prediction interval."""
    known = [10.0, 12.0, 11.0, 13.0]
    spread = np.std(known, ddof=1) * math.sqrt(1 + 1 / 4)
    half = float(scipy.stats.t.ppf(0.975, 3) * spread)
    assert pairs.further_interval(15.0, known) == pytest.approx((3.5 - half, 3.5 + half), rel=1e-9)
    assert pairs.further_interval(15.0, [11.0]) == (-math.inf, math.inf)


def test_a_mean_of_many_problems_has_students_interval() -> None:
    """Resampling is for few problems; both agree where there are many."""
    draw = random.Random(1)
    few, many = ([draw.gauss(1, 2) for _ in range(count)] for count in (150, 201))
    low, high, method = pairs.mean_interval(few)
    assert (low, high) == pytest.approx(pairs.t_interval(few), abs=0.1)
    assert (method, pairs.mean_interval(many)) == ("bootstrap", (*pairs.t_interval(many), "t"))
    assert pairs.mean_interval([1.0]) == (-math.inf, math.inf, "t")


def test_the_permutation_test_has_the_moments_of_all_permutations() -> None:
    """Its standard error is what shuffling the samples of each problem gives."""
    draw = random.Random(2)
    problems = [[draw.gauss(100 * number, 10) for _ in range(6)] for number in range(1, 9)]
    seen = []
    for _ in range(4000):
        difference = 0.0
        for values in problems:
            draw.shuffle(values)
            difference += (4 * sum(values[:2]) - 2 * sum(values[2:])) / 6
        seen.append(difference)
    sides = [
        tuple(Moments(len(part), sum(part), sum(value**2 for value in part)) for part in (values[:2], values[2:]))
        for values in problems
    ]
    z = pairs.permutation_z([(new, base) for new, base in sides])
    assert abs(np.mean(seen)) < 4 * np.std(seen) / math.sqrt(4000)
    assert z == pytest.approx(seen[-1] / np.std(seen), rel=0.05)
    assert pairs.permutation_z([(Moments(1, 5.0, 25.0), Moments(0, 0.0, 0.0))]) == 0


@pytest.mark.parametrize("values", [[5, 4, 3, 2, 1], [1, 3, 2, 5, 4, 6.5, 7], list(range(9, 0, -1)), [2, 1, 4, 3]])
def test_mann_kendall_is_kendalls_exact_test_against_time(values: list[float]) -> None:
    """Without ties the p-value counts permutations, as scipy does."""
    _, ours = trends.mann_kendall(values)
    reference = scipy.stats.kendalltau(range(len(values)), values, method="exact", alternative="less").pvalue
    assert ours == pytest.approx(reference, rel=1e-9)


def test_mann_kendall_allows_for_ties() -> None:
    """Equal scores weaken the evidence, and equal scores alone are none."""
    assert trends.mann_kendall([3.0, 3.0, 3.0])[1] == 1
    score, p_value = trends.mann_kendall([5.0, 5.0, 4.0, 4.0, 3.0, 3.0, 2.0, 2.0])
    assert score == -24
    assert 0.0005 < p_value < 0.01


def test_three_declines_in_a_row_happen_to_one_in_twenty_four() -> None:
    """Four values fall each time with probability 1/24 under no trend at all: Mann-Kendall's own p-value."""
    assert trends.mann_kendall([4, 3, 2, 1])[1] == pytest.approx(1 / 24)


def test_residuals_are_standard_normal_under_a_constant_truth() -> None:
    """Each run against all before it has mean 0 and variance 1, and residuals do not hang together."""
    draw = random.Random(4)
    found: list[float] = []
    for _ in range(400):
        errors = [draw.choice([1.0, 3.0]) for _ in range(10)]
        found += trends.residuals([draw.gauss(70, error) for error in errors], errors)
    assert np.mean(found) == pytest.approx(0, abs=0.06)
    assert np.std(found) == pytest.approx(1, abs=0.04)
    assert np.corrcoef(found[:-1], found[1:])[0, 1] == pytest.approx(0, abs=0.06)


def test_a_cusum_alarms_as_seldom_as_its_limit_says() -> None:
    """A constant truth stands above the limit at the share of runs that was asked for."""
    draw = random.Random(6)
    sums = np.array(trends.cusum([draw.gauss(0, 1) for _ in range(100_000)]))
    assert np.mean(sums > trends.cusum_limit(0.02)) == pytest.approx(0.02, rel=0.2)
    assert trends.cusum_limit(0.005) == pytest.approx(4.715, abs=0.001)


def test_a_cusum_notices_a_slide() -> None:
    """A shift of one standard error is found soon, a rise never."""
    assert trends.cusum([-1.0] * 12)[-1] == pytest.approx(6.0)
    assert max(trends.cusum([1.0] * 50)) == 0


def test_information_counts_only_problems_with_both_sides() -> None:
    """The harmonic sum of both sides' samples."""
    assert looks.information([(1, 8), (2, 2), (0, 9), (3, 0)]) == pytest.approx(8 / 9 + 1)


def test_the_majoritys_answer_counts() -> None:
    """Most frequent answers that tie share the point; problems of other sizes are not compared."""
    answers = [{"42": 3, "41": 1}, {"7": 2, "8": 2}, {"": 4}]
    assert majority_at(answers, ["42", "8", "5"], 4) == pytest.approx(50.0)
    assert majority_at(answers, ["42", "8", "5"], 8) is None


@pytest.mark.parametrize(
    ("one", "problems", "alpha", "low", "high"),
    [
        (Stratum(1, 1, 1, 1), 500, 0.01, 0.014, 0.018),
        (Stratum(0, 1, 0, 1), 31, 0.05, 0.15, 0.20),
        (Stratum(16, 16, 128, 128), 30, 0.01, 0.005, 0.008),
    ],
)
def test_answers_that_are_all_alike_do_not_find_every_drop(
    one: Stratum, problems: int, alpha: float, low: float, high: float
) -> None:
    """Where nothing varies, the drop that is found is the one that the exact test notices, never 0."""
    strata = [one] * problems
    assert low < detectable_drop(strata, alpha) < high
    assert detectable_drop([], alpha) == 1.0
    assert detectable_drop([one], 1e-300) == 1.0
