"""What answers are like: form, loops, steps, completeness, language, programs, agreement and variants."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from publisher.quality import groups
from publisher.quality.groups import Place
from publisher.quality.loops import is_looping
from publisher.quality.programs import measure as measure_program
from publisher.quality.reasoning import completeness, steps
from publisher.quality.samples import Measurer
from tests.made import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.schema import Sample

STATEMENT = "Ann has 3 bags of 12 apples and eats 6 of them. How many are left?"
WORKED = "First, 3 * 12 = 36 apples.\nThen she eats 6: 36 - 6 = 30.\nThe answer is \\boxed{30}."


@pytest.fixture(scope="module")
def measurer() -> Iterator[Measurer]:
    """One process for all tests of this file."""
    with Measurer() as entered:
        yield entered


def of(measurer: Measurer, text: str, **changes: Any) -> dict[str, float]:
    """Return the measures of an answer to STATEMENT."""
    given = {"outcome": "right", "answer": "30", "statement": STATEMENT, "code": False, "language": ""}
    return measurer.measure(text, **{**given, **changes})


def test_worked_answer_is_complete_and_a_bare_one_is_not(measurer: Measurer) -> None:
    """An answer with its steps scores 1; the bare right answer has neither steps nor a derivation."""
    whole, bare = of(measurer, WORKED), of(measurer, "\\boxed{30}")
    assert (whole["completeness"], whole["steps"]) == (1.0, 2.0)
    assert (bare["completeness"], bare["steps"]) == (0.0, 0.0)
    assert whole["in-format"] == bare["in-format"] == 1.0


def test_answer_that_appears_from_nowhere_is_not_derived() -> None:
    """The working must come to the answer: 30 within 300, or an answer that only the box states, is no derivation."""
    jumped = "First, 3 * 12 = 36 apples.\nThen she eats 6 of these, so 300 or fewer.\n\\boxed{30}"
    assert completeness(jumped, "30", STATEMENT) == pytest.approx(2 / 3)


def test_steps_calculate_or_connect() -> None:
    """A greeting is no step; a calculation and a conclusion are."""
    assert steps("Hello there\nIt is 3 * 4\nTherefore nothing remains\nBye") == 2


@pytest.mark.parametrize(
    ("text", "looping"),
    [
        (WORKED, False),
        ("Let us see. " + "and so on " * 40, True),
        ("I think it is seven. " * 9 + "No, it is eight.", True),
        ("a table\n" + "-" * 400, False),
        ("".join(f"Step {n}: {n} + 1 = {n + 1}\n" for n in range(60)), False),
    ],
)
def test_loops(text: str, *, looping: bool) -> None:
    """A passage or sentence said over and over is a loop; a rule of dashes and counting are not."""
    assert is_looping(text) is looping


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        (WORKED, "en", 1.0),
        ("Zuerst rechnen wir 3 * 12 = 36 Äpfel, danach bleiben noch 30 übrig.", "en", 0.0),
        ("首先计算 3 * 12 = 36，然后减去 6，所以剩下 30 个苹果。", "zh", 1.0),
        ("\\boxed{30}", "en", None),
    ],
)
def test_language(measurer: Measurer, text: str, wanted: str, found: float | None) -> None:
    """The language of an answer is told from its words; a bare formula is in no language."""
    assert of(measurer, text, language=wanted).get("in-language") == found


GOOD = '''Count the words that begin with a vowel, one after another, and add them up.
```python
def count_vowels(words):
    """Count words that begin with a vowel."""
    total = 0
    for w in words:
        if w[0] in "aeiou":
            total += 1
    return total
```'''


def test_program(measurer: Measurer) -> None:
    """Syntax, length, complexity and names are those of the program; the words before it explain it."""
    found = of(measurer, GOOD, code=True)
    assert found["syntax-ok"] == found["naming"] == found["completeness"] == 1.0
    assert (found["code-lines"], found["complexity"]) == (7.0, 3.0)
    poor = of(measurer, "```python\ndef F(X):\n  q = X\n  return q\n```", code=True)
    assert (poor["naming"], poor["completeness"]) == (0.0, 0.0)
    assert of(measurer, "```python\ndef f(:\n```", code=True)["syntax-ok"] == 0.0


def test_body_of_a_function_that_was_begun_parses() -> None:
    """A base model continues a head: its answer is an indented body."""
    assert measure_program("", "    return 1\n")["syntax-ok"] == 1.0


HOSTILE = {
    "one letter": "a" * 100_000,
    "spaces": "1 " * 50_000,
    "blanks": "1" + " " * 99_999,
    "dollars": "$" * 100_000,
    "boxes": "\\boxed{" * 14_000,
    "braces": "{" * 100_000,
    "sentences": ". " * 50_000,
    "nearly a loop": ("ab" * 999 + "c") * 50,
    "digits": "9" * 100_000,
    "commas": "1,2" * 33_000,
    "newlines": "\n" * 100_000,
    "fences": "```python\n" * 10_000,
    "minus": "```python\n" + "-" * 99_000 + "1\n```",
    "brackets": "```python\n" + "(" * 49_000 + ")" * 49_000 + "\n```",
    "attributes": "```python\na" + ".a" * 49_000 + "\n```",
    "sums": "```python\n1" + "+1" * 49_000 + "\n```",
    "ifs": "```python\n" + "".join(" " * n + "if a:\n" for n in range(400)) + " " * 400 + "b\n```",
    "lambdas": "```python\n" + "lambda:" * 14_000 + "0\n```",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answer_is_bounded(measurer: Measurer, name: str) -> None:
    """No text of 100,000 characters takes longer than a second of this process's time, whatever it is made of."""
    began = time.process_time()
    found = of(measurer, HOSTILE[name], code=name in HOSTILE and HOSTILE[name].startswith("```python"), language="en")
    assert time.process_time() - began < 1.0
    assert all(0 <= value <= 100_000 for value in found.values())


def samples(**answers: str) -> list[Sample]:
    """Return samples by problem: `r` is right, another letter is that wrong answer, `-` no answer."""
    words = {"r": "right", "-": "unanswered"}
    return [
        msgspec.structs.replace(SAMPLE, problem=name, sample=place, outcome=words.get(letter, "wrong"), answer=letter)
        for name, letters in answers.items()
        for place, letter in enumerate(letters)
    ]


def test_agreement_and_majority() -> None:
    """Equal answers agree wholly, all different ones not at all; a majority counts where it is right."""
    found = groups.measure(samples(a="rrrr", b="wxyz", c="rrrw"), dict.fromkeys("abc", Place()), code=False)
    entropy_of_c = 0.8112781
    assert found["agreement"] == pytest.approx(100 * (1 + 0 + 1 - entropy_of_c / 2) / 3)
    assert found["majority"] == pytest.approx(100 * 2 / 3)


def test_robustness_is_that_of_the_worst_copy() -> None:
    """A group of variants is as good as its worst copy; a problem without copies is in no group."""
    places = {"a": Place("g"), "b": Place("g"), "c": Place("h"), "d": Place("h"), "e": Place()}
    found = groups.measure(samples(a="rr", b="rw", c="rr", d="rr", e="ww"), places, code=False)
    assert found["robustness"] == 75.0


def test_gaps() -> None:
    """The largest gap between slices and between languages of the same problems is told in points."""
    places = {
        "a": Place("g", ("algebra",), "en"),
        "b": Place("g", ("algebra",), "de"),
        "c": Place("", ("geometry",), ""),
    }
    found = groups.measure(samples(a="rr", b="rw", c="ww"), places, code=False)
    assert (found["slice-gap"], found["language-gap"]) == (75.0, 50.0)
