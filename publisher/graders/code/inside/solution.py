"""Serve calls of a program's function: a line in, a line out. Runs inside the sandbox beside `program.py`.

A line is [name, arguments]; the answer is ["returned", value] or ["raised", the exception's type]. What the program
prints goes nowhere. A program may write anything to our output: it can answer wrongly, and that is all, because no
expected answer is in its sandbox.
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, "/job")

import values


def main() -> None:
    """Answer calls until the input ends."""
    lines, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    sys.setrecursionlimit(10_000)
    space: dict[str, object] = {"__name__": "__program__"}
    with open("/job/program.py", encoding="utf-8") as stream:
        source = stream.read()
    try:
        exec(compile(source, "program.py", "exec"), space)
    except BaseException as error:
        answers.write(json.dumps(["broken", type(error).__name__]) + "\n")
        answers.flush()
        return
    answers.write('["ready"]\n')
    answers.flush()
    for line in lines:
        answers.write(_answer(space, *values.loads(line)) + "\n")
        answers.flush()


def _answer(space: dict[str, object], name: str, arguments: list[object]) -> str:
    try:
        function = space.get(name)
        if function is None and "Solution" in space:
            function = getattr(space["Solution"](), name)
        return values.dumps(["returned", function(*arguments)])
    except values.Foreign as error:
        return values.dumps(["foreign", str(error)])
    except BaseException as error:
        return values.dumps(["raised", type(error).__name__])


main()
