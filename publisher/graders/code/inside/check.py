"""Run a suite's own tests against a function that lives in another sandbox. Nothing of the model is in this one.

`given.py` is the problem's own code, `tests.py` the tests, `plan.json` says which name they test and how they are
called. A call of that name is a line out, [name, arguments], and a line in; the last line out is ["verdict", …].
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, "/job")

import values


class Raised(Exception):
    """The program raised an exception where a test called it."""


class Candidate:
    """The function under test, which runs in another sandbox: a call is a line out and a line in."""

    def __init__(self, name, calls, answers):
        """Speak for the program's function `name`."""
        self.name, self._calls, self._answers = name, calls, answers
        self.called = False

    def __call__(self, *arguments):
        """Call the program; raises Raised where it raised."""
        self.called = True
        self.say(["call", self.name, list(arguments)])
        word, value = values.loads(self._answers.readline())
        if word != "returned":
            raise Raised(f"{word} {value}")
        return value

    def say(self, value):
        """Write a line."""
        self._calls.write(values.dumps(value) + "\n")
        self._calls.flush()


def main() -> None:
    """Run the tests and say how they ended."""
    calls, answers = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    with open("/job/plan.json", encoding="utf-8") as stream:
        plan = json.load(stream)
    candidate = Candidate(plan["name"], calls, answers)
    try:
        run(plan, candidate)
    except AssertionError as error:
        candidate.say(["verdict", "wrong", f"a test failed: {str(error)[:200]}".rstrip(": ")])
    except Raised as error:
        candidate.say(["verdict", "wrong", f"the program {error}"[:200]])
    except BaseException as error:
        # Tests that fail by themselves are the suite's fault; once the program has answered, its answer made them fail.
        word = "wrong" if candidate.called else "error"
        candidate.say(["verdict", word, f"the tests raised {type(error).__name__}"])
    else:
        candidate.say(["verdict", "right", ""])


def run(plan, candidate) -> None:
    """Define what was given, then run the tests with the candidate under the name that they test."""
    space = {"__name__": "__tests__"}
    for file in ("given.py", "tests.py"):
        with open(f"/job/{file}", encoding="utf-8") as stream:
            source = stream.read()
        if file == "tests.py":
            space[plan["name"]] = candidate
        exec(compile(source, file, "exec"), space)
    if plan["check"]:
        space[plan["check"]](candidate)


main()
