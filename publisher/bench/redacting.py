"""The process that `redaction` asks: replaces what patterns match in texts."""

from __future__ import annotations

import re

from publisher.graders.worker import serve

MARK = "[redacted]"
"""Stands where something was replaced."""


def replaced(question: tuple[list[str], list[str]]) -> tuple[list[str], int]:
    """Return the texts with a mark for each match of a pattern that is not empty, and the number of such matches."""
    patterns, texts = question
    total = 0

    def mark(match: re.Match[str]) -> str:
        nonlocal total
        total += bool(match[0])
        return MARK if match[0] else ""

    for pattern in patterns:
        texts = [re.sub(pattern, mark, text) for text in texts]
    return texts, total


if __name__ == "__main__":
    serve(replaced)
