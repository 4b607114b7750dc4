"""A benchmark's rows as this project's problems: one JSON line each, with `id`, `problem`, `answer`, `tags`.

The forms differ in what a row's answer is. `problems`: the answer itself. `gsm8k`: what follows `####`. `humaneval`,
`mbpp` and `livecodebench`: the tests that a program must pass, as the JSON of `programs.Cases`, and beside them, where
the source has one, a `solution`. The same rows make the same bytes, so the suite's digest is that of its problems.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from publisher.bench.inputs.rows import MAX_ROWS, rows
from publisher.errors import SuiteError
from publisher.graders.code import livecodebench
from publisher.graders.code.programs import Cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from publisher.registry import Entry

    Row = dict[str, Any]
    Fields = dict[str, Any]

_SLUG = re.compile(r"[^a-z0-9._-]+")
_NAMES = {
    "problem": ("problem", "question", "prompt", "statement"),
    "answer": ("answer", "expected_answer", "final_answer"),
    "id": ("id",),
}
"""The names that sources give to the fields, the likeliest first."""
_MBPP_TEST = (11, 510)
"""The tasks of MBPP that are its test split."""
_STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters.\n```python\n{code}\n```\n\n"
)
_STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the "
    "inputs, runs the algorithm and writes output to STDOUT.\n```python\n# YOUR CODE HERE\n```\n\n"
)
_LIVECODEBENCH = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests.\n\n### Question:\n{question}\n\n"
    "### Format: {form}### Answer: (use the provided format with backticks)\n\n"
)


class _RowError(Exception):
    """What is wrong with one row."""


def normalised(path: Path, entry: Entry, name: str, where: str) -> Iterator[bytes]:
    """Yield the lines of the suite `name` that the rows of a file make; SuiteError names file, row and problem."""
    make = _FORMS[entry.form]
    count = 0
    for number, row in rows(path, where):
        if not _counts(row, entry):
            continue
        count += 1
        label = f"{where}, row {number}{_label(row)}"
        try:
            fields = make(row, entry, label)
        except (_RowError, KeyError, TypeError, ValueError, SyntaxError) as error:
            said = f"it has no {error}" if isinstance(error, KeyError) else str(error)[:200]
            raise SuiteError(f"{label}: {said}", hint=f"is it the file that {name} is made of?") from error
        line = {"id": _id(row, entry, name, number), **fields, "tags": _tags(row, entry)}
        yield json.dumps({key: value for key, value in line.items() if value not in ({}, "")}).encode() + b"\n"
        if count > MAX_ROWS:
            raise SuiteError(f"{where} has more than {MAX_ROWS} problems")


def _counts(row: Row, entry: Entry) -> bool:
    """Return whether a row belongs to the suite: by its date, or for MBPP by its number."""
    if entry.form == "mbpp":
        number = row.get("task_id")
        return not isinstance(number, int) or _MBPP_TEST[0] <= number <= _MBPP_TEST[1]
    if not entry.since and not entry.before:
        return True
    date = str(row.get("contest_date", ""))[:10]
    return (not entry.since or date >= entry.since) and (not entry.before or date < entry.before)


def _label(row: Row) -> str:
    """Return how a row calls itself, for messages."""
    known = next((row[key] for key in ("id", "task_id", "question_id", "unique_id", "problem_idx") if key in row), None)
    return f" (problem {str(known)[:64]})" if isinstance(known, str | int) else ""


def _id(row: Row, entry: Entry, name: str, number: int) -> str:
    """Return a problem's id: the row's own, in the letters that ids have, or its number."""
    wanted = entry.fields.get("id", _OWN_ID.get(entry.form, "id"))
    given = row.get(wanted) if wanted else None
    if given is None and wanted:
        given = row.get("id")
    if isinstance(given, str) and given.strip():
        slug = _SLUG.sub("-", given.lower().removesuffix(".json")).strip("-._")
        return slug if not slug.isdigit() else f"{name}-{slug}"
    place = given if isinstance(given, int) and not isinstance(given, bool) else number - 1 + entry.first
    return (entry.numbered or f"{name}-{{}}").format(place)


_OWN_ID = {"humaneval": "task_id", "mbpp": "task_id", "livecodebench": "question_id"}


def _tags(row: Row, entry: Entry) -> dict[str, str]:
    """Return the fields of a row that are tags, as text."""
    found = {name: row[name] for name in entry.tags if isinstance(row.get(name), str | int)}
    own = row.get("tags")
    if isinstance(own, dict):
        found |= {str(name): value for name, value in own.items() if isinstance(value, str | int)}
    return {name: str(value) for name, value in sorted(found.items())}


def _text(row: Row, field: str, entry: Entry) -> str:
    """Return one of the fields that every problem has, whatever the source calls it."""
    own = (entry.fields[field],) if entry.fields.get(field) else ()
    value = next((row[name] for name in (*own, *_NAMES[field]) if row.get(name) is not None), None)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise _RowError(f"it has no {field} (looked for {', '.join((*own, *_NAMES[field]))})")
    value = value.replace("\r\n", "\n")
    return value.replace("\t", " ") if entry.tabs == "space" else value


def _problems(row: Row, entry: Entry, _: str) -> Fields:
    fields: Fields = {"problem": _text(row, "problem", entry), "answer": _text(row, "answer", entry)}
    kind = row.get("kind")
    return {**fields, "kind": kind} if isinstance(kind, str) else fields


def _gsm8k(row: Row, entry: Entry, _: str) -> Fields:
    answer = _text(row, "answer", entry).rpartition("####")[2].strip()
    return {"problem": _text(row, "problem", entry), "answer": answer.replace(",", "")}


def _humaneval(row: Row, entry: Entry, _: str) -> Fields:
    head = _text(row, "problem", entry)
    tests = Cases(
        kind="python-tests",
        function=_word(row, "entry_point"),
        given=head,
        code=_word(row, "test"),
        check="check",
        seconds=10.0,
    )
    solution = row.get("canonical_solution", row.get("answer"))
    return {"problem": head.replace("\t", "    "), "answer": _json(tests), "solution": solution or ""}


def _mbpp(row: Row, _: Entry, __: str) -> Fields:
    tests = [str(test).replace("\r\n", "\n") for test in row["test_list"]]
    setup = str(row.get("test_setup_code") or "").replace("\r\n", "\n")
    cases = Cases(
        kind="python-tests", function=_tested(tests), code="\n".join([setup, *tests]).strip() + "\n", seconds=10.0
    )
    task = row.get("text") or row["prompt"]
    shown = "Your code should pass these tests:\n\n" + "\n".join(tests)
    return {"problem": f"{task} {shown}", "answer": _json(cases), "solution": str(row["code"]).replace("\r\n", "\n")}


def _livecodebench(row: Row, _: Entry, where: str) -> Fields:
    cases = livecodebench.tests_of(row, where)
    code = row.get("starter_code") or ""
    form = _STARTER.replace("{code}", code) if code else _STDIN
    problem = _LIVECODEBENCH.replace("{form}", form).replace("{question}", str(row["question_content"]))
    return {"problem": problem.replace("\r\n", "\n").replace("\t", "    "), "answer": livecodebench.packed(cases)}


_FORMS: dict[str, Callable[[Row, Entry, str], Fields]] = {
    "problems": _problems,
    "gsm8k": _gsm8k,
    "humaneval": _humaneval,
    "mbpp": _mbpp,
    "livecodebench": _livecodebench,
}


def _word(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise _RowError(f"its {name} is not text")
    return value.replace("\r\n", "\n")


def _json(tests: Cases) -> str:
    """Return tests as the text of an answer, in ASCII: what a test prints may hold any character."""
    return json.dumps(msgspec.to_builtins(tests))


def _tested(tests: list[str]) -> str:
    """Return the name of the function that MBPP's tests call: the first that is no builtin."""
    for node in ast.walk(ast.parse("\n".join(tests))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in _BUILTINS:
            return node.func.id
    raise _RowError("its tests call no function")


_BUILTINS = frozenset(dir(builtins))
