"""False alarms, detection and samples of gates on the same simulated runs: ours, literal rules, and other tools' tests.

    python benchmarks/gate_error_rates.py [--trials 2000] [--peer-trials 150]

Thirty problems of bimodal difficulty (rates from a Beta distribution with a + b = 1 and mean 0.744, redrawn for each of
the trials), eight kept runs as baseline, one new run at the same k whose rates are lower by a shift on the logit scale.
Every gate sees the same counts and is asked for one false alarm in a hundred where it has such a setting; the rows
without a drop say how many it really raises. The peers come with `pip install statgate evalproof`; a peer that is not
installed has no column. `t-test` is one new score against the mean and spread of the eight before it, as trackers of
benchmark results do. The last table is ours with looks.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from publisher.gate.distributions import student_quantile
from publisher.publishing.simulate import Setting, Share, power, rejected, shifted

if TYPE_CHECKING:
    from collections.abc import Callable

    Gate = Callable[[Any, Any, int], bool]
    """New counts [problems], counts of the baseline's runs [runs, problems] and k to whether the run is rejected."""

PROBLEMS, MEAN, RUNS, ALPHA = 30, 0.744, 8, 0.01


def below_best(right: Any, base: Any, k: int) -> bool:
    """Reject below 97 % of the best score before."""
    return bool(right.mean() / k < 0.97 * base.mean(axis=1).max() / k)


def below_previous(right: Any, base: Any, k: int) -> bool:
    """Reject more than three points below the run before."""
    return bool(100 * (base[-1].mean() - right.mean()) / k > 3)


def t_test(right: Any, base: Any, k: int) -> bool:
    """Reject a score that Student's t calls too low for one more of those before it."""
    scores = [float(run.mean()) / k for run in base]
    spread = statistics.stdev(scores) * (1 + 1 / len(scores)) ** 0.5
    limit = statistics.fmean(scores) + student_quantile(ALPHA, len(scores) - 1) * spread
    return bool(right.mean() / k < limit)


def statgate() -> Gate | None:
    """Return statgate's own gate with margin 0 and a one-sided level of 1 %, or None where it is not installed."""
    if importlib.util.find_spec("statgate") is None:
        return None
    api = importlib.import_module("statgate")
    settings = api.GateSettings(metric="score", alpha=2 * ALPHA, margin=0.0, resamples=2000, permutations=200, seed=1)

    def gate(right: Any, base: Any, k: int) -> bool:
        pooled = base.sum(axis=0) / (k * len(base))
        old = [api.EvalRecord(case_id=str(place), score=float(rate)) for place, rate in enumerate(pooled)]
        new = [api.EvalRecord(case_id=str(place), score=float(hits / k)) for place, hits in enumerate(right)]
        return bool(api.evaluate_gate(old, new, settings).verdict == api.Verdict.BLOCK)

    return gate


def evalproof() -> Gate | None:
    """Return evalproof's paired bootstrap at a one-sided level of 1 %, or None where it is not installed."""
    if importlib.util.find_spec("evalproof") is None:
        return None
    api = importlib.import_module("evalproof.stats")

    def gate(right: Any, base: Any, k: int) -> bool:
        pooled = (base.sum(axis=0) / (k * len(base))).tolist()
        found = api.paired_bootstrap(pooled, (right / k).tolist(), n_boot=2000, alpha=2 * ALPHA, seed=1)
        return bool(found.delta < 0 and found.ci_high < 0)

    return gate


def cell(gates: dict[str, Gate], k: int, drop: float, trials: int, peers: int) -> dict[str, Share]:
    """Return how often each gate rejects, over the same simulated runs; peers, which are slow, see the first ones."""
    draw = np.random.default_rng(1000 * k + round(1000 * drop))
    found: dict[str, list[bool]] = {"ours": [], **{name: [] for name in gates}}
    for trial in range(trials):
        rates = draw.beta(MEAN, 1 - MEAN, PROBLEMS)
        base = draw.binomial(k, rates, (RUNS, PROBLEMS))
        right = draw.binomial(k, shifted(rates, drop), PROBLEMS)
        setting = Setting(k=k, alpha=ALPHA, m=RUNS)
        found["ours"].append(bool(rejected(right[None], k, base.sum(axis=0)[None], k * RUNS, setting)[0]))
        for name, gate in gates.items():
            if trial < peers or name not in {"statgate", "evalproof"}:
                found[name].append(gate(right, base, k))
    return {name: Share.of(sum(one), len(one)) for name, one in found.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--peer-trials", type=int, default=150)
    options = parser.parse_args()
    known = {"97 % of best": below_best, "3 below last": below_previous, "t-test": t_test}
    gates: dict[str, Gate] = {**known, **{n: g for n, g in (("statgate", statgate()), ("evalproof", evalproof())) if g}}
    names = ["ours", *gates]
    print(f"rejected, per cent ± Monte Carlo error; {RUNS} baseline runs, {PROBLEMS} problems, points = 1")
    print(f"{'k':>3} {'drop':>5}  " + "  ".join(f"{name:>14}" for name in names))
    for k in (1, 4, 16, 64):
        for drop in (0.0, 0.03, 0.05, 0.10):
            shares = cell(gates, k, drop, options.trials, options.peer_trials)
            row = "  ".join(f"{shares[name].percent:8.1f} ± {shares[name].error:3.1f}" for name in names)
            print(f"{k:>3} {100 * drop:>5.0f}  {row}", flush=True)
    print("\nours with looks at 1/16, 1/8, 1/4, 1/2 (k = 16): rejected, and the mean share of the samples taken")
    draw = np.random.default_rng(7)
    for drop in (0.0, 0.05, 0.10, 0.20, 0.40):
        parts = [
            power(draw.beta(MEAN, 1 - MEAN, PROBLEMS), Setting(k=16, looks=True), drop, trials=50, draw=draw)
            for _ in range(max(10, options.trials // 50))
        ]
        share = statistics.fmean(part.rejected.percent for part in parts)
        taken = statistics.fmean(part.samples for part in parts)
        print(f"    {100 * drop:>5.0f}  {share:8.1f} %  {taken:8.1f} %", flush=True)


if __name__ == "__main__":
    main()
