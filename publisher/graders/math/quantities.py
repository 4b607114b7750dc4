r"""Separate a value from what surrounds it: `x = `, `$`, `%`, a unit, degrees.

Where only one side has a unit it is ignored ("give the length in cm": `5` and `5\text{ cm}`); two different units make
an answer wrong. A percentage equals both its number and its share.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = (
    r"(?:[A-Za-z]|[A-Z]{2,3}|\\angle\s*[A-Z]{1,3}|\\[A-Za-z]+|\\text\s*\{[^{}=]*\})(?:_(?:\w|\{\w+\}))?"
    r"(?:\s*\([A-Za-z, ]*\))?"
)
_ASSIGNMENT = re.compile(rf"\s*(?:{_NAME}|\([A-Za-z]\w*(?:\s*,\s*[A-Za-z]\w*)*\))\s*=\s*(?![=])")
_MEMBER = re.compile(r"\s*[A-Za-z]\s*\\in(?![A-Za-z])\s*")
_TEXT_UNIT = re.compile(r"(.*?[\d})a-z!])\s*\\text\s*\{([^{}\d]*)\}\s*(?:\^\s*\{?\s*[23]\s*\}?)?\s*", re.DOTALL)
_WORD_UNIT = re.compile(
    r"([^A-Za-z]*[\d})])(?:\s+([A-Za-z]{2,}(?:[\s/][A-Za-z]+)*)|(cm|mm|km|kg|mph|min|hours?|ft))"
    r"\.?(?:\s*\^\s*\{?\s*[23]\s*\}?)?\s*"
)
_DEGREES = re.compile(r"(.*?)\s*\^\s*\\circ\s*", re.DOTALL)
_PERCENT = re.compile(r"(.*?)\s*\\?%\s*", re.DOTALL)
_CURRENCY = re.compile(r"\s*([+-]?)\s*\\\$\s*(.*)", re.DOTALL)
_VAGUE = re.compile(r"\b(?:or|and|to|not|about|approximately|more|less|over|under|at|if|otherwise|unless)\b")
_PLURAL = re.compile(r"(?<=[a-z]{2})s\Z")

_UNITS = {
    "percent": "%",
    "dollar": "$",
    "inche": "in",
    "inch": "in",
    "feet": "ft",
    "foot": "ft",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "metre": "m",
    "kilometer": "km",
    "gram": "g",
    "kilogram": "kg",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "hr": "h",
}


class Quantity(NamedTuple):
    """A value and its unit: `%` for a percentage, empty where it has none."""

    value: str
    unit: str


def quantity(text: str) -> Quantity:
    """Return the value and the unit of a tidy single answer."""
    money = _CURRENCY.fullmatch(text)
    if money:
        return Quantity(money[1] + money[2], "$")
    for pattern, unit in ((_PERCENT, "%"), (_DEGREES, "degree")):
        found = pattern.fullmatch(text)
        if found and found[1] and not (unit == "degree" and "\\" in found[1].replace(r"\frac", "")):
            return Quantity(found[1].strip(), unit)
    for pattern in (_TEXT_UNIT, _WORD_UNIT):
        found = pattern.fullmatch(text)
        if found and not _VAGUE.search(text[found.end(1) :]):
            named = next((group for group in found.groups()[1:] if group), "")
            return Quantity(found[1].strip(), _unit(named, text[found.end(1) :]))
    return Quantity(text, "")


def unassigned(text: str) -> str:
    r"""Return the value that `text` gives a variable: `4` for `x = 4`, `[0,1]` for `x \in [0,1]`; a chain is kept."""
    member = _MEMBER.match(text)
    if member:
        return text[member.end() :]
    found = _ASSIGNMENT.match(text)
    return text[found.end() :].strip() if found and "=" not in text[found.end() :] else text


def _unit(name: str, whole: str) -> str:
    power = re.search(r"\^\s*\{?\s*([23])", whole)
    plain = _PLURAL.sub("", name.strip().strip(".").casefold())
    return _UNITS.get(plain, plain) + (power[1] if power else "")
