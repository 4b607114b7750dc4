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

_ADDRESS = re.compile(r"/samples/([^/#]{1,64})/(?:\d{1,4}/)?#p(\d{1,6})(?:-(\d{1,6}))?")
"""An answer's address on the pages of a snapshot, by which readers report it."""
_SAMPLE = re.compile(r"(?:([^/#]{1,64})/)?([^/#]{1,64})(?:#(\d{1,6}))?")


def found(samples: Iterable[Sample], wanted: str) -> Sample:
    """Return the sample that SUITE/PROBLEM#NUMBER stands for, counted from 1 as on the pages; UsageError.

    An address of an answer on a snapshot's pages will do as well, as a reader reported it: `/samples/SUITE/#p12-3` is
    the third answer to the twelfth problem.
    """
    if wanted.startswith("/"):
        return _addressed(samples, wanted)
    match = _SAMPLE.fullmatch(wanted)
    if not match:
        raise UsageError(f"{wanted!r} names no sample", hint="SUITE/PROBLEM#NUMBER, such as aime25/aime25-3#1")
    suite, problem, number = match[1], match[2], int(match[3] or 1) - 1
    chosen = [one for one in samples if one.problem == problem and one.sample == number and suite in {None, one.suite}]
    if len(chosen) != 1:
        said = "is in several suites of the run" if chosen else "is not in the run"
        raise UsageError(f"{wanted} {said}", hint="SUITE/PROBLEM#NUMBER, as on the page of the run's answers")
    return chosen[0]


def _addressed(samples: Iterable[Sample], wanted: str) -> Sample:
    """Return the sample at an address; problems are counted in the order of the samples file, as the pages do."""
    match = _ADDRESS.fullmatch(wanted)
    own: dict[str, list[Sample]] = {}
    for one in samples if match else ():
        if match and one.suite == match[1]:
            own.setdefault(one.problem, []).append(one)
    place = int(match[2]) if match else 0
    problems = list(own.values())
    chosen = [
        one for one in (problems[place - 1] if 0 < place <= len(problems) else ()) if one.sample == _number(match)
    ]
    if len(chosen) != 1:
        raise UsageError(
            f"{wanted[:100]!r} is no answer of the run", hint="publisher canary status   lists what was reported"
        )
    return chosen[0]


def _number(match: re.Match[str] | None) -> int:
    return int(match[3] or 1) - 1 if match else -1


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
