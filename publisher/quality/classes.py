"""Answers that are classes: how often each one was taken for which, and what follows from that (F1, AUC)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Confusion = Mapping[str, Mapping[str, int]]
    """Expected class -> named class -> samples; "" for answers that name none."""


class Named(NamedTuple):
    """A sample of a problem whose answer is the class `expected`: which class it names, "" for none."""

    problem: str
    expected: str
    found: str


def confusion(samples: Sequence[Named]) -> dict[str, dict[str, int]]:
    """Return how many samples of each expected class name each class, in the order of their names."""
    counts: dict[str, dict[str, int]] = {}
    for sample in sorted(samples, key=lambda one: (one.expected, one.found)):
        row = counts.setdefault(sample.expected, {})
        row[sample.found] = row.get(sample.found, 0) + 1
    return counts


def macro_f1(counts: Confusion) -> float:
    """Return the mean of F1 over the classes that are expected or named, in per cent; 0 for one that is never right.

    F1 is the harmonic mean of precision and recall: 2 right / (expected + named). A sample that names none counts as
    expected only, so it lowers the recall of its class.
    """
    named = {found for row in counts.values() for found in row if found}
    scores = []
    for label in sorted(named | set(counts)):
        right = counts.get(label, {}).get(label, 0)
        expected = sum(counts.get(label, {}).values())
        found = sum(row.get(label, 0) for row in counts.values())
        scores.append(2 * right / (expected + found))
    return 100 * math.fsum(scores) / len(scores)


def macro_auc(samples: Sequence[Named]) -> float | None:
    """Return the area under the ROC curve, in per cent: the mean over classes, each against all others.

    A problem's score for a class is the share of its k samples that name it. The area is the chance that a problem of
    the class has a higher score than one that is not; ties count half. None where all problems are of one class.
    """
    votes: dict[str, list[str]] = {}
    expected: dict[str, str] = {}
    for sample in samples:
        votes.setdefault(sample.problem, []).append(sample.found)
        expected[sample.problem] = sample.expected
    labels = sorted(set(expected.values()))
    if len(labels) < 2:
        return None
    areas = [
        _area([(own.count(label) / len(own), expected[problem] == label) for problem, own in votes.items()])
        for label in labels
    ]
    return 100 * math.fsum(areas) / len(areas)


def _area(scores: Sequence[tuple[float, bool]]) -> float:
    """Return the area under the curve of scores of members and others: the Mann-Whitney statistic, from mid-ranks."""
    ordered = sorted(scores)
    members = sum(is_member for _, is_member in ordered)
    ranks, at = 0.0, 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        tied = sum(is_member for _, is_member in ordered[at:end])
        ranks += tied * (at + 1 + end) / 2
        at = end
    return (ranks - members * (members + 1) / 2) / (members * (len(ordered) - members))
