"""Run a suite's tests beside the program, in one interpreter: for tests that calls from outside cannot express.

The program could forge this verdict, so suites that need it are marked self-reporting.
"""

from __future__ import annotations

import json
import os


def main() -> None:
    """Define the program, run its tests, and say how they ended."""
    with os.fdopen(os.dup(1), "w") as answers:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        answers.write(json.dumps(["list", *verdict()]) + "\n")


def verdict() -> tuple[str, str]:
    """Return `right` or `wrong`, and why."""
    space: dict[str, object] = {"__name__": "__program__"}
    try:
        with open("/job/plan.json", encoding="utf-8") as stream:
            plan = json.load(stream)
        for file in ("program.py", "tests.py"):
            with open(f"/job/{file}", encoding="utf-8") as stream:
                exec(compile(stream.read(), file, "exec"), space)
        if plan["check"]:
            space[plan["check"]](space[plan["name"]])  # type: ignore[operator]
    except AssertionError as error:
        return "wrong", f"a test failed: {str(error)[:200]}".rstrip(": ")
    except BaseException as error:
        return "wrong", f"raised {type(error).__name__}"
    return "right", ""


main()
