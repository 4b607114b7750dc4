"""Copies of a problem that ask the same thing in another guise: other names, another order, other numbers.

A model that has understood a problem solves each copy. The copies of one problem share its `group`, and `robustness`
is the score of the worst of them. Paraphrases and translations cannot be made by rules: write them, with the same
`group` (and `language`).
"""

from __future__ import annotations

import ast
import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from publisher.errors import SuiteError

_WOMEN = (
    "Janet Mary Anna Sarah Emily Wendi Eliza Carla Melanie Claire Lucy Grace Nora Julia Alice Maria Emma Olivia Sophia "
    "Amina Priya Mei Ingrid Yuki Zeynep"
)
_MEN = (
    "John Josh James Tom Kyle Peter Paul Mark Marcus Toby Raymond Carlos Billy Henry Jack Robert Daniel David Kevin "
    "Omar Ravi Wei Lars Kenji Emre"
)
NAMES = tuple(_WOMEN.split()), tuple(_MEN.split())
"""Given names, those that go with "she" and those that go with "he": a pronoun must stay right."""
_LEANS = re.compile(
    r"(?:He|She|It|They|His|Her|Their|Its|This|That|These|Those|Then|After|Before|Next|Finally|Later|Each|The (?:rest|"
    r"other|same|remaining)|If|So|But|However|Also|And)\b"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9$])")
_PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,30})\}")
_TRIES = 1000
_LONGEST_LINE = 1_000_000
_LARGEST = 10**15
_SUMS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def renamed(text: str, draw: random.Random) -> str | None:
    """Return a text with its people called otherwise, each one consistently; None where it names nobody known."""
    chosen: dict[str, str] = {}
    for names in NAMES:
        there = [name for name in names if re.search(rf"\b{name}\b", text)]
        free = [name for name in names if name not in there]
        chosen |= dict(zip(there, draw.sample(free, min(len(there), len(free))), strict=False))
    if not chosen:
        return None
    return re.sub(r"\b(?:" + "|".join(chosen) + r")\b", lambda found: chosen[found[0]], text)


def reordered(text: str, draw: random.Random) -> str | None:
    """Return a text with its statements in another order and its question last; None where there is nothing to move.

    A sentence that leans on the one before it ("She then …") moves together with that one.
    """
    sentences = _SENTENCE.split(text.strip())
    facts, asked = [one for one in sentences if "?" not in one], [one for one in sentences if "?" in one]
    blocks: list[str] = []
    for sentence in facts:
        if blocks and _LEANS.match(sentence):
            blocks[-1] += f" {sentence}"
        else:
            blocks.append(sentence)
    if len(set(blocks)) < 2 or not asked:
        return None
    moved = list(blocks)
    while moved == blocks:
        draw.shuffle(moved)
    return " ".join([*moved, *asked])


def renumbered(problem: Mapping[str, Any], draw: random.Random) -> tuple[str, str]:
    """Return statement and answer of a problem with a `template`, for `numbers` drawn from their ranges.

    The template's places are `{name}`, `numbers` gives each name's smallest and largest value, and `formula` is a sum
    of those names with + - * / and brackets. Only whole answers of 0 or more are taken. SuiteError where a field is
    wrong, or no numbers give such an answer.
    """
    template, numbers = problem.get("template"), problem.get("numbers")
    if not isinstance(template, str) or not isinstance(numbers, dict) or not all(map(_is_range, numbers.values())):
        raise SuiteError(
            f"{problem.get('id')!r} has no template and numbers to draw",
            hint='add "template": "… {a} …", "numbers": {"a": [2, 9]}, "formula": "a * 2"',
        )
    if set(_PLACE.findall(template)) - numbers.keys():
        raise SuiteError(f"{problem.get('id')!r}: its template has places that numbers does not name")
    for _ in range(_TRIES):
        values = {name: draw.randint(low, high) for name, (low, high) in numbers.items()}
        answer = calculated(str(problem.get("formula", "")), values)
        if answer is not None and answer.denominator == 1 and 0 <= answer <= _LARGEST:
            return _PLACE.sub(lambda found: str(values[found[1]]), template), str(answer)  # noqa: B023 - used at once
    raise SuiteError(f"{problem.get('id')!r}: no numbers in its ranges give a whole answer of 0 or more")


def _is_range(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(one, int) and not isinstance(one, bool) and abs(one) <= _LARGEST for one in value)
        and value[0] <= value[1]
    )


def calculated(formula: str, values: Mapping[str, int]) -> Fraction | None:
    """Return what a formula comes to, exactly; None where it divides by 0. SuiteError where it is no formula."""
    try:
        return _value(ast.parse(formula[:1000].strip(), mode="eval").body, values)
    except ZeroDivisionError:
        return None
    except (SyntaxError, ValueError, KeyError, RecursionError, MemoryError) as error:
        raise SuiteError(
            f"{formula[:80]!r} is not a formula of {', '.join(values) or 'numbers'}", hint="use names, + - * / and ()"
        ) from error


def _value(node: ast.expr, values: Mapping[str, int]) -> Fraction:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return Fraction(number)
        case ast.Name(id=name):
            return Fraction(values[name])
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _SUMS:
            return _SUMS[type(sign)](_value(left, values), _value(right, values))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, values)
        case _:
            raise ValueError(ast.dump(node)[:80])


KINDS = ("names", "order", "numbers")


def lines(path: Path, kinds: tuple[str, ...], copies: int, seed: int) -> Iterator[str]:
    """Yield the lines of a suite with variants of its problems; SuiteError names a line that is no problem."""
    with path.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE + 1), b""), 1):
            if not line.strip():
                continue
            try:
                problem = msgspec.json.decode(line, type=dict[str, Any]) if len(line) <= _LONGEST_LINE else {}
            except (msgspec.MsgspecError, RecursionError) as error:
                raise SuiteError(f"{path}, line {number} is not a JSON object: {error}") from error
            if not all(problem.get(key) for key in ("id", "problem", "answer")):
                raise SuiteError(
                    f"{path}, line {number} has no id, problem and answer", hint=f"publisher suites check {path}"
                )
            for one in variants(problem, kinds, copies, seed):
                yield msgspec.json.encode(one).decode()


def variants(problem: Mapping[str, Any], kinds: tuple[str, ...], copies: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a problem with its group, then up to `copies` of each kind that it allows; a seed decides them."""
    name = str(problem["id"])
    yield {**problem, "group": name}
    for kind in kinds:
        seen = {str(problem.get("problem"))}
        for number in range(copies):
            draw = random.Random(f"{seed} {name} {kind} {number}")  # noqa: S311 - makes problems, not secrets
            statement, answer = _copy(problem, kind, draw)
            if statement is None or statement in seen:
                continue
            seen.add(statement)
            known = {key: value for key, value in problem.items() if key not in {"template", "numbers", "formula"}}
            made = {"id": f"{name}-{kind}-{number + 1}", "problem": statement, "answer": answer, "group": name}
            yield {**known, **made}


def _copy(problem: Mapping[str, Any], kind: str, draw: random.Random) -> tuple[str | None, Any]:
    text = str(problem.get("problem", ""))
    match kind:
        case "names":
            return renamed(text, draw), problem.get("answer")
        case "order":
            return reordered(text, draw), problem.get("answer")
        case _:
            return renumbered(problem, draw) if "template" in problem else (None, None)
