"""The graders of programs: `python-tests`, `stdin` and `functional`, which differ only in the tests that they take."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from publisher.graders.code import livecodebench, programs
from publisher.graders.code.sandbox import Sandbox
from publisher.graders.comparison import Match
from publisher.graders.options import Options

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

LONGEST = 100_000
"""Characters of a program that are looked at."""


class CodeGrader:
    """Runs a completion's program against a problem's tests; entering it needs a sandbox that works."""

    name = ""
    kinds: tuple[str, ...] = ()
    """The kinds of tests that it takes; empty for the one that it is named after."""
    version = "2"
    form = "code"

    def __init__(self) -> None:
        """Start nothing: reading a suite needs no sandbox."""
        self._sandbox: Sandbox | None = None
        self._self_reporting = False

    def mistake(self, expected: str) -> str:
        """Return why `expected` is no set of tests for this grader, or nothing."""
        try:
            text = livecodebench.readable(expected)
        except ValueError as error:
            return str(error)
        why = programs.mistake(text)
        if why:
            return why
        kind = msgspec.json.decode(text, type=programs.Cases).kind
        return "" if kind in (self.kinds or (self.name,)) else f"tests of the kind {kind}"

    def compare(self, answer: str, expected: str) -> Match:
        """Return whether the program passes every test."""
        if self._sandbox is None:
            return Match("error", "grader_error: the grader was not started")
        if len(answer) > LONGEST:
            return Match("wrong", f"longer than {LONGEST} characters")
        result = programs.run(self._sandbox, answer, _tests(expected), self_reporting=self._self_reporting)
        # Half of a surrogate pair, which JSON from a program can hold, could not be stored.
        return Match(result.outcome, result.reason.encode("utf-8", "replace").decode())

    def __enter__(self) -> Self:
        """Open the sandbox; GraderError where none works."""
        self._sandbox = Sandbox.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the sandbox."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None


class PythonTestsOptions(Options, frozen=True, kw_only=True, rename="kebab"):
    """Where the tests run."""

    self_reporting: bool = False
    """Whether they run beside the program, which could forge the verdict: for what calls cannot express."""


_DEFAULTS = PythonTestsOptions()


class PythonTestsGrader(CodeGrader):
    """Runs the suite's own tests, as HumanEval and MBPP have them."""

    name = "python-tests"
    Options = PythonTestsOptions

    def __init__(self, given: PythonTestsOptions = _DEFAULTS) -> None:
        """Take the options; start nothing."""
        super().__init__()
        self._self_reporting = given.self_reporting


class StdinGrader(CodeGrader):
    """Compares what a program prints for each input, as LiveCodeBench does for contest problems."""

    name = "stdin"


class FunctionalGrader(CodeGrader):
    """Compares what a function returns for each set of arguments, as LiveCodeBench does for LeetCode's problems."""

    name = "functional"


class LiveCodeBenchGrader(CodeGrader):
    """Takes both kinds of problems that LiveCodeBench has: programs that read and print, and functions."""

    name = "livecodebench"
    kinds = ("stdin", "functional")


@functools.lru_cache(maxsize=16)
def _tests(expected: str) -> programs.Cases:
    return msgspec.json.decode(livecodebench.readable(expected), type=programs.Cases)
