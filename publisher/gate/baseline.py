"""Which earlier runs a run is compared with, and their samples, each counted once.

Only kept runs under the same conditions count. Runs of equal generations share their samples, so of those that have the
same seeds one stands for all; greedy answers do not depend on a seed at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from publisher import outline
from publisher.gate.distributions import NORMAL
from publisher.gate.stratified import Stratum, cmh

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from publisher.schema import HistoryLine, Record, SuiteResult

CHANGE = 0.001
"""How unlikely a difference between two parts of a baseline must be for the older part to be dropped.

Far below alpha: a lucky half of a baseline that is taken for a change makes the innocent runs after it look worse.
"""


class Tally(NamedTuple):
    """The samples of one problem that count, and how many of them are right."""

    right: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Reset:
    """A new start of the baseline on purpose, or the wish for one that does not count."""

    why: str
    before: frozenset[str] = frozenset()
    """The runs that are no baseline for this reason."""
    commit: str = ""
    """The commit that asked for it, where a trailer did and counts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The run to decide on: its line of history, its record, and where its baseline starts anew."""

    line: HistoryLine
    record: Record
    reset: Reset | None = None

    @property
    def greedy(self) -> bool:
        """Whether answers do not depend on their seeds, so that more samples of a problem tell nothing new."""
        return self.record.sampling.temperature == 0


@dataclass(frozen=True, slots=True)
class Candidates:
    """The runs that can be compared with on one suite, oldest first, and why the newest kept run is not one of them."""

    lines: tuple[HistoryLine, ...]
    other: HistoryLine | None = None
    """The newest kept run of the suite, where it was measured under other conditions."""


def candidates(run: Measured, history: Iterable[HistoryLine], suites: Sequence[str]) -> Candidates:
    """Return the kept runs that measured the same problems of `suites` under the same conditions, oldest first.

    A run that was accepted against a rule is a change on purpose: nothing before it counts any more. One that only
    waited for approval is no change, for every rule had kept it. For a tier that publishes nothing, what passed it
    counts as well, unless its commit came to something worse in another tier.
    """
    history = list(history)
    fallen = {line.commit for line in history if line.verdict in {"rejected", "inconclusive", "held"}}
    own = [(suite, run.line.scores[suite].suite) for suite in suites]
    before = run.reset.before if run.reset else frozenset()
    lines: list[HistoryLine] = []
    other, began = None, ""
    for line in history:
        if line.verdict != "kept":
            passed = line.verdict == "passed" and line.tier == run.line.tier and line.commit not in fallen
            if not passed:
                continue
        if line.run_id == run.line.run_id or line.run_id in before:
            continue
        if line.stopped_early:
            continue  # its score is biased: it was looked at until something decided
        alike = _measured_alike(line, own)
        if alike is None:
            continue
        if not alike or line.conditions != run.line.conditions:
            other = line
            continue
        other = None
        if line.decision is not None and line.decision.overrides:
            lines = []
        # A clone that lacks older commits does not see what they asked for; the ledger knows.
        if line.reset and line.reset != began:
            lines, began = [], line.reset
        lines.append(line)
    return Candidates(tuple(lines), other)


def _measured_alike(line: HistoryLine, own: Sequence[tuple[str, str]]) -> bool | None:
    """Return whether a run measured the suites `own`, (name, digest), in the same version; None for no such scores."""
    alike = True
    # A plain loop: this runs once per rule for every run of the history.
    for suite, digest in own:
        score = line.scores.get(suite)
        # NaN and infinity are no scores, whoever wrote them.
        if score is None or not 0 <= score.score <= 100:
            return None
        alike = alike and score.suite == digest
    return alike


def distinct(run: Measured, lines: Sequence[HistoryLine], suites: Sequence[str]) -> list[HistoryLine]:
    """Return the runs that have samples of their own, oldest first.

    Of runs with one generation and one salt the largest stands for all of them, at the newest one's place; those that
    share their samples with `run` itself are left out, for a run is no evidence about itself.
    """
    own = _key(run.line, greedy=run.greedy)
    best: dict[tuple[str, str], HistoryLine] = {}
    for line in reversed(lines):
        key = _key(line, greedy=run.greedy)
        if key == own and key[0]:
            continue
        known = best.get(key)
        if known is None or _size(line, suites) > _size(known, suites):
            best[key] = line
    return list(reversed(best.values()))


def _size(line: HistoryLine, suites: Sequence[str]) -> int:
    return sum(line.scores[suite].n * line.scores[suite].k for suite in suites)


def _key(line: HistoryLine, *, greedy: bool) -> tuple[str, str]:
    """Return what decides the samples of a run: its generation, and unless it is greedy the salt of its seeds."""
    if not line.generation:
        return "", line.run_id
    return line.generation, "" if greedy else line.salt


def tallies(record: Record, suites: Sequence[str], *, greedy: bool = False) -> dict[str, Tally] | None:
    """Return the counts of one or more suites by problem, or None where an older record does not tell them.

    Greedy samples of a problem are one answer, however often it was generated.
    """
    found: dict[str, Tally] = {}
    for suite in suites:
        counts = _counts(record, suite)
        if counts is None:
            return None
        found |= {f"{suite}/{problem}": tally for problem, tally in counts.items()}
    if greedy:
        return {problem: Tally(int(2 * one.right > one.drawn), min(1, one.drawn)) for problem, one in found.items()}
    return found


def _counts(record: Record, suite: str) -> dict[str, Tally] | None:
    result = result_of(record, suite)
    told = outline.counts(record, result) if result is not None else None
    return None if told is None else {problem: Tally(right, drawn) for problem, (right, drawn) in told.items()}


def result_of(record: Record, suite: str) -> SuiteResult | None:
    """Return what a record says of a suite, or None."""
    return next((result for result in record.results if result.suite == suite), None)


def pool(parts: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    """Return the summed counts of several runs by problem."""
    found: dict[str, Tally] = {}
    for part in parts:
        for problem, tally in part.items():
            known = found.get(problem, Tally(0, 0))
            found[problem] = Tally(known.right + tally.right, known.drawn + tally.drawn)
    return found


def strata(new: Mapping[str, Tally], base: Mapping[str, Tally]) -> list[Stratum]:
    """Return the problems that both sides have samples of, in the order of their ids."""
    shared = sorted(problem for problem in new if problem in base)
    return [Stratum(*new[problem], *base[problem]) for problem in shared if new[problem].drawn and base[problem].drawn]


def since_change(parts: Sequence[Mapping[str, Tally]]) -> int:
    """Return where in a baseline, oldest first, the samples since the last detected change begin.

    Every split of the runs into older and newer ones is tested, both ways, at CHANGE over the number of splits; where
    the clearest one stands out, the older part is dropped, and the rest is looked at again. So an improvement is not
    diluted by what was there before it.
    """
    start = 0
    while len(parts) - start > 1:
        splits = range(start + 1, len(parts))
        found = {cut: abs(cmh(strata(pool(parts[cut:]), pool(parts[start:cut])))) for cut in splits}
        cut = max(found, key=lambda place: found[place])
        if 2 * NORMAL.cdf(-found[cut]) * len(splits) > CHANGE:
            break
        start = cut
    return start


def differing(record: Record, other: Record | None, suites: Sequence[str]) -> list[str]:
    """Return the names of what differs between the conditions of two runs, their problems and graders included."""
    if other is None:
        return ["conditions"]
    names = []
    for suite in suites:
        ours, theirs = (next((part for part in one.suites if part.name == suite), None) for one in (record, other))
        if ours and theirs and ours.sha256 != theirs.sha256:
            names.append(f"problems of {suite}")
        elif ours and theirs and (ours.grader, ours.grader_version) != (theirs.grader, theirs.grader_version):
            names.append(f"grader of {suite}")
    if record.conditions and not other.conditions:
        return [*names, "conditions, which an older publisher did not record"]
    keys = sorted(record.conditions.keys() | other.conditions.keys())
    return names + [key for key in keys if record.conditions.get(key) != other.conditions.get(key)] or ["conditions"]


def mean_score(counts: Mapping[str, Tally]) -> float:
    """Return the score of pooled counts in points: the mean over problems of their share of right samples."""
    shares = [tally.right / tally.drawn for tally in counts.values() if tally.drawn]
    return 100 * math.fsum(shares) / len(shares) if shares else 0.0
