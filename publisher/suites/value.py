"""Which problems earn their time: what each told about the differences that past runs showed, and what it costs.

Two runs one after another, of other generations, under the same conditions and on the same suite, differ where the test
of the whole suite, one-sided at 1 %, says so. For such a difference each problem has an effect (the change of its share
of right samples, positive where it agrees with the suite) and a sampling variance. A set of problems finds a difference
of that size with power Φ(Σ effect / √Σ variance - 2.33). The proposal adds the problem that helps most per second until
the set keeps the wanted share of the whole suite's power.

A set that was chosen by some differences looks better on them than it is. So each difference is also tried on a set
that was chosen without it, and that count is the one to believe.
Sources: Cochran (1954) for the test; Lord (1980), "Applications of Item Response Theory", for information per time.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from publisher.gate.baseline import Tally, result_of, strata, tallies
from publisher.gate.stratified import cmh

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from publisher.schema import Record

LEVEL = 2.326
"""The standard normal value that a one-sided test at 1 % must exceed."""
_NORMAL = NormalDist()


class Change(NamedTuple):
    """A difference between two runs: per problem the effect and its variance, both in shares of right samples."""

    older: str
    newer: str
    effects: dict[str, float]
    variances: dict[str, float]


class ProblemValue(msgspec.Struct, frozen=True, kw_only=True):
    """What one problem told, and what it costs."""

    problem: str
    discrimination: float
    """The mean effect over past differences, in points: 0 where it never moved, negative where it moved against all."""
    information: float
    """Effect squared over variance: how much evidence one measurement of it holds, summed over a test's problems."""
    seconds: float
    """Seconds that its samples of one run take, at the newest run's speed."""
    right: float
    """The share of right samples over all runs, in points."""

    @property
    def per_second(self) -> float:
        """Information per second."""
        return self.information / self.seconds if self.seconds > 0 else 0.0


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest set of problems that keeps the wanted share of the whole suite's power."""

    problems: list[str]
    power: float
    power_of_all: float
    seconds: float
    seconds_of_all: float
    caught: int
    """Past differences that the set finds."""
    caught_unseen: int
    """Past differences that a set finds which was chosen without them."""
    differences: int


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What past runs say of a suite's problems, those with the most information per second first."""

    suite: str
    runs: int
    problems: list[ProblemValue]
    proposal: Proposal | None
    """None where no two runs differed: then nothing is known of what finds a difference."""


def value(records: Sequence[Record], suite: str, *, keep: float = 0.9) -> Value:
    """Return what the runs that measured the newest version of `suite`, oldest first, say of its problems.

    `keep` is the share of the whole suite's power that the proposal keeps.
    """
    usable = _usable(records, suite)
    counts = [_tallies(record, suite) for record in usable]
    changes = list(_changes(usable, counts))
    seconds = _seconds(usable[-1], suite) if usable else {}
    names = list(counts[-1]) if counts else []
    found = sorted(
        (_of_problem(name, changes, counts, seconds.get(name, 0.0)) for name in names),
        key=lambda one: (-one.per_second, -one.information, one.problem),
    )
    proposal = _proposal(changes, names, seconds, keep) if changes else None
    return Value(suite=suite, runs=len(usable), problems=found, proposal=proposal)


def _usable(records: Sequence[Record], suite: str) -> list[Record]:
    """Return the complete runs that measured the newest version of a suite with the newest grader."""
    whole = [record for record in records if result_of(record, suite) and record.stopped_early is None]
    keys = {record.run_id: _version(record, suite) for record in whole}
    newest = keys[whole[-1].run_id] if whole else None
    return [record for record in whole if keys[record.run_id] == newest and _tallies(record, suite)]


def _version(record: Record, suite: str) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """Return what two runs must share to be compared: the problems, the grader and the conditions."""
    part = next(one for one in record.suites if one.name == suite)
    return part.sha256, part.grader, part.grader_version, tuple(sorted(record.conditions.items()))


def _tallies(record: Record, suite: str) -> dict[str, Tally]:
    """Return a run's counts by problem id."""
    found = tallies(record, [suite], greedy=record.sampling.temperature == 0) or {}
    return {name.removeprefix(f"{suite}/"): tally for name, tally in found.items() if tally.drawn}


def _changes(records: Sequence[Record], counts: Sequence[Mapping[str, Tally]]) -> Iterable[Change]:
    """Yield the differences between runs that followed each other and were not of one generation."""
    for number in range(1, len(records)):
        old, new = counts[number - 1], counts[number]
        if records[number - 1].generation == records[number].generation:
            continue
        z = cmh(strata(new, old))
        if abs(z) < LEVEL:
            continue
        shared = [name for name in new if name in old]
        sign = math.copysign(1.0, z)
        yield Change(
            records[number - 1].run_id,
            records[number].run_id,
            {name: sign * (_share(new[name]) - _share(old[name])) for name in shared},
            {name: _variance(new[name], old[name]) for name in shared},
        )


def _share(tally: Tally) -> float:
    return tally.right / tally.drawn


def _variance(new: Tally, old: Tally) -> float:
    """Return the sampling variance of a difference of shares; half a sample is added to each side, so it is never 0."""
    pooled = (new.right + old.right + 0.5) / (new.drawn + old.drawn + 1)
    return pooled * (1 - pooled) * (1 / new.drawn + 1 / old.drawn)


def _seconds(record: Record, suite: str) -> dict[str, float]:
    """Return the seconds of each problem's samples, from their tokens and the speed of all slots together."""
    result = result_of(record, suite)
    if result is None or result.tokens_per_second <= 0:
        return {}
    return {name: tokens / result.tokens_per_second for name, (tokens, _) in result.tokens_by_problem.items()}


def _of_problem(
    name: str, changes: Sequence[Change], counts: Sequence[Mapping[str, Tally]], seconds: float
) -> ProblemValue:
    moved = [(change.effects[name], change.variances[name]) for change in changes if name in change.effects]
    effect = math.fsum(one for one, _ in moved) / len(moved) if moved else 0.0
    spread = math.fsum(one for _, one in moved) / len(moved) if moved else 1.0
    seen = [run[name] for run in counts if name in run]
    drawn = sum(tally.drawn for tally in seen)
    return ProblemValue(
        problem=name,
        discrimination=100 * effect,
        information=max(0.0, effect) ** 2 / spread,
        seconds=seconds,
        right=100 * sum(tally.right for tally in seen) / drawn if drawn else 0.0,
    )


def _mean(changes: Sequence[Change], name: str) -> tuple[float, float]:
    """Return the mean effect and variance of a problem over differences."""
    known = [(change.effects[name], change.variances[name]) for change in changes if name in change.effects]
    if not known:
        return 0.0, 1.0
    return math.fsum(one for one, _ in known) / len(known), math.fsum(one for _, one in known) / len(known)


def _power(effect: float, variance: float) -> float:
    """Return the chance that a test with this summed effect and variance finds the difference."""
    return _NORMAL.cdf(effect / math.sqrt(variance) - LEVEL) if variance > 0 else 0.0


def _chosen(changes: Sequence[Change], names: Sequence[str], seconds: Mapping[str, float], keep: float) -> list[str]:
    """Return the set that keeps `keep` of the power of all, each time adding what helps most per second."""
    parts = {name: _mean(changes, name) for name in names}
    every = _power(math.fsum(one for one, _ in parts.values()), math.fsum(one for _, one in parts.values()))
    left, picked, effect, variance = dict.fromkeys(names), list[str](), 0.0, 0.0
    while left and (not picked or _power(effect, variance) < keep * every):
        now = effect / math.sqrt(variance) if variance > 0 else 0.0

        def gain(name: str, base: float = now, total: float = effect, noise: float = variance) -> tuple[float, str]:
            more, spread = parts[name]
            better = (total + more) / math.sqrt(noise + spread) - base
            # A gain is worth the less the longer it takes; a loss does not become smaller by taking long.
            return (better / max(seconds.get(name, 1.0), 1e-9) if better > 0 else better), name

        best = max(left, key=gain)
        if picked and gain(best)[0] <= 0:
            break
        del left[best]
        picked.append(best)
        effect, variance = effect + parts[best][0], variance + parts[best][1]
    return picked


def _finds(change: Change, chosen: Sequence[str]) -> bool:
    """Return whether a set of problems finds a difference of the past."""
    effect = math.fsum(change.effects.get(name, 0.0) for name in chosen)
    variance = math.fsum(change.variances[name] for name in chosen if name in change.variances)
    return variance > 0 and effect / math.sqrt(variance) >= LEVEL


def _proposal(changes: Sequence[Change], names: Sequence[str], seconds: Mapping[str, float], keep: float) -> Proposal:
    chosen = _chosen(changes, names, seconds, keep)
    parts = {name: _mean(changes, name) for name in names}
    unseen = 0
    for number, change in enumerate(changes):
        others = [*changes[:number], *changes[number + 1 :]]
        unseen += bool(others) and _finds(change, _chosen(others, names, seconds, keep))
    return Proposal(
        problems=chosen,
        power=_power(*(math.fsum(parts[name][side] for name in chosen) for side in (0, 1))),
        power_of_all=_power(*(math.fsum(part[side] for part in parts.values()) for side in (0, 1))),
        seconds=math.fsum(seconds.get(name, 0.0) for name in chosen),
        seconds_of_all=math.fsum(seconds.values()),
        caught=sum(_finds(change, chosen) for change in changes),
        caught_unseen=unseen,
        differences=len(changes),
    )
