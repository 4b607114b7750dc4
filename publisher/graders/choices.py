r"""The `choice` grader: one of several classes, by its letter or its word. Records add a confusion matrix, F1 and AUC.

Read are `B`, `(B)`, `B.`, `\text{B}`, `B) because …` and `The answer is B`. Anything else names no class, and so does a
line that names two.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from msgspec import Meta

from publisher.graders import options
from publisher.graders.comparison import RIGHT, WRONG, Match, Stateless
from publisher.graders.extract import LIMIT

_DECORATION = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}|[*_`$\"]+")
_ANNOUNCED = re.compile(
    r"(?:.*\b)?(?:final\s+answer|correct\s+(?:answer|option|choice)|answer|option|choice|class|label)"
    r"\s*(?:is|:|=)?\s*:?\s*(.+)",
    re.IGNORECASE | re.DOTALL,
)


class ChoiceOptions(options.Options, frozen=True, kw_only=True):
    """Which classes there are."""

    labels: Annotated[str, Meta(min_length=1, max_length=400)] = "A|B|C|D|E|F|G|H|I|J"
    """The classes, with `|` between them; capitals do not count in words of two letters or more."""


_DEFAULTS = ChoiceOptions()


class ChoiceGrader(Stateless):
    """Compares the class that the last box, or else the last line, names."""

    name = "choice"
    version = "1"
    form = "line"
    Options = ChoiceOptions

    def __init__(self, given: ChoiceOptions = _DEFAULTS) -> None:
        """Take the classes."""
        self.labels = [label for part in given.labels.split("|") if (label := _plain(part))]
        self._known = {_key(label): label for label in self.labels}
        words = "|".join(re.escape(key) for key in sorted(self._known, key=len, reverse=True))
        self._named = re.compile(rf"\(?({words})(?:[).:,;!]{{0,2}}|[).:;!]{{1,2}}\s.*|\s+[-–—(].*)", re.DOTALL)

    def mistake(self, expected: str) -> str:
        """Return why `expected` is none of the classes, or nothing."""
        return "" if self.label(expected) else f"{expected[:40]!r} is none of {', '.join(self.labels)[:200]}"

    def compare(self, answer: str, expected: str) -> Match:
        """Return right where both name the same class."""
        if len(answer) > LIMIT:
            return Match("wrong", f"longer than {LIMIT} characters")
        found = self.label(answer)
        if not found:
            return Match("wrong", "names none of the classes")
        return RIGHT if found == self.label(expected) else WRONG

    def label(self, answer: str) -> str:
        """Return the class that an answer names, or nothing."""
        text = _plain(answer)
        announced = _ANNOUNCED.fullmatch(text)
        for candidate in (text, announced[1] if announced else ""):
            named = self._named.fullmatch(_key(candidate))
            if named:
                return self._known[named[1]]
        return ""


def _plain(text: str) -> str:
    return " ".join(_DECORATION.sub(lambda found: found[1] or "", unicodedata.normalize("NFKC", text)).split())


def _key(text: str) -> str:
    """Return a text as classes are compared: words without regard to capitals, single letters with."""
    return " ".join(word if len(word.strip("().:,;!")) < 2 else word.casefold() for word in text.split(" "))
