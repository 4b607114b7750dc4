"""The measures of one sample, by their names in `schema/metrics.py`; shares are from 0 to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from publisher.graders.extract import final_code, spoken
from publisher.graders.workers import ExceededError, LostError, Pool
from publisher.quality.loops import is_looping
from publisher.quality.reasoning import LONGEST, completeness, steps, working

if TYPE_CHECKING:
    from types import TracebackType

    from publisher.schema import Outcome

_SECONDS, _PATIENCE = 5.0, 120.0


class Measurer:
    """Measures samples; a context manager, because programs and languages are looked at in processes of their own.

    Safe from any thread. Each process is started by the first sample that needs it.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._programs, self._languages = (
            Pool(f"publisher.quality.{module}", 1, seconds=_SECONDS, patience=_PATIENCE)
            for module in ("programs", "languages")
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self._programs.close()
        self._languages.close()

    def measure(
        self, text: str, *, outcome: Outcome, answer: str, statement: str, code: bool, language: str
    ) -> dict[str, float]:
        """Return what a sample is like; what cannot be found out of it is left out.

        `statement` is its problem, `code` whether a program was asked for, `language` the language that was, if any.
        """
        if outcome == "error":
            return {}
        said = (spoken(text) or "")[-LONGEST:]
        found = {
            "in-format": float(outcome not in {"unanswered", "truncated"}),
            "empty": float(not said.strip()),
            "looping": float(is_looping(text[-LONGEST:])),
        }
        if code:
            found |= self._code(said)
        else:
            whole = text[-LONGEST:]
            found["steps"] = float(steps(working(whole)))
            found["completeness"] = completeness(whole, answer, statement)
        if language:
            found |= self._language(said, language)
        return {name: round(value, 6) for name, value in found.items()}

    def language(self, text: str) -> str:
        """Return the ISO 639-1 code of a text's language; "" where nobody could tell."""
        try:
            return str(self._languages.ask(text[-LONGEST:]))
        except (ExceededError, LostError):
            return ""

    def _code(self, said: str) -> dict[str, float]:
        program, _ = final_code(said)
        if program is None:
            return {"syntax-ok": 0.0, "completeness": 0.0}
        try:
            measured: dict[str, float] = self._programs.ask([said, program])
        except ExceededError:
            return {"syntax-ok": 0.0, "completeness": 0.0}  # no parser of Python gets through it
        except LostError:
            return {}
        return measured

    def _language(self, said: str, wanted: str) -> dict[str, float]:
        known = self.language(said)
        return {"in-language": float(known == wanted)} if known else {}
