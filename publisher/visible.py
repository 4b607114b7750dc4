"""Hostile text made visible: no character of it can steer a terminal or hide from a reader."""

from __future__ import annotations

import re

# Controls but tab and line break, and whatever has no shape of its own: bidirectional and zero-width controls, fillers,
# variation selectors, lone surrogates, private use and tags.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U0010ffff]"
)
_PLAIN = b"\t\n" + bytes(range(0x20, 0x7F))
"""The characters of ASCII that all can see."""


def visible(text: str) -> str:
    r"""Return `text` with every control, bidirectional and invisible character spelled out, as `\x1b` or `\u202e`.

    Tabs and line breaks stay; a carriage return before a line break is dropped.
    """
    text = text.replace("\r\n", "\n")
    # Most texts are long and plain: to find that out takes a fortieth of the time that looking at each character does.
    if text.isascii() and not text.encode().translate(None, _PLAIN):
        return text
    return _INVISIBLE.sub(_spell, text)


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
