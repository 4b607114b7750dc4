r"""The final answer of a completion: the last `\boxed{…}` after the thoughts, or nothing.

The rules are our own, so that no library's update changes a score. Text ends at the first end-of-text token. Thoughts
(everything up to the last `</think>`) hold no answer. The last box counts, whatever it contains; when it was cut off
there is no answer, and no earlier box takes its place. An empty box echoes the instruction and is skipped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIMIT = 2000
"""Characters of the longest answer that is compared; a longer one is wrong."""

_END = re.compile(
    r"<\|(?:endoftext|end_of_text|im_end|im_start|eot_id|eom_id|end|return|start_header_id)\|>"
    r"|</s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>|<｜User｜>"
)
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)[ \t]*([\w+.-]*)[^\n]*$", re.MULTILINE)
_PYTHON = frozenset({"", "python", "python3", "py"})
_JSON = frozenset({"", "json", "json5", "jsonc"})
_BARE = re.compile(r"[+-]?\d[\d,./]*")


def final_answer(text: str, *, boxed: bool = True) -> tuple[str | None, str]:
    """Return (answer, "") or (None, why there is none); without `boxed` the last line stands in for a missing box."""
    said = spoken(text)
    if said is None:
        return None, "the thoughts were never closed"
    boxes = list(_BOX.finditer(said))
    for box in reversed(boxes):
        content = _content(said, box.end())
        if content is None:
            return None, "the last box is not closed"
        if content.strip():
            return content.strip(), ""
    if boxed:
        return None, "only empty boxes" if boxes else "no box"
    line = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    return (line.strip(), "") if line else (None, "no text")


def final_code(text: str) -> tuple[str | None, str]:
    """Return (program, "") or (None, why there is none): the last closed block of Python, or text without any block.

    A block that was cut off is no answer, and no earlier one takes its place. Text without a block is taken as it is,
    its indentation included: a base model that was shown a function's head continues it.
    """
    return _block(text, _PYTHON, "Python")


def final_json(text: str) -> tuple[str | None, str]:
    """Return (document, "") or (None, why there is none): the last closed block of JSON, or text without any block."""
    return _block(text, _JSON, "JSON")


def whole_reply(text: str) -> tuple[str | None, str]:
    """Return (everything after the thoughts, "") or (None, why there is nothing)."""
    said = spoken(text)
    if said is None:
        return None, "the thoughts were never closed"
    return (said.strip(), "") if said.strip() else (None, "no text")


def first_reply(text: str) -> tuple[str | None, str]:
    r"""Return the last `\boxed{…}` between the first and the second `</think>`, as VibeThinker's own scoring does.

    Braces are counted without regard to escapes, and an empty box is an answer. Those are the rules that published
    figures were made by; `final_answer` has ours.
    """
    parts = text.strip().split("</think>", 2)
    if len(parts) < 2:
        return None, "the thoughts were never closed"
    start = parts[1].rfind("\\boxed")
    if start < 0:
        return None, "no box"
    depth = 0
    for brace in re.compile("[{}]").finditer(parts[1], start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            box = parts[1][start : brace.end()]
            return (box[7:-1], "") if box.startswith("\\boxed{") else (None, "no brace follows the last box")
    return None, "the last box is not closed"


def _block(text: str, languages: frozenset[str], called: str) -> tuple[str | None, str]:
    """Return the last closed block in one of `languages`, or the text where it has no blocks at all."""
    said = spoken(text)
    if said is None:
        return None, "the thoughts were never closed"
    blocks: list[str] = []
    at = 0
    while opening := _FENCE.search(said, at):
        end = re.compile(rf"^ {{0,3}}{opening[1][0]}{{{len(opening[1])},}}[ \t]*$", re.MULTILINE).search(
            said, opening.end()
        )
        if end is None:
            return None, "the last block of code is not closed"
        if opening[2].lower() in languages:
            blocks.append(said[opening.end() + 1 : end.start()])
        at = end.end()
    if blocks:
        return blocks[-1], ""
    if at or not said.strip():
        return None, f"no block of {called}" if at else "no text"
    return said, ""


def spoken(text: str) -> str | None:
    """Return a completion without its thoughts, or None when its thoughts never end."""
    end = _END.search(text)
    text = text[: end.start()] if end else text
    thoughts, closed = text.rfind("<think>"), text.rfind("</think>")
    if thoughts > closed:
        return None
    return text[closed + len("</think>") :] if closed >= 0 else text


def closing(text: str, start: int) -> int:
    """Return the index of the brace that closes the one at `start`, or -1; an escaped brace is a character."""
    depth, index = 0, start
    while index < len(text):
        if text[index] == "\\":
            index += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
        index += 1
    return -1


def _content(text: str, start: int) -> str | None:
    """Return the contents of the box whose argument begins at `start`, or None where it was cut off."""
    if text[start : start + 1] == "{":
        end = closing(text, start)
        return None if end < 0 else text[start + 1 : end]
    bare = _BARE.match(text, start)
    return bare[0].rstrip(".,/") if bare else None


FORMS: Mapping[str, Callable[[str], tuple[str | None, str]]] = {
    "box": final_answer,
    "line": lambda text: final_answer(text, boxed=False),
    "code": final_code,
    "json": final_json,
    "text": whole_reply,
    "first-reply": first_reply,
}
"""What counts as an answer: a box; a box, or else the last line; a program; a JSON document; everything said."""
