"""The graders `regex` and `json-schema`: the expected answer is a pattern or a schema that the reply must match.

Either can be written, by accident or on purpose, so that matching takes for ever. So both run in confined processes
(`workers`). Running out of processor time is wrong, unless an empty reply would run out of it too: then the suite is to
blame, and it is an error.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import GraderError
from publisher.graders import options
from publisher.graders.comparison import RIGHT, Match, Reply
from publisher.graders.strings import LONGEST
from publisher.graders.workers import ExceededError, LostError, Pool

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_LONGEST_PATTERN, _LONGEST_SCHEMA = 2_000, 20_000
_WORKER = "publisher.graders.matching"


class RegexOptions(options.Options, frozen=True, kw_only=True, rename="kebab"):
    """How a pattern is matched."""

    full: bool = False
    """Whether it must match the whole reply, not only some of it."""
    ignore_case: bool = False


_DEFAULTS = RegexOptions()


class _Matching:
    """A grader whose comparison runs in a worker process."""

    def __init__(self, *, seconds: float = 5.0, patience: float = 120.0) -> None:
        """Allow a comparison `seconds` of processor time, and `patience` seconds on the clock."""
        self._pool = Pool(_WORKER, 2, seconds=seconds, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the processes."""
        self._pool.close()

    def _asked(self, what: str, expected: str, flags: list[str], answer: str) -> Match:
        """Have a process match `answer`."""
        if len(answer) > LONGEST:
            return Match("wrong", f"longer than {LONGEST} characters")
        try:
            reply = msgspec.convert(self._pool.ask([what, expected, flags, answer]), Reply)
        except LostError as error:
            return Match("error", str(error))
        except ExceededError as error:
            return self._blamed(what, expected, flags, str(error))
        if reply.said == "failed":
            return Match("error", f"grader_error: {reply.reason}")
        return RIGHT if reply.said == "equal" else Match("wrong", reply.reason)

    def _blamed(self, what: str, expected: str, flags: list[str], limit: str) -> Match:
        """Return whose fault it is that a limit was exceeded: the suite's if an empty reply exceeds it too."""
        try:
            self._pool.ask([what, expected, flags, "" if what == "regex" else "null"])
        except ExceededError:
            return Match("error", f"grader_error: the expected answer {limit}")
        except LostError as error:
            return Match("error", str(error))
        return Match("wrong", limit)


class RegexGrader(_Matching):
    """Looks for a regular expression of Python in everything that was said after the thoughts."""

    name = "regex"
    version = "1"
    form = "text"
    Options = RegexOptions

    def __init__(self, given: RegexOptions = _DEFAULTS, *, seconds: float = 5.0, patience: float = 120.0) -> None:
        """Take the options and the limits of one comparison."""
        super().__init__(seconds=seconds, patience=patience)
        self._flags = [name for name, on in (("full", given.full), ("ignore-case", given.ignore_case)) if on]

    def mistake(self, expected: str) -> str:
        """Return why `expected` is no regular expression, or nothing."""
        if len(expected) > _LONGEST_PATTERN:
            return f"a pattern of more than {_LONGEST_PATTERN} characters"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                re.compile(expected)
        except (re.error, Warning, RecursionError, OverflowError) as error:
            return f"not a regular expression: {error}"
        return "" if expected else "it is empty"

    def compare(self, answer: str, expected: str) -> Match:
        """Return right where the pattern matches."""
        return self._asked("regex", expected, self._flags, answer)


class JsonSchemaGrader(_Matching):
    """Checks a JSON document, the last block of code or the whole reply, against a JSON Schema."""

    name = "json-schema"
    version = "1"
    form = "json"

    def mistake(self, expected: str) -> str:
        """Return why `expected` is no JSON Schema, or nothing."""
        try:
            from publisher.graders.matching import schema_mistake  # noqa: PLC0415 - its library is not in the core
        except ModuleNotFoundError as error:
            raise GraderError(
                f"the grader 'json-schema' needs {error.name}, which is not installed",
                hint="pip install 'snapshot-publisher[grade]'",
            ) from error
        if len(expected) > _LONGEST_SCHEMA:
            return f"a schema of more than {_LONGEST_SCHEMA} characters"
        return schema_mistake(expected)

    def compare(self, answer: str, expected: str) -> Match:
        """Return right where the document is what the schema describes."""
        return self._asked("json-schema", expected, [], answer)
