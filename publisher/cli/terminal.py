"""The one place that writes to a terminal or a job's log: results on stdout, everything else on stderr.

Whatever is written passes `harmless`: control characters are spelled out, known secrets are hidden, and no line can be
taken for a command by GitHub's runner, which reads `::name::` at the start of a line and `##[name]` anywhere.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

from publisher.secret import redacted
from publisher.visible import visible

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND = re.compile(r"(?m)^(\s*):(?=:)|#(?=#\[)")


def harmless(text: str) -> str:
    """Return text from outside as it may be shown: without secrets, control characters or commands of a runner."""
    return _COMMAND.sub(lambda match: f"{match[1]}\\x3a" if match[1] is not None else "\\x23", visible(redacted(text)))


def echo(text: str) -> None:
    """Print a result on stdout."""
    _write(sys.stdout, f"{harmless(text)}\n")


def echo_json(value: Any) -> None:
    """Print a result on stdout as one JSON document; whatever could steer a terminal or a runner is escaped in it."""
    text = redacted(json.dumps(value, indent=2, ensure_ascii=True))
    _write(sys.stdout, text.replace("##[", "\\u0023#[").replace("\x7f", "\\u007f") + "\n")


def note(text: str) -> None:
    """Say on stderr what is being done."""
    _write(sys.stderr, f"{harmless(text)}\n")


def show_error(message: str, *, hint: str = "", detail: str = "") -> None:
    """Say on stderr what went wrong: what and where, its log indented, and what to type next."""
    lines = [f"error: {harmless(message)}", *(f"    {line}" for line in harmless(detail).splitlines())]
    if hint:
        lines.append(f"hint: {harmless(hint)}")
    _write(sys.stderr, "\n".join(lines) + "\n")


def append(path: Path, markdown: str) -> None:
    """Append Markdown to a job's summary, without secrets and control characters."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(visible(redacted(markdown)))


def prepare() -> None:
    """Spell out what the terminal's encoding lacks instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flushed() -> bool:
    """Write out what is buffered; return whether that worked. Afterwards nothing is left that could fail at exit."""
    whole = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _close(stream)
        except OSError:
            _close(stream)
            whole = False
    return whole


def _write(stream: TextIO, text: str) -> None:
    """Write to a stream; where its reader has gone (`publisher log | head`), the rest is dropped in silence."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _close(stream)


def _close(stream: TextIO) -> None:
    """Send the rest of a stream nowhere: Python would meet the same failure when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
