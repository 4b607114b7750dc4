"""How many samples noisy bisection needs to find a planted drop, beside plain bisection with one fixed k.

Both look for the culprit among the same commits on the same simulated problems. Plain bisection compares each commit
with the good one by the difference of their mean scores; its k is the smallest of a ladder that finds as many.

    python benchmarks/bisect_samples.py [--trials 100] [--commits 64] [--drop 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

from publisher.publishing.bisection import Evidence, next_commit, weigh

PROBLEMS = 30
MEAN = 0.744
"""The score of VibeThinker-1.5B on AIME25: the case that the gate's simulations use."""


@dataclass(frozen=True)
class World:
    """The truth: the rates of the problems before and after the culprit."""

    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]
    culprit: int
    commits: int

    def draw(self, commit: int, rounds: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return right samples per problem of one commit."""
        return generator.binomial(rounds, self.after if commit >= self.culprit else self.before)


def make(generator: np.random.Generator, commits: int, drop: float) -> World:
    """Return a world whose mean rate falls by `drop` points, by one shift of all logits."""
    before = np.clip(generator.beta(MEAN, 1 - MEAN, PROBLEMS), 1e-6, 1 - 1e-6)
    low, high = 0.0, 40.0
    logits = np.log(before / (1 - before))
    for _ in range(60):
        shift = (low + high) / 2
        low, high = (shift, high) if 100 * (before - _sigmoid(logits - shift)).mean() < drop else (low, shift)
    return World(before, _sigmoid(logits - high), int(generator.integers(1, commits)), commits)


def _sigmoid(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-values)))


def noisy(world: World, generator: np.random.Generator, *, step: int, confidence: float, most: int) -> tuple[bool, int]:
    """Return whether noisy bisection names the culprit, and the samples it took."""
    evidence = Evidence.empty(world.commits, PROBLEMS)
    spent = 0
    queue = [0, world.commits - 1]
    while True:
        for commit in queue:
            evidence.right[commit] += world.draw(commit, step, generator)
            evidence.drawn[commit] += step
            spent += step * PROBLEMS
        shares, nothing = weigh(evidence)
        if shares.max() * (1 - nothing) >= confidence or spent >= most * PROBLEMS:
            return int(shares.argmax()) == world.culprit, spent
        queue = [next_commit(evidence, shares)]


def plain(world: World, generator: np.random.Generator, rounds: int, drop: float) -> tuple[bool, int]:
    """Return the same of plain bisection with `rounds` samples per problem of each commit that it looks at."""
    good, low, high, spent = world.draw(0, rounds, generator).mean() / rounds, 0, world.commits - 1, rounds * PROBLEMS
    while high - low > 1:
        middle = (low + high) // 2
        score = world.draw(middle, rounds, generator).mean() / rounds
        spent += rounds * PROBLEMS
        low, high = (low, middle) if good - score > drop / 200 else (middle, high)
    return high == world.culprit, spent


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--commits", type=int, default=64)
    parser.add_argument("--drop", type=float, default=5.0)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--step", type=int, default=4)
    parser.add_argument("--most", type=int, default=2000)
    options = parser.parse_args()
    worlds = [make(np.random.default_rng([7, n]), options.commits, options.drop) for n in range(options.trials)]
    ours = [
        noisy(world, np.random.default_rng([8, n]), step=options.step, confidence=options.confidence, most=options.most)
        for n, world in enumerate(worlds)
    ]
    found, mean = sum(ok for ok, _ in ours), statistics.mean(spent for _, spent in ours)
    print(f"noisy bisection: {found} of {options.trials} found, {mean:,.0f} samples on average")
    for rounds in (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512):
        peer = [plain(world, np.random.default_rng([9, n]), rounds, options.drop) for n, world in enumerate(worlds)]
        hits, cost = sum(ok for ok, _ in peer), statistics.mean(spent for _, spent in peer)
        print(
            f"plain bisection, k = {rounds}: {hits} of {options.trials} found, {cost:,.0f} samples; "
            f"ratio {mean / cost:.2f}"
        )
        if hits >= found:
            break


if __name__ == "__main__":
    main()
