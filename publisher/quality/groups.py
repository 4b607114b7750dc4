"""What several answers show together: agreement over k, the worst of a group of variants, gaps between slices."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from publisher.stats import majority_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.schema import Sample


class Place(NamedTuple):
    """Where a problem belongs: its group of variants, its slices (tag and value), and the language it is asked in."""

    group: str = ""
    slices: tuple[str, ...] = ()
    language: str = ""


def measure(samples: Sequence[Sample], places: Mapping[str, Place], *, code: bool) -> dict[str, float]:
    """Return the metrics of a suite's scored samples that no single sample has; shares in per cent.

    Programs are not compared with each other as texts: two that differ may do the same.
    """
    by_problem: dict[str, list[Sample]] = {}
    for sample in samples:
        by_problem.setdefault(sample.problem, []).append(sample)
    rates = {name: sum(one.outcome == "right" for one in own) / len(own) for name, own in by_problem.items()}
    found = {} if code else _consistency(list(by_problem.values()))
    worst: dict[str, list[float]] = {}
    for name, rate in rates.items():
        if places[name].group:
            worst.setdefault(places[name].group, []).append(rate)
    several = [min(group) for group in worst.values() if len(group) > 1]
    if several:
        found["robustness"] = 100 * math.fsum(several) / len(several)
    gap = _gap([(part, rates[name]) for name in rates for part in places[name].slices])
    if gap is not None:
        found["slice-gap"] = gap
    shared = [(places[name].language, rates[name]) for name in rates if places[name].language and places[name].group]
    gap = _gap(shared)
    if gap is not None:
        found["language-gap"] = gap
    return found


def _consistency(problems: Sequence[Sequence[Sample]]) -> dict[str, float]:
    """Return how far the answers of each problem agree, and how often their majority is right, where k is above 1."""
    k = max((len(own) for own in problems), default=0)
    if k < 2:
        return {}
    agreements, counts, right = [], [], []
    for own in problems:
        answers = Counter(_key(sample, place) for place, sample in enumerate(own))
        if len(own) > 1:
            shares = [count / len(own) for count in answers.values()]
            entropy = -math.fsum(share * math.log(share) for share in shares)
            agreements.append(1 - entropy / math.log(len(own)))
        counts.append(answers)
        right.append(next((_key(one, place) for place, one in enumerate(own) if one.outcome == "right"), ""))
    found = {"agreement": 100 * math.fsum(agreements) / len(agreements)}
    majority = majority_at(counts, right, k)
    if majority is not None:
        found["majority"] = majority
    return found


def _key(sample: Sample, place: int) -> str:
    """Return what two answers share where they are the same one: all right ones are; no answer equals no other."""
    if sample.outcome == "right":
        return "right"
    if sample.outcome in {"unanswered", "truncated"} or not sample.answer:
        return f"none {place}"
    return "answer " + "".join(sample.answer.split())[:200]


def _gap(parts: Sequence[tuple[str, float]]) -> float | None:
    """Return the largest difference of mean rates, in points, between parts of one kind; None for fewer than two.

    A part is called `tag=value`; only parts of one tag are compared. A part without a tag has the tag "".
    """
    rates: dict[str, dict[str, list[float]]] = {}
    for part, rate in parts:
        tag, sign, value = part.partition("=")
        tag, value = (tag, value) if sign else ("", part)
        rates.setdefault(tag, {}).setdefault(value, []).append(rate)
    gaps = [
        max(means) - min(means)
        for values in rates.values()
        if len(means := [math.fsum(own) / len(own) for own in values.values()]) > 1
    ]
    return 100 * max(gaps) if gaps else None
