"""Two versions of a suite: which problems they share, and whether scores on those can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.bench.inputs.problems import Problem


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two versions of a suite, by problem id."""

    same: list[str]
    """Asked and answered alike: only these can be compared across the versions."""
    reworded: list[str]
    """The statement changed."""
    regraded: list[str]
    """The expected answer changed, and the statement did not."""
    retagged: list[str]
    """Only tags or kind changed; they are among `same`, too."""
    added: list[str]
    removed: list[str]
    moved: dict[str, str]
    """The same problem under another id: old id to new id."""


def difference(old: Sequence[Problem], new: Sequence[Problem]) -> Difference:
    """Return what changed from one version to another; each list is in the order of the version that it is from."""
    before, after = {one.id: one for one in old}, {one.id: one for one in new}
    both = [one.id for one in old if one.id in after]
    reworded = [name for name in both if before[name].problem != after[name].problem]
    regraded = [name for name in both if name not in set(reworded) and before[name].answer != after[name].answer]
    same = [name for name in both if name not in {*reworded, *regraded}]
    added = [one.id for one in new if one.id not in before]
    removed = [one.id for one in old if one.id not in after]
    return Difference(
        same=same,
        reworded=reworded,
        regraded=regraded,
        retagged=[name for name in same if _labels(before[name]) != _labels(after[name])],
        added=added,
        removed=removed,
        moved=_moved(before, after, removed, added),
    )


def _labels(problem: Problem) -> tuple[str, dict[str, str]]:
    return problem.kind, dict(problem.tags)


def _moved(
    before: Mapping[str, Problem], after: Mapping[str, Problem], removed: Sequence[str], added: Sequence[str]
) -> dict[str, str]:
    """Return the problems that only have another id now."""
    at = {(after[name].problem, after[name].answer): name for name in added}
    keys = {name: (before[name].problem, before[name].answer) for name in removed}
    return {name: at[key] for name, key in keys.items() if key in at}
