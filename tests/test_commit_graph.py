"""Git's commit-graph, which the publisher writes for itself where there are many snapshot branches."""

import os
from pathlib import Path

import pytest

from publisher.git import Repository, graph
from publisher.git.process import Patience
from tests.made import GitFolder

FILE = ".git/objects/info/commit-graph"


def test_a_missing_graph_is_written_and_a_new_one_is_kept(repository: GitFolder) -> None:
    """What git wrote lately is not written again."""
    graph.refresh(repository.opened)
    file = repository.path / FILE
    written = file.stat().st_mtime_ns
    repository.git("commit-graph", "verify")
    graph.refresh(repository.opened)
    assert file.stat().st_mtime_ns == written


@pytest.mark.parametrize("days", [-2, 2])
def test_an_old_graph_is_written_again(repository: GitFolder, days: int) -> None:
    """One whose time cannot be, after a clock was set, is taken for an old one."""
    graph.refresh(repository.opened)
    file = repository.path / FILE
    then = file.stat().st_mtime + days * 86_400
    os.utime(file, (then, then))
    commit = repository.commit({"new.txt": "new"})
    graph.refresh(repository.opened)
    assert file.stat().st_mtime != then
    assert bytes.fromhex(commit) in file.read_bytes()


def test_a_shallow_clone_has_no_graph(repository: GitFolder, tmp_path: Path) -> None:
    """It would say that the oldest commit has no parents, after the rest was fetched too."""
    repository.commit({"new.txt": "new"})
    repository.git("clone", "--quiet", "--depth=1", repository.path.as_uri(), str(tmp_path / "shallow"))
    graph.refresh(Repository(tmp_path / "shallow"))
    assert not (tmp_path / "shallow" / FILE).exists()


def test_a_lock_that_a_killed_git_left_holds_nothing_up(repository: GitFolder) -> None:
    """The lock is removed with a note, and the next command writes the file."""
    notes: list[str] = []
    (repository.path / FILE).parent.mkdir(parents=True, exist_ok=True)
    lock = repository.path / f"{FILE}.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    opened = Repository(repository.path, patience=Patience(lock=5, stale=0.5), note=notes.append)
    graph.refresh(opened)
    assert not lock.exists()
    assert len(notes) == 1
    graph.refresh(opened)
    assert (repository.path / FILE).exists()
