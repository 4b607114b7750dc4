from __future__ import annotations

import math
from itertools import combinations

import pytest

from publisher.stats import estimate, p_words, pass_at, wilson


@pytest.mark.parametrize(
    ("right", "draws", "low", "high"), [(22, 30, 55.6, 85.8), (24, 30, 62.7, 90.5), (67, 131, 42.7, 59.5)]
)
def test_wilson_gives_the_published_intervals(right: int, draws: int, low: float, high: float) -> None:
    """The interval agrees with statsmodels' `proportion_confint(method="wilson")` to a tenth of a point."""
    found = [100 * bound for bound in wilson(right / draws, draws)]
    assert found == pytest.approx([low, high], abs=0.05)


def test_wilson_solves_its_own_equation() -> None:
    """Each bound p satisfies |share - p| = z sqrt(p (1 - p) / n), which defines it."""
    for bound in wilson(0.3, 50):
        assert abs(0.3 - bound) == pytest.approx(1.959963984540054 * math.sqrt(bound * (1 - bound) / 50))


@pytest.mark.parametrize("right", [0, 30])
def test_the_interval_of_none_or_all_right_is_not_a_point(right: int) -> None:
    """30 of 30 is not certainty: the interval keeps its width and stays within 0 to 100."""
    found = estimate([1] * right + [0] * (30 - right), [1] * 30)
    assert 0 <= found.low < found.high <= 100
    assert found.high - found.low == pytest.approx(11.4, abs=0.1)


def test_one_sample_a_problem_is_a_plain_proportion() -> None:
    """With k = 1 the score is the proportion and the standard error that of a mean."""
    found = estimate([1] * 22 + [0] * 8, [1] * 30)
    assert found.score == pytest.approx(100 * 22 / 30)
    assert found.stderr == pytest.approx(100 * math.sqrt((22 / 30) * (8 / 30) / 29))
    assert found.stderr_sampling is None


def test_samples_of_a_problem_are_one_cluster() -> None:
    """Repeating each answer eight times adds no certainty about other problems."""
    once, often = estimate([1, 1, 0, 0], [1] * 4), estimate([8, 8, 0, 0], [8] * 4)
    assert (once.score, once.stderr) == (often.score, often.stderr)
    assert often.stderr_sampling == 0


def test_the_error_of_sampling_is_the_binomial_one() -> None:
    """For problems that are right half the time it is sqrt(p (1 - p) / (k - 1) / n)."""
    found = estimate([8] * 9, [16] * 9)
    assert found.stderr_sampling == pytest.approx(100 * math.sqrt(0.25 / 15 / 9))


def test_problems_without_a_scored_sample_are_left_out() -> None:
    """An error is not a wrong answer: a problem with errors alone does not lower the score."""
    assert estimate([1, 0], [1, 0]).score == 100
    with pytest.raises(ValueError, match="no scored sample"):
        estimate([0], [0])


def test_pass_at_k_counts_the_subsets_that_hold_a_right_answer() -> None:
    """The estimate equals the share of all subsets of k samples with at least one right one."""
    right, drawn, k = 2, 6, 3
    answers = [1] * right + [0] * (drawn - right)
    subsets = [any(chosen) for chosen in combinations(answers, k)]
    assert pass_at([right], [drawn], k) == pytest.approx(100 * sum(subsets) / len(subsets))


def test_pass_at_1_is_the_score() -> None:
    """With equally many samples per problem, pass@1 and the score are one number."""
    assert pass_at([3, 1, 4], [4, 4, 4], 1) == pytest.approx(estimate([3, 1, 4], [4, 4, 4]).score)


def test_pass_at_more_than_there_are_samples_is_not_guessed() -> None:
    """Where a problem has fewer than k samples there is no estimate."""
    assert pass_at([1, 1], [4, 3], 4) is None
    assert pass_at([], [], 1) is None


def test_no_p_value_is_zero() -> None:
    """What the exact distributions have cut off is only known to be small."""
    assert (p_words(0.0), p_words(3e-21), p_words(0.01234)) == ("p < 1e-20", "p < 1e-20", "p = 0.0123")
