"""Graders: each turns a completion and an expected answer into an outcome; records keep its name and version.

A suite names its grader in one word, with options where it has some: `math`, `numeric:relative=0.01`,
`python:graders/essay.py:grade`. Answers are extracted by our own rules (`extract`). When a grader itself fails, the
outcome is `error`, never wrong.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from publisher.errors import ConfigError, GraderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Literal, Self

    from publisher.graders.comparison import Match
    from publisher.schema import Outcome

    ReadFile = Callable[[str], bytes | None]
    """Path in the commit -> the file's bytes; None where the commit has no such file."""


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
    """What counts as an answer, by the names of `extract.FORMS`."""

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
        try:
            return cast("type[Grader]", getattr(importlib.import_module(f"{__name__}.{module}"), kind))
        except ModuleNotFoundError as error:
            raise GraderError(
                f"the grader {name!r} needs {error.name}, which is not installed",
                hint="pip install 'snapshot-publisher[grade]'",
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


GRADERS: Mapping[str, type[Grader]] = _Registry(
    {
        "math": "math.grader:MathGrader",
        "math:rllm": "math.rllm:RllmGrader",
        "integer": "integers:IntegerGrader",
        "numeric": "numbers:NumericGrader",
        "exact": "strings:ExactGrader",
        "contains": "strings:ContainsGrader",
        "choice": "choices:ChoiceGrader",
        "regex": "patterns:RegexGrader",
        "json-schema": "patterns:JsonSchemaGrader",
        "python": "code.commit:CommitGrader",
        "python-tests": "code.grader:PythonTestsGrader",
        "stdin": "code.grader:StdinGrader",
        "functional": "code.grader:FunctionalGrader",
        "livecodebench": "code.grader:LiveCodeBenchGrader",
    }
)
"""Every grader by its name in publisher.toml; the only list of them."""


def make(spec: str, read: ReadFile | None = None) -> Grader:
    """Return the grader that a suite names, with its options; `read` gives it files of the commit.

    Raises ConfigError where there is no such grader, or its options are wrong, GraderError where it is not installed.
    """
    from publisher.graders.options import build  # noqa: PLC0415 - needed where answers are graded

    return build(GRADERS, spec, read)


def mistake_in(spec: str) -> str:
    """Return what is wrong with the name of a grader and its options, or nothing.

    The options of a grader that is not installed are not checked: this machine reads the configuration and grades
    nothing.
    """
    try:
        make(spec)
    except ConfigError as error:
        return error.message
    except GraderError:
        return ""
    return ""


def grade(grader: Grader, text: str, expected: str, finish: Literal["stop", "length", "error"]) -> Grade:
    """Return how `text` scores against `expected`; one that ran out of tokens is truncated whatever it says."""
    from publisher.graders.extract import FORMS  # noqa: PLC0415 - as above

    if finish == "length":
        return Grade("truncated", "", "ran out of tokens")
    answer, why = FORMS[grader.form](text)
    if answer is None:
        return Grade("unanswered", "", why)
    try:
        verdict = grader.compare(answer, expected)
    except Exception as error:  # noqa: BLE001 - a fault of ours must be an error of this sample, never a wrong answer
        return Grade("error", answer, f"grader_error: {type(error).__name__}: {error}")
    return Grade(verdict.outcome, answer, verdict.reason)
