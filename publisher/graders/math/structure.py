r"""The shape of an answer: a single value, a list, a set, a tuple or interval, a union, a matrix.

Only the structure is read here; single values are compared elsewhere, all in the same way. So no library decides
whether `1, 2` is a pair.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MATRIX = re.compile(r"\\begin\{([pbvBV]?matrix|array)\}(?:\{[^{}]*\})?(.*?)\\end\{\1\}", re.DOTALL)
_JOINERS = re.compile(r",|;|(?:\\text\s*\{\s*)(?:,\s*)?(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")
_SIGNS = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_OPEN, _CLOSE = "([", ")]"


class Shape(NamedTuple):
    """A parsed answer; `kind` is value, list, set, union, matrix, or the bracket pair of a tuple or interval."""

    kind: str
    text: str
    parts: tuple[Shape, ...] = ()


def shape(text: str) -> Shape:
    """Return the shape of a tidy answer."""
    text = text.strip()
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [row for row in re.split(r"\\\\", matrix[2]) if row.strip()]
        cells = tuple(Shape("row", row, tuple(shape(cell) for cell in row.split("&"))) for row in rows)
        return Shape("matrix", text, cells)
    union = split(text, re.compile(r"\\cup(?![A-Za-z])"))
    if len(union) > 1:
        return Shape("union", text, tuple(shape(part) for part in union))
    return _enclosed(text) or _list(text)


def split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Return the pieces of `text` between separators that stand outside every bracket."""
    pieces, depth, start, at = [], 0, 0, 0
    while at < len(text):
        found = separator.match(text, at) if depth == 0 else None
        if found and found.end() > at:
            pieces.append(text[start:at])
            start = at = found.end()
            continue
        if text.startswith((r"\{", r"\}"), at):
            depth += 1 if text[at + 1] == "{" else -1
            at += 2
            continue
        depth += (text[at] in "([{") - (text[at] in ")]}")
        at += 1
    return [piece.strip() for piece in [*pieces, text[start:]]]


def signed(text: str) -> list[str]:
    r"""Return both readings of a value with `\pm`; the value itself where there is none."""
    if not _SIGNS.search(text):
        return [text]
    upper = _SIGNS.sub(lambda sign: "+" if sign[0] == r"\pm" else "-", text)
    lower = _SIGNS.sub(lambda sign: "-" if sign[0] == r"\pm" else "+", text)
    return [re.sub(r"\A\s*\+", "", upper), re.sub(r"\A\s*\+", "", lower)]


def _enclosed(text: str) -> Shape | None:
    """Return a set, tuple or interval, or None where no bracket encloses the whole text."""
    if text.startswith(r"\{") and text.endswith(r"\}") and _closes(text):
        return Shape("set", text, _list(text[2:-2]).parts)
    if text[:1] and text[0] in _OPEN and text[-1] in _CLOSE and _closes(text):
        inside = _list(text[1:-1])
        if len(inside.parts) > 1 and "," in text:
            return Shape(text[0] + text[-1], text, inside.parts)
        if text[0] + text[-1] == "()":
            return shape(text[1:-1])
    return None


def _closes(text: str) -> bool:
    """Return whether the first bracket is closed by the last one."""
    depth, at = 0, 0
    while at < len(text):
        escaped = text[at] == "\\" and text[at + 1 : at + 2] in {"{", "}"}
        character = text[at + 1] if escaped else text[at]
        at += 2 if escaped or (text[at] == "\\") else 1
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return at >= len(text)
    return False


def _list(text: str) -> Shape:
    """Return the parts between commas, `and` and `or`, with both readings of a plus-or-minus; or one value."""
    pieces = [piece for piece in split(text, _JOINERS) if piece]
    pieces = [reading for piece in pieces for reading in signed(piece)]
    if len(pieces) == 1:
        return Shape("value", pieces[0], (Shape("value", pieces[0]),))
    parts = tuple(shape(piece) if _is_nested(piece) else Shape("value", piece) for piece in pieces)
    return Shape("list", text, parts)


def _is_nested(piece: str) -> bool:
    return piece.startswith(("(", "[", r"\{", r"\begin"))
