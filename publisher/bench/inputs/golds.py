"""Whether a suite's own answers pass: an expected answer that is wrong by its own grader scores every model down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import SuiteError
from publisher.graders import make

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.bench.inputs.problems import Problem

SHOWN = 10
_PATTERNS = frozenset({"regex", "json-schema", "python"})
"""Graders whose expected answer says what an answer must be like, and is none itself."""


def failing(
    problems: Sequence[Problem], grader: str, *, programs: bool, done: Callable[[int], None] = lambda _: None
) -> dict[str, str]:
    """Return {id: reason} of the problems whose expected answer, or whose own solution, is not right by the grader.

    Solutions run in the sandbox, and only with `programs`; a problem of a code suite without one is not tried. `done`
    hears how many were tried. Raises GraderError where the grader or its sandbox does not start.
    """
    if grader.partition(":")[0] in _PATTERNS:
        return {}
    opened = make(grader)
    code = opened.form == "code"
    tried = [problem for problem in problems if not code or (programs and problem.solution)]
    found: dict[str, str] = {}
    if tried:
        with opened:
            for number, problem in enumerate(tried, 1):
                match = opened.compare(problem.solution if code else problem.answer, problem.answer)
                if match.outcome != "right":
                    found[problem.id] = match.reason or match.outcome
                done(number)
    return found


def require(problems: Sequence[Problem], grader: str, where: str, *, public: bool) -> None:
    """Raise SuiteError, naming `where` and the problems, where an expected answer does not verify against itself."""
    found = failing(problems, grader, programs=False)
    if found:
        named = list(found.items())[:SHOWN]
        lines = "".join(f"\n  {name}: {reason}" if public else f"\n  {name}" for name, reason in named)
        more = f"\n  … and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise SuiteError(
            f"{where}: {len(found)} expected answers are not right by the grader {grader!r}:{lines}{more}",
            hint="correct the answers, or name another grader",
        )
