"""The process that `redaction` asks: replaces what patterns match in texts."""

from __future__ import annotations

import re

from publisher.graders.worker import serve

MARK = "[redacted]"
"""Stands where something was replaced."""


def replaced(question: tuple[list[str], list[str]]) -> tuple[list[str], int]:
    """Return the texts with a mark for each match of a pattern, and the number of matches."""
    patterns, texts = question
    total = 0
    for pattern in patterns:
        found = [re.subn(pattern, lambda _: MARK, text) for text in texts]
        texts = [text for text, _ in found]
        total += sum(count for _, count in found)
    return texts, total


if __name__ == "__main__":
    serve(replaced)
