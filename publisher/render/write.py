"""The manifest, and the one moment at which the output folder changes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.errors import StorageError
from publisher.files import canonical_json, sha256_hex, storage_error
from publisher.schema import Manifest, ManifestEntry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

MANIFEST = "manifest.json"
DEPLOY = "deploy.json"
HEADERS = "_headers"
CONFIGURATION = (HEADERS, "_redirects")
"""Read by the host and not served as files, so nobody can fetch them."""


def manifest(
    files: Mapping[str, bytes], headers: dict[str, dict[str, str]], processed: AbstractSet[str] = frozenset()
) -> bytes:
    """Return `manifest.json`: digest and size of every file that can be fetched, and of the host's configuration.

    With it go the `headers` that files have to come with, by path, so that anybody can check these as well.

    Two files are not in it: the manifest itself, and `deploy.json`, which differs from deploy to deploy. Nor are those
    that the host has `processed`, which are not served as they were rendered.
    """
    entries = {
        name: ManifestEntry(sha256=sha256_hex(data), size=len(data))
        for name, data in files.items()
        if name not in {MANIFEST, DEPLOY, *processed}
    }
    return canonical_json(
        Manifest(
            files={name: entry for name, entry in entries.items() if name not in CONFIGURATION},
            config={name: entry for name, entry in entries.items() if name in CONFIGURATION},
            headers=headers,
        )
    )


def write(files: Mapping[str, bytes], into: Path) -> None:
    """Make the folder `into` hold exactly `files`: written beside it, then swapped in, so it is never half there.

    Raises StorageError, with the old folder left as it was, when the disk is full or the folder is not ours to replace.
    """
    into = into.absolute()
    if into.exists() and not _is_ours(into):
        raise StorageError(
            f"{into} is not a rendered site, so it is not replaced", hint="name another folder, or empty it"
        )
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=into.parent, prefix=f".{into.name}."))
        try:
            _fill(files, fresh / "site")
            _swap(fresh / "site", into, fresh / "old")
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise storage_error(error, into) from error


def _is_ours(folder: Path) -> bool:
    """Return whether a folder is empty or holds a rendered site; anything else might be somebody's work."""
    return folder.is_dir() and not folder.is_symlink() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))


def _fill(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644)


def _swap(fresh: Path, into: Path, old: Path) -> None:
    """Put `fresh` where `into` is; the old folder comes back if that fails."""
    if not into.exists():
        fresh.rename(into)
        return
    into.rename(old)
    try:
        fresh.rename(into)
    except BaseException:
        old.rename(into)
        raise
