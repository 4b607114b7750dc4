"""Word problems with their worked answers, and the rule that keeps held-out arithmetic out of training.

Every equation `x op y` that a worked answer writes down is on one of two sides, chosen by a hash of the
equation alone: about one in twenty is held out. A training problem writes no held-out equation at all, in
whatever words; in a suite problem every equation that the question itself asks for is held out. Single-digit
products (and their shifts by ten or a hundred) are the multiplication table and belong to both sides.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from abacus import wording

KINDS: Final = ("add", "subtract", "two-step", "multiply")
HELD_OUT_ONE_IN: Final = 20
BARE_SHARE: Final = 0.08
SUITE_SEED: Final = 2026
SUITE_PROBLEMS_PER_KIND: Final = 125


@dataclass(frozen=True)
class Equation:
    """An arithmetic fact that a worked answer states."""

    left: int
    operator: str
    right: int

    @property
    def result(self) -> int:
        """The value of the left side."""
        if self.operator == "+":
            return self.left + self.right
        return self.left - self.right if self.operator == "-" else self.left * self.right

    def __str__(self) -> str:
        """Write the equation as the model does."""
        return f"{self.left} {self.operator} {self.right} = {self.result}"

    @property
    def held_out(self) -> bool:
        """Whether this equation may only occur in the suite."""
        return _held_out(self.left, self.operator, self.right)


@cache
def _held_out(left: int, operator: str, right: int) -> bool:
    if operator == "*" and len(str(left).rstrip("0")) == 1:
        return False
    if operator != "-":
        left, right = max(left, right), min(left, right)
    digest = hashlib.blake2b(f"{left}{operator}{right}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0


@dataclass(frozen=True)
class Problem:
    """A problem in words with its worked answer."""

    kind: str
    text: str
    asked: tuple[Equation, ...]
    """The operations that the question needs."""
    working: str
    written: tuple[Equation, ...]
    """Every equation of the working, the asked ones among them."""

    @property
    def answer(self) -> int:
        """The number that belongs in the box."""
        return self.asked[-1].result

    @property
    def for_training(self) -> bool:
        """Whether no equation of the working is held out."""
        return not any(equation.held_out for equation in self.written)

    @property
    def for_suite(self) -> bool:
        """Whether every operation asked for is held out."""
        return all(equation.held_out for equation in self.asked)

    @property
    def solution(self) -> str:
        """The whole worked answer."""
        return f"{self.working} The answer is {self.boxed}."

    @property
    def boxed(self) -> str:
        """The answer alone, as a user who wants no working gets it."""
        return f"\\boxed{{{self.answer}}}"


def places(number: int) -> list[int]:
    """Split a number by its digits: 207 is 200 and 7."""
    digits = str(number)
    return [int(digit) * 10 ** (len(digits) - place - 1) for place, digit in enumerate(digits) if digit != "0"]


def steps_of(equation: Equation) -> tuple[Equation, ...]:
    """Return the steps with one digit at a time that lead to an equation's result."""
    if equation.operator == "*":
        return _partial_products(equation)
    steps: list[Equation] = []
    total = equation.left
    for part in places(equation.right):
        steps.append(Equation(total, equation.operator, part))
        total = steps[-1].result
    return tuple(steps)


def _partial_products(product: Equation) -> tuple[Equation, ...]:
    parts = [Equation(part, "*", product.right) for part in places(product.left)]
    sums: list[Equation] = []
    total = parts[0].result
    for part in parts[1:]:
        sums.append(Equation(total, "+", part.result))
        total = sums[-1].result
    return (*parts, *sums)


def work(asked: tuple[Equation, ...]) -> tuple[str, tuple[Equation, ...]]:
    """Return the working for some operations in order, and every equation it contains."""
    written: list[Equation] = []
    sentences: list[str] = []
    for equation in asked:
        steps = steps_of(equation)
        if len(steps) > 1:
            sentences.append(f"{equation.left} {equation.operator} {equation.right}:")
            written.append(equation)
        sentences += [f"{step}." for step in steps]
        written += steps
    return " ".join(sentences), tuple(written)


def make_problem(kind: str, rng: random.Random) -> Problem:
    """Draw one problem of a kind, from either side of the split."""
    asked = _draw_operations(kind, rng)
    text = _tell(asked, rng)
    working, written = work(asked)
    return Problem(kind=kind, text=text, asked=asked, working=working, written=written)


def training_problem(rng: random.Random) -> Problem:
    """Draw a problem that training may see."""
    kind = rng.choices(KINDS, weights=(2, 3, 4, 3))[0]
    while not (problem := make_problem(kind, rng)).for_training:
        pass
    return problem


def _draw_operations(kind: str, rng: random.Random) -> tuple[Equation, ...]:
    if kind == "add":
        return (Equation(_number(rng, 299), "+", _number(rng, 299)),)
    if kind == "subtract":
        return (_difference(_number(rng, 399), rng),)
    if kind == "multiply":
        return (Equation(_number(rng, 399), "*", rng.randint(2, 9)),)
    if rng.random() < 1 / 3:
        first = Equation(_number(rng, 79), "*", rng.randint(2, 9))
    else:
        first = _step(_number(rng, 249), rng)
    return first, _step(first.result, rng)


def _number(rng: random.Random, top: int) -> int:
    return rng.randint(11, 99 if rng.random() < 1 / 3 else top)


def _difference(left: int, rng: random.Random) -> Equation:
    return Equation(left, "-", rng.randint(3, left - 2))


def _step(left: int, rng: random.Random) -> Equation:
    if left > 20 and rng.random() < 1 / 2:
        return _difference(left, rng)
    return Equation(left, "+", _number(rng, 199))


def _tell(asked: tuple[Equation, ...], rng: random.Random) -> str:
    bare = rng.random() < BARE_SHARE
    if len(asked) == 2:
        return _bare_two_step(asked, rng) if bare else _story(asked, rng)
    first = asked[0]
    bares, wholes = {
        "+": (wording.BARE_ADDS, wording.WHOLE_ADDS),
        "-": (wording.BARE_SUBTRACTS, wording.WHOLE_SUBTRACTS),
        "*": (wording.BARE_MULTIPLIES, wording.WHOLE_MULTIPLIES),
    }[first.operator]
    if bare:
        return rng.choice(bares).format(x=first.left, y=first.right)
    if first.operator == "*" or rng.random() < 0.4:
        return _fill([rng.choice(wholes)], _cast(rng), x=first.left, y=first.right)
    return _story(asked, rng)


def _bare_two_step(asked: tuple[Equation, ...], rng: random.Random) -> str:
    first, second = asked
    expression = f"{first.left} {first.operator} {first.right} {second.operator} {second.right}"
    return rng.choice(wording.BARE_TWO_STEPS).format(e=expression)


def _story(asked: tuple[Equation, ...], rng: random.Random) -> str:
    cast = _cast(rng)
    person = asked[0].operator == "*" or rng.random() < 0.75
    gains, losses, questions, starts = (
        (wording.PERSON_GAINS, wording.PERSON_LOSSES, wording.PERSON_QUESTIONS, wording.PERSON_STARTS)
        if person
        else (wording.PLACE_GAINS, wording.PLACE_LOSSES, wording.PLACE_QUESTIONS, wording.PLACE_STARTS)
    )
    first = asked[0]
    changes = asked[1:] if first.operator == "*" else asked
    start = rng.choice(wording.PRODUCT_STARTS if first.operator == "*" else starts)
    sentences = [_fill([start], cast, x=first.left, y=first.right)]
    for change in changes:
        choice = rng.choice(gains if change.operator == "+" else losses)
        sentences.append(_fill([choice], cast, x=change.right, y=0))
    question = _fill([rng.choice(questions)], cast, x=0, y=0)
    return " ".join([*sentences, question])


def _cast(rng: random.Random) -> dict[str, str]:
    (name, pronoun), (other, _) = rng.sample(wording.NAMES, 2)
    holder, holders = rng.choice(wording.HOLDERS)
    things, place = rng.choice(wording.THINGS), rng.choice(wording.PLACES)
    return {"n": name, "p": pronoun, "m": other, "o": things, "w": place, "c": holder, "cs": holders}


def _fill(sentences: list[str], cast: dict[str, str], *, x: int, y: int) -> str:
    text = " ".join(sentences).format(**cast, x=x, y=y)
    return re.sub(r"(^|[.?] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def make_suite(*, seed: int = SUITE_SEED, per_kind: int = SUITE_PROBLEMS_PER_KIND) -> list[Problem]:
    """Draw held-out problems, no two of which ask for the same operations."""
    rng = random.Random(seed)
    suite: list[Problem] = []
    for kind in KINDS:
        seen: set[tuple[Equation, ...]] = set()
        while len(seen) < per_kind:
            problem = make_problem(kind, rng)
            if problem.for_suite and problem.asked not in seen:
                seen.add(problem.asked)
                suite.append(problem)
    if any(problem.for_training for problem in suite):
        message = "a suite problem is also on the training side"
        raise AssertionError(message)
    return suite


def suite_lines(suite: list[Problem]) -> list[str]:
    """Return the suite as lines of JSON, ids numbered by kind."""
    count = dict.fromkeys(KINDS, 0)
    lines = []
    for problem in suite:
        count[problem.kind] += 1
        entry = {
            "id": f"{problem.kind}-{count[problem.kind]:03d}",
            "problem": problem.text,
            "answer": str(problem.answer),
            "kind": problem.kind,
        }
        lines.append(json.dumps(entry))
    return lines


def main() -> None:
    """Write the builtin suite."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.write_text("\n".join(suite_lines(make_suite())) + "\n")


if __name__ == "__main__":
    main()
