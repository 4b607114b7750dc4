"""False alarms, detection and samples of gates on the same simulated runs: ours, literal rules, and other tools' tests.

    pip install statgate evalproof
    python benchmarks/gate_error_rates.py [--trials 20000] [--peer-trials 2000] [--seed 1]

Thirty problems of bimodal difficulty (rates from a Beta distribution with a + b = 1 and mean 0.744, drawn anew for each
trial), eight kept runs as baseline, one new run at the same k whose rates are lower by one shift on the logit scale.
Every gate sees the same counts and is asked for one false alarm in a hundred where it has such a setting; the rows
without a drop say how many it really raises. A peer that is not installed has no column.

`t-test` is one new score against the mean and spread of the eight before it, as trackers of benchmark results do. The
second table has the gates that may keep, reject or leave open, each in its own way of asking that no more than three
points are lost, at a level of 5 %. The third table is ours with looks.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from publisher.gate.distributions import student_quantile
from publisher.gate.looks import among_kept
from publisher.publishing.simulate.arrays import rejected, score_z, shifted
from publisher.publishing.simulate.power import Setting, Share, power

if TYPE_CHECKING:
    from collections.abc import Callable

    Gate = Callable[[Any, Any, int], Any]
    """New counts [trials, problems], those of the baseline's runs [trials, runs, problems] and k to what it says."""

PROBLEMS, MEAN, RUNS, ALPHA = 30, 0.744, 8, 0.01
KS = (1, 4, 16, 64)
DROPS = (0.0, 0.03, 0.05, 0.10)
MARGIN, LOOSE = 0.03, 0.05
Z_LOOSE = 1.6448536


@dataclass(frozen=True)
class Runs:
    """Simulated runs: the counts of the new run and of the baseline's."""

    right: Any
    base: Any
    k: int

    @classmethod
    def draw(cls, k: int, drop: float, trials: int, seed: int) -> Runs:
        """Draw problems, a baseline and a run that lost `drop`, for each trial."""
        draw = np.random.default_rng([seed, k, round(1000 * drop)])
        rates = draw.beta(MEAN, 1 - MEAN, (trials, PROBLEMS))
        base = draw.binomial(k, rates[:, None, :], (trials, RUNS, PROBLEMS))
        return cls(draw.binomial(k, shifted(rates, drop)), base, k)


def ours(right: Any, base: Any, k: int, *, alpha: float = ALPHA) -> Any:
    """Reject by our rule `regression` as it comes: points = 1."""
    return rejected(right, k, base.sum(axis=1), k * RUNS, alpha=among_kept(alpha, RUNS), points=1.0)


def below_best(right: Any, base: Any, k: int) -> Any:
    """Reject below 97 % of the best score before."""
    return right.mean(axis=1) / k < 0.97 * base.mean(axis=2).max(axis=1) / k


def below_previous(right: Any, base: Any, k: int) -> Any:
    """Reject more than three points below the run before."""
    return 100 * (base[:, -1].mean(axis=1) - right.mean(axis=1)) / k > 3


def three_declines(right: Any, base: Any, k: int) -> Any:  # noqa: ARG001 - one shape for every gate
    """Reject the third fall in a row."""
    scores = np.concatenate([base[:, -3:].mean(axis=2), right.mean(axis=1)[:, None]], axis=1)
    return (np.diff(scores, axis=1) < 0).all(axis=1)


def t_test(right: Any, base: Any, k: int) -> Any:
    """Reject a score that Student's t calls too low for one more of those before it."""
    scores = base.mean(axis=2) / k
    spread = scores.std(axis=1, ddof=1) * math.sqrt(1 + 1 / RUNS)
    return right.mean(axis=1) / k < scores.mean(axis=1) + student_quantile(ALPHA, RUNS - 1) * spread


def statgate(*, margin: float, alpha: float, two: bool) -> Gate | None:
    """Return statgate's own gate, or None where it is not installed; with `two` its three verdicts as 1, 0, -1."""
    if importlib.util.find_spec("statgate") is None:
        return None
    api = importlib.import_module("statgate")
    settings = api.GateSettings(
        metric="score", alpha=2 * alpha, margin=margin, resamples=2000, permutations=200, seed=1
    )
    words = {api.Verdict.BLOCK: -1, api.Verdict.INCONCLUSIVE: 0, api.Verdict.SHIP: 1}

    def gate(right: Any, base: Any, k: int) -> Any:
        pooled = base.sum(axis=1) / (k * RUNS)
        found = []
        for before, now in zip(pooled, right / k, strict=True):
            old = [api.EvalRecord(case_id=str(place), score=float(rate)) for place, rate in enumerate(before)]
            new = [api.EvalRecord(case_id=str(place), score=float(rate)) for place, rate in enumerate(now)]
            found.append(words[api.evaluate_gate(old, new, settings).verdict])
        return np.array(found) if two else np.array(found) == -1

    return gate


def evalproof() -> Gate | None:
    """Return evalproof's paired bootstrap at a one-sided level of 1 %, or None where it is not installed."""
    if importlib.util.find_spec("evalproof") is None:
        return None
    api = importlib.import_module("evalproof.stats")

    def gate(right: Any, base: Any, k: int) -> Any:
        pooled = base.sum(axis=1) / (k * RUNS)
        found = [
            api.paired_bootstrap(before.tolist(), now.tolist(), n_boot=2000, alpha=2 * ALPHA, seed=1)
            for before, now in zip(pooled, right / k, strict=True)
        ]
        return np.array([one.delta < 0 and one.ci_high < 0 for one in found])

    return gate


def no_harm(right: Any, base: Any, k: int) -> Any:
    """Return the statistic of our `prove = "no-harm"`: above a quantile a loss beyond the margin is ruled out."""
    return score_z(right, np.array(k), base.sum(axis=1), np.array(k * RUNS), -MARGIN)


def rejections(options: argparse.Namespace) -> None:
    """Print how often each gate rejects; behind a peer's figure, ours at the false-alarm rate of that peer."""
    literal: dict[str, Gate] = {
        "ours": ours,
        "97 % of best": below_best,
        "3 below last": below_previous,
        "3 declines": three_declines,
    }
    known = {"t-test": t_test, "statgate": statgate(margin=0.0, alpha=ALPHA, two=False), "evalproof": evalproof()}
    peers = {name: gate for name, gate in known.items() if gate}
    print(
        f"rejected, per cent ± Monte Carlo error; {RUNS} baseline runs, {PROBLEMS} problems, points = 1; behind a peer"
    )
    print("in brackets what ours finds in the same runs at the false-alarm rate of that peer")
    names = [*literal, *peers]
    print("|  k | drop | " + " | ".join(names) + " |\n" + "| ---: " * (len(names) + 2) + "|")
    for k in KS:
        levels: dict[str, float] = {}
        for drop in DROPS:
            runs = Runs.draw(k, drop, options.trials, options.seed)
            cells = [_cell(float(np.mean(gate(runs.right, runs.base, k))), options.trials) for gate in literal.values()]
            for name, gate in peers.items():
                trials = options.trials if name == "t-test" else options.peer_trials
                some = Runs(runs.right[:trials], runs.base[:trials], k)
                share = float(np.mean(gate(some.right, some.base, k)))
                if not drop:
                    levels[name] = _level(some, share)
                own = float(np.mean(ours(some.right, some.base, k, alpha=levels[name])))
                cells.append(f"{_cell(share, trials)} ({100 * own:.1f})")
            print(f"| {k:>2} | {100 * drop:>4.0f} | " + " | ".join(cells) + " |", flush=True)


def _level(innocent: Runs, share: float) -> float:
    """Return the level at which our rule rejects this share of innocent runs."""
    low, high = 1e-5, 0.3
    for _ in range(20):
        middle = math.sqrt(low * high)
        found = np.mean(ours(innocent.right, innocent.base, innocent.k, alpha=middle))
        low, high = (middle, high) if found < share else (low, middle)
    return high


def _cell(share: float, trials: int) -> str:
    found = Share.of(round(share * trials), trials)
    return f"{found.percent:.1f} ± {found.error:.1f}"


def decisions(options: argparse.Namespace) -> None:
    """Print how often the gates that can leave a run open keep or reject it, asked for at most three points of loss.

    Behind the peer: what ours keeps and rejects when it keeps as many commits that have lost just the three points.
    """
    peer = statgate(margin=MARGIN, alpha=LOOSE, two=True)
    print("\nkept / rejected, per cent, the rest left open; a loss of 3 points, one-sided 5 %")
    print("|  k | drop | ours, no-harm | statgate (ours at its errors) |\n| ---: | ---: | ---: | ---: |")
    trials = min(options.peer_trials, 1000)
    for k in KS:
        edge = Runs.draw(k, MARGIN, trials, options.seed)
        wrong = peer(edge.right, edge.base, k) if peer else np.zeros(trials)
        limits = [
            float(np.quantile(side * no_harm(edge.right, edge.base, k), 1 - np.mean(wrong == side))) for side in (1, -1)
        ]
        for drop in DROPS:
            runs = edge if drop == MARGIN else Runs.draw(k, drop, trials, options.seed)
            z = no_harm(runs.right, runs.base, k)
            theirs = wrong if drop == MARGIN or peer is None else peer(runs.right, runs.base, k)
            own = _both(z >= Z_LOOSE, z <= -Z_LOOSE)
            equal = _both(z > limits[0], -z > limits[1])
            cells = f"{own} | {_both(theirs == 1, theirs == -1)} ({equal})"
            print(f"| {k:>2} | {100 * drop:>4.0f} | {cells} |", flush=True)


def _both(kept: Any, rejects: Any) -> str:
    return f"{100 * np.mean(kept):.0f} / {100 * np.mean(rejects):.0f}"


def looks(options: argparse.Namespace) -> None:
    """Print what looks at a sixteenth, an eighth, a quarter and a half of the samples save."""
    print("\nours with looks: rejected, per cent, and the mean share of the samples that were taken")
    drops = (0.0, 0.03, 0.05, 0.10, 0.20, 0.40)
    print("|  k | " + " | ".join(f"drop {100 * drop:.0f}" for drop in drops) + " |\n" + "| ---: " * 7 + "|")
    for k in KS:
        cells = []
        for drop in drops:
            draw = np.random.default_rng([options.seed, k, round(1000 * drop), 2])
            rates = draw.beta(MEAN, 1 - MEAN, (options.trials, PROBLEMS))
            found = power(rates, Setting(k=k, alpha=ALPHA, m=RUNS, looks=True), drop, trials=options.trials, draw=draw)
            cells.append(f"{found.rejected.percent:.1f} / {found.samples:.0f}")
        print(f"| {k:>2} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--peer-trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rejections(options)
    decisions(options)
    looks(options)


if __name__ == "__main__":
    main()
