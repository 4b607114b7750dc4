"""The gate's tests on many runs at once, as arrays of counts: [runs, problems].

The verdict on each run is the gate's own: a fast approximation of the p-value decides where it is not near the level,
else the gate's exact function does, so both agree on every run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from publisher.gate.stratified import Stratum, loss_p

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

_FAR = 0.5
"""An approximate p-value decides alone only where it is off the level by over this factor (both ways)."""
_NEAR = 0.06
"""The same where many samples differ, and the approximation is good."""
_MANY = 12.0
"""The variance of the number of right samples from which on it is."""


def shifted(rates: Floats, drop: float) -> Floats:
    """Return rates whose mean over problems (the last axis) is lower by `drop`, a share.

    Each rate moves by the same amount on the logit scale. A drop of more than the mean leaves nothing.
    """
    if not drop:
        return rates
    wanted = np.maximum(0.0, rates.mean(axis=-1, keepdims=True) - drop)
    inner = np.clip(rates, 1e-12, 1 - 1e-12)
    logits = np.log(inner / (1 - inner))
    low, high = np.full_like(wanted, -60.0), np.full_like(wanted, 60.0)
    for _ in range(100):
        middle = (low + high) / 2
        below = (1 / (1 + np.exp(-(logits + middle)))).mean(axis=-1, keepdims=True) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(1 / (1 + np.exp(-(logits + high))), dtype=np.float64)


def difference(right: Counts, drawn: Counts | int, base: Counts, base_drawn: Counts | int) -> Floats:
    """Return the difference of the scores of each row in points, new less baseline; see `gate.stratified.difference`.

    Like there, problems without samples on either side do not count.
    """
    new, old = np.broadcast_to(np.asarray(drawn), right.shape), np.broadcast_to(np.asarray(base_drawn), right.shape)
    usable = (new > 0) & (old > 0)
    parts = np.where(usable, right / np.maximum(new, 1) - base / np.maximum(old, 1), 0.0)
    return np.asarray(np.round(100 * parts.sum(axis=1) / np.maximum(usable.sum(axis=1), 1), 9))


def rejected(
    right: Counts,
    drawn: Counts | int,
    base: Counts,
    base_drawn: Counts | int,
    *,
    alpha: Floats | float,
    points: float,
) -> Flags:
    """Return which runs have lost over `points`, shown at the level `alpha` (one for all, or one per run).

    `drawn` and `base_drawn` may be one number for all problems, or one per run as [runs, 1].
    """
    beyond = -difference(right, drawn, base, base_drawn) > points
    return lost(right, drawn, base, base_drawn, alpha=alpha, among=beyond)


def lost(
    right: Counts,
    drawn: Counts | int,
    base: Counts,
    base_drawn: Counts | int,
    *,
    alpha: Floats | float,
    among: Flags | None = None,
) -> Flags:
    """Return for which runs (of those `among`) the p-value of a loss is at most `alpha`; see `gate.stratified.loss_p`.

    For a gain pass the wrong samples in place of the right ones.
    """
    places = np.arange(len(right)) if among is None else np.flatnonzero(among)
    found = np.zeros(len(right), dtype=bool)
    new = np.broadcast_to(np.asarray(drawn, dtype=np.int64), right.shape)[places]
    old = np.broadcast_to(np.asarray(base_drawn, dtype=np.int64), right.shape)[places]
    level = np.broadcast_to(np.asarray(alpha, dtype=np.float64), len(right))[places]
    right, base = right[places], base[places]
    approximate, variance = _loss_p(right, new, base, old)
    shown = approximate <= level
    width = np.where(variance > _MANY, _NEAR, _FAR)
    unclear = (approximate > level * (1 - width)) & (approximate < level * (1 + 2 * width) + 1e-7)
    for row in np.flatnonzero(unclear):
        strata = [Stratum(*map(int, one)) for one in zip(right[row], new[row], base[row], old[row], strict=True)]
        shown[row] = loss_p(strata) <= level[row]
    found[places] = shown
    return found


def _loss_p(right: Counts, new: Counts, base: Counts, old: Counts) -> tuple[Floats, Floats]:
    """Return approximate mid-p values of a loss, and the variance of the number of right samples.

    Edgeworth's expansion of the sum of hypergeometric counts with the cumulants of each, Sheppard's corrections for
    whole numbers, and the mean of the tail with and without the count itself. Source: Kolassa & McCullagh (1990).
    """
    usable = (new > 0) & (old > 0)
    new, old = np.where(usable, new, 0), np.where(usable, old, 0)
    right, base = np.where(usable, right, 0), np.where(usable, base, 0)
    total, hits = (new + old).astype(float), (right + base).astype(float)
    n, misses = new.astype(float), total - hits
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = n * hits / total
        var = mean * misses * (total - n) / (total * (total - 1))
        third = var * (total - 2 * hits) * (total - 2 * n) / (total * (total - 2))
        a = (total - 1) * total**2 * (total * (total + 1) - 6 * hits * misses - 6 * n * (total - n))
        b = 6 * n * hits * misses * (total - n) * (5 * total - 6)
        fourth = (a + b) / (n * hits * misses * (total - n) * (total - 2) * (total - 3)) * var**2
    sums = [np.where(np.isfinite(part), part, 0.0).sum(axis=1) for part in (mean, var, third, fourth)]
    centre, spread, k3, k4 = sums[0], sums[1], sums[2], sums[3]
    wide = np.sqrt(np.maximum(spread, 1e-12) + 1 / 12)
    s3, s4 = k3 / wide**3, (k4 - np.sign(spread) / 120) / wide**4
    observed = right.sum(axis=1)
    tails = []
    for edge in (-0.5, 0.5):
        z = (observed + edge - centre) / wide
        bend = s3 * (z**2 - 1) / 6 + s4 * (z**3 - 3 * z) / 24 + s3**2 * (z**5 - 10 * z**3 + 15 * z) / 72
        tails.append(cdf(z) - np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * bend)
    p_value = np.clip((tails[0] + tails[1]) / 2, 0.0, 1.0)
    return np.where(spread > 0, p_value, 0.5), spread


def cdf(z: Floats) -> Floats:
    """Return the normal distribution function, by Hart's rational approximation (West 2005), to twelve digits."""
    x = np.abs(z)
    up = np.exp(-(x**2) / 2)
    top = (((((3.52624965998911e-02 * x + 0.700383064443688) * x + 6.37396220353165) * x + 33.912866078383) * x
            + 112.079291497871) * x + 221.213596169931) * x + 220.206867912376  # fmt: skip
    low = ((((((8.83883476483184e-02 * x + 1.75566716318264) * x + 16.064177579207) * x + 86.7807322029461) * x
             + 296.564248779674) * x + 637.333633378831) * x + 793.826512519948) * x + 440.413735824752  # fmt: skip
    far = up / (x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 0.65))))) / 2.506628274631
    tail = np.where(x < 7.07106781186547, up * top / low, far)
    return np.where(z > 0, 1 - tail, tail)


def score_z(right: Counts, drawn: Counts, base: Counts, base_drawn: Counts, margin: Floats | float) -> Floats:
    """Return the stratified score statistic of each row; see `gate.stratified.score_z`."""
    new, old = np.broadcast_to(drawn, right.shape), np.broadcast_to(base_drawn, right.shape)
    usable = (new > 0) & (old > 0)
    n1, n2 = np.where(usable, new, 1).astype(float), np.where(usable, old, 1).astype(float)
    x1, x2 = np.where(usable, right, 0).astype(float), np.where(usable, base, 0).astype(float)
    wide = np.broadcast_to(np.asarray(margin, dtype=np.float64), len(right))[:, None]
    rate = _restricted(x1, n1, x2, n2, wide)
    other = np.clip(rate - wide, 0.0, 1.0)
    scale = (n1 + n2) / (n1 + n2 - 1)
    variance = np.where(usable, (rate * (1 - rate) / n1 + other * (1 - other) / n2) * scale, 0.0).sum(axis=1)
    total = np.where(usable, x1 / n1 - x2 / n2 - wide, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = total / np.sqrt(variance)
    return np.asarray(np.where(variance > 0, z, np.where(total == 0, 0.0, np.copysign(np.inf, total))))


def _restricted(x1: Floats, n1: Floats, x2: Floats, n2: Floats, margin: Floats) -> Floats:
    """Return the new rates of the highest likelihood; see `gate.stratified.restricted_rate`."""
    total, hits = n1 + n2, x1 + x2
    third = ((n1 + 2 * n2) * margin - total - hits) / (3 * total)
    l1 = (n2 * margin - total - 2 * x2) * margin + hits
    l0 = x2 * margin * (1 - margin)
    q = third**3 - third * l1 / (2 * total) + l0 / (2 * total)
    p = np.copysign(np.sqrt(np.maximum(0.0, third * third - l1 / (3 * total))), q)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = (math.pi + np.arccos(np.clip(q / p**3, -1.0, 1.0))) / 3
        old = np.where(p != 0, 2 * p * np.cos(angle), 0.0) - third
    rate = np.minimum(1.0, np.minimum(1.0 + margin, np.maximum(0.0, np.maximum(margin, old + margin))))
    return np.asarray(np.where(margin == 0, hits / total, rate))
