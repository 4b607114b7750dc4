"""Two runs, compared suite by suite on the problems that both asked alike, whatever versions of the suites they had."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from publisher.gate.versions import on_shared
from publisher.stats import p_words

if TYPE_CHECKING:
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
    versions = 1 if ours.sha256 == theirs.sha256 else 2
    found = on_shared(old, new, name)
    grader = (ours.grader, ours.grader_version) == (theirs.grader, theirs.grader_version)
    why = "" if grader else "their graders differ"
    if not found.problems:
        why = "no problem is asked alike in both"
    return SuiteComparison(
        suite=name,
        shared=found.problems,
        old_problems=theirs.problems,
        new_problems=ours.problems,
        old=found.old,
        new=found.new,
        p=1.0 if why else found.p,
        versions=versions,
        why_not=why,
    )


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
        said.append(f"{one.suite}: {one.old:.1f} → {one.new:.1f} points ({p_words(one.p)}), on {of}")
    return said or ["the runs share no suite"]
