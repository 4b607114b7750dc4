"""What the first fetch of a benchmark found, so that a later one cannot find something else unnoticed.

Pins are in the cache of the machine: `publisher suites add` writes the same digest into publisher.toml, where it holds
for everybody.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec

from publisher import schema
from publisher.errors import StorageError
from publisher.files import atomic_write, canonical_json, sha256_hex

if TYPE_CHECKING:
    from pathlib import Path

PIN_SCHEMA = 1


class SuitePin(schema.Struct, frozen=True, kw_only=True):
    """A benchmark as it was fetched first."""

    schema: int = PIN_SCHEMA
    name: str
    source: str
    source_sha256: str
    sha256: str
    """The digest of the suite that the source makes."""
    problems: int
    time: str


def path_of(cache: Path, name: str, source: str) -> Path:
    """Return where the pin of a benchmark from a source is."""
    return cache / "pins" / f"{name}-{sha256_hex(source.encode())[:16]}.json"


def read(cache: Path, name: str, source: str) -> SuitePin | None:
    """Return the pin of a benchmark from a source, or None before its first fetch; StorageError for a broken one."""
    path = path_of(cache, name, source)
    try:
        return schema.decode(path.read_bytes(), SuitePin, str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def write(cache: Path, pin: SuitePin) -> None:
    """Pin a benchmark to what was fetched."""
    atomic_write(path_of(cache, pin.name, pin.source), canonical_json(pin))


def pinned(name: str, source: str, *, source_sha256: str, sha256: str, problems: int) -> SuitePin:
    """Return a pin of today."""
    time = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return SuitePin(name=name, source=source, source_sha256=source_sha256, sha256=sha256, problems=problems, time=time)


def all_pins(cache: Path) -> list[SuitePin]:
    """Return every pin of this machine that can be read, by name."""
    found = []
    for path in sorted((cache / "pins").glob("*.json")):
        try:
            found.append(schema.decode(path.read_bytes(), SuitePin, str(path)))
        except (OSError, StorageError, msgspec.MsgspecError):
            continue
    return found
