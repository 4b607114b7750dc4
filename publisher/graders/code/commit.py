"""The `python:PATH:FUNCTION` grader: a function of the commit, which runs in the sandbox and never in this process.

`FUNCTION(answer, expected)` gets everything that the model said after its thoughts and the problem's expected answer,
both as text, and returns whether the answer is right: `True` or `False`, or a pair of that and a reason. Each answer is
graded in a sandbox of its own, so that no answer can change how the next one is graded. A function that raises, takes
too long or returns anything else is an error, never a wrong answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.config.section import short
from publisher.errors import ConfigError
from publisher.files import sha256_hex
from publisher.graders.code import programs
from publisher.graders.code.sandbox import Limits, Sandbox
from publisher.graders.comparison import RIGHT, Match
from publisher.graders.strings import LONGEST

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from publisher.graders import ReadFile

_PLACE = re.compile(r"((?:[\w.-]+/)*[\w.-]+\.py):([A-Za-z_]\w*)", re.ASCII)
_SECONDS = 10.0
_LARGEST = 1 << 20
_FORM = "python:PATH.py:FUNCTION"


class CommitGrader:
    """Asks a function of the commit, in the sandbox, whether an answer is right."""

    name = "python"
    form = "text"

    def __init__(self, path: str, function: str, source: bytes | None) -> None:
        """Take the file's name and contents; None for a grader that only checks names."""
        self._path, self._function, self._source = path, function, source
        self._sandbox: Sandbox | None = None
        self.version = f"1+sha256-{sha256_hex(source)}" if source is not None else "1"

    @classmethod
    def named(cls, rest: str, read: ReadFile | None) -> Self:
        """Return the grader of `PATH.py:FUNCTION`; ConfigError where that is no such name, or the file is missing."""
        found = _PLACE.fullmatch(rest)
        if not found or ".." in found[1].split("/"):
            raise ConfigError(f"the grader {short(f'python:{rest}')} is not of the form {_FORM}")
        source = read(found[1]) if read else None
        if read and source is None:
            raise ConfigError(f"the grader python:{rest} names {found[1]}, which the commit has not")
        if source is not None and len(source) > _LARGEST:
            raise ConfigError(f"{found[1]} is larger than {_LARGEST} bytes")
        return cls(found[1], found[2], source)

    def mistake(self, expected: str) -> str:  # noqa: ARG002 - the function alone knows what it expects
        """Return nothing: any text can be expected."""
        return ""

    def compare(self, answer: str, expected: str) -> Match:
        """Return what the commit's function says."""
        if self._sandbox is None or self._source is None:
            return Match("error", "grader_error: the grader was not started")
        if len(answer) > LONGEST:
            return Match("wrong", f"longer than {LONGEST} characters")
        said, value = programs.call(
            self._sandbox, self._source, self._function, [answer, expected], Limits(seconds=_SECONDS)
        )
        if said != "returned":
            return Match("error", f"grader_error: {self._path}: {said}")
        right, reason = value if isinstance(value, tuple) and len(value) == 2 else (value, "")
        if not isinstance(right, bool) or not isinstance(reason, str):
            return Match("error", f"grader_error: {self._function} returned neither True nor False")
        return RIGHT if right else Match("wrong", reason[:200].encode("utf-8", "replace").decode())

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
