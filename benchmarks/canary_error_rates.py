"""How often a gray release is aborted by its ratings, looked at every hour: innocent candidates, and worse ones.

    python benchmarks/canary_error_rates.py [--trials 1000] [--seed 1]

Readers rate from 1 to 5. The ratings of the live snapshot and of an innocent candidate come from the same distribution;
a worse candidate's have a mean that is lower by `drop` points. Ratings of both arrive one by one, and the policy is
asked after each five. A fixed test that is asked as often stands beside it: Welch's t at the same level, which is what
one would do by hand.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
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


def draw(chance: random.Random, shares: Sequence[float]) -> list[int]:
    """Draw ratings."""
    return chance.choices((1, 2, 3, 4, 5), shares, k=RATINGS)


def by_hand(candidate: Sequence[int], live: Sequence[int], alpha: float) -> bool:
    """Return whether a test at a fixed number would say that the candidate is rated lower."""
    spread = statistics.variance(candidate) / len(candidate) + statistics.variance(live) / len(live)
    lower = statistics.fmean(live) - statistics.fmean(candidate)
    return spread > 0 and NORMAL.cdf(-lower / math.sqrt(spread)) < alpha


def first_abort(policy: CanaryConfig, candidate: Sequence[int], live: Sequence[int]) -> int:
    """Return after how many ratings of each the policy aborts; 0 where it never does."""
    for count in range(EVERY, RATINGS + 1, EVERY):
        if decide(policy, Heard(candidate=candidate[:count], live=live[:count])).outcome == "abort":
            return count
    return 0


def main() -> None:
    """Print a table per margin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.process_time()
    for worse in (0.0, 0.5):
        policy = CanaryConfig(worse=worse, responses=0, alpha=0.05)
        print(f"\nworse = {worse:g}, alpha = 0.05, up to {RATINGS} ratings of each, {arguments.trials} trials")
        print(f"{'ratings':>16} {'drop':>5} {'aborted':>8} {'median at':>10} {'by hand':>8}")
        for name, shares in SHAPES.items():
            for drop in DROPS:
                chance = random.Random(f"{arguments.seed} {name} {drop}")  # noqa: S311 - a simulation
                pairs = [(draw(chance, lowered(shares, drop)), draw(chance, shares)) for _ in range(arguments.trials)]
                found = [at for pair in pairs if (at := first_abort(policy, *pair))]
                looks = range(2 * EVERY, RATINGS + 1, EVERY)
                hand = sum(any(by_hand(one[:n], two[:n], 0.05) for n in looks) for one, two in pairs)
                median = f"{statistics.median(found):.0f}" if found else "-"
                aborted, naive = len(found) / len(pairs), hand / len(pairs)
                print(f"{name:>16} {drop:5.1f} {aborted:8.1%} {median:>10} {naive if worse == 0 else math.nan:8.1%}")
    print(f"\n{time.process_time() - began:.0f} s of CPU time")


if __name__ == "__main__":
    main()
