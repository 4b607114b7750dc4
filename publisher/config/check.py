"""A parsed document against the declared types: every mistake, each with its place and a suggestion."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Union

import msgspec
from msgspec import Meta

from publisher.config.section import Name, short, suggest

MOST = 50
"""Mistakes after which checking stops: nobody corrects more at once, and a hostile file can hold any number."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ESCAPES = {"\x08": "\\b", "\x0c": "\\f", "\r": "\\r"}


def check(kind: Any, value: Any, path: str, mistakes: list[str]) -> None:
    """Append to `mistakes` everything in `value` that does not fit the declared type `kind`."""
    if len(mistakes) >= MOST:
        return
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    options = arguments if origin in {Union, types.UnionType} else ()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        _check_section(kind, value, path, mistakes)
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            _check_leaf(Name if arguments[0] is str else arguments[0], key, f"the name {_join(path, key)}", mistakes)
            check(arguments[1], item, _join(path, key), mistakes)
    elif origin is list and isinstance(value, list):
        for number, item in enumerate(value):
            check(arguments[0], item, f"{path}[{number}]", mistakes)
    elif options and all(isinstance(option, type) and issubclass(option, msgspec.Struct) for option in options):
        _check_tagged({str(option.__struct_config__.tag): option for option in options}, value, path, mistakes)
    elif options and isinstance(value, dict | list):
        container = dict if isinstance(value, dict) else list
        fitting = [option for option in options if typing.get_origin(option) is container]
        check(fitting[0], value, path, mistakes) if fitting else _check_leaf(kind, value, path, mistakes)
    else:
        _check_leaf(kind, value, path, mistakes)


def _check_section(kind: type[msgspec.Struct], value: dict[str, Any], path: str, mistakes: list[str]) -> None:
    """Check one table: unknown keys, missing keys, then each value."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    tag = kind.__struct_config__.tag_field
    unknown = [key for key in value if key not in fields and key != tag]
    mistakes.extend(f"{_join(path, key)}: unknown key{suggest(key, fields)}" for key in unknown[:MOST])
    for name, field in fields.items():
        if name in value:
            check(hints[field.name], value[name], _join(path, name), mistakes)
        elif field.required:
            mistakes.append(f"{_join(path, name)}: missing")


def _check_tagged(kinds: dict[str, type[msgspec.Struct]], value: Any, path: str, mistakes: list[str]) -> None:
    """Check a table whose tag says which of `kinds` it is, such as a rule of the gate."""
    field = next(iter(kinds.values())).__struct_config__.tag_field or "type"
    tag = value.get(field) if isinstance(value, dict) else None
    if isinstance(tag, str) and tag in kinds:
        _check_section(kinds[tag], value, path, mistakes)
    else:
        mistakes.append(f"{path}.{field}: {short(tag)} is none of {', '.join(kinds)}{suggest(str(tag), kinds)}")


def _check_leaf(kind: Any, value: Any, path: str, mistakes: list[str]) -> None:
    """Check one plain value against its declared type and bounds."""
    if isinstance(value, float) and not math.isfinite(value):
        mistakes.append(f"{path}: expected a finite number, got {value}")
        return
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        names = _names(kind)
        if isinstance(value, str) and names:
            words = ", ".join([*names, *_unquoted(kind)])
            mistakes.append(f"{path}: {short(value)} is none of {words}{suggest(value, names)}")
            return
        # The bounds of an option that may be absent are one level deeper, in its union with None.
        parts = [part for option in typing.get_args(kind) for part in (option, *typing.get_args(option))]
        meta = next((item for item in parts if isinstance(item, Meta) and item.description), None)
        wanted = f" (wanted: {meta.description})" if meta else ""
        if meta and "matching regex" in str(error):
            mistakes.append(f"{path}: {short(value)} does not have the right form{wanted}")
            return
        mistakes.append(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}, got {short(value)}{wanted}")


def _names(kind: Any) -> list[str]:
    """Return the texts that a value of this type may be where they are declared one by one, such as the modes."""
    if typing.get_origin(kind) is typing.Literal:
        return [name for name in typing.get_args(kind) if isinstance(name, str)]
    options = typing.get_args(kind) if typing.get_origin(kind) in {Union, types.UnionType} else ()
    return [name for option in options for name in _names(option)]


def _unquoted(kind: Any) -> list[str]:
    """Return, as words, what a value of this type may be beside texts."""
    if kind in {bool, int}:
        return ["true", "false"] if kind is bool else ["a whole number"]
    options = () if typing.get_origin(kind) is typing.Literal else typing.get_args(kind)
    return [word for option in options for word in _unquoted(option)]


def control_characters(value: Any, path: str = "") -> Iterator[str]:
    """Yield a mistake for each text in `value` with a control character: nearly always a backslash that TOML ate."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from control_characters(item, _join(path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from control_characters(item, f"{path}[{number}]")
    elif isinstance(value, str) and (found := _CONTROL.search(value)):
        escape = _ESCAPES.get(found[0], "")
        why = f", because {escape} in \"…\" means that: write \\{escape}, or use '…'" if escape else ""
        yield f"{path}: has the control character U+{ord(found[0]):04X}{why}"


def _join(path: str, key: str) -> str:
    key = key if len(key) <= 64 else f"{key[:63]}…"
    return f"{path}.{key}" if path else key
