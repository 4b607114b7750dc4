"""Secrets that never show themselves, and a last filter for text that contains one all the same."""

from __future__ import annotations

import base64
import re
import urllib.parse
from typing import NoReturn

SHORTEST = 8
"""Characters of the shortest string that the filter looks for: shorter ones would hide ordinary words."""
_USER = re.compile(r"(?<=://)[^/\s@'\"<>]*@")
_known: set[str] = set()


class Secret:
    """A string that never shows itself: not by repr, str, format, pickling or in a traceback's variables.

    Every secret is known to `redacted`, in each form in which an answer or a log could repeat it.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        """Hold `value`."""
        self.__value = value
        _known.update(form for form in _forms(value) if len(form) >= SHORTEST)

    def reveal(self) -> str:
        """Return the string itself; call it only in the expression that needs it."""
        return self.__value

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, specification: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")


def redacted(text: str) -> str:
    """Return `text` with every known secret, and the user information of every address in it, replaced by `***`."""
    for form in sorted(_known, key=len, reverse=True):
        text = text.replace(form, "***")
    return _USER.sub("***@", text)


def _forms(value: str) -> set[str]:
    """Return the ways in which `value` may be repeated: itself, its last word or path segment, and their encodings."""
    plain = {value, value.rpartition(" ")[2], value.rstrip("/").rpartition("/")[2]} - {""}
    data = [form.encode(errors="surrogateescape") for form in plain]
    encoded = {base64.b64encode(form).decode() for form in data} | {urllib.parse.quote(form, safe="") for form in data}
    return plain | encoded
