"""The graders of plain text: `exact` compares an answer, `contains` looks for passages in the whole reply."""

from __future__ import annotations

import unicodedata

from publisher.graders import options
from publisher.graders.comparison import RIGHT, WRONG, Match, Stateless

LONGEST = 100_000
"""Characters of a reply that are looked at; a longer one is wrong."""


class ExactGrader(Stateless):
    """Compares the last box, or else the last line, character by character after NFKC normalization."""

    name = "exact"
    version = "1"
    form = "line"

    def mistake(self, expected: str) -> str:
        """Return why `expected` cannot be matched: it is empty once stripped."""
        return "" if _plain(expected) else "it is empty"

    def compare(self, answer: str, expected: str) -> Match:
        """Return right where both are the same text."""
        return RIGHT if _plain(answer) == _plain(expected) else WRONG


class ContainsOptions(options.Options, frozen=True, kw_only=True, rename="kebab"):
    """How passages are looked for."""

    any: bool = False
    """Whether one of the passages is enough."""
    ignore_case: bool = False


_DEFAULTS = ContainsOptions()


class ContainsGrader(Stateless):
    """Looks for each line of the expected answer in the reply; runs of white space count as one space."""

    name = "contains"
    version = "1"
    form = "text"
    Options = ContainsOptions

    def __init__(self, given: ContainsOptions = _DEFAULTS) -> None:
        """Take the options."""
        self._given = given

    def mistake(self, expected: str) -> str:
        """Return why there is nothing to look for, or nothing."""
        return "" if self._passages(expected) else "it is empty"

    def compare(self, answer: str, expected: str) -> Match:
        """Return right where every passage, or with `any` one of them, occurs in the reply."""
        if len(answer) > LONGEST:
            return Match("wrong", f"longer than {LONGEST} characters")
        said = self._folded(answer)
        found = [passage in said for passage in self._passages(expected)]
        if any(found) if self._given.any else all(found):
            return RIGHT
        return Match("wrong", f"{found.count(True)} of {len(found)} passages occur in it")

    def _passages(self, expected: str) -> list[str]:
        return [passage for line in expected.splitlines() if (passage := self._folded(line))]

    def _folded(self, text: str) -> str:
        plain = " ".join(unicodedata.normalize("NFKC", text).split())
        return plain.casefold() if self._given.ignore_case else plain


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()
