"""What every stored value has in common, and reading one back with its version checked."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec

from publisher.errors import StorageError


class Struct(msgspec.Struct, frozen=True):
    """An immutable value; unknown fields of a newer minor writer are ignored, missing ones are errors."""


def version(data: bytes, where: str) -> object:
    """Return the schema version that a stored value names, None for none; StorageError where it is no JSON object."""
    return _decoded(data, _Version, f"{where} is not readable").schema


class _Version(msgspec.Struct):
    """The one field that is read before the type of the rest is known."""

    schema: object = None


T = TypeVar("T", bound=Struct)


def decode(data: bytes, kind: type[T], where: str) -> T:
    """Return the stored value of type `kind` in `data`, which may come from a hostile writer.

    Raises StorageError, naming `where`, when the schema version is older, newer or absent, or the contents do not fit:
    broken JSON, nesting that is too deep, numbers out of range and wrong types included.
    """
    wanted = _schema_of(kind)
    found = _decoded(data, _Version, f"{where} is not readable").schema
    if wanted and not isinstance(found, int):
        raise StorageError(f"{where} has no schema version", hint="was it written by publisher?")
    if wanted and isinstance(found, int) and found > wanted:
        shown = found if found < 10**6 else "above a million"
        raise StorageError(
            f"{where} was written by a newer publisher (schema {shown}, this one reads {wanted})",
            hint="pip install --upgrade snapshot-publisher",
        )
    if wanted and isinstance(found, int) and found < wanted:
        shown = found if found > -(10**6) else "below minus a million"
        raise StorageError(f"{where} has the old schema {shown}, this publisher reads {wanted}")
    return _decoded(data, kind, f"{where} does not fit schema {wanted}")


D = TypeVar("D", bound=msgspec.Struct)


def _decoded(data: bytes, kind: type[D], what: str) -> D:
    """Return the JSON value in `data`; StorageError, which begins with `what`, when it cannot be read as a `kind`."""
    try:
        value: D = _decoder(kind).decode(data)
    except RecursionError as error:
        raise StorageError(f"{what}: it is nested too deeply") from error
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        # Python itself refuses integers of more than 4,300 digits, with a plain ValueError.
        raise StorageError(f"{what}: {str(error)[:300]}") from error
    return value


@functools.cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type; making one costs more than decoding a small file."""
    return msgspec.json.Decoder(kind)


@functools.cache
def _schema_of(kind: type[Struct]) -> int:
    """Return the version that a stored type declares, or 0 for a type that is only ever inside another."""
    for field in msgspec.structs.fields(kind):
        if field.name == "schema":
            return int(field.default)
    return 0
