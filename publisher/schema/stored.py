"""What every stored value has in common, and reading one back with its version checked."""

from __future__ import annotations

import functools
from typing import TypeVar

import msgspec

from publisher.errors import StorageError


class Struct(msgspec.Struct, frozen=True):
    """An immutable value; unknown fields of a newer minor writer are ignored, missing ones are errors."""


T = TypeVar("T", bound=Struct)


def decode(data: bytes, kind: type[T], where: str) -> T:
    """Return the stored value of type `kind` in `data`.

    Raises StorageError, naming `where`, when the schema version is older, newer or absent, or the contents do not fit.
    """
    wanted = _schema_of(kind)
    try:
        found = msgspec.json.decode(data, type=dict[str, object]).get("schema")
    except msgspec.MsgspecError as error:
        raise StorageError(f"{where} is not readable: {error}") from error
    if wanted and not isinstance(found, int):
        raise StorageError(f"{where} has no schema version", hint="was it written by publisher?")
    if wanted and isinstance(found, int) and found > wanted:
        raise StorageError(
            f"{where} was written by a newer publisher (schema {found}, this one reads {wanted})",
            hint="pip install --upgrade snapshot-publisher",
        )
    if wanted and isinstance(found, int) and found < wanted:
        raise StorageError(f"{where} has the old schema {found}, this publisher reads {wanted}")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise StorageError(f"{where} does not fit schema {wanted}: {error}") from error


@functools.cache
def _schema_of(kind: type[Struct]) -> int:
    """Return the version that a stored type declares, or 0 for a type that is only ever inside another."""
    for field in msgspec.structs.fields(kind):
        if field.name == "schema":
            return int(field.default)
    return 0
