"""Find the files of models and suites: in the commit itself, on Hugging Face or on the web, each by its digest.

A file is cached under its SHA-256 and checked whenever it is used, so that a damaged cache repairs itself.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

from publisher.bench.inputs.hub import from_hub
from publisher.bench.inputs.progress import Progress
from publisher.errors import ModelError, PublisherError
from publisher.files import sha256_file, storage_error
from publisher.web import download

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from publisher.bench.inputs.kind import Kind
    from publisher.git import Repository

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LFS = b"version https://git-lfs.github.com/spec/"
_POINTER = 1024
"""Bytes that a Git LFS pointer has at most."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The commit whose files are read, the cache for fetched and extracted files, and where notes go."""

    repository: Repository
    commit: str
    cache: Path
    note: Callable[[str], None]
    loopback: bool = False
    """Whether a commit's publisher.toml may name services of this machine: $PUBLISHER_LOOPBACK_SOURCES is 1."""

    @classmethod
    def of(
        cls, repository: Repository, commit: str, environment: Mapping[str, str], note: Callable[[str], None]
    ) -> Self:
        """Return the inputs of a commit, with the cache folder and the permission that the environment names."""
        loopback = environment.get("PUBLISHER_LOOPBACK_SOURCES") == "1"
        return cls(repository, commit, cache_folder(environment), note, loopback)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder for fetched files: $PUBLISHER_CACHE, or snapshot-publisher in the user's cache folder."""
    if environment.get("PUBLISHER_CACHE"):
        return Path(environment["PUBLISHER_CACHE"])
    own = environment.get("XDG_CACHE_HOME", "")
    return (Path(own) if own.startswith("/") else Path(environment.get("HOME", "/")) / ".cache") / "snapshot-publisher"


def fetch(source: str, sha256: str, kind: Kind, inputs: Inputs) -> Path:
    """Return the local file of `source`; its digest is `sha256` where one is declared.

    Raises the kind's error when there is no such file or it has another digest, NetworkError or StorageError.
    """
    if source.startswith(("hf:", "https://", "http://")):
        return _fetched(source, sha256, kind, inputs)
    if _SCHEME.match(source):
        known = "a path in the repository, builtin:abacus, hf:OWNER/REPO@REVISION/FILE or https://…"
        raise kind.error(
            f"{kind.section}.source: {source!r} is not a kind of source that publisher knows", hint=f"use {known}"
        )
    return _committed(source, sha256, kind, inputs)


def check_digest(found: str, wanted: str, kind: Kind, source: str) -> None:
    """Raise the kind's error, with both digests and what to type, when the declared digest is not the file's."""
    if wanted and wanted != found:
        raise kind.error(
            f"{kind.section}: {source} has the sha256\n  {found}\nbut publisher.toml declares\n  {wanted}",
            hint=f'if that file is the one you mean, write in [{kind.section}]: sha256 = "{found}"',
        )


def _committed(source: str, sha256: str, kind: Kind, inputs: Inputs) -> Path:
    """Return a cached copy of a file of the commit."""
    path = PurePosixPath(source)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\n" in source:
        raise kind.error(
            f"{kind.section}.source: {source!r} is not a path inside the repository",
            hint="write it relative to the repository's root",
        )
    where = f"{path} of commit {inputs.commit[:12]}"
    size = inputs.repository.size(inputs.commit, str(path))
    if size is None:
        raise _not_committed(path, kind, inputs)
    if size > kind.limit:
        raise kind.error(
            f"{kind.section}.source: {where} has {size} bytes; a {kind.noun} may have {kind.limit}",
            hint="check which file is meant: git ls-tree -r -l HEAD",
        )
    if size < _POINTER and (inputs.repository.read(inputs.commit, str(path)) or b"").startswith(_LFS):
        raise kind.error(
            f"{kind.section}.source: {where} is a Git LFS pointer, not the file itself",
            hint="commit the file itself, or name it by an https:// or hf: source and its sha256 (the pointer's oid)",
        )
    target = inputs.cache / kind.folder / f"{sha256}{kind.suffix}"
    return target if sha256 and _is_whole(target, sha256) else _copied(path, sha256, kind, inputs, where)


def _not_committed(path: PurePosixPath, kind: Kind, inputs: Inputs) -> PublisherError:
    """Return the error for a file that the commit does not have; one of the working tree can be added."""
    there = (inputs.repository.root / path).is_file()
    hint = (
        f"git add {shlex.quote(str(path))} && git commit"
        if there
        else f"git ls-tree -r --name-only {inputs.commit[:12]}"
    )
    message = "is in the working tree but not in" if there else "does not exist in"
    return kind.error(f"{kind.section}.source: {path} {message} commit {inputs.commit[:12]}", hint=hint)


def _copied(path: PurePosixPath, sha256: str, kind: Kind, inputs: Inputs, where: str) -> Path:
    """Return a copy of a file of the commit, made piece by piece: a model need not fit into memory."""
    folder = inputs.cache / kind.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".copy-")
        copy = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                inputs.repository.copy(inputs.commit, str(path), stream)
            digest = sha256_file(copy)
            check_digest(digest, sha256, kind, where)
            return copy.replace(folder / f"{digest}{kind.suffix}")
        finally:
            copy.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error


def _fetched(source: str, sha256: str, kind: Kind, inputs: Inputs) -> Path:
    """Return the cached copy of a file from elsewhere, fetching it first where there is none."""
    if not sha256:
        message = f"{kind.section}.sha256: required, because {source} is fetched from elsewhere"
        raise kind.error(message, hint=f"sha256sum FILE   and write it in [{kind.section}]")
    target = inputs.cache / kind.folder / f"{sha256}{kind.suffix}"
    if _is_whole(target, sha256):
        return target
    inputs.note(f"fetching {source}")
    progress = Progress(f"fetching {source.rpartition('/')[2][:80]}", inputs.note)
    if source.startswith("hf:"):
        from_hub(source, sha256, kind, target, progress)
        return target
    try:
        download(source, target, sha256=sha256, limit=kind.limit, loopback=inputs.loopback, progress=progress)
    except ModelError as error:  # another digest than the declared one, of whatever kind of file
        raise kind.error(f"{kind.section}: {error.message}", hint=error.hint) from error
    return target


def _is_whole(path: Path, sha256: str) -> bool:
    """Return whether the cache has the file undamaged, and remove a damaged one."""
    try:
        if path.is_file():
            if sha256_file(path) == sha256:
                return True
            path.unlink()
    except OSError as error:
        raise storage_error(error, path) from error
    return False
