"""Noisy bisection: which of many commits made the score drop, from answers that are right only with some probability.

The model: every commit before the culprit answers problem i rightly with probability p_i, every commit from the culprit
on with probability sigmoid(logit p_i - shift). The p_i and the shift are not known; both are summed over a grid, the
p_i with a Beta prior of a + b = 1 (most problems are nearly always or nearly never solved) around the observed mean,
the shift with equal weights per logarithm. What remains is the probability of each commit to be the culprit.

Measuring next where that distribution has its median is probabilistic bisection (Horstein 1963; Waeber, Frazier and
Henderson 2013, "Bisection search with noisy responses", SIAM J. Control Optim. 51).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_LOGITS = np.linspace(-9.0, 9.0, 73)
"""The grid of logit p."""
_SHIFTS = np.geomspace(0.08, 12.0, 18)
"""The grid of the culprit's effect, in logits: from less than a point of score to a model that solves nothing."""

_KNOWN = 0.05
"""Below this chance to be bad (or above one minus it) a commit serves as a reference."""
_REFERENCE = 1.0
"""How many samples each side's references have for each of the commit in question."""


@dataclass(slots=True)
class Evidence:
    """What is known: `right` and `drawn`, samples of each commit (rows, oldest first) and problem (columns).

    Row 0 is the commit that is good by assumption, the last row the one that is bad.
    """

    right: Floats
    drawn: Floats

    @classmethod
    def empty(cls, commits: int, problems: int) -> Evidence:
        """Return evidence of nothing."""
        return cls(np.zeros((commits, problems)), np.zeros((commits, problems)))

    def put(self, commit: int, right: list[int], drawn: list[int]) -> None:
        """Replace what is known of one commit by its counts per problem."""
        self.right[commit], self.drawn[commit] = right, drawn


def weigh(evidence: Evidence) -> tuple[Floats, float]:
    """Return the probability of each commit to be the culprit if the score dropped, and that it did not drop at all.

    Before any evidence a drop somewhere and none are as likely: somebody saw a bad score, and that may be bad luck.
    Where the score rose, no drop explains the samples as well as none does.
    """
    right, drawn = np.cumsum(evidence.right, axis=0), np.cumsum(evidence.drawn, axis=0)
    before_right, before_wrong = right[:-1], (drawn - right)[:-1]
    after_right, after_wrong = right[-1] - before_right, (drawn - right)[-1] - before_wrong
    prior = _prior(float(right[-1].sum()), float(drawn[-1].sum()))
    yes, no = _log_sigmoid(_LOGITS), _log_sigmoid(-_LOGITS)
    # Log-likelihood by culprit, problem and p, without what comes after the culprit.
    common = prior + before_right[..., None] * yes + before_wrong[..., None] * no
    found = np.empty((len(_SHIFTS), len(before_right)))
    for number, shift in enumerate(_SHIFTS):
        later, never = _log_sigmoid(_LOGITS - shift), _log_sigmoid(shift - _LOGITS)
        both = common + after_right[..., None] * later + after_wrong[..., None] * never
        found[number] = _log_sum(both).sum(axis=1)
    weights = _log_sum(found.T)
    shares = np.exp(weights - weights.max())
    dropped = float(_log_sum(weights)) - math.log(found.size)
    nothing = float(_log_sum(prior + right[-1][:, None] * yes + (drawn - right)[-1][:, None] * no).sum())
    chance = math.exp(-np.logaddexp(0.0, dropped - nothing))
    return np.concatenate([[0.0], shares / shares.sum()]), chance


def next_commit(evidence: Evidence, shares: Floats) -> int:
    """Return the commit to measure next.

    That is the one whose chance to be bad is nearest to a half. But a commit can only be told from commits that are
    known to be good or bad, so where those have too few samples together, the end that has fewer is measured instead.
    """
    bad = np.cumsum(shares)
    inner = bad[1:-1]
    if not len(inner):
        return 0 if evidence.drawn[0].sum() <= evidence.drawn[-1].sum() else len(shares) - 1
    middle = 1 + int(np.argmin(np.abs(inner - 0.5)))
    rounds = evidence.drawn.mean(axis=1)
    good, poor = float(rounds[bad < _KNOWN].sum()), float(rounds[bad > 1 - _KNOWN].sum())
    if min(good, poor) < _REFERENCE * rounds[middle]:
        return 0 if good <= poor else len(shares) - 1
    return middle


def _prior(right: float, drawn: float) -> Floats:
    """Return the log prior weights of the grid: Beta(m, 1 - m) around the observed mean m."""
    mean = (right + 1.0) / (drawn + 2.0)
    # The density of logit p: p^m (1 - p)^(1 - m), the Beta density times p (1 - p).
    weights = mean * _log_sigmoid(_LOGITS) + (1.0 - mean) * _log_sigmoid(-_LOGITS)
    return np.asarray(weights - _log_sum(weights))


def _log_sigmoid(values: Floats) -> Floats:
    return np.asarray(-np.logaddexp(0.0, -values))


def _log_sum(values: Floats) -> Floats:
    """Return log(sum(exp(values))) over the last axis."""
    most = values.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(values - most).sum(axis=-1)) + most[..., 0])
