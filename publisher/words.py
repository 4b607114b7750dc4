"""Two versions of a text as one, word by word: which words stayed, which went and which came."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Literal

from publisher.schema import Passage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_WORDS = 800
"""Words of each version that are compared beyond their common beginning and end; the work grows with their product."""
# A word, a single character of a script that has no spaces, a run of blanks, or any other single character.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\s+|.", re.DOTALL
)
_Kind = Literal["same", "gone", "new"]


def word_diff(before: str, after: str) -> list[Passage]:
    """Return both texts as one list of passages: what stayed is `same`, what went `gone`, what came `new`.

    The `same` and `gone` passages joined are `before`, the `same` and `new` ones `after`. Where the differing middle
    is longer than MOST_WORDS on a side, it is one passage that went and one that came.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    middle = _middle(old[head : len(old) - tail], new[head : len(new) - tail])
    marked: list[tuple[_Kind, str]] = [("same", word) for word in old[:head]]
    marked += middle
    marked += [("same", word) for word in old[len(old) - tail :]]
    return [
        Passage(kind=kind, text="".join(word for _, word in words))
        for kind, words in itertools.groupby(_grouped(marked), key=lambda one: one[0])
    ]


def _shared(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many words both sequences begin with."""
    return next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))


def _middle(old: Sequence[str], new: Sequence[str]) -> list[tuple[_Kind, str]]:
    """Return the words of a longest common subsequence as `same`, the others as `gone` and `new`, in order.

    By dynamic programming: its cost is bounded by the lengths, whatever a stranger wrote.
    """
    if max(len(old), len(new)) > MOST_WORDS:
        return [("gone", word) for word in old] + [("new", word) for word in new]
    rows = [[0] * (len(new) + 1)]
    for word in reversed(old):
        below, row = rows[-1], [0] * (len(new) + 1)
        for place in range(len(new) - 1, -1, -1):
            row[place] = below[place + 1] + 1 if new[place] == word else max(below[place], row[place + 1])
        rows.append(row)
    rows.reverse()
    marked: list[tuple[_Kind, str]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            marked.append(("same", old[i]))
            i, j = i + 1, j + 1
        elif rows[i + 1][j] >= rows[i][j + 1]:
            marked.append(("gone", old[i]))
            i += 1
        else:
            marked.append(("new", new[j]))
            j += 1
    return marked + [("gone", word) for word in old[i:]] + [("new", word) for word in new[j:]]


def _grouped(marked: Sequence[tuple[_Kind, str]]) -> Iterator[tuple[_Kind, str]]:
    """Yield the words so that between two that stayed, all that went come before all that came.

    A blank between two changed words is part of the change, so that a sentence does not fall to pieces.
    """
    change: list[tuple[_Kind, str]] = []
    for place, (kind, word) in enumerate(marked):
        follows = place + 1 < len(marked) and marked[place + 1][0] != "same"
        if kind != "same":
            change.append((kind, word))
        elif change and follows and word.isspace():
            change += [("gone", word), ("new", word)]
        else:
            yield from _in_order(change)
            change = []
            yield kind, word
    yield from _in_order(change)


def _in_order(change: Sequence[tuple[_Kind, str]]) -> Iterator[tuple[_Kind, str]]:
    yield from (one for one in change if one[0] == "gone")
    yield from (one for one in change if one[0] == "new")
