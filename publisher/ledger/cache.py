"""The history as it was read last, kept beside the repository so that the next command reads only what is new.

The file can be deleted at any time. It is believed only when it is whole, in this version's format and about a commit
that this repository has; what the ledger holds now then follows from a comparison of that commit with the newest one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

import msgspec

from publisher import schema
from publisher.errors import StorageError
from publisher.files import atomic_write
from publisher.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.git import Repository

T = TypeVar("T", bound=msgspec.Struct)
FILE = "history-cache"
_FORMAT = 2
"""Rises when the same ledger is to be read in another way."""
_DIGEST = hashlib.sha256().digest_size
WORTH_IT = 200
"""Files that differ before the cache is written again: comparing that many is faster than writing it every time."""


def load(repository: Repository, kind: type[T]) -> T | None:
    """Return the cached value, None where there is none that can be believed."""
    try:
        data = _path(repository).read_bytes()
    except OSError:
        return None
    head = _head()
    start = len(head) + _DIGEST
    body = memoryview(data)[start:]
    if not data.startswith(head) or hashlib.sha256(body).digest() != data[len(head) : start]:
        return None
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.MsgspecError:
        return None


def store(repository: Repository, value: msgspec.Struct, changed: int) -> None:
    """Keep a value of which `changed` files were not in the cache, where that saves the next command some time."""
    if changed < WORTH_IT:
        return
    body = msgspec.msgpack.encode(value)
    try:
        atomic_write(_path(repository), _head() + hashlib.sha256(body).digest() + body)
    except StorageError as error:
        # Nothing depends on it: a full disk or a repository that cannot be written is only slower.
        repository.note(f"the history is not cached: {error.message}")


def _head() -> bytes:
    """Return what a cache that can be believed begins with: this publisher's version and the fields of its types."""
    kinds = [kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, schema.Struct)]
    fields = repr(sorted((kind.__name__, kind.__struct_fields__) for kind in kinds)).encode()
    return f"publisher {__version__} history {_FORMAT} {hashlib.sha256(fields).hexdigest()}\n".encode()


def _path(repository: Repository) -> Path:
    return repository.git_folder / "publisher" / FILE
