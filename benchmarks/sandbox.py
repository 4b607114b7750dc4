"""Measure how many small programs the sandbox runs in a second: `python benchmarks/sandbox.py [PROGRAMS]`.

Beside it stand the same programs run by plain `subprocess`, which confines nothing, in turns so that both meet the
same machine. Processor time is printed as well: on a busy machine it is the figure that means something.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.graders.code import programs
from publisher.graders.code.programs import Case, Cases
from publisher.graders.code.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "n = int(input())\nprint(sum(i * i for i in range(n)))\n"
TESTS = Cases(kind="stdin", tests=[Case("1000\n", f"{sum(i * i for i in range(1000))}\n")])
TURNS = 5
ENOUGH = 25.0
"""Programs per second on two cores that grading must reach."""


def plain(python: str, path: Path) -> bool:
    """Run the program without any sandbox and return whether it was right."""
    words = [python, "-I", "-S", "-B", str(path)]
    done = subprocess.run(words, input=TESTS.tests[0].input, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout == TESTS.tests[0].output


def measured(threads: ThreadPoolExecutor, count: int, one: Callable[[], bool]) -> tuple[float, float]:
    """Return the seconds on the clock and of processor time, children included, that `count` programs take."""
    began, before = time.monotonic(), os.times()
    if not all(threads.map(lambda _: one(), range(count))):
        raise SystemExit("a program was wrong: nothing was measured")
    after = os.times()
    used = sum(after[:4]) - sum(before[:4])
    return time.monotonic() - began, used


def main() -> None:
    """Print programs per second and processor time per program, for both ways."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    cores = len(os.sched_getaffinity(0))
    figures = {"sandbox": [0.0, 0.0], "subprocess": [0.0, 0.0]}
    with Sandbox.open() as sandbox, tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(cores) as threads:
        path = Path(folder) / "program.py"
        path.write_text(PROGRAM)
        ways: dict[str, Callable[[], bool]] = {
            "sandbox": lambda: programs.run(sandbox, PROGRAM, TESTS).outcome == "right",
            "subprocess": lambda: plain(sandbox.python, path),
        }
        for _ in range(TURNS):
            for way, one in ways.items():
                for index, value in enumerate(measured(threads, max(1, count // TURNS), one)):
                    figures[way][index] += value
    total = TURNS * max(1, count // TURNS)
    print(f"{total} programs each, {cores} at once")
    for way, (clock, processor) in figures.items():
        print(f"{way:<12}{total / clock:8.1f} per second{1000 * processor / total:8.1f} ms of processor time each")
    print(f"the sandbox takes {figures['sandbox'][0] / figures['subprocess'][0]:.1f} times as long")
    per_second = 2 / (figures["sandbox"][1] / total)
    print(f"two idle cores: at most {per_second:.0f} per second; {ENOUGH:.0f} are wanted")


if __name__ == "__main__":
    main()
