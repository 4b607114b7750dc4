"""What becomes of a gray release: bounds that hold at every look, and the policy's decisions."""

from __future__ import annotations

import random
from typing import Any

import pytest

from publisher.config import CanaryConfig, parse
from publisher.errors import ConfigError
from publisher.gate import bounded
from publisher.gate.canary import Heard, decide, ratings

POLICY = CanaryConfig(stages=[10, 100], hours=24, days=10, responses=5, worse=0.5, alpha=0.05)
GOOD: dict[str, Any] = {"candidate": [4, 5, 4, 5, 4], "stage": 1, "stages": 2, "stage_hours": 25.0, "hours": 25.0}
TOML = """[model]
name = "m"
source = "builtin:abacus"
[suites.s]
source = "s.jsonl"
"""


def sample(chance: random.Random, shares: list[float], count: int) -> list[int]:
    """Draw ratings from 1 to 5 that occur in these shares."""
    return chance.choices([1, 2, 3, 4, 5], shares, k=count)


def test_bound_holds_at_every_look() -> None:
    """Looked at after each of 150 ratings, the upper bound is ever below the true mean in fewer runs than alpha."""
    chance = random.Random(7)  # noqa: S311 - to be repeated, no secret
    shares, wrong = [0.1, 0.1, 0.2, 0.3, 0.3], 0
    mean = sum(share * value / 4 for value, share in enumerate(shares))
    for _ in range(300):
        values = [(rating - 1) / 4 for rating in sample(chance, shares, 150)]
        wrong += any(bounded.upper(values[:count], 0.1) < mean for count in range(5, 151, 29))
    assert wrong <= 30


def test_bound_closes_in() -> None:
    """More ratings make the bounds narrower, and they always hold the mean that was seen."""
    chance = random.Random(1)  # noqa: S311 - to be repeated, no secret
    many = sample(chance, [0, 0.1, 0.2, 0.4, 0.3], 400)
    few, all_ = ratings(many[:40], 0.05), ratings(many, 0.05)
    for one in (few, all_):
        assert one.low is not None
        assert one.low <= (one.mean or 0) <= (one.high or 0)
    assert (all_.high or 0) - (all_.low or 0) < 0.6 * ((few.high or 0) - (few.low or 0))


@pytest.mark.parametrize("values", [[], [3], [1] * 60, [5] * 60])
def test_extreme_ratings_have_bounds(values: list[int]) -> None:
    """No rating, one, and ratings that are all the same: the bounds stay between 1 and 5."""
    found = ratings(values, 0.05)
    assert found.count == len(values)
    if values:
        assert 1 <= (found.low or 0) <= (found.mean or 0) <= (found.high or 0) <= 5


def test_equal_candidate_is_rarely_aborted() -> None:
    """A candidate that readers like as much as the live snapshot is aborted in fewer canaries than alpha."""
    chance = random.Random(3)  # noqa: S311 - to be repeated, no secret
    policy, aborted = CanaryConfig(worse=0.0, responses=0), 0
    for _ in range(100):
        candidate, live = (sample(chance, [0.1, 0.1, 0.2, 0.3, 0.3], 120) for _ in range(2))
        looks = (Heard(candidate=candidate[:count], live=live[:count]) for count in range(20, 121, 20))
        aborted += any(decide(policy, heard).outcome == "abort" for heard in looks)
    assert aborted <= 5


def test_disliked_candidate_is_aborted() -> None:
    """A candidate that is rated two points lower is aborted after 60 ratings of each."""
    chance = random.Random(5)  # noqa: S311 - to be repeated, no secret
    worse, better = sample(chance, [0.3, 0.4, 0.2, 0.1, 0], 60), sample(chance, [0, 0.1, 0.1, 0.3, 0.5], 60)
    found = decide(POLICY, Heard(candidate=worse, live=better))
    assert found.outcome == "abort"
    assert "worse by more than 0.5" in found.reasons[0]


@pytest.mark.parametrize(
    ("differences", "outcome"),
    [
        ([-1.0] * 7, "advance"),
        ([-1.0] * 8, "abort"),
        ([-0.5] * 60, "advance"),
        ([-4.0] * 10 + [0.0] * 10, "abort"),
        ([-4.0, 0.0] * 30, "advance"),
        ([1.0] * 60, "advance"),
    ],
)
def test_blind_comparisons_need_few_reviewers(differences: list[float], outcome: str) -> None:
    """Eight of eight are beyond doubt more than half; half of them are not, and exactly the margin is not lower."""
    found = decide(POLICY, Heard(**GOOD, differences=differences))
    assert found.outcome == outcome
    assert outcome == "advance" or "reviewers who compared blind rated it lower by more than 0.5" in found.reasons[0]


def test_equal_candidate_is_rarely_aborted_by_all_rules_together() -> None:
    """Means and blind comparisons share alpha: a candidate that is liked as much is aborted in fewer canaries."""
    chance = random.Random(9)  # noqa: S311 - to be repeated, no secret
    policy, aborted, shares = CanaryConfig(worse=0.0, responses=0), 0, [0.1, 0.1, 0.2, 0.3, 0.3]
    for _ in range(100):
        candidate, live = (sample(chance, shares, 80) for _ in range(2))
        above = [float(one - other) for one, other in zip(candidate, live, strict=True)]
        looks = (Heard(candidate=candidate[:n], live=live[:n], differences=above[:n]) for n in range(5, 81, 15))
        aborted += any(decide(policy, heard).outcome == "abort" for heard in looks)
    assert aborted <= 5


def test_a_candidate_that_was_compared_with_nothing_advances_and_says_so() -> None:
    """Without a rating of the live snapshot the margin says nothing, which the ledger keeps as a reason."""
    assert "compared with nothing" in decide(POLICY, Heard(**GOOD)).reasons[1]
    assert len(decide(POLICY, Heard(**GOOD, live=[4])).reasons) == 1


@pytest.mark.parametrize(
    ("change", "outcome", "word"),
    [
        ({}, "advance", "nothing speaks against it"),
        ({"stage": 2}, "promote", "stage 2 of 2"),
        ({"candidate": [5, 5]}, "wait", "2 of 5 ratings"),
        ({"stage_hours": 3.0}, "wait", "3.0 of 24 h"),
        ({"stage_hours": -3.0}, "wait", "0.0 of 24 h"),
        ({"hours": 241.0}, "abort", "10 days"),
        ({"confirmed": ["/a"]}, "abort", "1 answer confirmed"),
        ({"confirmed": ["/a", "/a"]}, "abort", "1 answer confirmed"),
        ({"flooded": 900}, "wait", "a person must look"),
        ({"unread": True}, "wait", "more submissions since it began than are read"),
        ({"candidate": [1] * 60, "stage_hours": 0.0}, "advance", ""),
    ],
)
def test_decision(change: dict[str, Any], outcome: str, word: str) -> None:
    """Each thing that is missing waits, each harm aborts at once, and otherwise the next stage follows."""
    policy = POLICY
    if not word:
        policy, outcome, word = CanaryConfig(stages=[10, 100], rating=3.0), "abort", "below 3"
    found = decide(policy, Heard(**{**GOOD, **change}))
    assert found.outcome == outcome
    assert word in " ".join(found.reasons)


@pytest.mark.parametrize(("p95", "outcome"), [(2.9, "advance"), (3.1, "abort"), (None, "wait")])
def test_latency_of_the_run_counts(p95: float | None, outcome: str) -> None:
    """A run that took longer than the policy allows aborts; one that says nothing waits."""
    policy = CanaryConfig(stages=[10, 100], responses=5, p95=3.0)
    assert decide(policy, Heard(**GOOD, p95=p95)).outcome == outcome


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ("stages = []", "1 to 20 stages"),
        ("stages = [10, 10]", "more readers"),
        ("stages = [0, 50]", "canary.stages"),
        ("hours = 1000\ndays = 2", "canary.days"),
        ("worsen = 1", "worse"),
        ("rating = 7", "canary.rating"),
    ],
)
def test_mistakes_of_the_section(lines: str, word: str) -> None:
    """Each mistake in `[canary]` is told with its place."""
    with pytest.raises(ConfigError) as caught:
        parse(f"{TOML}[canary]\n{lines}\n".encode())
    assert word in f"{caught.value} {caught.value.detail}"


def test_no_alpha_that_is_accepted_breaks_the_bounds() -> None:
    """An alpha that a computer cannot divide by is a mistake of the file; the least that is none has bounds."""
    with pytest.raises(ConfigError, match="at least 1e-9"):
        parse(f"{TOML}[canary]\nalpha = 5e-324\n".encode(), "publisher.toml")
    least = parse(f"{TOML}[canary]\nalpha = 1e-9\n".encode(), "publisher.toml").canary.alpha
    assert ratings([5] * 10, least).high == 5
