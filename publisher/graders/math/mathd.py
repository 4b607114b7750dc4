r"""The normalisation of answers that the MATH data set was published with ("mathd"), and that later graders kept.

It rewrites text and knows no mathematics: `\frac12` becomes `\frac{1}{2}`, `0.5` becomes a half, units and degrees go.
Its oddities are kept, because published figures were made with them: `\!` and spaces vanish, `\\` becomes `\`.
Source: Hendrycks et al., "Measuring Mathematical Problem Solving With the MATH Dataset" (arXiv 2103.03874).
"""

from __future__ import annotations

import re

_WORDS = re.compile(r"^\\text\{(.+?)\}$")
_UNIT = r"\text{ "
_BEFORE = (
    ("\n", ""),
    (r"\!", ""),
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    (r"\left", ""),
    (r"\right", ""),
    (r"^{\circ}", ""),
    (r"^\circ", ""),
    (r"\$", ""),
)
_AFTER = ((r"\%", ""), (" .", " 0."), ("{.", "{0."))


def mathd(answer: str) -> str:
    """Return an answer in the normal form; where a rule does not apply to it, as it is."""
    answer = answer.strip()
    words = _WORDS.search(answer)
    answer = words[1].strip() if words else answer
    try:
        return _rewritten(answer)
    except (IndexError, ValueError):
        return answer


def _rewritten(text: str) -> str:
    text = _replaced(text, _BEFORE)
    if _UNIT in text:
        text, _unit = text.split(_UNIT)  # ValueError where there are two
    text = _replaced(text, _AFTER)
    if not text:
        return text
    text = f"0{text}" if text[0] == "." else text
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = _braced_fractions(_braced_roots(text).replace(" ", ""))
    return _quotient(r"\frac{1}{2}" if text == "0.5" else text)


def _replaced(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def _braced_roots(text: str) -> str:
    r"""Put braces around the character after `\sqrt`; IndexError where there is none."""
    first, *rest = text.split(r"\sqrt")
    return first + "".join(rf"\sqrt{part}" if part[0] == "{" else rf"\sqrt{{{part[0]}}}{part[1:]}" for part in rest)


def _braced_fractions(text: str) -> str:
    r"""Put braces around the two characters after `\frac`; IndexError where there are none."""
    first, *rest = text.split(r"\frac")
    found = [first]
    for part in rest:
        if part[0] == "{":
            found.append(rf"\frac{part}")
        elif len(part) < 2:
            return text
        else:
            below = part[1:] if part[1] == "{" else f"{{{part[1]}}}{part[2:]}"
            found.append(rf"\frac{{{part[0]}}}{below}")
    return "".join(found)


def _quotient(text: str) -> str:
    """Write a quotient of two whole numbers as a fraction."""
    sides = text.split("/")
    if len(sides) != 2 or any(len(side) > 1000 for side in sides):
        return text
    try:
        above, below = (int(side) for side in sides)
    except ValueError:
        return text
    return rf"\frac{{{above}}}{{{below}}}" if text == f"{above}/{below}" else text
