"""Python values as lines of JSON: plain ones as they are, the rest as a list that begins with the type's name.

Both sides of a call read only what this can write, so a program cannot hand over an object with a method of its own.
"""

from __future__ import annotations

import json
import math
from typing import Any

_DEEPEST = 200


class Foreign(Exception):
    """A value that is not plain data."""


def dumps(value: Any) -> str:
    """Return a value as one line; raises Foreign for what is not plain data."""
    return json.dumps(_pack(value, 0), separators=(",", ":"))


def loads(line: bytes | str) -> Any:
    """Return the value in a line; raises ValueError where there is none."""
    try:
        return _unpack(json.loads(line))
    except (RecursionError, TypeError, KeyError, IndexError) as error:
        raise ValueError(type(error).__name__) from error


def scalar(packed: Any) -> Any:
    """Return a packed value that is no container; raises ValueError for anything else."""
    if isinstance(packed, list) and not (len(packed) == 2 and isinstance(packed[0], str) and packed[0] in _READERS):
        raise ValueError("a container")
    try:
        return _unpack(packed)
    except TypeError as error:
        raise ValueError("no scalar") from error


def _pack(value: Any, depth: int) -> Any:
    """Return a value as JSON can hold it."""
    if depth > _DEEPEST:
        raise Foreign("too deeply nested")
    kind = type(value)
    if value is None or kind in (bool, str) or (kind is int and abs(value) < 1 << 53):
        return value
    if kind in (list, tuple, set, frozenset):
        return [kind.__name__, *(_pack(item, depth + 1) for item in value)]
    if kind is dict:
        return ["dict", *([_pack(key, depth + 1), _pack(item, depth + 1)] for key, item in value.items())]
    if kind is float and math.isfinite(value):
        return value
    if kind in _WRITERS:
        return [kind.__name__, _WRITERS[kind](value)]
    plain: Any
    for plain in (int, float, str, list, tuple, set, dict):
        if isinstance(value, plain):  # a subclass, such as a Counter, counts as what it extends
            return _pack(plain(value), depth)
    raise Foreign(kind.__name__)


_WRITERS: dict[type, Any] = {int: hex, float: repr, complex: repr, bytes: bytes.hex}
_READERS: dict[str, Any] = {
    "int": lambda text: int(text, 16),
    "float": float,
    "complex": complex,
    "bytes": bytes.fromhex,
}
_MAKERS: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _unpack(value: Any) -> Any:
    if not isinstance(value, list):
        if isinstance(value, dict):
            raise TypeError("an object")
        return value
    kind, *items = value
    if kind in _MAKERS:
        return _MAKERS[kind](_unpack(item) for item in items)
    if kind == "dict":
        return {_unpack(key): _unpack(item) for key, item in items}
    return _READERS[kind](items[0])
