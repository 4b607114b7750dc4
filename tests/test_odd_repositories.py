from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from publisher.errors import GitError, StorageError, UsageError
from publisher.git import Repository
from publisher.ledger import history, snapshots
from publisher.ledger.store import Ledger
from publisher.publishing.project import Project
from tests.made import GitFolder, record, verdict


def enter(ledger: Ledger, commit: str) -> str:
    """Put a kept run of a commit into the ledger and return its id."""
    run = record(commit)
    ledger.append(history.run_files(run, verdict(run), b"samples"), "run\n")
    return run.run_id


def snapshot(ledger: Ledger, run_id: str) -> snapshots.SnapshotBranch:
    """Make the snapshot of a run."""
    return snapshots.ensure_snapshot(ledger, run_id, site="http://x", address=str)


def git(*arguments: str) -> None:
    """Run git, which has to succeed."""
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def test_a_sha256_repository_is_published_like_any_other(tmp_path: Path) -> None:
    """Ledger, snapshot and live work where object names have 64 digits."""
    for name, bare in (("origin.git", ["--bare"]), ("work", [])):
        git("init", "--quiet", "--initial-branch=main", "--object-format=sha256", *bare, str(tmp_path / name))
    folder = GitFolder(tmp_path / "work")
    commit = folder.commit({"a": "1"})
    folder.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    ledger = Ledger(folder.opened, "origin")
    made = snapshot(ledger, enter(ledger, commit))
    snapshots.move_live(ledger, made.commit, None)
    assert len(made.commit) == 64
    assert snapshots.live_commit(ledger) == made.commit
    assert [run.line.commit for run in history.read_runs(ledger)] == [commit]


def test_a_mirror_clone_can_publish_and_keeps_what_only_it_has(repository: GitFolder, tmp_path: Path) -> None:
    """The settings of `git clone --mirror` neither forbid a push nor overwrite entries that wait for the remote."""
    bare = repository.with_remote(tmp_path / "origin.git")
    enter(Ledger(repository.opened, "origin"), repository.git("rev-parse", "HEAD"))
    git("clone", "--quiet", "--mirror", str(bare.path), str(tmp_path / "mirror.git"))
    mirror = Repository(tmp_path / "mirror.git")
    Ledger(mirror).append({"runs/alone": b"1"}, "m\n")
    Ledger(repository.opened, "origin").append({"runs/other": b"2"}, "m\n")
    ledger = Ledger(mirror, "origin")
    ledger.append({"runs/mine": b"3"}, "m\n")
    assert {"runs/alone", "runs/other", "runs/mine"} <= set(ledger.paths())
    assert ledger.head == bare.git("rev-parse", "ledger")


def test_a_shallow_clone_fetches_the_commit_that_it_needs(repository: GitFolder, tmp_path: Path) -> None:
    """A clone with `--depth 1` finishes the snapshot of an older commit."""
    repository.with_remote(tmp_path / "origin.git")
    older = repository.git("rev-parse", "HEAD")
    repository.commit({"a": "1"})
    repository.git("push", "--quiet", "origin", "main")
    run_id = enter(Ledger(repository.opened, "origin"), older)
    git("clone", "--quiet", "--depth=1", f"file://{tmp_path}/origin.git", str(tmp_path / "shallow"))
    ledger = Ledger(Repository(tmp_path / "shallow"), "origin")
    assert not ledger.repository.has(older)
    ledger.sync()
    made = snapshot(ledger, run_id)
    assert made == snapshot(Ledger(repository.opened, "origin"), run_id)


def test_a_commit_that_cannot_be_fetched_says_how_to_get_it(repository: GitFolder, tmp_path: Path) -> None:
    """Without a remote that has it, the message names the commit and what to type."""
    older = repository.git("rev-parse", "HEAD")
    repository.commit({"a": "1"})
    git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
    shallow = Repository(tmp_path / "shallow")
    with pytest.raises(GitError, match=f"the commit {older} is not in") as caught:
        shallow.fetch_commit(None, older)
    assert "git fetch --unshallow" in caught.value.hint
    with pytest.raises(GitError, match="is not in"):
        shallow.read(older, "README.md")


@pytest.mark.parametrize("branch", ["ledger", "live"])
def test_a_branch_of_ours_that_is_checked_out_is_not_moved(repository: GitFolder, tmp_path: Path, branch: str) -> None:
    """A worktree that shows the ledger or the live site would look edited: the message says how to let go of it."""
    ledger = Ledger(repository.opened)
    enter(ledger, repository.git("rev-parse", "HEAD"))
    sha = repository.git("rev-parse", "HEAD")
    snapshots.move_live(ledger, sha, None)
    repository.git("worktree", "add", "--quiet", str(tmp_path / "tree"), branch)
    before = repository.git("rev-parse", branch)
    newer = repository.commit({"a": "1"})
    moves: dict[str, Callable[[], object]] = {
        "ledger": lambda: ledger.append({"a": b"1"}, "m\n"),
        "live": lambda: snapshots.move_live(ledger, newer, sha),
    }
    with pytest.raises(UsageError, match=f"the branch {branch} is checked out in {tmp_path}/tree") as caught:
        ledger.repository.move_refs({f"refs/heads/{branch}": (newer, before)})
    assert repository.git("rev-parse", branch) == before
    with pytest.raises(UsageError, match="is checked out in"):
        moves[branch]()
    assert f"git -C {tmp_path}/tree switch --detach" in caught.value.hint
    GitFolder(tmp_path / "tree").git("switch", "--quiet", "--detach")
    assert ledger.append({"a": b"1"}, "m\n")
    assert GitFolder(tmp_path / "tree").git("status", "--porcelain") == ""


def test_a_branch_live_of_somebody_elses_loses_no_commits(repository: GitFolder, tmp_path: Path) -> None:
    """One that is at an earlier commit of the same history is taken over; any other is left alone, here and there."""
    bare = repository.with_remote(tmp_path / "origin.git")
    start = repository.git("rev-parse", "HEAD")
    ledger = Ledger(repository.opened, "origin")
    commit = repository.commit({"a": "1"})
    made = snapshot(ledger, enter(ledger, commit)).commit
    repository.git("branch", "live", start)
    other = repository.git("commit-tree", "-m", "Another branch", "-p", start, f"{start}^{{tree}}")
    snapshots.require_own_live(ledger, made, start)
    with pytest.raises(UsageError, match="which publisher did not make"):
        snapshots.require_own_live(ledger, made, other)
    repository.git("branch", "--force", "live", other)
    snapshots.move_live(ledger, made, None)
    assert snapshots.live_commit(ledger) == made == bare.git("rev-parse", "live")
    assert repository.git("rev-parse", "live") == other, "what only this clone has stays"


def test_a_file_is_not_read_beyond_its_limit(repository: GitFolder) -> None:
    """Its size is asked for first: a large file is refused, however small it is in the pack."""
    sha = repository.commit({"large": b"\n" * 5_000_000, "small": "x"})
    opened = repository.opened
    assert opened.size(sha, "large") == 5_000_000
    with pytest.raises(StorageError, match="has 5000000 bytes, more than the 1000 that are read"):
        opened.read(sha, "large", limit=1000)
    assert opened.read(sha, "small", limit=1000) == b"x"
    assert opened.sizes([f"{sha}:small", f"{sha}:no"]) == [1, None]


def test_many_names_are_read_in_one_go(repository: GitFolder) -> None:
    """More names than a pipe holds are answered in order, missing ones included."""
    sha = repository.commit({f"folder/{number:05d}": str(number) for number in range(3000)})
    names = [f"{sha}:folder/{number:05d}" for number in range(3001)]
    assert repository.opened.read_many(names) == [*(str(number).encode() for number in range(3000)), None]


def test_reading_continues_when_its_process_was_killed(repository: GitFolder) -> None:
    """Ctrl-C reaches git's processes too: the next read starts a new one."""
    opened, sha = repository.opened, repository.git("rev-parse", "HEAD")
    assert opened.read(sha, "README.md")
    for process in opened._objects._processes.values():
        process.kill()
        process.wait()
    assert opened.read(sha, "README.md") == b"a model\n"


def test_gits_trace_variables_are_not_passed_on(
    repository: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace would copy what is sent into a file."""
    for name in ("GIT_TRACE", "GIT_TRACE_PACKET", "GIT_TRACE_CURL", "GIT_TRACE2_EVENT"):
        monkeypatch.setenv(name, str(tmp_path / "trace"))
    repository.opened.resolve("main")
    assert not (tmp_path / "trace").exists()


def test_an_unknown_remote_is_an_error(repository: GitFolder, tmp_path: Path) -> None:
    """A misspelt `--remote` does not silently publish to this repository alone."""
    repository.with_remote(tmp_path / "origin.git")
    with pytest.raises(UsageError, match="has no remote called 'orign'; it has origin"):
        Project.open(repository.path, {}, "orign")
    assert Project.open(repository.path, {}).ledger.remote == "origin"
