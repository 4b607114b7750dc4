"""The `exact` grader: the answer and the expected answer are the same string, up to Unicode form and outer space."""

from __future__ import annotations

import unicodedata

from publisher.graders.comparison import RIGHT, WRONG, Match, Stateless


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


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()
