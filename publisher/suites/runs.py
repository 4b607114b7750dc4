"""Two runs, compared suite by suite on the problems that both asked alike, whatever versions of the suites they had."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from publisher.gate.baseline import result_of, strata, tallies
from publisher.gate.distributions import NORMAL
from publisher.gate.stratified import cmh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.gate.baseline import Tally
    from publisher.schema import Record

_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}-\S+")


class SuiteComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One suite of two runs; scores are in points, over the shared problems only."""

    suite: str
    shared: int
    old_problems: int
    new_problems: int
    old: float
    new: float
    p: float
    """The two-sided p-value of equal rates on each shared problem; 1 where no problem tells anything."""
    versions: int
    """2 where the two runs had different versions of the suite."""
    why_not: str = ""
    """Why there is nothing to compare."""


def is_run(word: str) -> bool:
    """Return whether a word has the form of a run's id."""
    return bool(_RUN.fullmatch(word))


def compared(old: Record, new: Record) -> list[SuiteComparison]:
    """Return how two runs compare on each suite that both measured."""
    names = [part.name for part in new.suites if any(part.name == other.name for other in old.suites)]
    return [_suite(old, new, name) for name in names]


def _suite(old: Record, new: Record, name: str) -> SuiteComparison:
    ours, theirs = (next(part for part in one.suites if part.name == name) for one in (new, old))
    counts = [_tallies(record, name) for record in (old, new)]
    versions = 1 if ours.sha256 == theirs.sha256 else 2
    shared = shared_problems(old, new, name)
    grader = (ours.grader, ours.grader_version) == (theirs.grader, theirs.grader_version)
    why = "" if shared else "no problem is asked alike in both"
    if shared and not grader:
        why = "their graders differ"
    before, after = ({key: one[key] for key in shared if key in one} for one in counts)
    z = cmh(strata(after, before)) if not why else 0.0
    return SuiteComparison(
        suite=name,
        shared=len(before.keys() & after.keys()),
        old_problems=theirs.problems,
        new_problems=ours.problems,
        old=_score(before),
        new=_score(after),
        p=2 * NORMAL.cdf(-abs(z)),
        versions=versions,
        why_not=why,
    )


def shared_problems(old: Record, new: Record, suite: str) -> list[str]:
    """Return the ids of the problems that two runs asked alike, in the newer one's order.

    Records of older publishers do not tell one problem's version from another's: they share all problems of an equal
    suite, and none of another.
    """
    ours, theirs = result_of(new, suite), result_of(old, suite)
    if ours is None or theirs is None:
        return []
    digests = [{part.name: part.sha256 for part in one.suites}.get(suite) for one in (old, new)]
    if digests[0] == digests[1]:
        return [name for name in ours.right_by_problem if name in theirs.right_by_problem]
    known = theirs.problem_digests
    return [name for name, digest in ours.problem_digests.items() if known.get(name) == digest]


def _tallies(record: Record, suite: str) -> dict[str, Tally]:
    found = tallies(record, [suite], greedy=record.sampling.temperature == 0) or {}
    return {name.removeprefix(f"{suite}/"): tally for name, tally in found.items() if tally.drawn}


def _score(counts: Mapping[str, Tally]) -> float:
    shares = [one.right / one.drawn for one in counts.values()]
    return 100 * math.fsum(shares) / len(shares) if shares else 0.0


def lines(found: list[SuiteComparison]) -> list[str]:
    """Return a comparison in words; a suite of two versions says what it was compared on."""
    said = []
    for one in found:
        if one.why_not:
            said.append(f"{one.suite}: not compared, because {one.why_not}")
            continue
        of = f"{one.shared} problems"
        if one.versions == 2:
            of += (
                f" that both versions ask alike (of {one.old_problems} and {one.new_problems}): "
                "the scores of the whole suites cannot be compared"
            )
        said.append(f"{one.suite}: {one.old:.1f} → {one.new:.1f} points (p = {one.p:.3g}), on {of}")
    return said or ["the runs share no suite"]
