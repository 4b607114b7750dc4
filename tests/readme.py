"""README's own code: its fenced blocks, and every publisher command that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, path: Path = README) -> list[str]:
    """Return the fenced code blocks of a language."""
    return [text for name, text in _BLOCK.findall(path.read_text(encoding="utf-8")) if name == language]


def typed(block: str) -> list[str]:
    """Return what has to be typed, one command per entry, without comments; `&&` joins two commands."""
    lines = [shlex.join(shlex.split(line, comments=True)).replace("'&'", "&") for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("'&&'") if part.strip()]


def adoption() -> list[str]:
    """Return the commands by which README says that a repository is adopted."""
    (block,) = [block for block in blocks("sh") if "publisher init" in block]
    return typed(block)


def commands(path: Path = README) -> list[list[str]]:
    """Return every publisher command in the code of a page, blocks and spans, as words."""
    text = path.read_text(encoding="utf-8")
    lines = [line for block in blocks("sh", path) for line in typed(block)]
    spans = re.findall(r"`(publisher [^`]+)`", _BLOCK.sub("", text))
    found = [shlex.split(line.removesuffix("&"), comments=True) for line in [*lines, *spans]]
    return [words for words in found if words and words[0] == "publisher"]
