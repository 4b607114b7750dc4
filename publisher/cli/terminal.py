"""The one place that writes to a terminal or a job's log: results on stdout, everything else on stderr.

Whatever is written passes `harmless`: control characters are spelled out, known secrets are hidden, and no line can be
taken for a command by GitHub's runner, which reads `::name::` at the start of a line and `##[name]` anywhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, TextIO

from publisher.files import atomic_write
from publisher.secret import redacted
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable
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
    _write(sys.stdout, _json(value))


def _json(value: Any) -> str:
    text = redacted(json.dumps(value, indent=2, ensure_ascii=True))
    return text.replace("##[", "\\u0023#[").replace("\x7f", "\\u007f") + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a result to a file as `echo_json` prints it; StorageError where that fails."""
    write_text(path, _json(value))


def write_text(path: Path, text: str) -> None:
    """Write a result to a file, without secrets and control characters; StorageError where that fails."""
    atomic_write(path, visible(redacted(text)).encode("utf-8", "backslashreplace"))


def width() -> int:
    """Return how many columns the terminal has, or 0 where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def page(lines: Iterable[str]) -> None:
    """Print a long result on stdout line by line; on a terminal through $PAGER, or less, where there is one."""
    command = shlex.split(os.environ.get("PAGER", "") or "less") if sys.stdout.isatty() else []
    program = shutil.which(command[0]) if command else None
    if program is None:
        for line in lines:
            echo(line)
        return
    # less ends at once where everything fits (F), leaves it on the screen (X), and starts no other program.
    environment = {"LESS": "FX", "LESSSECURE": "1", "LESSCHARSET": "utf-8", **os.environ}
    pager = subprocess.Popen([program, *command[1:]], stdin=subprocess.PIPE, env=environment)
    text = (f"{harmless(line)}\n".encode("utf-8", "backslashreplace") for line in lines)
    # A reader who leaves early closes the pipe; Ctrl-C is for the pager, which stays until its reader leaves it.
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _pour(text, pager)
    while pager.poll() is None:
        with contextlib.suppress(KeyboardInterrupt):
            pager.wait()


def _pour(text: Iterable[bytes], pager: subprocess.Popen[bytes]) -> None:
    """Write to a program's input and close it."""
    if pager.stdin is not None:
        with pager.stdin as pipe:
            pipe.writelines(text)


def note(text: str) -> None:
    """Say on stderr what is being done."""
    _write(sys.stderr, f"{harmless(text)}\n")


def ask(prompt: str) -> str | None:
    """Return a line that somebody types, without its line break; None where there is no more."""
    _write(sys.stderr, harmless(prompt))
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else None


def run_command(line: str) -> None:
    """Give a command to GitHub's runner; whatever comes from outside is escaped in it already."""
    _write(sys.stdout, f"{line}\n")


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
    """Spell out what the terminal's encoding lacks instead of failing on it; let a closed stream lead nowhere."""
    # In the order of their numbers: each takes the lowest that is free, which nothing else may be given.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # `publisher log >&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
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
