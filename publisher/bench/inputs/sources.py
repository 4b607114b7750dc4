"""Find the files of models and suites: in a commit, on Hugging Face, on the web, in S3 or here, each by its digest.

A file is cached under its SHA-256 and checked whenever it is used, so that a damaged cache repairs itself. Git LFS
pointers stand for their files: the digest is in the pointer.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from publisher import address
from publisher.bench.inputs import hub, storage
from publisher.bench.inputs.progress import Progress
from publisher.errors import GitError, ModelError, NetworkError, PublisherError, StorageError
from publisher.files import sha256_file, storage_error
from publisher.git import fetch_object, fetched_commit, own_object, pointer_of
from publisher.git.elsewhere import MOST
from publisher.web import download

if TYPE_CHECKING:
    from publisher.bench.inputs.kind import Inputs, Kind
    from publisher.git import Pointer

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_GIT = re.compile(r"git:(.+)@([0-9a-f]{40}|[0-9a-f]{64}):(.+)")
_ELSEWHERE = ("hf:", "https://", "http://", "git:", "s3:", "local:")


def fetch(source: str, sha256: str, kind: Kind, inputs: Inputs) -> Path:
    """Return the local file of `source`; its digest is `sha256` where one is declared.

    Raises the kind's error when there is no such file or it has another digest, NetworkError, GitError or StorageError.
    """
    if source.startswith(_ELSEWHERE):
        return _fetched(source, sha256, kind, inputs)
    if _SCHEME.match(source):
        known = (
            "a path in the repository, builtin:abacus, hf:OWNER/REPO@REVISION/FILE, git:ADDRESS@COMMIT:PATH, "
            "s3:BUCKET/KEY, local:NAME or https://…"
        )
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


def _committed(source: str, sha256: str, kind: Kind, inputs: Inputs, remote: str = "") -> Path:
    """Return a cached copy of a file of the commit; `remote` is where its Git LFS files are, if not at `origin`."""
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
    pointer = pointer_of(inputs.repository.read(inputs.commit, str(path)) or b"") if size <= MOST else None
    size = pointer.size if pointer else size
    if size > kind.limit:
        raise kind.error(
            f"{kind.section}.source: {where} has {size} bytes; a {kind.noun} may have {kind.limit}",
            hint="check which file is meant: git ls-tree -r -l HEAD",
        )
    if pointer:
        check_digest(pointer.oid, sha256, kind, where)
        return _large(pointer, kind, inputs, where, remote)
    target = inputs.cache / kind.folder / f"{sha256}{kind.suffix}"
    return target if sha256 and is_whole(target, sha256) else _copied(path, sha256, kind, inputs, where)


def _large(pointer: Pointer, kind: Kind, inputs: Inputs, where: str, remote: str) -> Path:
    """Return the file that a Git LFS pointer stands for: the repository's own, or fetched from its remote."""
    target = inputs.cache / kind.folder / f"{pointer.oid}{kind.suffix}"
    if is_whole(target, pointer.oid):
        return target
    own = own_object(inputs.repository, pointer)
    if own and sha256_file(own) == pointer.oid:
        return own
    names = inputs.repository.remotes()
    name = "origin" if "origin" in names else next(iter(names), "")
    remote = remote or inputs.repository.setting(f"remote.{name}.url")
    what = f"{kind.section}.source: {where} is in Git LFS"
    if not remote:
        raise kind.error(f"{what}, and the repository has no remote to fetch it from", hint="git lfs fetch --all")
    inputs.note(f"fetching {where} with git lfs")
    part = target.with_name(f".lfs-{pointer.oid}-{os.getpid()}")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        fetch_object(remote, pointer, part)
        if sha256_file(part) != pointer.oid:
            raise kind.error(f"{what}, and its remote sent a file that has not the sha256 {pointer.oid}")
        return part.replace(target)
    except GitError as error:
        raise kind.error(f"{what}: {error.message}", hint=error.hint, detail=error.detail) from error
    except OSError as error:
        raise storage_error(error, part) from error
    finally:
        part.unlink(missing_ok=True)


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
    if source.startswith("local:"):
        return _local(source, sha256, kind, inputs)
    target = inputs.cache / kind.folder / f"{sha256}{kind.suffix}"
    if is_whole(target, sha256):
        return target
    inputs.note(f"fetching {source}")
    if source.startswith(("https://", "http://")):
        progress = Progress(f"fetching {source.rpartition('/')[2][:80]}", inputs.note)
        try:
            download(source, target, sha256=sha256, limit=kind.limit, loopback=inputs.loopback, progress=progress)
        except ModelError as error:  # another digest than the declared one, of whatever kind of file
            raise kind.error(f"{kind.section}: {error.message}", hint=error.hint) from error
        return target
    try:
        path = obtain(source, kind, inputs)
        if sha256_file(path) != sha256:
            hub.forget(source, kind, inputs)
            if source.startswith("s3:"):
                path.unlink()
            # The digest that was found is not said: with somebody's token a commit could learn of private files.
            raise kind.error(
                f"{kind.section}: {source} has not the declared sha256 {sha256}",
                hint=f"check the revision, and the sha256 in [{kind.section}]",
            )
        path.replace(target)
    except (NetworkError, StorageError, OSError) as error:
        if is_whole(target, sha256):
            return target  # another process was faster, and has removed the folder that both were using
        raise (storage_error(error, target) if isinstance(error, OSError) else error) from error
    hub.forget(source, kind, inputs)
    return target


def obtain(source: str, kind: Kind, inputs: Inputs) -> Path:
    """Return a file of the cache with what `hf:`, `git:` or `s3:` names, whatever its digest; the caller moves it.

    Raises the kind's error, NetworkError, GitError or StorageError.
    """
    if source.startswith("hf:"):
        return hub.fetched(source, kind, inputs)
    if source.startswith("s3:"):
        return storage.fetched(source, kind, inputs)
    return _from_git(source, kind, inputs)


def _from_git(source: str, kind: Kind, inputs: Inputs) -> Path:
    """Return the file of `git:ADDRESS@COMMIT:PATH`; the repository that it was fetched into is removed again."""
    found = _GIT.fullmatch(source)
    own = bool(found and (found[1].startswith(("/", "file:", "http:")) or address.is_loopback(found[1])))
    if not found or not found[1].startswith(("https://", "ssh://", "http://", "file://", "/")):
        raise kind.error(
            f"{kind.section}.source: {source!r} is not git:ADDRESS@COMMIT:PATH",
            hint="name an https or ssh address and the full hash of a commit",
        )
    if own and not inputs.loopback:
        raise kind.error(
            f"{kind.section}.source: a file is not fetched from this machine itself",
            hint="PUBLISHER_LOOPBACK_SOURCES=1 allows it, where every commit is trusted",
        )
    folder = inputs.cache / kind.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".git-") as name:
        repository = fetched_commit(found[1], found[2], Path(name))
        try:
            there = replace(inputs, repository=repository, commit=found[2])
            return _committed(found[3], "", kind, there, found[1])
        finally:
            repository.close()


def _local(source: str, sha256: str, kind: Kind, inputs: Inputs) -> Path:
    """Return the file of `local:NAME` in $PUBLISHER_MODELS, which is used where it lies."""
    name = PurePosixPath(source.removeprefix("local:"))
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise kind.error(f"{kind.section}.source: {source!r} is not local:NAME", hint="local:model-q4_k_m.gguf")
    if inputs.models is None:
        raise kind.error(
            f"{kind.section}.source: {source} needs the folder that it is in", hint="export PUBLISHER_MODELS=/FOLDER"
        )
    path = inputs.models / name
    if not path.is_file():
        moved = f": it was at {path.readlink()}" if path.is_symlink() else ""
        raise kind.error(
            f"{kind.section}.source: there is no {name} in {inputs.models}{moved}",
            hint="export PUBLISHER_MODELS=/FOLDER   with the folder that the file is in",
        )
    found = sha256_file(path)
    check_digest(found, sha256, kind, source)
    return path


def is_whole(path: Path, sha256: str) -> bool:
    """Return whether the cache has the file undamaged, and remove a damaged one."""
    try:
        if path.is_file():
            if sha256_file(path) == sha256:
                return True
            path.unlink()
    except OSError as error:
        raise storage_error(error, path) from error
    return False
