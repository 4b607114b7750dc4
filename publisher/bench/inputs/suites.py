r"""A suite file to problems: JSON lines of `id`, `problem`, `answer` and, if wanted, `kind`; other fields are ignored.

All its mistakes are reported at once. A control character is one of them: in mathematics it is almost always an escape
that was lost on the way (a form feed was `\frac`), and a model would be asked another question than was meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from publisher.bench.inputs.model_file import BUILTIN, REINSTALL
from publisher.bench.inputs.sources import Kind, check_digest, fetch
from publisher.errors import StorageError, SuiteError
from publisher.files import sha256_hex
from publisher.graders import GRADERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from publisher.bench.inputs.sources import Inputs
    from publisher.config import SuiteConfig

MAX_LINE = 1_000_000
MAX_PROBLEMS = 100_000
MAX_FILE = 512 << 20
SHOWN = 10
"""How many mistakes are spelled out; the rest are counted."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_HIDDEN = re.compile("[\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_LOST = {
    "\a": r"\alpha",
    "\b": r"\binom or \beta",
    "\t": r"\times, \text or \triangle",
    "\v": r"\vec",
    "\f": r"\frac",
    "\r": r"\right or \rho",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One question of a suite with its expected answer."""

    id: str
    problem: str
    answer: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """The problems of a suite in the file's order, and the SHA-256 of the file."""

    name: str
    sha256: str
    problems: tuple[Problem, ...]
    public: bool


def load(name: str, section: SuiteConfig, inputs: Inputs) -> Suite:
    """Return the suite that a `[suites.NAME]` section describes.

    Raises SuiteError with every mistake of the file, or when it is missing or has another digest than declared.
    """
    kind = Kind("suite", f"suites.{name}", SuiteError, MAX_FILE, ".jsonl")
    builtin = section.source.startswith("builtin:")
    path = _builtin(section.source) if builtin else fetch(section.source, section.sha256, kind, inputs)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    digest = sha256_hex(data)
    check_digest(digest, section.sha256, kind, section.source)
    problems = parse(data, f"suite {name} ({section.source})", section.grader)
    return Suite(name, digest, problems, section.public)


def _builtin(source: str) -> Path:
    if source != "builtin:abacus":
        raise SuiteError(f"there is no suite {source!r}", hint="builtin:abacus is the only builtin suite")
    path = BUILTIN / "abacus.jsonl"
    if not path.is_file():
        raise SuiteError(f"this installation lacks {path.name}", hint=REINSTALL)
    return path


def parse(data: bytes, where: str, grader: str) -> tuple[Problem, ...]:
    """Return the problems in `data`; SuiteError, naming `where`, lists the first mistakes with their lines."""
    problems: list[Problem] = []
    mistakes: list[str] = []
    seen: dict[str, int] = {}
    check = GRADERS[grader]().mistake
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        if len(problems) >= MAX_PROBLEMS:
            mistakes.append(f"line {number}: more than {MAX_PROBLEMS} problems")
            break
        found, problem = _problem(line)
        if problem and problem.id in seen:
            found.append(f"the id {problem.id!r} was used in line {seen[problem.id]} already")
        if problem:
            seen.setdefault(problem.id, number)
            problems.append(problem)
            unfit = check(problem.answer)
            found += [f"the answer of {problem.id!r} does not suit the grader {grader!r}: {unfit}"] if unfit else []
        mistakes += [f"line {number}: {text}" for text in found]
    if not problems and not mistakes:
        mistakes.append("it has no problems")
    if mistakes:
        raise SuiteError(_listing(where, mistakes), hint="correct the file, and its sha256 in publisher.toml")
    return tuple(problems)


def _listing(where: str, mistakes: list[str]) -> str:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    more = [f"… and {len(mistakes) - SHOWN} more"] if len(mistakes) > SHOWN else []
    return f"{where} has {count}:" + "".join(f"\n  {text}" for text in mistakes[:SHOWN] + more)


def _problem(line: bytes) -> tuple[list[str], Problem | None]:
    """Return the mistakes of one line, and its problem where it can be made out."""
    if len(line) > MAX_LINE:
        return [f"longer than {MAX_LINE} bytes"], None
    if line.startswith(b"\xef\xbb\xbf"):
        return ["starts with a byte-order mark; save the file as UTF-8 without it"], None
    try:
        line.decode()
        fields = msgspec.json.decode(line, type=dict[str, Any])
    except UnicodeDecodeError as error:
        return [f"not UTF-8 (byte {error.start + 1})"], None
    except (msgspec.MsgspecError, RecursionError) as error:
        return [f"not a JSON object: {error}"], None
    mistakes = list(_mistakes(fields))
    if mistakes:
        return mistakes, None
    return [], Problem(str(fields["id"]), fields["problem"], str(fields["answer"]), fields.get("kind") or "")


def _mistakes(fields: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the fields of one problem."""
    name = fields.get("id")
    if "id" not in fields:
        yield "id is missing"
    elif isinstance(name, bool) or not isinstance(name, str | int) or not _ID.fullmatch(str(name)):
        yield f"the id {str(name)[:80]!r} is not made of a-z 0-9 . _ - (at most 64)"
    label = f" of {name!r}" if isinstance(name, str | int) else ""
    answer = fields.get("answer")
    if isinstance(answer, int) and not isinstance(answer, bool):
        answer = str(answer)
    for key, value in (("problem", fields.get("problem")), ("answer", answer), ("kind", fields.get("kind") or "-")):
        if value is None:
            yield f"the {key}{label} is missing"
        elif not isinstance(value, str):
            yield f"the {key}{label} is not text"
        elif not value.strip():
            yield f"the {key}{label} is empty"
        else:
            yield from _odd_characters(value, f"the {key}{label}")


def _odd_characters(text: str, what: str) -> Iterator[str]:
    """Yield the first control character and the first invisible one in `text`."""
    control = _CONTROL.search(text)
    if control:
        lost = f": a lost escape of {_LOST[control[0]]}?" if control[0] in _LOST else ""
        near = text[control.end() : control.end() + 12].partition("\n")[0]
        yield f"{what} has the control character U+{ord(control[0]):04X} before {near!r}{lost}"
    hidden = _HIDDEN.search(text)
    if hidden:
        yield f"{what} has the invisible character U+{ord(hidden[0]):04X} at {hidden.start() + 1}"
