from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.errors import GraderError
from publisher.graders import GRADERS, grade, make
from publisher.graders.code import programs
from publisher.graders.code.outputs import Checker, same_output
from publisher.graders.code.programs import Case, Cases, Result
from publisher.graders.code.sandbox import Sandbox
from publisher.graders.extract import final_code
from tests.measuring import Parrot, job, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.made import GitFolder

ADD = Cases(
    kind="python-tests",
    function="add",
    given='def add(a, b):\n    """Return the sum."""',
    code="def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(-1, 1) == 0\n",
    check="check",
)
ECHO = Cases(kind="stdin", tests=[Case("3\n", "9\n"), Case("4\n", "16\n")], seconds=3.0)
TWICE = Cases(kind="functional", function="twice", tests=[Case("[1, 2]\n3", "[3, 6]")], seconds=3.0)


@pytest.mark.parametrize(
    ("tests", "program", "outcome"),
    [
        (ADD, "    return a + b\n", "right"),
        (ADD, "def add(a, b):\n    return a + b\n", "right"),
        (ADD, "    return a - b\n", "wrong"),
        (ADD, "    pass\n", "wrong"),
        (ADD, "    return a +\n", "wrong"),
        (ADD, "    raise ValueError\n", "wrong"),
        (ADD, "    import os; os._exit(0)\n", "wrong"),
        (ECHO, "print(int(input()) ** 2)", "right"),
        (ECHO, "print(9)", "wrong"),
        (ECHO, "print(int(input()) ** 2); raise SystemExit(1)", "wrong"),
        (TWICE, "def twice(items, n): return tuple(n * item for item in items)", "right"),
        (TWICE, "class Solution:\n    def twice(self, items, n): return [n * item for item in items]", "right"),
        (TWICE, "def twice(items, n): return items", "wrong"),
        (TWICE, "def twice(items, n): return object()", "wrong"),
        (TWICE, "def other(): pass", "wrong"),
    ],
)
def test_programs_are_right_when_they_pass_every_test(
    sandbox: Sandbox, tests: Cases, program: str, outcome: str
) -> None:
    """Whether they print, return, raise, do not compile or end the interpreter."""
    assert programs.run(sandbox, program, tests).outcome == outcome


FORGERIES = {
    "says that it passed": 'print(\'["verdict", "right", ""]\', flush=True)\ndef add(a, b): return 0',
    "writes to every descriptor": (
        'import os\nfor n in range(3, 20):\n    try: os.write(n, b\'["list","verdict","right",""]\\n\')\n'
        "    except OSError: pass\ndef add(a, b): return 0"
    ),
    "answers with an object that equals everything": (
        "class All:\n    def __eq__(self, other): return True\ndef add(a, b): return All()"
    ),
    "answers with a number that equals everything": (
        "class All(int):\n    def __eq__(self, other): return True\n    __hash__ = None\ndef add(a, b): return All()"
    ),
    "ends with exit code 0": "import os\nos._exit(0)",
    "looks for the tests": (
        "import glob\ntext = ''.join(open(name).read() for name in glob.glob('/job/*'))\n"
        "def add(a, b): return (3 if 'candidate(1, 2) == ' + '3' in text else -1)"
    ),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_program_cannot_grade_itself(sandbox: Sandbox, how: str) -> None:
    """Its answers are claims; the tests and the verdict are in another sandbox."""
    assert programs.run(sandbox, FORGERIES[how], ADD).outcome == "wrong"


def test_a_program_that_never_answers_is_wrong(sandbox: Sandbox) -> None:
    """The time is per test."""
    slow = msgspec.structs.replace(ADD, seconds=1.0)
    assert programs.run(sandbox, "def add(a, b):\n    while True: pass", slow).outcome == "wrong"


LINES = {
    "a number": "5",
    "a word that is a list": '["list",["list"],1]',
    "a word that is a dict": '["list",["dict"],1]',
    "three things": '["list","returned",1,2]',
    "a text of two characters": '"ab"',
    "a number of many digits": '["list","raised",["int","0x' + "f" * 9000 + '"]]',
    "a key of many digits": '["list","returned",["dict",[["int","0x' + "f" * 9000 + '"],1]]]',
    "lists within lists": '["list","returned",' + '["list",' * 300 + "1" + "]" * 301,
    "lists too deep to read": "[" * 20_000,
    "no text at all": "\\xff",
    "half a surrogate pair": '["list","raised","\\\\ud800"]',
    "a set": '["list","returned",["set",1,2]]',
    "an object": '["list","returned",{"a":1}]',
    "a key that is a list": '["list","returned",["dict",[["list"],1]]]',
    "nothing packed": '["list","returned",[]]',
}


@pytest.mark.parametrize("tests", [ADD, TWICE], ids=["python-tests", "functional"])
@pytest.mark.parametrize("when", ["", "def add(*given): pass\ntwice = add\n"], ids=["at once", "as answers"])
@pytest.mark.parametrize("what", LINES)
def test_whatever_a_program_writes_it_is_wrong_and_no_error(
    sandbox: Sandbox, tests: Cases, when: str, what: str
) -> None:
    """An error is left out of the score, so no line may become one."""
    ready = '["ready"]\n' if when else ""
    line = LINES[what]
    program = f"import os\nfor n in range(1, 9):\n    try: os.write(n, {ready + line + chr(10)!r}.encode('latin-1'))\n"
    program += f"    except OSError: pass\n{when}"
    assert programs.run(sandbox, program, msgspec.structs.replace(tests, given="")).outcome == "wrong"


def test_what_a_program_says_can_be_stored(sandbox: Sandbox) -> None:
    """Half of a surrogate pair in the name of its exception ended the whole run."""
    program = """import os
def twice(*given):
    for n in range(1, 9):
        try: os.write(n, b'["list","raised","\\\\ud800"]\\n')
        except OSError: pass
"""
    with GRADERS["functional"]() as grader:
        found = grader.compare(program, msgspec.json.encode(TWICE).decode())
    assert (found.outcome, msgspec.json.encode(found.reason)) == ("wrong", b'"test 1: raised ?"')
    assert sandbox


@pytest.mark.parametrize("tests", [ADD, TWICE], ids=["python-tests", "functional"])
def test_numbers_with_one_hash_cost_the_grader_no_time(sandbox: Sandbox, tests: Cases) -> None:
    """Making a set of them takes time in proportion to the square of their number."""
    program = """import os
line = '["list","returned",["set",' + ",".join('["int","%x"]' % ((2**61 - 1) * n + 7) for n in range(9, 25000)) + ']]'
def add(*given):
    for n in range(1, 9):
        try:
            rest = line.encode() + b"\\n"
            while rest: rest = rest[os.write(n, rest):]
        except OSError: pass
twice = add
"""
    before = time.process_time()
    found = programs.run(sandbox, program, msgspec.structs.replace(tests, given=""))
    assert (found.outcome, time.process_time() - before < 1.5) == ("wrong", True)


def test_a_program_that_makes_the_tests_take_too_long_is_wrong(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call within its time, all of them together beyond that of the tests: no error either."""
    monkeypatch.setattr(programs, "_START", 2.0)
    many = msgspec.structs.replace(ADD, seconds=0.6, code="def check(candidate):\n    while True: candidate(1, 2)\n")
    slow = "import time\ndef add(a, b):\n    time.sleep(0.5)\n    return 3"
    assert programs.run(sandbox, slow, many).outcome == "wrong"


def test_tests_that_fail_by_themselves_are_an_error(sandbox: Sandbox) -> None:
    """A suite's own mistake must not count as a wrong answer."""
    broken = msgspec.structs.replace(ADD, code="def check(candidate):\n    Node(1)\n")
    assert programs.run(sandbox, "    return a + b\n", broken).outcome == "error"


def test_testing_ends_at_the_first_test_that_fails(sandbox: Sandbox) -> None:
    """And the result says which it was."""
    found = programs.run(sandbox, "print(9)", ECHO)
    assert found == Result("wrong", "test 2: another output", 1)


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ("1 2\n3\n", "1 2 \n3", True),
        ("1.0", "1", True),
        ("0.1 0.20", "0.10 0.2", True),
        ("1 2 3", "1 2", False),
        ("yes", "Yes", False),
        ("1\n2", "1", False),
        ("nan", "nan", True),
    ],
)
def test_outputs_agree_line_by_line(found: str, wanted: str, *, same: bool) -> None:
    """As text without outer space, or as the same numbers."""
    assert same_output(found, wanted) is same


@pytest.mark.parametrize(
    ("checker", "found", "wanted", "same"),
    [
        ("exact", "a \n", "a ", True),
        ("exact", "a ", "a", False),
        ("tokens", "1 2\n3", "1\n2 3", True),
        ("tokens", "1.0", "1", False),
        ("numbers", "0.3333333", "0.33333334", True),
        ("numbers", "0.33", "0.34", False),
        ("numbers", "nan", "1", False),
        ("numbers", "-7", "inf", False),
        ("numbers", "Infinity", "inf", True),
        ("unordered", "b\na", "a\nb", True),
        ("unordered", "a\na", "a\nb", False),
    ],
)
def test_a_problem_names_how_its_outputs_are_compared(checker: Checker, found: str, wanted: str, *, same: bool) -> None:
    """Where line by line is not what it asks for."""
    assert same_output(found, wanted, checker) is same


ANY_ROOT = Cases(
    kind="stdin",
    tests=[Case("9\n", "3\n"), Case("16\n", "4\n")],
    checker_code="def check(given, found, wanted):\n    return int(found) ** 2 == int(given)\n",
)


def test_where_many_outputs_are_right_the_problem_brings_a_checker(sandbox: Sandbox) -> None:
    """It runs in a sandbox of its own; one that fails is the suite's error."""
    assert programs.run(sandbox, "print(-int(int(input()) ** 0.5))", ANY_ROOT).outcome == "right"
    assert programs.run(sandbox, "print(5)", ANY_ROOT).outcome == "wrong"
    assert programs.run(sandbox, "print('x')", ANY_ROOT).outcome == "wrong"  # the checker raises on it
    broken = msgspec.structs.replace(ANY_ROOT, checker_code="def check(*all): return 'yes'")
    with pytest.raises(GraderError, match="the checker of the suite failed"):
        programs.run(sandbox, "print(3)", broken)


def test_tests_that_run_beside_the_program_are_marked(sandbox: Sandbox) -> None:
    """They see its classes, which no call can pass on; a program could forge their verdict, so they say so."""
    tests = Cases(kind="python-tests", function="f", code="assert type(f()).__name__ == 'Node'\n")
    program = "class Node: pass\ndef f(): return Node()\n"
    assert programs.run(sandbox, program, tests).outcome == "wrong"
    assert programs.run(sandbox, program, tests, self_reporting=True) == Result("right", "self-reported")
    assert programs.run(sandbox, "def f(): return 1", tests, self_reporting=True).outcome == "wrong"
    assert programs.run(sandbox, "import os; os._exit(0)", tests, self_reporting=True).outcome == "wrong"
    with make("python-tests:self-reporting=true") as grader:
        assert grader.compare(program, msgspec.json.encode(tests).decode()).reason == "self-reported"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("Here:\n```python\nx = 1\n```\nDone.", "x = 1\n"),
        ("```py\na\n```\n```python\nb\n```", "b\n"),
        ("<think>```python\nno\n```</think>\n```python\nyes\n```", "yes\n"),
        ("```python\nx\n```\n```text\noutput\n```", "x\n"),
        ("    return 1\n", "    return 1\n"),
        ("````python\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("```python\ncut", None),
        ("```python\na\n```\n```python\ncut", None),
        ("<think>```python\nx\n```", None),
        ("```rust\nfn main() {}\n```", None),
        ("", None),
    ],
)
def test_the_program_is_the_last_closed_block(text: str, program: str | None) -> None:
    """Thoughts hold none, and a block that was cut off is none."""
    assert final_code(text)[0] == program


@pytest.mark.parametrize(
    ("name", "expected", "why"),
    [
        ("python-tests", "not json", "not the JSON"),
        ("python-tests", '{"kind": "python-tests"}', "need `code` and `function`"),
        ("stdin", '{"kind": "stdin"}', "no tests"),
        ("functional", '{"kind": "functional", "tests": [{"input": "1", "output": "2"}]}', "name of a `function`"),
        ("functional", '{"kind": "functional", "function": "f", "tests": [{"input": "x", "output": "2"}]}', "not JSON"),
        ("stdin", msgspec.json.encode(TWICE).decode(), "tests of the kind functional"),
        ("stdin", '{"kind": "stdin", "tests": [], "colour": 1}', "not the JSON"),
        ("stdin", "[" * 100_000, "not the JSON"),
    ],
)
def test_a_mistake_in_a_suite_is_named(name: str, expected: str, why: str) -> None:
    """Before anything runs."""
    assert why in GRADERS[name]().mistake(expected)


def test_the_grader_takes_a_whole_completion(sandbox: Sandbox) -> None:
    """From text to outcome, through the registry."""
    with GRADERS["stdin"]() as grader:
        graded = grade(
            grader, "Sure!\n```python\nprint(int(input())**2)\n```", msgspec.json.encode(ECHO).decode(), "stop"
        )
    assert (graded.outcome, graded.answer) == ("right", "print(int(input())**2)\n")


def test_humaneval_references_pass_and_empty_bodies_do_not(sandbox: Sandbox, shared: Path) -> None:
    """Every eighth problem here; `make conformance` takes all 164."""
    rows = [json.loads(line) for line in (shared / "data" / "humaneval.jsonl").read_text().splitlines()][::8]
    found = [[run_humaneval(sandbox, row, body).outcome for row in rows] for body in (None, "    pass\n")]
    assert (set(found[0]), "right" in found[1]) == ({"right"}, False)


def run_humaneval(sandbox: Sandbox, row: dict[str, str], body: str | None) -> Result:
    """Return how the reference solution, or another body, fares."""
    tests = Cases(
        kind="python-tests", function=row["entry_point"], given=row["problem"], code=row["test"], check="check"
    )
    return programs.run(sandbox, row["answer"] if body is None else body, tests)


def test_a_suite_of_programs_is_not_measured_without_a_sandbox(
    repository: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails closed, before a single sample is generated, with the reason and what to install."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    line = {"id": "a", "problem": "Square it.", "answer": msgspec.json.encode(ECHO).decode()}
    engine = Parrot("print(9)")
    with pytest.raises(GraderError, match="bwrap is not installed") as caught:
        run(job(repository, json.dumps(line).encode(), grader="stdin"), tmp_path, start=engine)
    assert (engine.begun, "apt-get install bubblewrap" in caught.value.hint) == (0, True)


def test_a_suite_of_programs_is_measured(sandbox: Sandbox, repository: GitFolder, tmp_path: Path) -> None:
    """From the model's text to a score, with pass@k, the tests staying outside."""
    lines = [
        {"id": name, "problem": text, "answer": msgspec.json.encode(ECHO).decode()}
        for name, text in (("a", "Square it."), ("b", "Cube it."))
    ]
    answers = {"Square": "```python\nprint(int(input()) ** 2)\n```", "Cube": "```python\nprint(9)\n```"}
    suite = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    result = run(job(repository, suite, grader="stdin", samples=2), tmp_path, start=Parrot("", answers)).record.results[
        0
    ]
    assert (result.score, result.pass_at) == (50.0, {"1": 50.0, "2": 50.0})
    assert sandbox
