"""Three ways to test a program, each with the comparison outside the program's sandbox.

`stdin`: the program reads a test's input and prints; its output is compared line by line. `functional`: a function is
called with each test's arguments, and what it returns is compared. `python-tests`: the suite's own tests run in a
second sandbox, which holds nothing of the model, and call the function in the first one. So no program grades itself.
Only tests that calls cannot express run beside the program (`self_reporting`).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from publisher.errors import GraderError
from publisher.graders.code.inside import values
from publisher.graders.code.outputs import Checker, same_output
from publisher.graders.code.sandbox import Limits
from publisher.graders.code.watching import Clock

if TYPE_CHECKING:
    from publisher.graders.code.sandbox import Running, Sandbox

_INSIDE = Path(__file__).parent / "inside"
_MOST_CALLS = 20_000
_START = 10.0
"""Seconds for Python to start and to define the program's functions."""


class Case(msgspec.Struct, frozen=True):
    """One test: what goes in, what must come out. For `functional`, each line of `input` is one argument in JSON."""

    input: str
    output: str


class Cases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expected answer of a problem whose answer is a program."""

    kind: Literal["stdin", "functional", "python-tests"]
    tests: list[Case] = []
    function: str = ""
    """The name that is called: of a function, or of a method of the class `Solution`."""
    given: str = ""
    """Code that stands before the program's: imports and helpers, or a function's head that is to be continued."""
    code: str = ""
    """The tests of `python-tests`."""
    check: str = ""
    """The function of `code` that takes the function under test; "" where running `code` is the test."""
    seconds: Annotated[float, Meta(gt=0, le=600)] = 6.0
    """Seconds of the program's own time per test (`watching`)."""
    memory: Annotated[int, Meta(ge=16 << 20, le=64 << 30)] = 1 << 30
    """Resident bytes of all its processes."""
    checker: Checker = "lines"
    """How outputs of `stdin` are compared (`outputs`)."""
    tolerance: Annotated[float, Meta(ge=0, le=1)] = 1e-6
    """Of the checker `numbers`."""
    checker_code: str = ""
    """Python with a function `check(input, output, expected)`, which returns whether the output is right."""


class Result(msgspec.Struct, frozen=True):
    """How a program fared: right, wrong or not decidable, why, and how many tests it passed before."""

    outcome: Literal["right", "wrong", "error"]
    reason: str = ""
    passed: int = 0


def mistake(text: str) -> str:
    """Return why a text is no expected answer of a code grader, or nothing."""
    try:
        tests = msgspec.json.decode(text, type=Cases)
    except (msgspec.MsgspecError, RecursionError) as error:
        return f"not the JSON of tests: {error}"
    if tests.kind == "python-tests":
        return "" if tests.code and tests.function.isidentifier() else "python-tests need `code` and `function`"
    if not tests.tests:
        return "no tests"
    if tests.kind == "functional":
        if not tests.function.isidentifier():
            return "functional tests need the name of a `function`"
        return next((why for test in tests.tests for why in [_unreadable(test)] if why), "")
    return ""


def _unreadable(test: Case) -> str:
    try:
        for line in [*test.input.splitlines(), test.output]:
            msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        return f"a functional test is not JSON: {test.input[:60]!r}"
    return ""


def run(sandbox: Sandbox, program: str, tests: Cases, *, self_reporting: bool = False) -> Result:
    """Return how a program fares; testing ends at the first test that it fails.

    With `self_reporting`, tests of the kind `python-tests` run beside the program, which could forge their verdict.
    Raises GraderError where the sandbox fails, or the machine is too busy: that says nothing about the program.
    """
    source = complete(program, tests)
    if self_reporting and tests.kind == "python-tests":
        return _beside(sandbox, source, tests)
    if tests.kind == "stdin":
        return _stdin(sandbox, source, tests)
    limits = Limits(seconds=_START + tests.seconds * max(1, len(tests.tests)), memory=tests.memory)
    with sandbox.start(_files(source), "solution.py", limits=limits) as running:
        ready = running.line(_START)
        if ready != b'["ready"]':
            return Result("wrong", _why(running, ready, "the program does not start"))
        if tests.kind == "functional":
            return _functional(running, tests)
        return _python_tests(sandbox, running, tests)


def call(sandbox: Sandbox, source: bytes, function: str, arguments: list[Any], limits: Limits) -> tuple[str, Any]:
    """Return ("returned", value) of one call of a function of `source`, or (why there is no value, None)."""
    with sandbox.start({"program.py": source, **_inside("solution.py")}, "solution.py", limits=limits) as running:
        ready = running.line(limits.seconds)
        if ready != b'["ready"]':
            return _why(running, ready, "the file cannot be loaded"), None
        running.feed(values.dumps([function, arguments]).encode() + b"\n")
        line = running.line(limits.seconds)
        word, _ = _reply(line)
        if word != "returned" or line is None:
            return _why(running, line, word), None
        try:
            return "returned", values.loads(line)[1]
        except ValueError:
            return "an answer that cannot be read", None


def complete(program: str, tests: Cases) -> str:
    """Return the program after what was given: a whole function stands by itself, a body continues its head."""
    if not tests.given:
        return program
    name = tests.function
    whole = any(
        line.startswith((f"def {name}(", f"def {name} (", f"async def {name}(")) for line in program.splitlines()
    )
    # The head of the function that is defined anew does no harm before it; its imports and helpers are needed.
    return f"{tests.given.rstrip()}\n    pass\n\n{program}" if whole else f"{tests.given.rstrip()}\n{program}"


def _files(source: str) -> dict[str, bytes]:
    return {"program.py": source.encode("utf-8", "replace"), **_inside("solution.py")}


@functools.cache
def _inside(name: str) -> dict[str, bytes]:
    """Return one of our own programs with what it imports."""
    return {file: (_INSIDE / file).read_bytes() for file in (name, "values.py")}


def _stdin(sandbox: Sandbox, source: str, tests: Cases) -> Result:
    files = {"program.py": source.encode("utf-8", "replace")}
    limits = Limits(seconds=tests.seconds, memory=tests.memory)
    for number, test in enumerate(tests.tests):
        done = sandbox.run(files, "program.py", stdin=test.input.encode(), limits=limits)
        if done.limit:
            return Result("wrong", f"test {number + 1}: over the limit of {done.limit}", number)
        if done.code != 0:
            last = (done.errors.strip().splitlines() or [f"exit code {done.code}"])[-1]
            return Result("wrong", f"test {number + 1}: {last[:200]}", number)
        if not _is_output(sandbox, done.output.decode("utf-8", "replace"), test, tests):
            return Result("wrong", f"test {number + 1}: another output", number)
    return Result("right", "", len(tests.tests))


def _is_output(sandbox: Sandbox, found: str, test: Case, tests: Cases) -> bool:
    """Return whether an output is right; GraderError where the suite's own checker fails by itself.

    A checker that fails on this output but takes the expected one could not read it: then the output is wrong.
    """
    if not tests.checker_code:
        return same_output(found, test.output, tests.checker, tests.tolerance)
    said, value = _checked(sandbox, found, test, tests)
    if said == "returned" and isinstance(value, bool):
        return value
    known, wanted = _checked(sandbox, test.output, test, tests)
    if known == "returned" and wanted is True and said != "returned":
        return False
    raise GraderError(f"the checker of the suite failed: {said if said != 'returned' else 'neither True nor False'}")


def _checked(sandbox: Sandbox, found: str, test: Case, tests: Cases) -> tuple[str, Any]:
    """Return what the suite's checker says of an output, in a sandbox of its own."""
    limits = Limits(seconds=_START)
    return call(sandbox, tests.checker_code.encode(), "check", [test.input, found, test.output], limits)


def _functional(running: Running, tests: Cases) -> Result:
    for number, test in enumerate(tests.tests):
        arguments = [msgspec.json.decode(line) for line in test.input.splitlines()]
        running.feed(values.dumps([tests.function, arguments]).encode() + b"\n")
        line = running.line(tests.seconds)
        word, value = _reply(line)
        if word != "returned":
            return Result("wrong", f"test {number + 1}: {_why(running, line, word)}", number)
        if not _is_value(value, test.output):
            return Result("wrong", f"test {number + 1}: another value", number)
    return Result("right", "", len(tests.tests))


def _is_value(value: Any, output: str) -> bool:
    """Return whether a program's value is the expected one; one that cannot be compared is another."""
    try:
        return bool(_plain(value) == msgspec.json.decode(output))
    except (ValueError, TypeError, RecursionError):  # a key of 5,000 digits, or lists a thousand deep
        return False


def _plain(packed: Any) -> Any:
    """Return a packed value as JSON would have it: tuples become lists, as in LiveCodeBench.

    ValueError for a set, and for a key that is no scalar: JSON has neither.
    """
    if not isinstance(packed, list):
        return values.scalar(packed)
    kind, *items = packed
    if kind in {"list", "tuple"}:
        return [_plain(item) for item in items]
    if kind == "dict":
        return {str(values.scalar(key)): _plain(item) for key, item in items}
    return values.scalar(packed)


def _beside(sandbox: Sandbox, source: str, tests: Cases) -> Result:
    """Run the tests beside the program; what it says about them has to be believed."""
    files = {
        "plan.json": msgspec.json.encode({"name": tests.function, "check": tests.check}),
        "tests.py": tests.code.encode(),
        "program.py": source.encode("utf-8", "replace"),
        **_inside("beside.py"),
    }
    limits = Limits(seconds=_START + tests.seconds, memory=tests.memory)
    with sandbox.start(files, "beside.py", limits=limits) as running:
        line = running.line(limits.seconds)
        word, reason = _pair(line or b"null")
        if word == "right":
            return Result("right", "self-reported")
        said = reason if word == "wrong" and isinstance(reason, str) else _why(running, line, "no verdict in time")
        return Result("wrong", said[:200])


def _python_tests(sandbox: Sandbox, running: Running, tests: Cases) -> Result:
    """Let the suite's tests run in a sandbox of their own and pass their calls on."""
    plan = {"name": tests.function, "check": tests.check}
    files = {
        "plan.json": msgspec.json.encode(plan),
        "given.py": f"{tests.given.rstrip()}\n    pass\n".encode() if tests.given else b"",
        "tests.py": tests.code.encode(),
        **_inside("check.py"),
    }
    limits = Limits(seconds=2 * _START + tests.seconds, memory=tests.memory)
    with sandbox.start(files, "check.py", limits=limits) as checking:
        together = Clock(_START + tests.seconds, running.watch, checking.watch)
        for passed in range(_MOST_CALLS):
            line = checking.line(together)
            if line is None:
                # Once the program has answered, what it answered and the time it took are why the tests do not end.
                return Result("wrong" if passed else "error", "the tests did not end in time", passed)
            message = values.loads(line)
            if message[0] == "verdict":
                return Result(message[1], message[2], passed)
            running.feed(values.dumps(message[1:]).encode() + b"\n")
            answer = running.line(tests.seconds)
            if answer is None:
                return Result("wrong", _why(running, answer, "no answer in time"), passed)
            try:
                checking.feed(json.dumps(["list", *_reply(answer)]).encode() + b"\n")
            except RecursionError:
                return Result("wrong", "an answer that is nested too deeply", passed)
    return Result("wrong", f"the tests made more than {_MOST_CALLS} calls", _MOST_CALLS)


def _reply(line: bytes | None) -> tuple[str, Any]:
    """Return what the program's side said, as far as it has the form of an answer.

    A program can write any line. Whatever it writes must make it wrong: an exception of ours would be an error, which
    no score counts.
    """
    if line is None:
        return "no answer in time", None
    word, value = _pair(line)
    return (word, value) if word in {"returned", "raised", "foreign"} else ("no answer", None)


def _pair(line: bytes) -> tuple[str, Any]:
    """Return the word and the packed value in a line, or an empty word where it does not hold just these.

    The value stays packed: a set or a dictionary of chosen numbers, all with one hash, would take minutes to make here.
    """
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return "", None
    if isinstance(said, list) and len(said) == 3 and said[0] == "list" and isinstance(said[1], str):
        return said[1], said[2]
    return "", None


def _why(running: Running, line: bytes | None, otherwise: str) -> str:
    """Return why a program failed, from its own last words where it has some."""
    word, value = _pair(line or b"null")
    said = value[:100] if isinstance(value, str) else "something else"
    if word in {"raised", "broken"}:
        return f"raised {said}"
    if word == "foreign":
        return f"returned an object of type {said}"
    last = (running.errors.strip().splitlines() or [""])[-1]
    return last[:200] or otherwise
