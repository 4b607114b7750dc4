"""The rejected runs that a snapshot shows: those since the last kept one, within a bound of bytes.

What a rejected run teaches is its reasons, what it lost, and what it answered wrongly. The newest runs come first, and
of each the problems that clearly turned wrong. Only runs of the trusted branch are shown: whoever may not choose the
rules of their run may not put their model's words onto somebody else's pages either.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from publisher import schema
from publisher.errors import StorageError
from publisher.files import compact_json
from publisher.ledger.history import REPORT, folder
from publisher.samples import FILE as SAMPLES
from publisher.samples import unpack_samples
from publisher.schema import Lesson, Record, Report

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from publisher.git import Repository
    from publisher.schema import HistoryLine, Sample

BUDGET = 600_000
"""Bytes of all lessons of a snapshot together."""
PER_RUN = 150_000
"""Bytes of one lesson, so that a single run cannot take the place of all others."""
MOST_RUNS = 50
MOST_ANSWERS = 40
"""Wrong answers of one run, each to another problem."""
ENDING = 2_000
"""Characters of an answer: its end, where the mistake is told. Also of a problem's statement, from its beginning."""


def lessons(
    repository: Repository, at: str, lines: Sequence[HistoryLine], record: Record, headline: str
) -> dict[str, bytes]:
    """Return the lessons that the snapshot of `record` carries, by run id, newest first as far as they fit.

    They are read from the ledger's commit `at`, as of which `lines` is the history. A run that cannot be read, or was
    reported by an older publisher, has none.
    """
    private = {suite.name for suite in record.suites if not suite.public}
    found: dict[str, bytes] = {}
    left = BUDGET
    for line in itertools.islice(since_kept(lines, record.run_id), MOST_RUNS):
        try:
            lesson = _lesson(repository, f"{at}:{folder(line.run_id)}", private, headline, min(left, PER_RUN))
        except StorageError:
            continue
        if lesson is not None and len(data := compact_json(lesson)) <= min(left, PER_RUN):
            found[line.run_id] = data
            left -= len(data)
    return found


def since_kept(lines: Sequence[HistoryLine], own: str) -> Iterator[HistoryLine]:
    """Yield the rejected runs beside the run `own` since the last kept one, newest first."""
    others = (line for line in reversed(lines) if line.run_id != own)
    for line in itertools.takewhile(lambda line: line.verdict != "kept", others):
        if line.verdict == "rejected" and not line.taken_down:
            yield line


def _lesson(repository: Repository, place: str, private: Collection[str], headline: str, room: int) -> Lesson | None:
    """Return what one run teaches, with as many wrong answers as fit into `room` bytes; None where nothing is told."""
    parts = repository.read_many([f"{place}/record.json", f"{place}/{REPORT}"])
    if None in parts:
        return None
    record = schema.decode(parts[0] or b"", Record, f"{place}/record.json")
    report = schema.decode(parts[1] or b"", Report, f"{place}/{REPORT}")
    if record.policy:
        return None  # not a commit of the trusted branch
    before = report.previous
    lesson = Lesson(
        run=report.run,
        verdict=report.verdict,
        scores=report.scores,
        baseline=report.baseline,
        beside=before.base if before else None,
        changes=before.changes if before else [],
    )
    public = {suite.name for suite in record.suites if suite.public} - set(private)
    packed = repository.read_many([f"{place}/{SAMPLES}"])[0] if public else None
    if packed is None:
        return lesson
    answers, total = _telling(unpack_samples(packed), public, _clearest(report, headline))
    answers = list(_fitting(answers, room - len(compact_json(lesson))))
    return msgspec.structs.replace(lesson, wrong=answers, wrong_more=total - len(answers))


def _clearest(report: Report, headline: str) -> dict[tuple[str, str], int]:
    """Return the rank of each (suite, problem) that turned wrong: those of the headline first, the clearest first."""
    suites = sorted(report.baseline, key=lambda one: one.suite != headline)
    turned = ((suite.suite, flip.problem) for suite in suites for flip in suite.turned_wrong)
    return {key: rank for rank, key in enumerate(turned)}


def _telling(
    samples: Iterable[Sample], public: Collection[str], rank: Mapping[tuple[str, str], int]
) -> tuple[list[Sample], int]:
    """Return a wrong answer to each of the most telling problems, and how many answers were not right in all."""
    found: dict[tuple[str, str], Sample] = {}
    total = 0
    for one in samples:
        if one.outcome in {"right", "error"} or one.suite not in public or one.withheld:
            continue
        total += 1
        found.setdefault((one.suite, one.problem), _shortened(one))
    first = sorted(found, key=lambda key: rank.get(key, len(rank)))[:MOST_ANSWERS]
    return [found[key] for key in first], total


def _shortened(sample: Sample) -> Sample:
    """Return a sample with the end of its text and the beginning of its statement."""
    cut = max(0, len(sample.text) - ENDING)
    long = len(sample.statement) > ENDING
    return msgspec.structs.replace(
        sample,
        text=sample.text[cut:],
        clipped=sample.clipped + cut,
        statement=f"{sample.statement[:ENDING]}…" if long else sample.statement,
        measures={},
    )


def _fitting(samples: Iterable[Sample], room: int) -> Iterator[Sample]:
    """Yield the samples that fit into `room` bytes together, in their order."""
    for one in samples:
        size = len(compact_json(one)) + 1
        if size <= room:
            room -= size
            yield one
