"""How one alpha is shared: among rules by Holm, among looks by spending."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from publisher.gate import looks, multiple

NORMAL = NormalDist()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    """Adjusted p-values in the order given."""
    reference = multipletests(p_values, method="holm")[1]
    assert multiple.holm(p_values) == pytest.approx(list(reference), abs=1e-12)


@pytest.mark.parametrize("gamma", [-8.0, -4.0, -1.0, 0.0, 2.0])
def test_all_looks_together_spend_alpha(gamma: float) -> None:
    """The chance that any look rejects under equal rates is alpha, by simulation of the statistics' own correlation."""
    informations = [1.0, 2.0, 4.0, 8.0, 13.0]
    nominal = looks.levels([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0], informations, 0.05, gamma)
    draw = np.random.default_rng(8)
    steps = draw.standard_normal((200_000, 5)) * np.sqrt(np.diff([0.0, *informations]))
    z = steps.cumsum(axis=1) / np.sqrt(informations)
    crossed = (z >= [-NORMAL.inv_cdf(max(level, 1e-300)) for level in nominal]).any(axis=1)
    assert crossed.mean() == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 200_000))


def test_levels_of_two_looks_are_those_of_the_bivariate_normal() -> None:
    """Two looks at half and all of the information: checked against scipy's bivariate normal distribution."""
    first, second = looks.levels([0.5, 1.0], [1.0, 2.0], 0.025, -4.0)
    assert first == pytest.approx(looks.spent(0.025, 0.5, -4.0), rel=1e-9)
    limits = [-NORMAL.inv_cdf(first), -NORMAL.inv_cdf(second)]
    correlated = scipy.stats.multivariate_normal([0, 0], [[1, math.sqrt(0.5)], [math.sqrt(0.5), 1]])
    assert 1 - correlated.cdf(limits) == pytest.approx(0.025, rel=1e-4)


def test_one_look_spends_everything() -> None:
    """A single complete look is the plain test."""
    assert looks.levels([1.0], [5.0], 0.01) == pytest.approx([0.01], rel=1e-6)


def test_looks_without_new_information_are_refused() -> None:
    """Two looks at the same samples are a mistake of the caller."""
    with pytest.raises(ValueError, match="must grow"):
        looks.levels([0.5, 1.0], [2.0, 2.0], 0.01)


def test_a_test_against_kept_runs_keeps_its_alpha() -> None:
    """Each run is kept or not by the same test, and only kept ones make the baseline of the next."""
    draw, runs, histories = np.random.default_rng(3), 8, 25_000
    level, rejected = looks.among_kept(0.01, runs), []
    kept = draw.standard_normal((histories, runs))
    for _ in range(36):
        new = draw.standard_normal(histories)
        bad = (new - kept.mean(axis=1)) / math.sqrt(1 + 1 / runs) < NORMAL.inv_cdf(level)
        kept[~bad] = np.concatenate([kept[~bad, 1:], new[~bad, None]], axis=1)
        rejected.append(bad.mean())
    assert np.mean(rejected[12:]) == pytest.approx(0.01, abs=0.0004)
    assert level < 0.0095


@settings(max_examples=30)
@given(st.floats(0.001, 0.2), st.floats(-8, 4), st.floats(0, 1), st.floats(0, 1))
def test_spending_grows_to_alpha(alpha: float, gamma: float, one: float, other: float) -> None:
    """Nothing is spent without samples, alpha with all of them, and more never with fewer."""
    low, high = sorted([one, other])
    assert looks.spent(alpha, 0.0, gamma) == 0
    assert looks.spent(alpha, 1.0, gamma) == pytest.approx(alpha)
    assert looks.spent(alpha, low, gamma) <= looks.spent(alpha, high, gamma) + 1e-15
