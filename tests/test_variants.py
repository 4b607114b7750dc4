"""Copies of problems: other names, another order, other numbers."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from publisher.errors import SuiteError
from publisher.quality.variants import calculated, renamed, renumbered, reordered, variants
from tests.project import Project

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Janet has 16 eggs. She eats 3 of them. Tom buys 4 eggs from Janet. How many eggs has Janet?"
TEMPLATE = {
    "id": "p",
    "problem": "Ann has 6 bags of 4. How many in all?",
    "answer": "24",
    "template": "Ann has {a} bags of {b}. How many in all?",
    "numbers": {"a": [2, 9], "b": [3, 30]},
    "formula": "a * b",
}


def test_names_change_together_and_keep_their_pronouns() -> None:
    """Every Janet becomes the same other woman, Tom another man, and nothing else changes."""
    found = renamed(TEXT, random.Random(1))
    assert found is not None
    woman, man = found.split()[0], found.split("them. ")[1].split()[0]
    assert found == TEXT.replace("Janet", woman).replace("Tom", man)
    assert {woman, man}.isdisjoint({"Janet", "Tom"})
    assert renamed("A robe takes 2 bolts.", random.Random(1)) is None


def test_order_changes_but_the_question_stays_last() -> None:
    """A sentence that leans on another moves with it."""
    assert reordered(TEXT, random.Random(1)) == (
        "Tom buys 4 eggs from Janet. Janet has 16 eggs. She eats 3 of them. How many eggs has Janet?"
    )
    assert reordered("A robe takes 2 bolts. How many?", random.Random(1)) is None


def test_numbers_change_with_their_answer() -> None:
    """The answer is what the formula says of the numbers drawn."""
    text, answer = renumbered(TEMPLATE, random.Random(3))
    a, b = (int(word.strip(".")) for word in text.split() if word.strip(".").isdigit())
    assert int(answer) == a * b


@pytest.mark.parametrize("formula", ["__import__('os')", "a ** 9", "a.b", "c + 1", "(" * 900, "", "True + a", "f(a)"])
def test_formula_is_a_sum_of_its_names(formula: str) -> None:
    """Nothing but names, whole numbers, + - * / and brackets is calculated."""
    with pytest.raises(SuiteError, match="is not a formula"):
        calculated(formula, {"a": 1})


def test_answers_that_no_numbers_give() -> None:
    """A template whose answers are never whole, or negative, is a mistake."""
    with pytest.raises(SuiteError, match="whole answer"):
        renumbered({**TEMPLATE, "formula": "a / (b + 1000)"}, random.Random(0))


def test_copies_share_a_group_and_repeat_with_their_seed() -> None:
    """The original comes first; equal copies are left out; the same seed makes the same ones."""
    found = list(variants(TEMPLATE, ("names", "numbers"), 3, seed=5))
    assert found[0]["group"] == found[-1]["group"] == "p"
    assert [one["id"] for one in found[1:3]] == ["p-numbers-1", "p-numbers-2"]
    assert found == list(variants(TEMPLATE, ("names", "numbers"), 3, seed=5))
    assert found[1:] != list(variants(TEMPLATE, ("names", "numbers"), 3, seed=6))[1:]


def test_command_prints_a_suite(tmp_path: Path) -> None:
    """`publisher suites variants` prints lines that are a suite again, and says where a line is none."""
    path = tmp_path / "suite.jsonl"
    path.write_text(json.dumps({"id": "a", "problem": TEXT, "answer": "9"}) + "\n")
    project = Project.create(tmp_path / "p", remote=False)
    done = project.run("suites", "variants", str(path))
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["a", "a-names-1", "a-order-1"]
    path.write_text("[]\n")
    done = project.run("suites", "variants", str(path))
    assert (done.code, "line 1 is not a JSON object" in done.err) == (2, True)
