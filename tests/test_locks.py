from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from publisher.errors import GitError, LostRaceError, RemoteRejectedError, StorageError
from publisher.git import Patience, Repository
from publisher.ledger import snapshots
from publisher.ledger.store import BRANCH, Ledger
from tests.made import GitFolder

QUICK = Patience(network=20, lock=0.3, stale=0.5)
LONG_AGO = 3600


def opened(folder: GitFolder, remote: str | None = None, patience: Patience = QUICK) -> tuple[Ledger, list[str]]:
    """Open the ledger of a repository with little patience; the list takes what is noted."""
    notes: list[str] = []
    return Ledger(Repository(folder.path, patience=patience, note=notes.append), remote), notes


def place(lock: Path) -> Path:
    """Put a lock where a git that was killed an hour ago would have left it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (time.time() - LONG_AGO, time.time() - LONG_AGO))
    return lock


def hook(bare: GitFolder, name: str, script: str) -> None:
    """Install a server hook."""
    path = bare.path / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def origin(repository: GitFolder, tmp_path: Path) -> GitFolder:
    """Return the bare repository that `repository` pushes to."""
    return repository.with_remote(tmp_path / "origin.git")


@pytest.mark.parametrize("side", ["here", "origin"])
def test_a_stale_lock_of_the_ledger_is_removed(repository: GitFolder, origin: GitFolder, side: str) -> None:
    """A lock that no process holds is removed, here and on a remote that is a path, and a note says so."""
    folder = repository.path / ".git" if side == "here" else origin.path
    lock = place(folder / f"{BRANCH}.lock")
    ledger, notes = opened(repository, "origin")
    assert ledger.append({"a": b"1"}, "m\n")
    assert not lock.exists()
    (note,) = notes
    assert re.fullmatch(rf"removed {lock}, a lock that a killed git left 36\d\d s ago: no process holds it", note)


@pytest.mark.parametrize("side", ["here", "origin"])
def test_a_stale_lock_of_live_is_removed(repository: GitFolder, origin: GitFolder, side: str) -> None:
    """The live branch moves although a killed git left its lock."""
    folder = repository.path / ".git" if side == "here" else origin.path
    place(folder / "refs/heads/live.lock")
    ledger, notes = opened(repository, "origin")
    sha = repository.git("rev-parse", "HEAD")
    snapshots.move_live(ledger, sha, None)
    assert snapshots.live_commit(ledger) == sha
    assert len(notes) == 1


@pytest.mark.parametrize("side", ["here", "origin"])
def test_a_stale_lock_of_packed_refs_is_removed(repository: GitFolder, origin: GitFolder, side: str) -> None:
    """A packed branch is deleted although a killed git left the lock of packed-refs."""
    repository.git("branch", "old")
    repository.git("push", "--quiet", "origin", "old")
    for folder in (repository, origin):
        folder.git("pack-refs", "--all")
    place((repository.path / ".git" if side == "here" else origin.path) / "packed-refs.lock")
    ledger, notes = opened(repository, "origin")
    sha = repository.git("rev-parse", "HEAD")
    ledger.repository.delete_remote("origin", "refs/heads/old", sha)
    ledger.repository.delete_ref("refs/heads/old", sha)
    assert "packed-refs.lock" in "".join(notes)
    assert "old" not in repository.git("branch") + origin.git("branch")


def test_a_fresh_lock_is_waited_for(repository: GitFolder) -> None:
    """A lock without a holder is removed once it is old enough, and not before."""
    (repository.path / ".git" / f"{BRANCH}.lock").touch()
    ledger, notes = opened(repository, patience=Patience(lock=5, stale=0.5))
    began = time.monotonic()
    assert ledger.append({"a": b"1"}, "m\n")
    assert time.monotonic() - began > 0.4
    assert len(notes) == 1


@pytest.mark.parametrize("old", [True, False])
def test_a_lock_that_a_push_only_mentions_does_not_stop_the_users_fetch(
    repository: GitFolder, origin: GitFolder, *, old: bool
) -> None:
    """The push succeeds without its entry in `refs/remotes`; the user's `git fetch` would fail on the same lock."""
    ledger, notes = opened(repository, "origin", Patience(lock=5, stale=0.5))
    assert ledger.append({"a": b"1"}, "m\n")
    lock = repository.path / ".git/refs/remotes/origin/ledger.lock"
    place(lock) if old else lock.touch()
    assert ledger.append({"b": b"1"}, "m\n")
    assert (lock.exists(), len(notes)) == (False, 1)
    assert origin.git("rev-parse", "ledger") == ledger.head
    repository.git("fetch", "origin")


def test_a_lock_that_is_released_is_no_error(repository: GitFolder) -> None:
    """A lock of a living git is waited for, and the work then continues."""
    lock = repository.path / ".git" / f"{BRANCH}.lock"
    with subprocess.Popen(["sh", "-c", 'exec 3>"$0"; echo; sleep 0.5; rm "$0"', str(lock)], stdout=-1) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        ledger, notes = opened(repository, patience=Patience(lock=5, stale=0.1))
        assert ledger.append({"a": b"1"}, "m\n")
    assert notes == []


def test_a_lock_that_a_process_has_open_stays(repository: GitFolder) -> None:
    """However old it is, a lock that is open is not removed: the error names the file, its age and the process."""
    lock = place(repository.path / ".git" / f"{BRANCH}.lock")
    with subprocess.Popen(["sh", "-c", 'exec 3<"$0"; echo; read _', str(lock)], stdin=-1, stdout=-1) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(GitError, match=rf"{lock} is locked, 36\d\d s old; process {holder.pid} ") as caught:
            opened(repository)[0].append({"a": b"1"}, "m\n")
        holder.stdin.close()
    assert not isinstance(caught.value, LostRaceError)
    assert lock.exists()


def test_a_lock_stays_while_another_git_works_in_the_repository(repository: GitFolder) -> None:
    """A git that has closed its lock and not yet renamed it is not robbed of it."""
    lock = place(repository.path / ".git" / f"{BRANCH}.lock")
    with subprocess.Popen(["git", "update-ref", "--stdin"], cwd=repository.path, stdin=-1) as other:
        assert other.stdin is not None
        with pytest.raises(GitError, match=rf"process {other.pid} \(git update-ref --stdin\) may hold it"):
            opened(repository)[0].append({"a": b"1"}, "m\n")
        other.stdin.close()
    assert lock.exists()


def test_a_git_that_was_killed_with_its_lock_holds_nothing_up(repository: GitFolder, origin: GitFolder) -> None:
    """SIGKILL ends a real git between taking the lock on the remote and moving the ref; the next append works."""
    sha = repository.git("rev-parse", "HEAD")
    command = ["git", "-C", str(origin.path), "update-ref", "--stdin"]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(f"start\nupdate {BRANCH} {sha}\nprepare\n".encode())
        other.stdin.flush()
        assert [other.stdout.readline() for _ in range(2)] == [b"start: ok\n", b"prepare: ok\n"]
        with pytest.raises(GitError, match=rf"process {other.pid} "):
            opened(repository, "origin")[0].append({"a": b"1"}, "m\n")
        other.send_signal(signal.SIGKILL)
    assert (origin.path / f"{BRANCH}.lock").exists()
    ledger, notes = opened(repository, "origin", Patience(lock=5, stale=0.5))
    assert ledger.append({"a": b"1"}, "m\n")
    assert len(notes) == 1


def test_only_locks_of_refs_in_our_repositories_are_removed(
    repository: GitFolder, origin: GitFolder, tmp_path: Path
) -> None:
    """A remote that names another file as a lock cannot have it removed."""
    victims = [place(tmp_path / "victim.lock"), place(repository.path / ".git" / "index.lock")]
    victims.append(place(repository.path / "notes.lock"))
    for victim in victims:
        hook(origin, "pre-receive", f"echo \"error: Unable to create '{victim}': File exists.\" >&2; exit 1")
        with pytest.raises(GitError):
            opened(repository, "origin")[0].append({"a": b"1"}, "m\n")
        assert victim.exists()


def test_a_push_that_a_hook_rejects_is_not_tried_again(
    repository: GitFolder, origin: GitFolder, tmp_path: Path
) -> None:
    """What the remote rejects is said in its own words, after one attempt."""
    hook(origin, "pre-receive", f"echo x >> {tmp_path}/calls; exit 1")
    with pytest.raises(RemoteRejectedError, match="origin rejects refs/heads/ledger: pre-receive hook declined"):
        opened(repository, "origin")[0].append({"a": b"1"}, "m\n")
    assert (tmp_path / "calls").read_text() == "x\n"


def test_a_remote_that_forbids_to_move_back_is_no_lost_race(repository: GitFolder, origin: GitFolder) -> None:
    """`receive.denyNonFastForwards` has its own word, so that the caller can choose another way."""
    older, newer = repository.git("rev-parse", "HEAD"), repository.commit({"a": "1"})
    ledger, _ = opened(repository, "origin")
    origin.git("config", "receive.denyNonFastForwards", "true")
    snapshots.move_live(ledger, newer, None)
    with pytest.raises(RemoteRejectedError) as caught:
        ledger.repository.push("origin", {snapshots.LIVE: (older, newer)})
    assert caught.value.reason == "non-fast-forward"


FILL = """
import os, sys
from pathlib import Path
from publisher.errors import StorageError
from publisher.git import Repository
from publisher.ledger.store import Ledger
try:
    Ledger(Repository(Path(sys.argv[1]))).append({"a": os.urandom(3 << 20)}, "m")
except StorageError as error:
    print(error.message)
"""


def test_a_limit_on_file_sizes_is_called_a_lack_of_space(repository: GitFolder) -> None:
    """A git that a limit stopped is no lost race: the message says what to free."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(repository.path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    )
    assert done.stdout == f"no space left on the disk that holds {repository.path}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    """A disk without room is named at once, and nothing of it is taken for other writers."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        folder = GitFolder.create(disk / "work")
        with pytest.raises(StorageError, match="no space left on the disk"):
            opened(folder)[0].append({"a": os.urandom(3 << 20)}, "m\n")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_an_entry_of_ours_that_another_process_fetched_first_is_ours(repository: GitFolder, origin: GitFolder) -> None:
    """Our push succeeds and another process moves the local branch before we do: the entry counts as made by us."""
    fetch = "git fetch --quiet origin +refs/heads/ledger:refs/heads/ledger"
    hook(origin, "post-receive", f"unset GIT_DIR GIT_QUARANTINE_PATH; cd {repository.path} && {fetch}")
    ledger, _ = opened(repository, "origin")
    assert ledger.append({"place": b"mine"}, "m\n", unless=lambda: ledger.read("place") is not None)
    assert ledger.read("place") == b"mine"


def test_an_entry_whose_push_lost_its_answer_is_ours(repository: GitFolder, origin: GitFolder) -> None:
    """The connection ends after the remote has taken the push: a look finds it there, and it is not repeated."""
    hook(origin, "post-receive", "kill -9 $PPID")
    ledger, _ = opened(repository, "origin")
    assert ledger.append({"place": b"mine"}, "m\n", unless=lambda: ledger.read("place") is not None)
    assert origin.git("rev-list", "--count", "ledger") == "1"


def test_a_push_that_takes_too_long_is_looked_after(repository: GitFolder, origin: GitFolder) -> None:
    """A remote that takes the push and then does not end is left after a time, and the entry counts."""
    hook(origin, "post-receive", "sleep 4 >/dev/null 2>&1")
    ledger, _ = opened(repository, "origin", Patience(network=2))
    assert ledger.append({"place": b"mine"}, "m\n", unless=lambda: ledger.read("place") is not None)


def test_a_push_of_unknown_outcome_is_said_and_found_later(repository: GitFolder, origin: GitFolder) -> None:
    """A push that is stopped before the remote decides is an error; repeated, the entry is there once."""
    hook(origin, "pre-receive", "sleep 2")
    ledger, _ = opened(repository, "origin", Patience(network=0.7))
    with pytest.raises(GitError, match="git push to origin took more than 1 s"):
        ledger.append({"place": b"mine"}, "m\n")
    time.sleep(2)
    shutil.rmtree(origin.path / "hooks")
    again, _ = opened(repository, "origin")
    assert again.append({"place": b"mine"}, "m\n")
    assert origin.git("rev-list", "--count", "ledger") == "1"


def test_a_branch_that_somebody_else_deleted_is_deleted(repository: GitFolder, tmp_path: Path) -> None:
    """Of two who delete the same one at once the slower has what it wanted; a branch that moved stays."""
    origin = repository.with_remote(tmp_path / "origin.git")
    first = repository.git("rev-parse", "HEAD")
    second = repository.commit({"a": "b"}, "Second")
    repository.git("push", "-q", "origin", "HEAD:refs/heads/old")
    with pytest.raises(LostRaceError):
        repository.opened.delete_remote("origin", "refs/heads/old", first)
    origin.git("branch", "-D", "old")
    repository.opened.delete_remote("origin", "refs/heads/old", second)
