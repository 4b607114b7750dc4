"""The `math:rllm` grader: the strict scoring that VibeThinker's published figures were made with.

Only the text after the first `</think>` counts, and in it the last box. An answer is right where its normal form
(`mathd`) is the expected one's, or where a computer algebra system finds no difference. Fractions must be reduced, and
a whole number must be written as one. It is kept for comparing with published figures: the grader `math` makes fewer
mistakes (docs/graders.md has the counts of both).

Source: the branch `deepcoder` of github.com/rllm-org/rllm at eedfda91, as VibeThinker's evaluation calls it. Its rules
are written anew here. Two differences: the algebra runs in a confined process with limits, and an expression is never
evaluated that holds more than numbers, names, operators and parentheses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from publisher.graders.comparison import RIGHT, Match, Reply
from publisher.graders.extract import LIMIT
from publisher.graders.math.mathd import mathd
from publisher.graders.workers import ExceededError, LostError, Pool

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class RllmGrader:
    """Compares answers as VibeThinker's own evaluation does."""

    name = "math:rllm"
    version = "1+rllm-eedfda91"
    form = "first-reply"

    def __init__(self, workers: int = 2, *, seconds: float = 10.0, patience: float = 120.0) -> None:
        """Allow a comparison `seconds` of processor time, and `patience` seconds on the clock."""
        self._pool = Pool("publisher.graders.math.rllm_algebra", workers, seconds=seconds, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def mistake(self, expected: str) -> str:
        """Return why no answer could be compared with `expected`, or an empty string."""
        if len(expected) > LIMIT:
            return f"it is longer than {LIMIT} characters"
        return "" if expected.strip() else "it is empty"

    def compare(self, answer: str, expected: str) -> Match:
        """Return whether `answer` counts as `expected`."""
        if len(answer) > LIMIT:
            return Match("wrong", f"longer than {LIMIT} characters")
        if mathd(answer) == mathd(expected):
            return RIGHT
        try:
            reply = msgspec.convert(self._pool.ask([expected, answer]), Reply)
        except ExceededError as error:
            return Match("wrong", str(error))
        except LostError as error:
            return Match("error", str(error))
        return RIGHT if reply.said == "equal" else Match("wrong", reply.reason)
