r"""The worker process of the `math:rllm` grader: reads pairs of answers, says whether sympy finds a difference.

Both answers are written as plain text first (`normal`): units and dollars go, `\frac{1}{2}` becomes 1/2, `1 1/2`
becomes 1+1/2. A tuple is compared part by part. Sympy's `parse_expr` evaluates Python, so an expression reaches it only
when nothing but numbers, operators, parentheses and at most two different letters is in it.
Source: Lightman et al., "Let's Verify Step by Step" (arXiv 2305.20050), whose grader rllm took over.
"""

from __future__ import annotations

import contextlib
import re
import sys

import sympy
from pylatexenc.latex2text import LatexNodes2Text
from sympy.parsing.sympy_parser import implicit_multiplication_application, parse_expr, standard_transformations

from publisher.graders.comparison import Reply
from publisher.graders.worker import serve

_WORDS = re.compile(r"^\\text\{(.+?)\}$")
_UNITS = (
    *("degree", "cm", "centimeter", "meter", "mile", "second", "minute", "hour"),
    *("day", "week", "month", "year", "foot", "feet", "inch", "yard"),
)
_WRITTEN = (
    *((r"\%", "%"), (r"\$", "$"), ("$", ""), ("%", ""), (" or ", " , "), (" and ", " , ")),
    *(("million", "*10^6"), ("billion", "*10^9"), ("trillion", "*10^12")),
)
_SIGNS = str.maketrans({"√": "sqrt", "π": "pi", "∞": "inf", "∪": "U", "·": "*", "×": "*"})
_COMMAS = re.compile(r"(\d),(\d\d\d)(?=$|\D)")
_FRACTION = re.compile(r"^-?[0-9]+.?/0*[1-9][0-9]*.?$")
_MIXED = re.compile(r"([0-9]) +([0-9])")
_BAD_POWER = re.compile(r"\^[{(]|\^[0-9]+\^|\^[0-9][0-9]+")
_HARMLESS = re.compile(r"(?:[^\W_]|[\s+\-*/^(),!<>=|]|(?<![^\W\d_])\.(?![^\W\d_]))*")
"""Numbers, names and operators: no attribute, index, text or name with an underscore, so nothing that could do harm."""
_BRACKETS = "()[]"


def decide(gold: str, given: str) -> Reply:
    """Return whether `given` counts as `gold`."""
    wanted, found = normal(gold), normal(given)
    if wanted == found:
        return Reply("equal")
    if not found:
        return Reply("different")
    left, right = _parts(wanted), _parts(found)
    if len(left) != len(right) or (len(left) > 1 and (wanted[0], wanted[-1]) != (found[0], found[-1])):
        return Reply("different", f"{len(right)} parts where {len(left)} were expected")
    return Reply("equal" if all(map(_same, left, right)) else "different")


def normal(text: str) -> str:
    """Return an answer as plain text that sympy may be able to read."""
    words = _WORDS.search(text)
    text = words[1] if words else text
    for old, new in _WRITTEN:
        text = text.replace(old, new)
    for unit in _UNITS:
        text = re.sub(rf"{unit}(es)?(s)? *(\^[0-9]+)?", "", text)
    text = re.sub(r"\^ *\\circ", "", text)
    if text and text[0] == "{" and text[-1] == "}":
        text = text[1:-1]
    text = re.sub(r",\\! *", "", text)
    text = _whole(text, text)
    if "\\" in text:
        with contextlib.suppress(Exception):  # what the library cannot read stays as it is
            text = _plain(text)
    text = _MIXED.sub(r"\1+\2", re.sub("- *", "-", text))
    text = text.replace(" ", "").replace("{", "").replace("}", "").lower()
    return _whole(_without_commas(text), text)


def _plain(text: str) -> str:
    for fraction in (r"\tfrac", r"\dfrac"):
        text = text.replace(fraction, r"\frac")
    read: str = LatexNodes2Text().latex_to_text(text.replace(r"\frac", r" \frac"))
    return read.translate(_SIGNS).strip()


def _whole(text: str, otherwise: str) -> str:
    """Return a whole number without its decimals, and `otherwise` where `text` is none."""
    return str(round(float(text))) if _is_whole(text) else otherwise


def _is_whole(text: str) -> bool:
    try:
        value = float(text)
        return abs(value - round(value)) <= 1e-7
    except (ValueError, OverflowError):
        return False


def _without_commas(text: str) -> str:
    while text != (text := _COMMAS.sub(r"\1\2", text)):
        pass
    return text


def _parts(text: str) -> list[str]:
    """Return the parts of a tuple or interval; anything else is one part."""
    text = _without_commas(text)
    inside = text[1:-1]
    if len(text) > 2 and text[0] in _BRACKETS and text[-1] in _BRACKETS and not set(inside) & set(_BRACKETS):
        return [part.strip() for part in inside.split(",")]
    return [text] if text else []


def _same(gold: str, given: str) -> bool:
    """Return whether two parts are equal: fractions to the letter, whole numbers as such, the rest by algebra."""
    if _FRACTION.search(gold) and _FRACTION.search(given):
        return gold == given
    if _is_whole(_without_commas(gold)) != _is_whole(_without_commas(given)):
        return False
    difference = f"({gold})-({given})"
    letters = {sign for sign in difference.replace("sqrt", "").replace("frac", "") if sign.isalpha()}
    if len(letters) > 2 or _BAD_POWER.search(difference) or not _HARMLESS.fullmatch(difference):
        return False
    try:
        read = parse_expr(
            difference.replace("^", "**"),
            transformations=(*standard_transformations, implicit_multiplication_application),
        )
        return bool(sympy.simplify(read) == 0)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - an answer that cannot be read is another answer
        return False


def main() -> None:
    """Answer questions from standard input until it ends."""
    sys.setrecursionlimit(4000)
    serve(lambda question: decide(*question))


if __name__ == "__main__":
    main()
