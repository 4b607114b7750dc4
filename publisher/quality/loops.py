"""Repetition: whether a text ends in a loop, or says the same thing many times in a row."""

from __future__ import annotations

import itertools
import re

TAIL = 4000
"""Characters at a text's end in which a loop is looked for."""
_COVER, _TIMES = 200, 4
_LINE, _IN_A_ROW = 20, 8
_PARTS = re.compile(r"\n|(?<=[.!?。！？])")


def is_looping(text: str) -> bool:
    """Return whether a text's end repeats one passage, or one line or sentence is repeated many times in a row."""
    parts = (part.strip() for part in _PARTS.split(text))
    rows = (sum(1 for _ in group) for part, group in itertools.groupby(filter(None, parts)) if len(part) >= _LINE)
    return any(count >= _IN_A_ROW for count in rows) or _ends_in_a_loop(text.rstrip()[-TAIL:])


def _ends_in_a_loop(tail: str) -> bool:
    """Return whether at least 200 last characters are one passage, at least four times.

    The prefix function of the reversed text gives the smallest period of each suffix in linear time (Knuth, Morris and
    Pratt, 1977). A run of one character that separates is no loop: rules under headings, rows of a table.
    """
    text = tail[::-1]
    longest = [0] * len(text)
    for place in range(1, len(text)):
        known = longest[place - 1]
        while known and text[place] != text[known]:
            known = longest[known - 1]
        longest[place] = known + (text[place] == text[known])
        size = place + 1
        period = size - longest[place]
        if size >= _COVER and size >= _TIMES * period and any(char.isalnum() for char in text[:period]):
            return True
    return False
