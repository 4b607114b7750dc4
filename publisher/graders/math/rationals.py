r"""Exact arithmetic on LaTeX: return the value of an expression as a `Fraction`, within bounds on its size.

It reads numbers (`1.5e3`, `0.\overline{3}`), `+ - * / ^ !`, `\frac`, `\binom`, roots of perfect powers, brackets,
mixed numbers and juxtaposition. The recursive-descent parser is our own: no `eval`, no library, and sizes are checked
before a power or a factorial is calculated.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_TOKEN = re.compile(r"\s*(\d+\.\d+|\d+\.(?!\\)|\d+|\.\d+|\\[A-Za-z]+|\S)")
_EXPONENT = re.compile(r"[eE]([+-]?\d{1,4})(?![\d.A-Za-z])")
_REPEATING = re.compile(r"\s*(\d*)\.(\d*)\\(?:overline|bar)\{(\d+)\}")
_NUMBER = re.compile(r"\.?\d")
_DEPTH = 40
_BITS = 40_000
_FACTORIAL = 2000
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class NotRational(Exception):  # noqa: N818 - an outcome, not a failure
    """The text is not a rational number in a form that this parser reads."""


class Unmanageable(Exception):  # noqa: N818 - an outcome, not a failure
    """The value is undefined, or has too many digits or levels to be an answer."""


def value(text: str) -> Fraction:
    """Return the exact value of `text`; raises NotRational or Unmanageable."""
    reader = _Reader(text)
    result = reader.sum(0)
    if reader.peek():
        raise NotRational
    return result


def _checked(number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > _BITS:
        raise Unmanageable("too many digits")
    return number


class _Reader:
    """A cursor over the text; each method reads one level of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """Return the next symbol without taking it; empty at the end."""
        found = _TOKEN.match(self.text, self.at)
        return found[1] if found else ""

    def take(self) -> str:
        """Return the next symbol and move past it."""
        found = _TOKEN.match(self.text, self.at)
        if not found:
            raise NotRational
        self.at = found.end()
        return found[1]

    def expect(self, symbol: str) -> None:
        """Take exactly `symbol`."""
        if self.take() != symbol:
            raise NotRational

    def sum(self, depth: int) -> Fraction:
        """Read terms joined by plus and minus."""
        if depth > _DEPTH:
            raise Unmanageable("nested too deeply")
        total = self.product(depth)
        while self.peek() in {"+", "-"}:
            sign = 1 if self.take() == "+" else -1
            total = _checked(total + sign * self.product(depth))
        return total

    def product(self, depth: int) -> Fraction:
        """Read factors joined by an operator or standing side by side (but never two numbers side by side)."""
        if self.peek() in {"+", "-"}:
            return self.product(depth) if self.take() == "+" else -self.product(depth)
        result = self.power(depth)
        while symbol := self.peek():
            if symbol in {"*", r"\cdot", r"\times"}:
                self.take()
                result = _checked(result * self.signed(depth))
            elif symbol in {"/", r"\div"}:
                self.take()
                result = _checked(_quotient(result, self.signed(depth)))
            elif symbol in {"(", "{", r"\frac", r"\sqrt", r"\binom"}:
                result = _checked(result * self.power(depth))
            else:
                break
        return result

    def signed(self, depth: int) -> Fraction:
        """Read a factor that may carry a sign, as in `2 * -3`."""
        if self.peek() in {"+", "-"}:
            return self.signed(depth) if self.take() == "+" else -self.signed(depth)
        return self.power(depth)

    def power(self, depth: int) -> Fraction:
        """Read an atom with its factorials and its exponent."""
        result = self.atom(depth)
        while self.peek() == "!":
            self.take()
            result = _factorial(result)
        if self.peek() == "^":
            self.take()
            result = _power(result, self.exponent(depth + 1))
        return result

    def exponent(self, depth: int) -> Fraction:
        """Read what stands above: a group, or one digit or signed atom."""
        if depth > _DEPTH:
            raise Unmanageable("nested too deeply")
        if self.peek() == "-":
            self.take()
            return -self.exponent(depth)
        if _NUMBER.match(self.peek()):  # TeX would take one digit of 2^10, but people mean 2^{10}
            base = self.number()
            if self.peek() != "^":
                return base
            self.take()
            return _power(base, self.exponent(depth + 1))
        return self.power(depth)

    def atom(self, depth: int) -> Fraction:
        """Read a number, a bracket, a fraction, a root or a binomial coefficient."""
        symbol = self.peek()
        if _NUMBER.match(symbol):
            return self.mixed(depth)
        self.take()
        if symbol in _CLOSING:
            result = self.sum(depth + 1)
            self.expect(_CLOSING[symbol])
            return result
        if symbol == r"\frac":
            return _checked(_quotient(self.group(depth), self.group(depth)))
        if symbol == r"\binom":
            return _binomial(self.group(depth), self.group(depth))
        if symbol == r"\sqrt":
            degree = self.bracket(depth) if self.peek() == "[" else Fraction(2)
            return _power(self.group(depth), _quotient(Fraction(1), degree))
        raise NotRational

    def group(self, depth: int) -> Fraction:
        """Read one braced argument."""
        self.expect("{")
        result = self.sum(depth + 1)
        self.expect("}")
        return result

    def bracket(self, depth: int) -> Fraction:
        """Read one optional argument in square brackets."""
        self.expect("[")
        result = self.sum(depth + 1)
        self.expect("]")
        return result

    def mixed(self, depth: int) -> Fraction:
        r"""Read a number, which a proper fraction behind it makes a mixed one: `2\frac{1}{2}` is five halves."""
        whole = self.number()
        found = re.compile(r"\s*\\frac\{(\d+)\}\{(\d+)\}").match(self.text, self.at)
        if found and whole.denominator == 1 and whole > 0 and int(found[1]) < int(found[2]) and depth >= 0:
            self.at = found.end()
            return whole + Fraction(int(found[1]), int(found[2]))
        return whole

    def number(self) -> Fraction:
        """Read a literal: digits, decimals, an exponent, repeating decimals."""
        repeating = _REPEATING.match(self.text, self.at)
        if repeating:
            self.at = repeating.end()
            return _repeating(*repeating.groups())
        result = Fraction(self.take().rstrip("."))
        found = _EXPONENT.match(self.text, self.at)
        if found:
            self.at = found.end()
            result = _power(Fraction(10), Fraction(int(found[1]))) * result
        if re.compile(r"\s*[\d.]").match(self.text, self.at):
            raise Unmanageable("two numbers side by side")
        return result


def _repeating(whole: str, fixed: str, period: str) -> Fraction:
    shift = 10 ** len(fixed)
    return Fraction(int(whole or "0") * shift + int(fixed or "0"), shift) + Fraction(
        int(period), shift * (10 ** len(period) - 1)
    )


def _quotient(above: Fraction, below: Fraction) -> Fraction:
    if below == 0:
        raise Unmanageable("division by zero")
    return above / below


def _factorial(number: Fraction) -> Fraction:
    if number.denominator != 1 or number < 0:
        raise NotRational
    if number > _FACTORIAL:
        raise Unmanageable("too many digits")
    return Fraction(math.factorial(int(number)))


def _binomial(above: Fraction, below: Fraction) -> Fraction:
    if above.denominator != 1 or below.denominator != 1 or min(above, below) < 0:
        raise NotRational
    if above > _FACTORIAL:
        raise Unmanageable("too many digits")
    return Fraction(math.comb(int(above), int(below)))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """Return base**exponent where that is rational."""
    if exponent.denominator != 1:
        base, exponent = _root(base, exponent.denominator), Fraction(exponent.numerator)
    if base == 0 and exponent <= 0:
        raise Unmanageable("zero to the power of zero or less")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if base not in {0, 1, -1} and bits * abs(exponent) > 2 * _BITS:
        raise Unmanageable("too many digits")
    if base in {1, -1}:
        return Fraction(1) if base == 1 or int(exponent) % 2 == 0 else Fraction(-1)
    return _checked(base ** int(exponent))


def _root(number: Fraction, degree: int) -> Fraction:
    """Return the exact root of `number`; NotRational where it has none."""
    if degree > 64 or number < 0:
        raise NotRational
    roots = []
    for part in (number.numerator, number.denominator):
        guess = _integer_root(part, degree)
        if guess**degree != part:
            raise NotRational
        roots.append(guess)
    return Fraction(*roots)


def _integer_root(number: int, degree: int) -> int:
    """Return the largest integer whose power `degree` is at most `number`, by bisection."""
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**degree <= number:
            low = middle
        else:
            high = middle - 1
    return low
