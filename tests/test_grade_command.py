"""`publisher grade`, and the counts that docs/graders.md states."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.errors import SuiteError
from publisher.graders import GRADERS, make
from publisher.graders.checking import check, read_pairs, report
from tests.project import Project

if TYPE_CHECKING:
    from publisher.graders.code.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
PAIRS = [
    {"prediction": r"\boxed{42}", "gold": "42", "expected": True, "id": "good"},
    {"prediction": r"\boxed{41}", "gold": "42", "expected": False},
    {"prediction": r"\boxed{41}", "gold": 42, "expected": True, "id": "odd"},
    {"prediction": "I do not know", "gold": "42", "expected": False},
    {"prediction": r"\boxed{42}", "gold": "42", "finish": "length"},
]


def written(folder: Path, *lines: object) -> Path:
    """Return a file of pairs, each a value or a line as it is."""
    path = folder / "pairs.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_pairs_are_counted_against_what_was_expected(tmp_path: Path) -> None:
    """The outcomes, the confusion and the pairs that disagree, without a model or a repository's configuration."""
    project = Project.create(tmp_path)
    done = project.run("grade", "--grader", "math", str(written(tmp_path, *PAIRS)))
    assert (done.code, done.err) == (0, "")
    assert "5 pairs: 1 right, 2 wrong, 1 unanswered, 1 truncated" in done.out
    assert "line 3 (odd): wrong, expected right: the answer was '41'" in done.out
    found = json.loads(project.run("grade", "--grader", "math", "--json", str(tmp_path / "pairs.jsonl")).out)
    assert found["confusion"] == {"true_right": 1, "false_right": 0, "true_wrong": 2, "false_wrong": 1, "error": 0}
    assert [pair["line"] for pair in found["pairs"]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"gold": "42"}', "prediction missing"),
        ('{"prediction": 1, "gold": "42"}', "prediction is not text"),
        ('{"prediction": "x", "gold": "42", "expected": "yes"}', "expected is neither true nor false"),
        ('{"prediction": "x", "gold": "42", "finish": "soon"}', "finish is neither"),
        ('{"prediction": "x", "gold": ""}', "does not suit the grader 'math'"),
        ("[" * 100_000, "not JSON"),
        (json.dumps({"prediction": "x" * (9 << 20), "gold": "1"}), "longer than"),
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path: Path, line: str, why: str) -> None:
    """Before anything is graded."""
    path = written(tmp_path, PAIRS[0], line)
    with pytest.raises(SuiteError) as caught:
        read_pairs(path, make("math"))
    assert f"{path}:2: " in caught.value.message
    assert why in caught.value.message


def test_what_cannot_be_graded_ends_the_command_with_3(tmp_path: Path) -> None:
    """The report is printed all the same."""
    path = written(tmp_path, {"prediction": r"\boxed{x+1}", "gold": r"\frac{", "expected": False})
    done = Project.create(tmp_path).run("grade", "--grader", "math", str(path))
    assert (done.code, "1 pair of 1 could not be graded" in done.err) == (3, True)
    assert "1 error" in done.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--grader", "maths", "pairs.jsonl"), "did you mean 'math'"),
        (("--grader", "math", "absent.jsonl"), "absent.jsonl"),
        (("--grader", "python:absent.py:f", "pairs.jsonl"), "names absent.py"),
    ],
)
def test_a_wrong_grader_or_file_is_a_usage_error(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    """One message and exit code 2."""
    project = Project.create(tmp_path)
    written(tmp_path, PAIRS[0])
    done = project.run("grade", *arguments[:-1], str(tmp_path / arguments[-1]))
    assert (done.code, why in done.err) == (2, True), done.err


def test_programs_are_graded_by_the_command_too(sandbox: Sandbox, tmp_path: Path) -> None:
    """The tests stand in `gold`, as JSON or as its text."""
    tests = {"kind": "stdin", "tests": [{"input": "3\n", "output": "9\n"}]}
    good, bad = "```python\nprint(int(input()) ** 2)\n```", "```python\nprint(input())\n```"
    path = written(
        tmp_path,
        {"prediction": good, "gold": tests, "expected": True},
        {"prediction": bad, "gold": json.dumps(tests), "expected": False},
    )
    done = Project.create(tmp_path).run("grade", "--grader", "stdin", str(path))
    assert (done.code, "2 pairs: 1 right, 1 wrong" in done.out) == (0, True), done.err
    assert sandbox


def test_an_error_counts_as_a_disagreement(tmp_path: Path) -> None:
    """A pair that could not be decided agrees with nothing."""
    path = written(tmp_path, {"prediction": r"\boxed{x+1}", "gold": r"\frac{", "expected": False})
    with make("math") as grader:
        found = report(check(grader, read_pairs(path, grader)))
    assert (found.confusion["error"], len(found.disagreements)) == (1, 1)


def test_every_grader_is_documented() -> None:
    """By its name as a suite writes it."""
    page = (ROOT / "docs" / "graders.md").read_text()
    assert [name for name in GRADERS if f"| `{name}` |" not in page and f"| `{name}:" not in page] == []


def test_the_documented_counts_are_those_of_the_graders(shared: Path) -> None:
    """The page says how often each grader is wrong, so that nobody has to believe it."""
    page = (ROOT / "docs" / "graders.md").read_text()
    table = runpy.run_path(str(ROOT / "benchmarks" / "graders.py"))["table"]
    for name, counts in table(shared / "data" / "grading_cases.jsonl").items():
        assert f"| {name} | {' | '.join(map(str, counts))} |" in page, (name, counts)
