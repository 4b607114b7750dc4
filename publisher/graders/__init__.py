"""Graders: each turns a completion and an expected answer into an outcome; records keep its name and version.

Answers are extracted by our own rules (`extract`). When a grader itself fails, the outcome is `error`, never wrong.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Literal, Self

    from publisher.graders.comparison import Match
    from publisher.schema import Outcome


class Grade(NamedTuple):
    """How a completion was scored: the outcome, the extracted answer, and the reason where it is not right."""

    outcome: Outcome
    answer: str
    reason: str


class Grader(Protocol):
    """What every grader offers. It is a context manager because it may hold worker processes."""

    name: str
    version: str
    form: str
    """What counts as an answer: `box` (only a box), `line` (a box, or else the last line) or `code` (a program)."""

    def mistake(self, expected: str) -> str:
        """Return why `expected` cannot be an expected answer of this grader, or nothing."""

    def compare(self, answer: str, expected: str) -> Match:
        """Return whether the extracted `answer` is right."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Registry(Mapping[str, "type[Grader]"]):
    """Graders by name, each imported when it is asked for: reading a configuration needs only their names."""

    def __init__(self, places: Mapping[str, str]) -> None:
        """Take where each grader is: `module:class`, below this package."""
        self._places = places

    def __getitem__(self, name: str) -> type[Grader]:
        module, _, kind = self._places[name].partition(":")
        return cast("type[Grader]", getattr(importlib.import_module(f"{__name__}.{module}"), kind))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


GRADERS: Mapping[str, type[Grader]] = _Registry(
    {
        "math": "math.grader:MathGrader",
        "integer": "integers:IntegerGrader",
        "exact": "strings:ExactGrader",
        "python-tests": "code.grader:PythonTestsGrader",
        "stdin": "code.grader:StdinGrader",
        "functional": "code.grader:FunctionalGrader",
    }
)
"""Every grader by its name in publisher.toml; the only list of them."""


def grade(grader: Grader, text: str, expected: str, finish: Literal["stop", "length", "error"]) -> Grade:
    """Return how `text` scores against `expected`; one that ran out of tokens is truncated whatever it says."""
    from publisher.graders.extract import final_answer, final_code  # noqa: PLC0415 - needed where answers are graded

    if finish == "length":
        return Grade("truncated", "", "ran out of tokens")
    answer, why = final_code(text) if grader.form == "code" else final_answer(text, boxed=grader.form == "box")
    if answer is None:
        return Grade("unanswered", "", why)
    try:
        verdict = grader.compare(answer, expected)
    except Exception as error:  # noqa: BLE001 - a fault of ours must be an error of this sample, never a wrong answer
        return Grade("error", answer, f"grader_error: {type(error).__name__}: {error}")
    return Grade(verdict.outcome, answer, verdict.reason)
