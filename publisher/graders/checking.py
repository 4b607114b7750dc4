"""Check a grader on pairs whose right outcome is known, before it is trusted with a benchmark; no model is needed.

Each line of a file is a JSON object: `prediction` (a whole completion), `gold` (the expected answer), and, where it is
known, `expected` (whether the prediction should be right). `id` and `finish` ("length" for one that was cut) may stand
beside them.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from publisher.errors import SuiteError
from publisher.graders import Grade, grade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from publisher.graders import Grader
    from publisher.schema import Outcome

MAX_LINE = 8 << 20
MAX_PAIRS = 1_000_000
_SHOWN = 10
OUTCOMES: tuple[Outcome, ...] = ("right", "wrong", "unanswered", "truncated", "error")


class Pair(NamedTuple):
    """A completion and its expected answer, and where they stand."""

    line: int
    id: str
    prediction: str
    gold: str
    expected: bool | None
    finish: Literal["stop", "length"]


class Checked(NamedTuple):
    """A pair and how it was graded."""

    pair: Pair
    grade: Grade

    @property
    def disagrees(self) -> bool:
        """Whether the outcome is not the expected one; an error never is."""
        wanted = self.pair.expected
        return wanted is not None and (self.grade.outcome == "error" or (self.grade.outcome == "right") != wanted)


class Report(NamedTuple):
    """How often each outcome occurred, and the confusion with what was expected, where that is known."""

    counts: dict[Outcome, int]
    confusion: dict[str, int]
    """`true_right`, `false_right`, `true_wrong`, `false_wrong` and `error`; empty where nothing was expected."""
    disagreements: list[Checked]


def read_pairs(path: Path, grader: Grader) -> list[Pair]:
    """Return the pairs in a file; SuiteError lists its first mistakes, each with its line."""
    pairs: list[Pair] = []
    mistakes: list[str] = []
    try:
        for number, line in _lines(path):
            found = _pair(number, line, grader)
            if isinstance(found, str):
                mistakes.append(f"{path}:{number}: {found}")
            else:
                pairs.append(found)
            if len(pairs) > MAX_PAIRS:
                mistakes.append(f"{path}: more than {MAX_PAIRS} pairs")
            if len(mistakes) > _SHOWN or len(pairs) > MAX_PAIRS:
                break
    except OSError as error:
        raise SuiteError(
            f"cannot read {path}: {error.strerror}", hint="publisher grade --grader math FILE.jsonl"
        ) from error
    if not pairs and not mistakes:
        mistakes.append(f"{path}: it has no pairs")
    if mistakes:
        more = "\n  …" if len(mistakes) > _SHOWN else ""
        listing = "".join(f"\n  {text}" for text in mistakes[:_SHOWN])
        raise SuiteError(
            f"the pairs cannot be graded:{listing}{more}",
            hint='a line is {"prediction": "…", "gold": "…", "expected": true}; `expected` may be left out',
        )
    return pairs


def check(grader: Grader, pairs: Sequence[Pair]) -> list[Checked]:
    """Return how an entered grader scores each pair, in their order; as many at once as there are cores."""

    def one(pair: Pair) -> Checked:
        return Checked(pair, grade(grader, pair.prediction, pair.gold, pair.finish))

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(one, pairs))


def report(checked: Sequence[Checked]) -> Report:
    """Return the counts of what was checked."""
    outcomes = [one.grade.outcome for one in checked]
    counts = {outcome: outcomes.count(outcome) for outcome in OUTCOMES}
    known = [one for one in checked if one.pair.expected is not None]
    confusion = dict.fromkeys(("true_right", "false_right", "true_wrong", "false_wrong", "error"), 0) if known else {}
    for one in known:
        said = {"right": "right", "error": "error"}.get(one.grade.outcome, "wrong")
        agrees = "false" if one.disagrees else "true"
        confusion["error" if said == "error" else f"{agrees}_{said}"] += 1
    return Report(counts, confusion, [one for one in known if one.disagrees])


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line that is not blank; one that is too long comes cut."""
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            if line.strip():
                yield number, line
            while len(line) > MAX_LINE and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE + 1)


def _pair(number: int, line: bytes, grader: Grader) -> Pair | str:
    """Return the pair in a line, or what is wrong with it."""
    if len(line) > MAX_LINE:
        return f"longer than {MAX_LINE} bytes"
    try:
        fields = json.loads(line)  # msgspec's reader takes no half of a surrogate pair, which a completion may hold
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(fields, dict):
        return "not a JSON object"
    unfit = next(_unfit(fields), "")
    if unfit:
        return unfit
    gold = fields["gold"]
    gold = _plain(gold if isinstance(gold, str) else json.dumps(gold))
    why = grader.mistake(gold)
    if why:
        return f"the gold answer does not suit the grader {grader.name!r}: {why}"
    name, finish = str(fields.get("id", ""))[:100], fields.get("finish", "stop")
    return Pair(number, name, _plain(fields["prediction"]), gold, fields.get("expected"), finish)


def _unfit(fields: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the fields of a pair."""
    missing = [name for name in ("prediction", "gold") if name not in fields]
    if missing:
        yield f"{' and '.join(missing)} missing"
    if not isinstance(fields.get("prediction"), str):
        yield "prediction is not text"
    if not isinstance(fields.get("expected"), bool | None):
        yield "expected is neither true nor false"
    if fields.get("finish", "stop") not in ("stop", "length"):
        yield 'finish is neither "stop" nor "length"'


def _plain(text: str) -> str:
    """Return text that can be encoded: JSON can hold half of a surrogate pair, which the engine's output never has."""
    return text.encode(errors="replace").decode()
