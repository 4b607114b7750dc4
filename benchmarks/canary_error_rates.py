"""How often a gray release is aborted by its ratings, looked at again and again: innocent candidates, and worse ones.

    python benchmarks/canary_error_rates.py [--trials 1000] [--seed 1]

Two simulations ask the policy itself. *Readers* rate one of the two snapshots, from 1 to 5: an innocent candidate's
ratings come from the live snapshot's distribution, a worse one's have a mean that is lower by `drop` points. Ratings
of both arrive one by one, and the policy is asked after each five. A fixed test that is asked as often stands beside
it: Welch's t at the same level, which is what one would do by hand.

*Reviewers* rate ten answers of both, blind. How strict each is and how hard each problem is shifts both ratings alike;
the policy is asked after each reviewer. `means alone` is what the same ratings would do without the rule that goes by
comparisons.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from publisher.config import CanaryConfig
from publisher.gate.canary import Heard, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

SHAPES = {
    "split opinions": (0.25, 0.1, 0.1, 0.15, 0.4),
    "mostly pleased": (0.02, 0.05, 0.13, 0.35, 0.45),
    "in the middle": (0.1, 0.2, 0.4, 0.2, 0.1),
}
DROPS = (0.0, 0.5, 1.0, 1.5)
RATINGS, EVERY = 200, 5
REVIEWERS, PROBLEMS = 40, 10
ALPHA = 0.05
NORMAL = statistics.NormalDist()


def lowered(shares: Sequence[float], drop: float) -> list[float]:
    """Return the shares of ratings whose mean is lower by `drop`: any rating above 1 is lowered as often as another."""
    found = list(shares)
    while drop > 0:
        part = min(drop, 0.25)
        moved = [share * part / (1 - found[0]) for share in found[1:]] + [0.0]
        found = [share + moved[at] - (moved[at - 1] if at else 0.0) for at, share in enumerate(found)]
        drop -= part
    return found


def by_hand(heard: Heard) -> bool:
    """Return whether a test at a fixed number would say that the candidate is rated lower."""
    means, errors = [], []
    for ratings in (heard.candidate, heard.live):
        count, total = len(ratings), sum(ratings)
        means.append(total / count)
        errors.append((sum(one * one for one in ratings) - total * total / count) / (count - 1) / count)
    spread = math.fsum(errors)
    return spread > 0 and NORMAL.cdf((means[0] - means[1]) / math.sqrt(spread)) < ALPHA


def first_abort(policy: CanaryConfig, looks: Sequence[Heard]) -> int:
    """Return after how many ratings of the candidate the policy aborts; 0 where it never does.

    What has been rejected stays so, however the ratings go on: the first look that aborts can be found by halving.
    """
    at = bisect_left(looks, 1, key=lambda heard: decide(policy, heard).outcome == "abort")
    return len(looks[at].candidate) if at < len(looks) else 0


def reading(chance: random.Random, shares: Sequence[float], drop: float) -> list[Heard]:
    """Return what is heard of readers after each five of them."""
    candidate, live = (chance.choices((1, 2, 3, 4, 5), one, k=RATINGS) for one in (lowered(shares, drop), shares))
    return [Heard(candidate=candidate[:n], live=live[:n]) for n in range(EVERY, RATINGS + 1, EVERY)]


def reviewing(chance: random.Random, drop: float) -> list[Heard]:
    """Return what is heard of reviewers after each of them."""
    hard = [chance.gauss(0, 0.8) for _ in range(PROBLEMS)]
    candidate: list[int] = []
    live: list[int] = []
    above: list[float] = []
    found = []
    for _ in range(REVIEWERS):
        strict = chance.gauss(0, 0.7)
        sides = [
            [min(5, max(1, round(mean - strict - one + chance.gauss(0, 0.8)))) for one in hard]
            for mean in (3.6 - drop, 3.6)
        ]
        candidate.append(round(statistics.fmean(sides[0])))
        live.append(round(statistics.fmean(sides[1])))
        above.append(statistics.fmean(sides[0]) - statistics.fmean(sides[1]))
        found.append(Heard(candidate=candidate[:], live=live[:], differences=above[:]))
    return found


def said(found: Sequence[int]) -> str:
    """Return how often it was aborted, and after how many at the median."""
    aborts = [at for at in found if at]
    median = f"{statistics.median(aborts):.0f}" if aborts else "-"
    return f"{len(aborts) / len(found):8.1%} {median:>10}"


def readers(policy: CanaryConfig, trials: int, seed: int) -> None:
    """Print the table of readers at one margin."""
    print(f"\nreaders, worse = {policy.worse:g}, up to {RATINGS} ratings of each, {trials} trials")
    print(f"{'ratings':>16} {'drop':>5} {'aborted':>8} {'median at':>10} {'by hand':>8}")
    for name, shares in SHAPES.items():
        for drop in DROPS:
            chance = random.Random(f"{seed} {name} {drop}")  # noqa: S311 - a simulation
            heard = [reading(chance, shares, drop) for _ in range(trials)]
            naive = f"{'-':>8}"  # a margin is no part of that test
            if policy.worse == 0:
                naive = f"{sum(any(map(by_hand, looks[1:])) for looks in heard) / trials:8.1%}"
            print(f"{name:>16} {drop:5.1f} {said([first_abort(policy, one) for one in heard])} {naive}", flush=True)


def reviewers(policy: CanaryConfig, trials: int, seed: int) -> None:
    """Print the table of reviewers at one margin."""
    print(f"\nreviewers, worse = {policy.worse:g}, up to {REVIEWERS}, {PROBLEMS} answers each, {trials} trials")
    print(f"{'drop':>5} {'aborted':>8} {'median at':>10}  means alone")
    for drop in DROPS:
        chance = random.Random(f"{seed} {drop}")  # noqa: S311 - a simulation
        heard = [reviewing(chance, drop) for _ in range(trials)]
        alone = [[replace(one, differences=()) for one in looks] for looks in heard]
        both = said([first_abort(policy, one) for one in heard])
        print(f"{drop:5.1f} {both} {said([first_abort(policy, one) for one in alone])}", flush=True)


def main() -> None:
    """Print a table per margin and kind of rater."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.process_time()
    print(f"alpha = {ALPHA}")
    for simulate in (readers, reviewers):
        for worse in (0.0, 0.5):
            simulate(CanaryConfig(worse=worse, responses=0, alpha=ALPHA), arguments.trials, arguments.seed)
    print(f"\n{time.process_time() - began:.0f} s of CPU time")


if __name__ == "__main__":
    main()
