r"""A suite file to problems: JSON lines of `id`, `problem`, `answer` and, if wanted, what sorts them.

That is `kind`, `group` and `language`, and `tags`: a table of names and short texts, such as {"topic": "algebra"}. A
problem of a code suite may have a `solution`, which its tests must pass. Other fields are ignored.

All mistakes of a file are reported at once. A control character is one: in mathematics it is almost always a lost
escape (a form feed was `\frac`), and the model would be asked another question than was meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from publisher.errors import SuiteError
from publisher.files import sha256_hex
from publisher.graders import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_LINE = 1_000_000
MAX_CODE_LINE = 64 << 20
"""Bytes of a line whose answer is a set of tests."""
MAX_PROBLEMS = 100_000
SHOWN = 10
"""Mistakes that are shown; the rest are counted."""

_TAGS = ("kind", "group", "language")
"""Fields that a problem may have or not, in the order of `Problem`."""
MOST_TAGS = 16
_TAG = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,64}")
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
    group: str = ""
    """What the copies of one problem share: paraphrased, reordered, renamed, renumbered, or in another language."""
    language: str = ""
    """The language that it is asked in, where its group has several."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the problem is about, by the name of the tag: each value gets a score of its own."""
    solution: str = ""
    """A program that passes the tests, where the suite has one."""

    @property
    def digest(self) -> str:
        """What two versions of a suite must share for the problem to be the same: 16 hexadecimal digits."""
        return sha256_hex(f"{len(self.problem)} {self.problem}{self.answer}".encode())[:16]


def parse(stream: BinaryIO, where: str, grader: str, *, public: bool) -> tuple[Problem, ...]:
    """Return the problems in `stream`; SuiteError, naming `where`, lists the first mistakes with their lines.

    Mistakes of a suite that is not `public` are told without quoting it, because messages end up in logs.
    """
    problems: list[Problem] = []
    mistakes = _Mistakes(where)
    seen: dict[str, int] = {}
    opened = make(grader)
    check, longest = opened.mistake, MAX_CODE_LINE if opened.form == "code" else MAX_LINE
    for number, line in _lines(stream, longest):
        if len(problems) >= MAX_PROBLEMS:
            mistakes.add(number, [f"more than {MAX_PROBLEMS} problems"])
            break
        found, problem = _problem(line, longest, public=public)
        mistakes.add(number, found)
        if problem:
            mistakes.add(number, _unfit(problem, seen, check, grader, public=public))
            seen.setdefault(problem.id, number)
            problems.append(problem)
    if not problems and not mistakes.count:
        mistakes.add(0, ["it has no problems"])
    mistakes.require_none()
    return tuple(problems)


class _Mistakes:
    """The mistakes of a suite file: the first ones in words, all of them counted."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._shown: list[str] = []
        self.count = 0

    def add(self, line: int, found: list[str]) -> None:
        """Take in what is wrong with a line; 0 stands for the whole file."""
        place = f"line {line}: " if line else ""
        self._shown += [f"{place}{text}" for text in found[: max(0, SHOWN - len(self._shown))]]
        self.count += len(found)

    def require_none(self) -> None:
        """Raise SuiteError where there was a mistake."""
        if not self.count:
            return
        words = "1 mistake" if self.count == 1 else f"{self.count} mistakes"
        more = [f"… and {self.count - SHOWN} more"] if self.count > SHOWN else []
        listing = "".join(f"\n  {text}" for text in self._shown + more)
        raise SuiteError(
            f"{self._where} has {words}:{listing}", hint="correct the file, and its sha256 in publisher.toml"
        )


def _lines(stream: BinaryIO, longest: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line that is not blank; one that is too long comes cut."""
    number = 0
    while line := stream.readline(longest + 1):
        number += 1
        if line.strip():
            yield number, line.removesuffix(b"\n")
        while len(line) > longest and not line.endswith(b"\n"):
            line = stream.readline(longest + 1)


def _unfit(
    problem: Problem, seen: Mapping[str, int], check: Callable[[str], str], grader: str, *, public: bool
) -> list[str]:
    """Return what is wrong with a problem among the others and for its grader."""
    found = []
    if problem.id in seen:
        found.append(f"the id {problem.id!r} was used in line {seen[problem.id]} already")
    unfit = check(problem.answer)
    if unfit:
        why = f": {unfit}" if public else ""
        found.append(f"the answer of {problem.id!r} does not suit the grader {grader!r}{why}")
    return found


def _problem(line: bytes, longest: int, *, public: bool) -> tuple[list[str], Problem | None]:
    """Return the mistakes of one line, and its problem where there are none."""
    if len(line) > longest:
        return [f"longer than {longest} bytes"], None
    if line.startswith(b"\xef\xbb\xbf"):
        return ["starts with a byte-order mark; save the file as UTF-8 without it"], None
    try:
        line.decode()
        fields = msgspec.json.decode(line, type=dict[str, Any])
    except UnicodeDecodeError as error:
        return [f"not UTF-8 (byte {error.start + 1})"], None
    except (msgspec.MsgspecError, RecursionError) as error:
        return [f"not a JSON object: {error}"], None
    mistakes = list(_mistakes(fields, public=public))
    if mistakes:
        return mistakes, None
    return [], Problem(
        str(fields["id"]),
        fields["problem"],
        str(fields["answer"]),
        **{key: fields.get(key) or "" for key in _TAGS},
        tags={name: str(value) for name, value in (fields.get("tags") or {}).items()},
        solution=fields.get("solution") or "",
    )


def _mistakes(fields: dict[str, Any], *, public: bool) -> Iterator[str]:
    """Yield what is wrong with the fields of one problem."""
    name = fields.get("id")
    if "id" not in fields:
        yield "id is missing"
    elif isinstance(name, bool) or not isinstance(name, str | int) or not _ID.fullmatch(str(name)):
        quoted = f" {str(name)[:80]!r}" if public else ""
        yield f"the id{quoted} is not made of a-z 0-9 . _ - (at most 64)"
    label = f" of {str(name)[:80]!r}" if isinstance(name, str | int) and (public or _ID.fullmatch(str(name))) else ""
    answer = fields.get("answer")
    if isinstance(answer, int) and not isinstance(answer, bool):
        answer = str(answer)
    named = [(key, fields.get(key) or "-") for key in _TAGS]
    for key, value in (("problem", fields.get("problem")), ("answer", answer), *named):
        if value is None:
            yield f"the {key}{label} is missing"
        elif not isinstance(value, str):
            yield f"the {key}{label} is not text"
        elif not value.strip():
            yield f"the {key}{label} is empty"
        else:
            yield from _odd_characters(value, f"the {key}{label}", public=public)
    yield from _tag_mistakes(fields.get("tags") or {}, label)
    if not isinstance(fields.get("solution") or "", str):
        yield f"the solution{label} is not text"


def _tag_mistakes(tags: Any, label: str) -> Iterator[str]:
    """Yield what is wrong with the tags of a problem: short names, short texts or whole numbers, and few of them."""
    if not isinstance(tags, dict) or len(tags) > MOST_TAGS:
        yield f"the tags{label} are not a table of at most {MOST_TAGS} texts"
        return
    for name, value in tags.items():
        if not _ID.fullmatch(name):
            yield f"the tag {name[:80]!r}{label} is not made of a-z 0-9 . _ - (at most 64)"
        elif isinstance(value, bool) or not isinstance(value, str | int) or not _is_plain(str(value)):
            yield f"the tag {name}{label} is not a text of at most 64 printable characters"


def _is_plain(text: str) -> bool:
    return bool(_TAG.fullmatch(text)) and not _HIDDEN.search(text)


def _odd_characters(text: str, what: str, *, public: bool) -> Iterator[str]:
    """Yield the first control character and the first invisible one in `text`."""
    control = _CONTROL.search(text)
    if control:
        lost = f": a lost escape of {_LOST[control[0]]}?" if control[0] in _LOST else ""
        near = repr(text[control.end() : control.end() + 12].partition("\n")[0])
        place = f"before {near}" if public else f"at {control.start() + 1}"
        yield f"{what} has the control character U+{ord(control[0]):04X} {place}{lost}"
    hidden = _HIDDEN.search(text)
    if hidden:
        yield f"{what} has the invisible character U+{ord(hidden[0]):04X} at {hidden.start() + 1}"
