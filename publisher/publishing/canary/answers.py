"""What the answers of two runs are like beside each other: how long they took, how long they are, what went wrong.

Reviewers compare a few answers; figures of all of them show what a few do not: a candidate that runs on, repeats itself
or is cut off. Read for `status` alone, no rule goes by the lengths: `answer-length` and `looping` are the gate's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from publisher.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.publishing.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers of one run to the problems that both runs were asked; lengths in tokens, latency in seconds."""

    count: int
    median: int
    p95: int
    truncated: int
    """Those that the limit on tokens cut off."""
    looping: int
    """Those that repeat themselves, as the metric `looping` tells."""
    latency: float
    """Within this time 95 of 100 answers were there."""


class _Answer(NamedTuple):
    """What is kept of one answer: a run's texts together may be larger than the memory."""

    problem: tuple[str, str]
    tokens: int
    truncated: bool
    looping: bool
    latency: float


def beside(project: Project, candidate: str, live: str) -> tuple[Answers, Answers] | None:
    """Return the answers of two runs to the problems that both have; None where they share none, or cannot be read.

    Problems are shared by suite and name. An answer that failed on the machinery tells nothing of the model.
    """
    try:
        runs = [_read(project, candidate), _read(project, live)]
    except StorageError:
        return None
    shared = set.intersection(*({one.problem for one in run} for run in runs))
    found = [[one for one in run if one.problem in shared] for run in runs]
    return (_answers(found[0]), _answers(found[1])) if shared else None


def _read(project: Project, run_id: str) -> list[_Answer]:
    return [
        _Answer(
            (one.suite, one.problem),
            one.tokens,
            one.finish == "length",
            one.measures.get("looping", 0.0) > 0,
            one.latency,
        )
        for one in project.published_samples(run_id)
        if one.outcome != "error"
    ]


def _answers(samples: Sequence[_Answer]) -> Answers:
    tokens = sorted(one.tokens for one in samples)
    return Answers(
        count=len(samples),
        median=tokens[_at(50, len(tokens))],
        p95=tokens[_at(95, len(tokens))],
        truncated=sum(one.truncated for one in samples),
        looping=sum(one.looping for one in samples),
        latency=sorted(one.latency for one in samples)[_at(95, len(samples))],
    )


def _at(percent: int, count: int) -> int:
    """Return the place of the nearest-rank percentile among `count` sorted values."""
    return -(-percent * count // 100) - 1
