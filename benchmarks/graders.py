"""Count how each grader decides pairs whose right outcome is known: `python benchmarks/graders.py CASES.jsonl`.

Prints the table of docs/graders.md. Plain math-verify stands beside our own graders as `verify(parse(gold),
parse(prediction))`; it takes a minute, because it runs into its own time-outs.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

from math_verify import parse, verify

from publisher.graders import grade, make

GRADERS = ("math", "math:rllm", "integer", "numeric", "exact")


class Counts(NamedTuple):
    """How many pairs were decided as they should be, and how many were wrongly right or wrongly not right."""

    cases: int
    agreeing: int
    false_right: int
    false_wrong: int


def counts(pairs: list[tuple[bool, bool]]) -> Counts:
    """Return the counts of (expected to be right, found to be right)."""
    false_right, false_wrong = pairs.count((False, True)), pairs.count((True, False))
    return Counts(len(pairs), len(pairs) - false_right - false_wrong, false_right, false_wrong)


def cases(path: Path) -> list[dict[str, str]]:
    """Return the pairs in a file, as they may be stored: without halves of surrogate pairs."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row | {"prediction": row["prediction"].encode(errors="replace").decode()} for row in rows]


def closed(row: dict[str, str]) -> dict[str, str]:
    """Return a pair as a model that thinks first would have written it: after the end of its thoughts."""
    text = row["prediction"]
    return row if "think>" in text else row | {"prediction": f"</think>{text}"}


def of_grader(name: str, rows: list[dict[str, str]]) -> Counts:
    """Return the counts of a grader on those pairs whose expected answer it takes."""
    with make(name) as grader:
        fit = [row for row in rows if not grader.mistake(row["gold"])]
        return counts(
            [(bool(r["expected"]), grade(grader, r["prediction"], r["gold"], "stop").outcome == "right") for r in fit]
        )


def of_math_verify(rows: list[dict[str, str]]) -> Counts:
    """Return the counts of plain math-verify."""
    found = []
    for row in rows:
        right = False
        with contextlib.suppress(Exception):
            right = bool(verify(parse(f"${row['gold']}$"), parse(row["prediction"])))
        found.append((bool(row["expected"]), right))
    return counts(found)


def table(path: Path) -> dict[str, Counts]:
    """Return the counts of each of our graders, by its name as docs/graders.md has it."""
    rows = cases(path)
    found = {f"`{name}`": of_grader(name, rows) for name in GRADERS}
    found["`math:rllm`, each prediction after a `</think>`"] = of_grader("math:rllm", [closed(row) for row in rows])
    return found


def main() -> None:
    """Print the table."""
    path = Path(sys.argv[1])
    found = table(path) | {"plain math-verify 0.9.0": of_math_verify(cases(path))}
    print("| grader | cases | as expected | wrongly right | wrongly not right |\n| --- | --- | --- | --- | --- |")
    for name, (total, agreeing, false_right, false_wrong) in found.items():
        print(f"| {name} | {total} | {agreeing} | {false_right} | {false_wrong} |")


if __name__ == "__main__":
    main()
