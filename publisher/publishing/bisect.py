"""Find the commit that made a score drop: measure commits between a good and a bad one until one of them is it.

Each measurement is a run of the tier `bisect`, left in the pending folder like any run that has no verdict. It takes
over every sample that an earlier run of the same generation has, so a bisection that is interrupted continues, and
samples of ordinary runs count.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from publisher.bench.measure import measure
from publisher.bench.plan import Job
from publisher.config import Config, TierConfig, TierSuite
from publisher.engine.fleet import Fleet
from publisher.errors import ConfigError, UsageError
from publisher.files import canonical_json, sha256_hex
from publisher.publishing.bisection import Evidence, next_commit, weigh

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from publisher.bench.measure import Observer
    from publisher.publishing.project import Project
    from publisher.schema import Record

TIER = "bisect"
MOST_COMMITS = 4096
"""Commits between the ends; more would take minutes to calculate with."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Neighbouring commits that answer alike, because nothing that decides a score differs between them."""

    commit: str
    """The oldest of them, which is measured."""
    subject: str
    config: Config
    config_sha256: str
    key: str
    skipped: tuple[str, ...] = ()
    """Commits just before it that cannot be measured: the culprit may be one of them."""


@dataclass(frozen=True, slots=True)
class Options:
    """How far to go: samples per problem of one measurement, the wanted certainty, the most rounds in all."""

    suite: str
    rounds: int
    confidence: float
    most: int


@dataclass(frozen=True, slots=True)
class Flip:
    """How a problem fared: its share of right samples before the culprit and from it on."""

    problem: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What a bisection came to."""

    culprit: Candidate
    probability: float
    sure: bool
    others: tuple[tuple[Candidate, float], ...]
    """The next most likely ones with their probabilities."""
    samples: int
    """Samples that were looked at, those of earlier runs included."""
    generated: int
    measured: tuple[tuple[str, int], ...]
    """Each measured commit with its samples per problem."""
    flips: tuple[Flip, ...]
    """Problems whose share fell, the largest fall first."""


def bisect(project: Project, good: str, bad: str, options: Options, observer: Observer) -> Finding:
    """Return which commit after `good`, up to `bad`, made the suite's score drop.

    Raises UsageError when the two are not on one line of history, differ in the suite or show no drop, ModelError or
    GraderError when a commit cannot be measured.
    """
    found = candidates(project, good, bad, options.suite, observer.note)
    if len(found) < 2:
        raise UsageError("nothing that decides the score differs between the two commits", hint="git log GOOD..BAD")
    runs: dict[int, Record] = {}
    generated = 0
    evidence: Evidence | None = None
    wanted = [0, len(found) - 1]
    while True:
        for row in wanted:
            rounds = (_rounds(runs[row]) if row in runs else 0) + options.rounds
            record, drawn = _measure(project, found[row], options.suite, rounds, observer)
            _forget(project, runs.get(row), record)
            runs[row] = record
            right = record.results[0].right_by_problem
            evidence = evidence or Evidence.empty(len(found), len(right))
            evidence.put(row, list(right.values()), [drawn[problem] for problem in right])
            generated += record.suites[0].problems * rounds - sum(record.reused.values())
        assert evidence is not None  # noqa: S101 - both ends were measured
        shares, nothing = weigh(evidence)
        shares = shares * (1 - nothing)
        spent = int(evidence.drawn.sum())
        likely = int(shares.argmax())
        observer.note(f"{spent} samples: {found[likely].commit[:12]} with {shares[likely]:.0%}, no drop {nothing:.0%}")
        if nothing >= options.confidence:
            raise UsageError(
                f"the score did not drop from {good} to {bad}: {nothing:.1%} sure after {spent} samples",
                hint="publisher log   shows the scores; choose a GOOD commit whose score is higher than BAD's",
            )
        sure = bool(shares[likely] >= options.confidence)
        if sure or spent >= options.most * evidence.drawn.shape[1]:
            break
        wanted = [next_commit(evidence, shares / shares.sum())]
    return _finding(found, runs, evidence, shares, sure=sure, generated=generated)


def _finding(
    found: list[Candidate],
    runs: dict[int, Record],
    evidence: Evidence,
    shares: npt.NDArray[np.float64],
    *,
    sure: bool,
    generated: int,
) -> Finding:
    """Return what the evidence says about the candidates."""
    likely = int(shares.argmax())
    order = [int(row) for row in (-shares).argsort()[:5] if shares[row] > 0.01 and row != likely]
    return Finding(
        culprit=found[likely],
        probability=float(shares[likely]),
        sure=sure,
        others=tuple((found[row], float(shares[row])) for row in order),
        samples=int(evidence.drawn.sum()),
        generated=generated,
        measured=tuple((found[row].commit, _rounds(runs[row])) for row in sorted(runs)),
        flips=_flips(list(runs[0].results[0].right_by_problem), evidence, likely),
    )


def candidates(project: Project, good: str, bad: str, suite: str, note: Callable[[str], None]) -> list[Candidate]:
    """Return the candidates from `good` to `bad` along first parents, oldest first.

    Raises UsageError where that is no line of history or the ends were measured on different problems.
    """
    repository = project.repository
    first, last = repository.resolve(good), repository.resolve(bad)
    if first == last or not repository.is_ancestor(first, last):
        raise UsageError(f"{good} is not an older commit of {bad}'s history", hint="publisher bisect GOOD BAD")
    line = repository.text("rev-list", "--first-parent", "--reverse", f"{first}..{last}").splitlines()
    if repository.resolve(f"{line[0]}~1") != first:
        # A merged branch is not before what it was merged into: what is on one side only would look like a change.
        raise UsageError(
            f"{good} was merged into {bad}'s history from another branch",
            hint="choose a GOOD commit that  git log --first-parent  shows",
        )
    if len(line) > MOST_COMMITS:
        raise UsageError(f"there are {len(line)} commits in between, more than {MOST_COMMITS}")
    found = [_candidate(project, first, suite)]
    wanted = _suite_key(project, found[0], suite)
    skipped: list[str] = []
    for commit in line:
        try:
            one = _candidate(project, commit, suite)
            usable = _suite_key(project, one, suite) == wanted
        except (ConfigError, UsageError):
            usable = False
        if not usable:
            skipped.append(commit)
            continue
        if one.key != found[-1].key:
            found.append(replace(one, skipped=tuple(skipped)))
        skipped = []
    if skipped:
        raise UsageError(f"{bad} cannot be measured on the same problems as {good}", hint="choose another BAD")
    left_out = sum(len(one.skipped) for one in found)
    note(f"{len(line)} commits, changes of what decides the score: {len(found) - 1}; cannot be measured: {left_out}")
    return found


def _candidate(project: Project, commit: str, suite: str) -> Candidate:
    """Return a commit as a candidate; ConfigError or UsageError when its configuration cannot be measured."""
    config, digest = project.config(commit)
    if suite and suite not in config.suites:
        raise UsageError(f"commit {commit[:12]} has no suite {suite!r}")
    parts = {
        "model": config.model,
        "file": _blob(project, commit, config.model.source),
        "prompt": config.prompt,
        "engine": config.engine,
    }
    key = sha256_hex(canonical_json(parts))
    return Candidate(commit, project.repository.commit(commit).subject, config, digest, key)


def _suite_key(project: Project, one: Candidate, suite: str) -> str:
    """Return what must be equal for the same problems to be asked and graded."""
    section = one.config.suites[suite or one.config.headline]
    return sha256_hex(canonical_json([section.grader, section.sha256, _blob(project, one.commit, section.source)]))


def _blob(project: Project, commit: str, source: str) -> str:
    """Return the hash of a committed file, or the source itself where it comes from elsewhere."""
    return (None if ":" in source else project.repository.blob(commit, source)) or source


def _measure(
    project: Project, one: Candidate, suite: str, rounds: int, observer: Observer
) -> tuple[Record, Counter[str]]:
    """Measure a candidate with `rounds` samples per problem and leave the run in the pending folder.

    Returns its record and the scored samples of each problem: errors count neither as right nor as wrong.
    """
    name = suite or one.config.headline
    tiers = {TIER: TierConfig(suites={name: TierSuite(samples=rounds)})}
    config = msgspec.structs.replace(one.config, tiers=tiers)
    started = dt.datetime.now(dt.UTC)
    job = Job(project.repository, one.commit, config, one.config_sha256, TIER, False, "", started)
    measurement = measure(job, start=Fleet, workspace=project.workspace, reusable=project.reusable, observer=observer)
    project.pending.store(measurement.record, measurement.packed)
    measurement.forget_journal()
    scored = Counter(sample.problem for sample in measurement.samples if sample.outcome != "error")
    return measurement.record, scored


def _forget(project: Project, older: Record | None, newer: Record) -> None:
    """Discard a pending run whose samples a longer one of the same commit holds."""
    if older is not None and older.run_id != newer.run_id:
        project.pending.discard(older.run_id)


def _rounds(record: Record) -> int:
    return record.suites[0].samples


def _flips(problems: list[str], evidence: Evidence, culprit: int) -> tuple[Flip, ...]:
    """Return the problems whose share of right samples fell at the culprit."""
    halves = []
    for rows in (slice(0, culprit), slice(culprit, None)):
        right, drawn = evidence.right[rows].sum(axis=0), evidence.drawn[rows].sum(axis=0)
        halves.append([float(a / b) if b else 0.0 for a, b in zip(right, drawn, strict=True)])
    flips = [Flip(problem, before, after) for problem, before, after in zip(problems, *halves, strict=True)]
    return tuple(
        sorted((flip for flip in flips if flip.after < flip.before), key=lambda flip: flip.after - flip.before)
    )
