"""Published bytes, each kept once under its SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING

from publisher.errors import StorageError
from publisher.files import atomic_write, sha256_hex
from publisher.host.store.records import Entry

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

_SHA256 = re.compile(rb"[0-9a-f]{64}\Z")


class Blobs:
    """A folder of files that are named by their SHA-256 and never change."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which the first blob creates."""
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Return where the blob with this digest is."""
        return self._folder / "sha256" / sha256[:2] / sha256[2:]

    def add(self, data: bytes) -> Entry:
        """Keep `data` and return its digest and size."""
        digest = sha256_hex(data)
        path = self.path(digest)
        if not path.exists():
            atomic_write(path, data, mode=0o600)
        return Entry(digest, len(data))

    def add_uploaded(self, data: bytes) -> tuple[str, Entry]:
        """Keep `data` and remember its SHA-1, by which uploading clients name files."""
        entry = self.add(data)
        sha1 = sha1_hex(data)
        index = self._sha1_path(sha1)
        if not index.exists():
            atomic_write(index, entry.sha256.encode(), mode=0o600)
        return sha1, entry

    def find(self, sha1: str) -> Entry | None:
        """Return the uploaded blob with this SHA-1, where it is still kept."""
        try:
            digest = self._sha1_path(sha1).read_bytes()
            if not _SHA256.match(digest):
                return None
            return Entry(digest.decode(), self.path(digest.decode()).stat().st_size)
        except OSError:
            return None

    def keep_only(self, wanted: AbstractSet[str]) -> int:
        """Delete the blobs whose digest is not `wanted` and return their number."""
        kept = (self._folder / "sha256").glob("??/*")
        unwanted = [path for path in kept if path.parent.name + path.name not in wanted]
        for path in unwanted:
            path.unlink(missing_ok=True)
        return len(unwanted)

    def _sha1_path(self, sha1: str) -> Path:
        return self._folder / "sha1" / sha1[:2] / sha1[2:]


def sha1_hex(data: bytes) -> str:
    """Return the SHA-1 of `data`; Netlify's upload protocol names files by it."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def read_plain_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes, never following a link in its last component."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise StorageError(f"cannot read {path.name}: {error.strerror}") from error
    with os.fdopen(handle, "rb") as stream:
        details = os.fstat(stream.fileno())
        if not stat.S_ISREG(details.st_mode):
            raise StorageError(f"{path.name} is not a regular file")
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise StorageError(f"{path.name} is larger than {limit} bytes")
    return data
