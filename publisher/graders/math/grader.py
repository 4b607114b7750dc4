"""The `math` grader: shapes first, then exact numbers, then words, and symbolic algebra only for what is left.

Decimals are exact: 0.333 is not 1/3. An equation is an answer only where an equation was asked for. Symbolic work runs
in processes with limits (`workers`). An expression that nobody could evaluate is wrong by its form, before any clock
runs; one that uses up its processor time or memory is wrong too. Only running out of wall-clock time is an error, so
that an outcome does not depend on how busy the machine is and no answer can buy its way out of the score.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import msgspec

from publisher.graders.comparison import RIGHT, WRONG, Match, Reply
from publisher.graders.extract import LIMIT
from publisher.graders.math import rationals
from publisher.graders.math.notation import Refused, tidy, ungrouped, unwrapped
from publisher.graders.math.quantities import Quantity, quantity, unassigned
from publisher.graders.math.structure import Shape, shape
from publisher.graders.workers import ExceededError, LostError, Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from fractions import Fraction
    from types import TracebackType
    from typing import Self

_RELATION = re.compile(r"[<>=]|\\(?:le|ge|ne)(?![A-Za-z])")
_EQUALS = re.compile(r"(?<![<>!\\])=")
_GROUP = re.compile(r"(?<!\\)\{[^{}]*\}")
_WORDS = re.compile(r"\\text\s*\{[^{}]*[A-Za-z][^{}]*\}")
_PROSE = re.compile(r"[A-Za-z][A-Za-z' -]*[A-Za-z]")
_FUNCTIONS = re.compile(r"sin|cos|tan|log|ln|exp|sqrt|pi|arc|deg", re.IGNORECASE)
_CHOICE = re.compile(
    r"\s*(?:\\text\s*\{\s*)?\(([A-Z])\)\s*\}?(.*)|\s*(?:\\text\s*\{\s*)?([A-Z])\s*[.:)]?\s*\}?\s*", re.DOTALL
)
_BASED = re.compile(r"([0-9A-Za-z]+)\s*_\s*\{?\s*(?:\\text\s*\{\s*)?(\w+)\s*\}?\s*\}?")
_UNFINISHED = re.compile(r"\\(?:i*int|oint|lim|sum|prod)(?![A-Za-z])")
_POWER = re.compile(r"(\d+)\s*\^\s*(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})")
_BIG_FACTORIAL = re.compile(r"\d{4,}\s*\)*\s*!|!\s*\)*\s*!")
_BOUNDS = re.compile(r"\\(?:sum|prod)\s*_\s*\{\s*[A-Za-z]\s*=\s*(-?\d{1,4})\s*\}\s*\^\s*\{?\s*(-?\d{1,4})\s*\}?(?!\d)")
_DEPTH = 30


class MathGrader:
    """Compares mathematical answers by value; versioned together with the libraries that decide the hard cases."""

    name = "math"
    version = "2+math-verify-0.9.0"
    form = "box"

    def __init__(self, workers: int = 2, *, seconds: float = 10.0, patience: float = 120.0) -> None:
        """Allow a comparison `seconds` of processor time, and `patience` seconds on the clock."""
        self._pool = Pool("publisher.graders.math.symbolic", workers, seconds=seconds, patience=patience)
        self._cached = functools.lru_cache(maxsize=65_536)(self._decided)
        self._sound = functools.lru_cache(maxsize=65_536)(self._check_expected)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def mistake(self, expected: str) -> str:
        """Return why no answer could be compared with `expected`, or an empty string."""
        if len(expected) > LIMIT:
            return f"it is longer than {LIMIT} characters"
        try:
            gold = tidy(expected)
        except Refused as error:
            return f"it contains {error}"
        return _unmanageable(gold) if gold else "nothing is left of it without its decoration"

    def compare(self, answer: str, expected: str) -> Match:
        """Return whether `answer` has the value and the form of `expected`."""
        if len(answer) > LIMIT:
            return Match("wrong", f"longer than {LIMIT} characters")
        try:
            return self._cached(answer, expected)
        except RecursionError:
            return Match("wrong", "nested too deeply")
        except _UndecidedError as error:
            return error.match

    def _decided(self, answer: str, expected: str) -> Match:
        """Compare, and raise _UndecidedError for an error, so that it is not remembered: the next try may do better."""
        match = self._compare(answer, expected)
        if match.outcome == "error":
            raise _UndecidedError(match)
        return match

    def _compare(self, answer: str, expected: str) -> Match:
        try:
            given, gold = tidy(answer), tidy(expected)
        except Refused as error:
            return Match("wrong", str(error))
        if _squeezed(given) == _squeezed(gold):
            return RIGHT
        choice = _choice(gold, given)
        if choice is not None:
            return RIGHT if choice else WRONG
        if not _equations(gold):
            given = unassigned(given)
        gold, given = unwrapped(gold), unwrapped(given)
        wanted = shape(ungrouped(gold))
        return self._shapes(wanted, shape(ungrouped(given) if wanted.kind == "value" else given))

    def _shapes(self, gold: Shape, given: Shape) -> Match:
        """Compare two shapes and, where the shapes agree, their parts."""
        kinds = (gold.kind, given.kind)
        if kinds == ("value", "value"):
            return self._values(gold.text, given.text)
        if kinds in {("matrix", "matrix"), ("row", "row")}:
            return self._ordered(gold.parts, given.parts)
        if kinds in {
            ("list", "list"),
            ("set", "set"),
            ("list", "set"),
            ("set", "list"),
            ("union", "union"),
            ("list", "()"),
        }:
            return self._unordered(gold.parts, given.parts)
        if kinds == ("()", "list") or (gold.kind == given.kind and gold.kind[0] in "(["):
            return self._ordered(gold.parts, given.parts)
        if "value" in kinds and any(_RELATION.search(side.text) for side in (gold, given)):
            return self._symbolic(gold.text, given.text)
        return Match("wrong", f"a {_called(given.kind)} where a {_called(gold.kind)} was expected")

    def _ordered(self, gold: Sequence[Shape], given: Sequence[Shape]) -> Match:
        """Compare part by part."""
        if len(gold) != len(given):
            return Match("wrong", f"{len(given)} parts where {len(gold)} were expected")
        return _all(self._shapes(left, right) for left, right in zip(gold, given, strict=True))

    def _unordered(self, gold: Sequence[Shape], given: Sequence[Shape]) -> Match:
        """Compare as sets: each part has its equal on the other side."""
        if len(given) > 2 * len(gold):
            return Match("wrong", f"{len(given)} parts where {len(gold)} were expected")
        found = _all(_any(self._shapes(left, right) for right in given) for left in gold)
        if found.outcome != "right":
            return found
        return _all(_any(self._shapes(left, right) for left in gold) for right in given)

    def _values(self, gold: str, given: str) -> Match:
        """Compare two single values."""
        gold, given = gold.strip(), given.strip()
        if not _equations(gold):
            given = unassigned(given)
        elif not _equations(given):
            gold = unassigned(gold)
        if _equations(given) > _equations(gold):
            return Match("wrong", "an equation where a value was expected")
        if _squeezed(given) == _squeezed(gold):
            return RIGHT
        if _BASED.fullmatch(gold) or _BASED.fullmatch(given):
            return Match("right" if _based(gold) == _based(given) else "wrong")
        return self._quantities(quantity(gold), quantity(given))

    def _quantities(self, gold: Quantity, given: Quantity) -> Match:
        """Compare values with their units: percentages by value or number, other units only where both have one."""
        if gold.unit == given.unit:
            return self._plain(gold.value, given.value)
        if "%" in {gold.unit, given.unit}:
            if gold.unit and given.unit:
                return WRONG
            share = [rf"\frac{{{side.value}}}{{100}}" if side.unit else side.value for side in (gold, given)]
            return _any(self._plain(*pair) for pair in ((gold.value, given.value), (share[0], share[1])))
        if gold.unit and given.unit:
            return Match("wrong", f"in {given.unit} where {gold.unit} was expected")
        return self._plain(gold.value, given.value)

    def _plain(self, gold: str, given: str) -> Match:
        """Compare two values without units: exactly where both are rational, as words where one is prose."""
        wanted, why = _rational(ungrouped(gold))
        value, reason = _rational(ungrouped(given))
        if reason:
            return Match("wrong", reason)
        if wanted is not None and value is not None:
            return RIGHT if wanted == value else WRONG
        if why or _is_prose(gold) or _is_prose(given):
            return RIGHT if _spelled(gold) == _spelled(given) else WRONG
        return self._symbolic(gold, given)

    def _symbolic(self, gold: str, given: str) -> Match:
        """Compare by algebra in a worker process, unless the form alone shows that the answer was not worked out."""
        if _squeezed(gold) == _squeezed(given):
            return RIGHT
        unfinished = _UNFINISHED.search(given) and not _UNFINISHED.search(gold) and not _short_sums(given)
        reason = "not a closed form" if unfinished else _unmanageable(given)
        return Match("wrong", reason) if reason else self._asked(_degrees(gold), _degrees(given))

    def _asked(self, gold: str, given: str) -> Match:
        """Have a worker process compare two expressions."""
        try:
            reply = msgspec.convert(self._pool.ask([gold, given]), Reply)
            if reply.said == "failed":
                return Match("error", f"grader_error: {reply.reason}")
            return RIGHT if reply.said == "equal" else Match("wrong", reply.reason)
        except ExceededError as error:
            limit = str(error)
        except LostError as error:
            return Match("error", str(error))
        try:
            why = self._sound(gold)
        except LostError as error:
            return Match("error", str(error))
        return Match("error", f"grader_error: the expected answer {why}") if why else Match("wrong", limit)

    def _check_expected(self, gold: str) -> str:
        """Return which limit the expected answer exceeds all by itself, or nothing; then it is not the given one's."""
        try:
            self._pool.ask([gold, "0"])
        except ExceededError as error:
            return str(error)
        return ""


class _UndecidedError(Exception):
    """A comparison ended in an error."""

    def __init__(self, match: Match) -> None:
        super().__init__(match.reason)
        self.match = match


def _rational(text: str) -> tuple[Fraction | None, str]:
    """Return the exact value, or None with the reason where no value can be worked out."""
    try:
        return rationals.value(text), ""
    except rationals.NotRational:
        return None, ""
    except rationals.Unmanageable as error:
        return None, str(error)


def _unmanageable(text: str) -> str:
    """Return why an expression must not be evaluated, going by its form alone; empty where it may be."""
    depth = deepest = 0
    for character in text:
        depth += (character in "{([") - (character in "})]")
        deepest = max(deepest, depth)
    if deepest > _DEPTH:
        return "nested too deeply"
    if any(_rational(found[0])[1] for found in _POWER.finditer(text)) or _BIG_FACTORIAL.search(text):
        return "too many digits"
    return "a tower of exponents" if re.search(r"\^\s*\{[^{}]*\^\s*\{[^{}]*\^", text) else ""


def _equations(text: str) -> int:
    """Return how many equals signs stand outside braces (those of a sum's bounds do not count)."""
    while text != (text := _GROUP.sub("", text)):
        pass
    return len(_EQUALS.findall(text))


def _short_sums(text: str) -> bool:
    """Return whether every sum, product, integral and limit in `text` is a sum or product of at most 1,000 terms."""
    bounds = _BOUNDS.findall(text)
    return len(bounds) == len(_UNFINISHED.findall(text)) and all(int(b) - int(a) <= 1000 for a, b in bounds)


def _degrees(text: str) -> str:
    r"""Write degrees inside an expression, as in `\sin 30^\circ`, as radians."""
    return re.sub(r"(\d+(?:\.\d+)?)\s*\^\s*\\circ", r"(\1 \\cdot \\frac{\\pi}{180})", text)


def _squeezed(text: str) -> str:
    """Return `text` without the spaces that mean nothing (those between digits and between words do)."""
    return re.sub(r"(?<![0-9A-Za-z]) +| +(?![0-9A-Za-z])", "", text)


def _choice(gold: str, given: str) -> bool | None:
    """Return whether the same letter was chosen, or None where the expected answer is no letter of a choice."""
    wanted = _CHOICE.fullmatch(gold)
    if not wanted or (wanted[1] and wanted[2].strip()) or not (wanted[1] or r"\text" in gold or len(gold) == 1):
        return None
    found = _CHOICE.fullmatch(given)
    return bool(found) and (found[1] or found[3]) == (wanted[1] or wanted[3]) if found else None


def _is_prose(text: str) -> bool:
    return bool(_WORDS.search(text)) or bool(_PROSE.fullmatch(text) and not _FUNCTIONS.search(text))


def _spelled(text: str) -> str:
    """Return the letters and digits of a text, for comparing words."""
    text = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text)
    return re.sub(r"[^\w+-]", "", text.casefold())


def _based(text: str) -> tuple[str, str] | None:
    """Return digits and base of a number such as `2517_8`."""
    found = _BASED.fullmatch(text)
    return (found[1].casefold(), found[2]) if found else None


def _called(kind: str) -> str:
    return kind if kind.isalpha() else "tuple or interval"


def _all(verdicts: Iterable[Match]) -> Match:
    """Return the first match that is wrong; else an error if there is one; else right."""
    doubt = None
    for verdict in verdicts:
        if verdict.outcome == "wrong":
            return verdict
        doubt = verdict if verdict.outcome == "error" else doubt
    return doubt or RIGHT


def _any(verdicts: Iterable[Match]) -> Match:
    """Return right if one match is; else an error if there is one; else the last match."""
    doubt, last = None, WRONG
    for verdict in verdicts:
        if verdict.outcome == "right":
            return verdict
        doubt = verdict if verdict.outcome == "error" else doubt
        last = verdict
    return doubt or last
