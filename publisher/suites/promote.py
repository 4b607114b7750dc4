"""A sample that somebody flagged, as a golden problem of the team's own suite."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from publisher.bench.inputs.problems import parse
from publisher.errors import UsageError
from publisher.files import atomic_write, compact_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from publisher.bench.inputs.problems import Problem
    from publisher.schema import Sample

_SAMPLE = re.compile(r"(?:([^/#]{1,64})/)?([^/#]{1,64})(?:#(\d{1,6}))?")


def found(samples: Iterable[Sample], wanted: str) -> Sample:
    """Return the sample that SUITE/PROBLEM#NUMBER stands for, counted from 1 as on the pages; UsageError."""
    match = _SAMPLE.fullmatch(wanted)
    if not match:
        raise UsageError(f"{wanted!r} names no sample", hint="SUITE/PROBLEM#NUMBER, such as aime25/aime25-3#1")
    suite, problem, number = match[1], match[2], int(match[3] or 1) - 1
    chosen = [one for one in samples if one.problem == problem and one.sample == number and suite in {None, one.suite}]
    if len(chosen) != 1:
        said = "is in several suites of the run" if chosen else "is not in the run"
        raise UsageError(f"{wanted} {said}", hint="SUITE/PROBLEM#NUMBER, as on the page of the run's answers")
    return chosen[0]


def promoted(path: Path, problem: Problem, grader: str, *, origin: str, reason: str) -> str:
    """Append a problem to the golden suite at `path`, which is made where there is none, and return its id there.

    The whole file is looked at as a suite before it is written. Raises UsageError where it holds the same question
    already, SuiteError where it is no suite, StorageError.
    """
    before = path.read_bytes() if path.is_file() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    known = parse(io.BytesIO(before), str(path), grader, public=True) if before.strip() else ()
    for one in known:
        if one.problem == problem.problem:
            raise UsageError(f"{path} asks that question already, as {one.id}")
    ids, name, number = {one.id for one in known}, problem.id, 2
    while name in ids:
        name, number = f"{problem.id[:58]}-{number}", number + 1
    line = {
        "id": name,
        "problem": problem.problem,
        "answer": problem.answer,
        "kind": problem.kind or None,
        "tags": dict(problem.tags) or None,
        "solution": problem.solution or None,
        "origin": origin,
        "reason": reason or None,
    }
    data = before + compact_json({key: value for key, value in line.items() if value is not None})
    parse(io.BytesIO(data), str(path), grader, public=True)
    atomic_write(path, data)
    return name
