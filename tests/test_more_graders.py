"""The graders with options: numbers, classes, passages, patterns, schemas, and functions of the commit."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from publisher.errors import ConfigError
from publisher.graders import grade, make, mistake_in
from publisher.graders.math.rllm import RllmGrader
from publisher.graders.patterns import RegexGrader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.graders.code.sandbox import Sandbox

OBJECT = '{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}'


@pytest.mark.parametrize(
    ("spec", "text", "expected", "right"),
    [
        ("numeric", "3.14", "3.14", True),
        ("numeric", "3.15", "3.14", False),
        ("numeric:relative=0.01", "3.15", "3.14", True),
        ("numeric:absolute=0.5", "12.4", "12", True),
        ("numeric:absolute=0.5,relative=0", "12.5000001", "12", False),
        ("numeric", r"so \boxed{6.0\times 10^{23}}", "6e23", True),
        ("numeric", "x = 12 cm", "12", True),
        ("numeric", "nan", "12", False),
        ("numeric", "about 12", "12", False),
        ("contains", "In Paris, on\nthe Seine.", "Paris\non the Seine", True),
        ("contains", "In Paris.", "Paris\nSeine", False),
        ("contains:any=true", "In Paris.", "Paris\nSeine", True),
        ("contains:ignore-case=true", "PARIS", "Paris", True),
        ("contains", "<think>Paris</think> Lyon", "Paris", False),
        ("choice", "The answer is (B).", "B", True),
        ("choice", r"\boxed{\text{B}}", "B", True),
        ("choice", "B) because A is too small", "B", True),
        ("choice", "**Answer: B**", "B", True),
        ("choice", "A or B", "B", False),
        ("choice", "A, B", "A", False),
        ("choice", "b", "B", False),
        ("choice", "I like B", "B", False),
        ("choice:labels=positive|very positive", "Class: Very positive.", "very positive", True),
        ("choice:labels=positive|negative", "neutral", "positive", False),
        ("regex", "call 555-1234 now", r"\d{3}-\d{4}", True),
        ("regex:full=true", "call 555-1234 now", r"\d{3}-\d{4}", False),
        ("regex:ignore-case=true", "YES", "^yes$", True),
        ("json-schema", 'Here:\n```json\n{"a": 1}\n```', OBJECT, True),
        ("json-schema", '{"a": 1}', OBJECT, True),
        ("json-schema", '{"a": "1"}', OBJECT, False),
        ("json-schema", "{", OBJECT, False),
    ],
)
def test_answers_are_compared_as_the_options_say(spec: str, text: str, expected: str, right: bool) -> None:
    """Each grader with the options that a suite can set."""
    with make(spec) as grader:
        assert grader.mistake(expected) == ""
        assert (grade(grader, text, expected, "stop").outcome == "right") == right


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("numbers", "is none of math"),
        ("math:strict", "has no options"),
        ("numeric:tolerance=1", "has no option 'tolerance', only absolute, relative"),
        ("numeric:relative", "needs a value"),
        ("numeric:relative=2", "the option 'relative' of the grader 'numeric': Expected `float` < 1.0"),
        ("numeric:relative=nan", "relative"),
        ("numeric:relative=0.1,relative=0.2", "given twice"),
        ("contains:any=perhaps", "Expected `bool`"),
        ("python:../x.py:f", "not of the form"),
        ("python:x.py", "not of the form"),
        ("python:/etc/x.py:f", "not of the form"),
        ("numeric:" + "x" * 600, "longer than"),
    ],
)
def test_a_wrong_option_is_named_when_the_configuration_is_read(spec: str, why: str) -> None:
    """With what there is instead."""
    assert why in mistake_in(spec)


@pytest.mark.parametrize(
    ("spec", "expected", "why"),
    [
        ("numeric", "x", "is not a number"),
        ("numeric", "9" * 5000, "is not a number"),
        ("contains", " \n ", "it is empty"),
        ("choice", "Z", "is none of A, B"),
        ("regex", "(", "not a regular expression"),
        ("regex", "x" * 3000, "more than 2000"),
        ("json-schema", "[]", "must be an object"),
        ("json-schema", '{"type": "number!"}', "$.type"),
        ("json-schema", "[" * 10_000, "not JSON"),
        ("json-schema", '{"$schema": 5}', "$schema is not text"),
        ("json-schema", '{"$schema": ["a"]}', "$schema is not text"),
        ("json-schema", '{"items": {"$ref": "https://example.org/schema"}}', "which is not in it"),
        ("json-schema", '{"anyOf": [{"pattern": "("}]}', "is not a 'regex'"),
    ],
)
def test_an_expected_answer_that_does_not_suit_is_named(spec: str, expected: str, why: str) -> None:
    """When the suite is read, before any sample is generated."""
    assert why in make(spec).mistake(expected)


def test_a_pattern_that_explodes_is_bounded_and_the_one_to_blame_is_found() -> None:
    """An answer that makes it explode is wrong; a pattern that explodes by itself is the suite's error."""
    with RegexGrader(seconds=0.3) as grader:
        begun = time.monotonic()
        assert grader.compare("a" * 40 + "!", "^(a+)+$").outcome == "wrong"
        assert grader.compare("aaa", "^(a+)+$").outcome == "right"
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ('{"$ref": "https://example.org/schema"}', "Unresolvable"),
        ('{"$ref": "file:///etc/passwd"}', "Unresolvable"),
        ('{"$ref": "#"}', "refers to itself without end"),
    ],
)
def test_a_schema_fetches_nothing_and_ends(schema: str, reason: str) -> None:
    """What it refers to elsewhere is the suite's error."""
    with make("json-schema") as grader:
        found = grader.compare("1", schema)
    assert (found.outcome, reason in found.reason) == ("error", True)


@pytest.mark.parametrize("document", ["1e400", "-0", "1" * 400, "[" * 900 + "]" * 900])
def test_no_document_is_an_error(document: str) -> None:
    """Odd numbers and depths conform or do not; an error would be left out of the score."""
    with make("json-schema") as grader:
        found = grader.compare(document, '{"multipleOf": 0.1, "items": {"$ref": "#"}, "maximum": 10}')
    assert found.outcome in {"right", "wrong"}, found


SOURCE = b"""
import os, json
def grade(answer, expected):
    return answer.strip() == expected.strip(), f"not {expected}"
def plain(answer, expected):
    return len(answer) > 3
def broken(answer, expected):
    raise ValueError(answer)
def number(answer, expected):
    return 0.5
def leave(answer, expected):
    os._exit(0)
def network(answer, expected):
    import socket
    try: socket.create_connection(("127.0.0.1", 80), 1)
    except OSError: return True
    return False
def remember(answer, expected):
    if os.path.exists("/tmp/seen"): return False
    open("/tmp/seen", "w").close()
    return True
"""


@pytest.mark.parametrize(
    ("function", "outcome", "reason"),
    [
        ("grade", "wrong", "not 42"),
        ("plain", "right", ""),
        ("broken", "error", "raised ValueError"),
        ("number", "error", "neither True nor False"),
        ("leave", "error", "graders/essay.py"),
        ("absent", "error", "graders/essay.py"),
        ("network", "right", ""),
        ("remember", "right", ""),
    ],
)
def test_a_function_of_the_commit_grades_in_the_sandbox(
    sandbox: Sandbox, function: str, outcome: str, reason: str
) -> None:
    """It reaches nothing, remembers nothing from one answer to the next, and its failure is no wrong answer."""
    with make(f"python:graders/essay.py:{function}", {"graders/essay.py": SOURCE}.get) as grader:
        for _ in range(2):
            found = grade(grader, "forty-two", "42", "stop")
            assert (found.outcome, reason in found.reason) == (outcome, True), found


def test_the_version_of_a_commits_grader_is_its_contents() -> None:
    """So that a run with another file has another fingerprint."""
    versions = {make("python:g.py:f", lambda _, text=text: text).version for text in (b"1", b"2")}  # type: ignore[misc]
    assert len(versions) == 2
    with pytest.raises(ConfigError, match=r"names g\.py, which the commit has not"):
        make("python:g.py:f", lambda _: None)


@pytest.mark.parametrize(("name", "library"), [("stdin", "psutil"), ("json-schema", "jsonschema")])
def test_a_library_that_is_not_installed_is_named(name: str, library: str) -> None:
    """A machine that grades nothing reads the configuration all the same."""
    code = f"""
import sys
sys.modules[{library!r}] = None
from publisher.errors import GraderError
from publisher.graders import make, mistake_in
assert mistake_in({name!r}) == ""
try: make({name!r}).mistake("{{}}")
except GraderError as error: print(error.message, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"the grader '{name}' needs {library}, which is not installed pip install" in done.stdout, done.stderr


@pytest.fixture(scope="module")
def rllm() -> Iterator[RllmGrader]:
    """Return one grader, so that its worker process starts once."""
    with RllmGrader(1) as grader:
        yield grader


@pytest.mark.parametrize(
    ("text", "expected", "outcome"),
    [
        (r"</think>\boxed{42}", "42", "right"),
        (r"\boxed{42}", "42", "unanswered"),
        (r"a</think>\boxed{1}</think>\boxed{42}", "42", "wrong"),
        (r"</think>\boxed {42}", "42", "unanswered"),
        (r"</think>\boxed{\frac12}", r"\frac{1}{2}", "right"),
        (r"</think>\boxed{0.5}", r"\frac{1}{2}", "right"),
        (r"</think>\boxed{\frac{2}{4}}", r"\frac{1}{2}", "wrong"),
        (r"</think>\boxed{6\sqrt{2}}", r"\sqrt{72}", "right"),
        (r"</think>\boxed{42.5 - 0.5}", "42", "wrong"),
        (r"</think>\boxed{123456789012345678}", "123456789012345679", "right"),
        (r"</think>\boxed{(1, 2)}", "(1,2)", "right"),
        (r"</think>\boxed{[1, 2)}", "(1,2)", "wrong"),
        (r"</think>\boxed{\frac{\pi-2}{\pi}}", r"1-\frac{2}{\pi}", "wrong"),
        (r"</think>\boxed{\frac{-1\pm\sqrt{17}}{2}}", r"\frac{-1+\sqrt{17}}{2}, \frac{-1-\sqrt{17}}{2}", "wrong"),
        (r"</think>\boxed{1, \sqrt{2}}", r"\sqrt{2}, 1", "wrong"),
        (r"</think>\boxed{13532215908553332190020108288000000}", r"2^{25} \cdot 26!", "wrong"),
        (r"</think>\boxed{42 \text{ cm}}", "42", "right"),
        (r"</think>\boxed{()._}", "42", "wrong"),
        (r"</think>\boxed{9!!!!}", "42", "wrong"),
    ],
)
def test_the_official_scoring_is_reproduced(rllm: RllmGrader, text: str, expected: str, outcome: str) -> None:
    """With its strictness and its leniency: unreduced fractions are wrong, large numbers are compared as floats."""
    assert grade(rllm, text, expected, "stop").outcome == outcome
