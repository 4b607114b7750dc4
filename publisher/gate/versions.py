"""Two versions of a suite: which problems both ask alike, and what two runs scored on just those.

A score on other problems is no baseline, so no rule compares it. But a verdict that has nothing to compare with says
what can be said: the scores on the problems that stayed the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from publisher.gate.baseline import Tally, mean_score, result_of, strata, tallies
from publisher.gate.distributions import NORMAL
from publisher.gate.stratified import cmh
from publisher.stats import p_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from publisher.schema import Record


class Shared(NamedTuple):
    """Two runs on the problems that they share; scores are in points, `p` is two-sided and 1 without evidence."""

    problems: int
    old: float
    new: float
    p: float


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


def on_shared(old: Record, new: Record, suite: str) -> Shared:
    """Return how two runs compare on the problems that both asked alike."""
    names = shared_problems(old, new, suite)
    before, after = (
        {name: counts[name] for name in names if name in counts}
        for counts in (_counts(old, suite), _counts(new, suite))
    )
    both = before.keys() & after.keys()
    z = cmh(strata(after, before))
    return Shared(len(both), mean_score(before), mean_score(after), 2 * NORMAL.cdf(-abs(z)))


def _counts(record: Record, suite: str) -> dict[str, Tally]:
    """Return a run's counts by problem id, of the problems with a scored sample."""
    found = tallies(record, [suite], greedy=record.sampling.temperature == 0) or {}
    return {name.removeprefix(f"{suite}/"): tally for name, tally in found.items() if tally.drawn}


def words(old: Record, new: Record, suites: Sequence[str]) -> Iterator[str]:
    """Yield, for each suite with another version in the older run, the scores on the problems that both ask alike."""
    for suite in suites:
        ours, theirs = (next((part for part in one.suites if part.name == suite), None) for one in (new, old))
        if ours is None or theirs is None or ours.sha256 == theirs.sha256:
            continue
        if (ours.grader, ours.grader_version) != (theirs.grader, theirs.grader_version):
            continue
        found = on_shared(old, new, suite)
        if found.problems:
            yield (
                f"on the {found.problems} problems of {suite} that both versions ask alike, "
                f"{found.old:.1f} → {found.new:.1f} ({p_words(found.p)})"
            )
