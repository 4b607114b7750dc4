"""The result of comparing two answers, and the base of graders that hold no processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Match(NamedTuple):
    """Right, wrong, or not decidable (`error`, with its reason)."""

    outcome: Literal["right", "wrong", "error"]
    reason: str = ""


class Reply(msgspec.Struct, frozen=True):
    """A worker's answer: `equal`, `different`, `unreadable` (the given one) or `failed` (the expected one)."""

    said: Literal["equal", "different", "unreadable", "failed"]
    reason: str = ""


RIGHT = Match("right")
WRONG = Match("wrong")


class Stateless:
    """A grader without processes or files: entering and leaving it does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""
