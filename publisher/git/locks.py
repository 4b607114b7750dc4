"""Git's lock files: who holds one, and removing one that a killed git left behind.

Git creates `<file>.lock` before it changes a file and renames it afterwards. A git that was killed in between leaves
the lock, and every later command fails on it. A lock is removed only when all of this is certain: it belongs to this
user and this machine, it is older than a stated age, no process has it open, and no git that could write is at work in
that repository.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.errors import GitError
from publisher.git.process import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.git.process import Output, Patience

_LOCKED = re.compile(r"Unable to create '([^'\n]+\.lock)': File exists")
_OURS = re.compile(r"(?:refs/.+|packed-refs|HEAD|worktrees/[^/]+/HEAD|config|shallow|objects/info/[a-z-]+)\.lock\Z")
"""The locks that can be removed, relative to the repository: those of refs and of caches, and not the user's index."""
_READERS = frozenset(
    {"blame", "cat-file", "credential-cache--daemon", "diff", "fsmonitor--daemon", "grep", "log", "ls-remote"}
    | {"rev-list", "rev-parse", "show", "status", "upload-pack"}
)
"""Subcommands that may run for long and never hold one of these locks."""
_NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "glusterfs", "lustre", "afs")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file as it was found: its path, its age in seconds, and which file it was (inode and change time)."""

    path: Path
    age: float
    identity: tuple[int, int]
    owner: int

    @classmethod
    def at(cls, path: Path) -> Lock | None:
        """Return the lock at `path`, None where there is none (any more)."""
        try:
            found = path.lstat()
        except OSError:
            return None
        age = max(0.0, time.time() - found.st_mtime)
        return cls(path, age, (found.st_ino, found.st_ctime_ns), found.st_uid)


def named_in(output: Output) -> Path | None:
    """Return the lock that a command says is held, None where it names none.

    A push that succeeds names one, too, where it could not write down where the remote's branch is now.
    """
    found = _LOCKED.search(output.said)
    return Path(os.path.normpath(found[1])) if found else None


def folder_of_remote(root: Path, remote: str) -> list[Path]:
    """Return the git folder of a remote that is a path on this machine, nothing for one behind a network."""
    if not remote:
        return []
    url = execute(["remote", "get-url", "--push", "--", remote], root).stdout.decode(errors="replace").strip()
    place = Path(root, url.removeprefix("file://"))
    if not url or not place.is_dir():
        return []
    output = execute(["rev-parse", "--path-format=absolute", "--git-common-dir"], place)
    return [Path(os.fsdecode(output.stdout).strip()).resolve()] if output.code == 0 else []


def remove_stale(path: Path, repositories: list[Path], patience: Patience) -> str:
    """Remove a lock that a killed git left in one of the `repositories`; return a sentence about it, or "".

    A lock that is younger than `patience.stale`, that a living process may hold, or that is not ours stays.
    """
    home = next((folder for folder in repositories if path.is_relative_to(folder)), None)
    if home is None or not _OURS.fullmatch(path.relative_to(home).as_posix()):
        return ""
    # Two publishers may find the same stale lock. Without taking turns, the slower one could remove the new lock of
    # a git that started after the faster one had cleared the way.
    with _turn(home):
        lock = Lock.at(path)
        if lock is None or lock.age < patience.stale or keepers(lock, home):
            return ""
        again = Lock.at(path)
        if again is None or again.identity != lock.identity:
            return ""
        path.unlink(missing_ok=True)
    return f"removed {path}, a lock that a killed git left {lock.age:.0f} s ago: no process holds it"


def outwait(path: Path, repositories: list[Path], patience: Patience) -> str:
    """Wait until a lock is gone, or old enough to be removed; return a sentence about it where it was removed.

    One that a living process may hold is left alone.
    """
    home = next((folder for folder in repositories if path.is_relative_to(folder)), None)
    end = time.monotonic() + patience.lock  # the lock of a machine whose clock is ahead seems to stay young
    while home and (lock := Lock.at(path)) and lock.age < patience.stale and time.monotonic() < end:
        if keepers(lock, home):
            return ""
        time.sleep(min(0.2, patience.stale - lock.age))
    return remove_stale(path, repositories, patience)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Hold the one place in a repository from which locks are removed."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def held(remote: str, path: Path, repositories: list[Path], output: Output) -> GitError:
    """Return the error for a lock that did not go away: which file, how old, and who may hold it."""
    home = next((folder for folder in repositories if path.is_relative_to(folder)), None)
    lock = Lock.at(path) if home else None
    if home is None or lock is None:
        where = f" on {remote}" if remote else ""
        return GitError(
            f"another git holds {path}{where}",
            hint=f"if no git is running there, remove it on that machine: rm {shlex.quote(str(path))}",
            detail=output.shown(),
        )
    reasons = keepers(lock, home)
    by = f"; {reasons[0]}" if reasons else ""
    return GitError(
        f"{path} is locked, {lock.age:.0f} s old{by}",
        hint="wait for that process to end" if reasons else f"if no git is running there: rm {shlex.quote(str(path))}",
        detail=output.shown(),
    )


def keepers(lock: Lock, home: Path) -> list[str]:
    """Return why a lock may not be removed: processes that may hold it, or what cannot be seen from here."""
    if not _PROC.joinpath("self", "fd").is_dir():
        return ["this system does not say which processes hold it"]
    if os.geteuid() not in {0, lock.owner}:
        return ["it belongs to another user"]
    system = _filesystem(lock.path)
    if system.startswith(_NETWORK_FILESYSTEMS):
        return [f"it is on a network file system ({system}), whose other users cannot be seen from here"]
    numbers = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [f"process {pid} ({words}) may hold it" for pid in numbers if (words := _holds(pid, lock, home))]


def _holds(pid: int, lock: Lock, home: Path) -> str:
    """Return the command of a process that has the lock open, or that is a git which writes in its repository."""
    folder = _PROC / str(pid)
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    shown = " ".join(words[:6]).strip()[:120] or "unnamed"
    if _has_open(folder, lock.path):
        return shown
    if not Path(words[0]).name.startswith("git") or _subcommand(words) in _READERS:
        return ""
    try:
        return shown if _works_in((folder / "cwd").readlink(), home) else ""
    except PermissionError:
        return shown
    except OSError:
        return ""


def _has_open(folder: Path, path: Path) -> bool:
    """Return whether a process has a file open; false for one that cannot be looked at."""
    try:
        handles = list((folder / "fd").iterdir())
    except OSError:
        return False
    for handle in handles:
        try:
            if handle.readlink() == path:
                return True
        except OSError:
            continue
    return False


def _subcommand(words: list[str]) -> str:
    """Return which git command a command line is: `log` of `git -C folder log`, `upload-pack` of `git-upload-pack`."""
    name = Path(words[0]).name
    if name.startswith("git-"):
        return name.removeprefix("git-")
    rest = iter(words[1:])
    for word in rest:
        if word in {"-c", "-C", "--git-dir", "--work-tree"}:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""


def _works_in(folder: Path, home: Path) -> bool:
    """Return whether a git that was started in `folder` works on the repository whose common git folder is `home`."""
    for place in (folder, *folder.parents):
        if place == home:
            return True
        entry = place / ".git"
        if entry.is_dir():
            return entry.resolve() == home
        if entry.is_file():
            # A linked worktree: a file that says `gitdir: <home>/worktrees/<name>`.
            target = entry.read_bytes()[:4096].decode(errors="replace").removeprefix("gitdir:").strip()
            return (place / target).resolve().is_relative_to(home)
    return False


def _filesystem(path: Path) -> str:
    """Return the kind of file system that holds a path, empty where the system does not say."""
    best, kind = "", ""
    try:
        lines = (_PROC / "self" / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split(" ")[4].encode().decode("unicode_escape")
        if len(mount) >= len(best) and path.is_relative_to(mount):
            best, kind = mount, right.split(" ")[0]
    return kind
