"""The working of an answer: its steps, and whether those that lead to the answer are there."""

from __future__ import annotations

import re

LONGEST = 100_000
"""Characters of a text that are looked at; the end counts, because answers stand there."""
ENOUGH_STEPS = 2
_SHORT = 100
_NUMBERS = 200
"""Numbers of a statement that are looked for."""
_SPLIT = re.compile(r"\n|(?<=[.!?。！？])\s")
_CALCULATES = re.compile(
    r"[=<>≤≥≈≡→⇒]|\d ?[-+*/×÷^%·] ?[\d(\\$]|\\(?:frac|times|cdot|div|sqrt|implies|Rightarrow|equiv|le|ge)\b"
)
_CONNECTS = re.compile(
    r"\b(?:so|therefore|thus|hence|since|because|then|first|second|next|finally|step|if|let|suppose|we|means|implies|"
    r"also|daher|zuerst|donc|alors|entonces|luego|значит|тогда)\b|因此|所以|首先|然后|因为",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_BOX = re.compile(r"\\(?:boxed|fbox)|final answer|the answer is|####", re.IGNORECASE)


def steps(text: str) -> int:
    """Return how many lines or sentences of a text calculate, compare or connect one statement with another."""
    return sum(
        1
        for part in _SPLIT.split(text)
        if len(part) > 1 and (_CALCULATES.search(part[:1000]) or _CONNECTS.search(part[:1000]))
    )


def working(text: str) -> str:
    """Return the text before its last announcement of an answer: a box, or words that say so; else before its end."""
    places = [found.start() for found in _BOX.finditer(text)]
    if not places:
        return text.rstrip().rpartition("\n")[0] or text
    start = text.rfind("\n", 0, places[-1]) + 1
    # What stands in the same line before the box still belongs to the working.
    return text[: places[-1]] if places[-1] - start > 20 else text[:start]


def completeness(text: str, answer: str, statement: str) -> float:
    """Return how far the steps that lead to an answer are there, from 0 to 1; 0 without an answer.

    The mean of three shares: two steps at least; the answer comes up in the working before it is stated; the working
    uses the numbers of the statement.
    """
    if not answer.strip():
        return 0.0
    before = working(text)
    if len(answer) > _SHORT:  # graders of whole replies: the last number is what the reply comes to
        answer = (_NUMBER.findall(answer) or [answer])[-1]
    enough = min(1.0, steps(before) / ENOUGH_STEPS)
    derived = float(_holds(before, answer.strip()[:200]))
    asked = {_plain(number) for number in _NUMBER.findall(statement[:LONGEST])[:_NUMBERS]}
    used = {_plain(number) for number in _NUMBER.findall(before)} & asked
    return (enough + derived + (len(used) / len(asked) if asked else 1.0)) / 3


def _plain(number: str) -> str:
    return number.replace(",", "").rstrip(".")


def _holds(text: str, answer: str) -> bool:
    """Return whether the answer stands in the text; a number as a whole one: 2 is no part of 12."""
    numbers = _NUMBER.findall(answer)
    if numbers and _NUMBER.sub("", answer).strip(" $€£%\\.,") == "":
        return _plain(numbers[-1]) in {_plain(number) for number in _NUMBER.findall(text)}
    return "".join(answer.split()).casefold() in "".join(text.split()).casefold()
