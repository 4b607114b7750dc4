"""A commit of another repository, and files in Git LFS: fetched into repositories of their own.

A repository that is made for one fetch has no `.lfsconfig` and no hook of anybody's choosing, so Git LFS asks the
server of the address and no other, with the credentials that this machine has for it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import GitError
from publisher.git.credentials import login
from publisher.git.process import PATIENCE, execute, start, stop
from publisher.git.repository import Repository
from publisher.git.values import checked

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.git.credentials import Login
    from publisher.git.process import Output

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n*\Z"
)
MOST = 1024
"""Bytes that a pointer has at most."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a Git LFS pointer says: the SHA-256 and the size in bytes of the file that it stands for."""

    oid: str
    size: int
    data: bytes


def pointer_of(data: bytes) -> Pointer | None:
    """Return the pointer that the bytes of a file are, or None where they are something else."""
    found = _POINTER.match(data) if len(data) <= MOST else None
    return Pointer(found[1].decode(), int(found[2]), data) if found else None


def own_object(repository: Repository, pointer: Pointer) -> Path | None:
    """Return the file of a pointer among the repository's own LFS objects, or None where it is not there whole."""
    path = repository.git_folder / "lfs" / "objects" / pointer.oid[:2] / pointer.oid[2:4] / pointer.oid
    return path if path.is_file() and path.stat().st_size == pointer.size else None


def fetch_object(address: str, pointer: Pointer, target: Path, *, timeout: float = PATIENCE.network) -> None:
    """Write the file of a pointer to `target` with `git lfs`, piece by piece; GitError where it cannot be had.

    The caller checks its digest.
    """
    if execute(["lfs", "version"], target.parent).code != 0:
        raise GitError("git-lfs is not installed", hint="apt-get install git-lfs")
    remote = login(address)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".lfs-") as name:
        folder = target.parent / name
        _made(folder, remote)
        timeouts = [f"lfs.dialtimeout={int(timeout)}", f"lfs.activitytimeout={int(timeout)}"]
        environment = {**remote.environment, "GIT_LFS_SKIP_SMUDGE": "0"}
        process = start(["lfs", "smudge"], folder, [*remote.settings, *timeouts], environment)
        try:
            pipes = process.stdin, process.stdout, process.stderr
            if any(pipe is None for pipe in pipes):
                raise GitError("git lfs could not be started")
            process.stdin.write(pointer.data)  # type: ignore[union-attr] # looked at above
            process.stdin.close()  # type: ignore[union-attr] # the same
            with target.open("wb") as stream:
                shutil.copyfileobj(process.stdout, stream, 1 << 20)  # type: ignore[arg-type] # the same
            said = process.stderr.read().decode(errors="replace")  # type: ignore[union-attr] # the same
            code = process.wait()
        finally:
            stop(process)
    if code != 0 or target.stat().st_size != pointer.size:
        target.unlink(missing_ok=True)
        raise GitError(
            f"git lfs cannot fetch {pointer.oid[:12]}… from {remote.address}",
            hint="git lfs fetch --all   in a clone shows whether the file was ever pushed",
            detail=_without(said, remote)[-2000:],
        )


def fetched_commit(address: str, commit: str, into: Path, *, timeout: float = PATIENCE.network) -> Repository:
    """Return a bare repository in `into` with the one commit of the repository at `address`; GitError without it."""
    remote = login(address)
    _made(into, remote)
    arguments = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "origin", checked(commit)]
    output = execute(arguments, into, settings=remote.settings, environment=remote.environment, timeout=timeout)
    if output.code != 0:
        raise GitError(
            f"cannot fetch the commit {commit[:12]} of {remote.address}",
            hint="check the address and the full hash; a commit that was never pushed is nowhere to be had",
            detail=_without(output.shown(), remote),
        )
    return Repository(into)


def _made(folder: Path, remote: Login) -> None:
    """Make an empty bare repository whose `origin` is `remote`."""
    folder.mkdir(parents=True, exist_ok=True)
    for arguments in (["init", "--quiet", "--bare", "."], ["config", "remote.origin.url", remote.address]):
        _require(execute(arguments, folder))


def _require(output: Output) -> None:
    if output.code != 0:
        raise GitError("cannot make a repository to fetch into", detail=output.shown())


def _without(text: str, remote: Login) -> str:
    """Return what git said without the login, which a server may say again."""
    return text.replace(remote.secret, "***") if remote.secret else text
