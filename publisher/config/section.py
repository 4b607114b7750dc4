"""What every table of publisher.toml is made of: a section, and the kinds of values with their bounds."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="lower case, digits, . _ -")]
GraderName = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}(:[^\x00-\x1f]+)?$", max_length=500, description="NAME or NAME:OPTIONS")
]
Digest = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", description="a sha256: 64 lower-case hexadecimal digits")]
Points = Annotated[float, Meta(ge=0, le=100, description="points, from 0 to 100")]
Count = Annotated[int, Meta(ge=1, le=1024, description="a whole number from 1 to 1024")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of publisher.toml."""


def suggest(key: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the name in `known` that is closest to `key`; nothing where none is close."""
    if len(key) > 100:
        return ""  # comparing takes time in proportion to both lengths
    close = difflib.get_close_matches(key, list(itertools.islice(known, 200)), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def short(value: object) -> str:
    """Return a value as it is quoted in a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
