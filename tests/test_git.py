from __future__ import annotations

from pathlib import Path

import pytest

from publisher.errors import GitError, LostRaceError, UsageError
from publisher.git import Author, Repository, clone_branch, is_branch_name
from tests.made import GitFolder

ME = Author("publisher", "publisher@snapshot.invalid", 1_700_000_000)


def test_a_folder_outside_git_is_refused(tmp_path: Path) -> None:
    """A folder that no repository contains gives a usage error with what to type."""
    with pytest.raises(UsageError, match="not in a git repository"):
        Repository(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that does not exist is named."""
    with pytest.raises(UsageError, match="is not a folder"):
        Repository(tmp_path / "no")


def test_revisions_resolve_to_full_hashes(repository: GitFolder) -> None:
    """A branch name becomes the full hash of its commit."""
    assert repository.opened.resolve("main") == repository.git("rev-parse", "HEAD")


@pytest.mark.parametrize("revision", ["nowhere", "--help", "-1", "HEAD^{tree}", "main:README.md", ""])
def test_an_unknown_revision_is_a_usage_error(repository: GitFolder, revision: str) -> None:
    """What names no commit is refused, and is never taken for an option."""
    with pytest.raises(UsageError):
        repository.opened.resolve(revision)


def test_a_repository_without_a_commit_says_so(tmp_path: Path) -> None:
    """`git log` has nothing to list there, so no hint sends anybody to it."""
    with pytest.raises(UsageError, match="has no commit yet") as caught:
        GitFolder.create(tmp_path / "new").opened.resolve("HEAD")
    assert caught.value.hint.startswith("git add")


def test_a_shallow_clone_says_how_to_deepen(repository: GitFolder, tmp_path: Path) -> None:
    """Where history is cut off, the hint says how to fetch the rest."""
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"a": "1"})
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
    with pytest.raises(UsageError, match="shallow") as caught:
        Repository(tmp_path / "shallow").resolve(first)
    assert "--unshallow" in caught.value.hint


def test_files_are_read_from_the_commit_and_not_from_the_folder(repository: GitFolder) -> None:
    """What somebody is editing does not reach us."""
    sha = repository.git("rev-parse", "HEAD")
    (repository.path / "README.md").write_text("edited\n")
    assert repository.opened.read(sha, "README.md") == b"a model\n"
    assert repository.opened.is_dirty()


def test_a_missing_file_reads_as_none(repository: GitFolder) -> None:
    """A path that the commit lacks, or that is a folder, is None."""
    sha = repository.commit({"folder/file": "x"})
    assert repository.opened.read_many([f"{sha}:no", f"{sha}:folder", f"{sha}:folder/file"]) == [None, None, b"x"]


def test_a_commit_is_written_without_touching_the_folder(repository: GitFolder) -> None:
    """A plumbing commit holds the base's tree and the new files; the index and the folder stay as they were."""
    opened, base = repository.opened, repository.git("rev-parse", "HEAD")
    sha = opened.write_commit({"ledger/a.json": b"{}"}, message="S\n", author=ME, parents=[base])
    assert set(opened.tree(sha)) == {"README.md", "ledger/a.json"}
    assert opened.commit(sha).parents == (base,)
    assert repository.git("status", "--porcelain") == ""
    assert not (repository.path / "ledger").exists()


def test_equal_contents_make_equal_commits(repository: GitFolder) -> None:
    """Nothing of the moment enters a commit that we write."""
    opened, base = repository.opened, repository.git("rev-parse", "HEAD")
    shas = {opened.write_commit({"a": b"1"}, message="m", author=ME, parents=[base]) for _ in range(2)}
    assert len(shas) == 1


def test_git_variables_of_a_surrounding_git_are_ignored(
    repository: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git hook's GIT_DIR and GIT_INDEX_FILE do not redirect us."""
    other = GitFolder.create(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert Repository(repository.path).root == repository.path
    assert not (tmp_path / "index").exists()


def test_refs_move_all_or_none(repository: GitFolder) -> None:
    """One wrong expectation moves nothing and is a lost race."""
    opened, sha = repository.opened, repository.git("rev-parse", "HEAD")
    with pytest.raises(LostRaceError):
        opened.move_refs({"refs/heads/a": (sha, None), "refs/heads/b": (sha, "1" * 40)})
    assert opened.ref("refs/heads/a") is None


def test_a_push_from_a_stale_place_is_a_lost_race(repository: GitFolder, tmp_path: Path) -> None:
    """A branch that somebody else made meanwhile is not overwritten."""
    repository.with_remote(tmp_path / "origin.git")
    opened, sha = repository.opened, repository.git("rev-parse", "HEAD")
    opened.push("origin", {"refs/heads/x": (sha, None)})
    newer = repository.commit({"a": "1"})
    with pytest.raises(LostRaceError):
        opened.push("origin", {"refs/heads/x": (newer, None)})
    assert opened.remote_refs("origin", "refs/heads/x") == {"refs/heads/x": sha}


def test_a_push_to_nowhere_shows_the_whole_command(repository: GitFolder, tmp_path: Path) -> None:
    """A failed command is shown with its arguments, its exit code and what git said."""
    repository.git("remote", "add", "gone", str(tmp_path / "gone.git"))
    with pytest.raises(GitError) as caught:
        repository.opened.push("gone", {"refs/heads/x": (repository.git("rev-parse", "HEAD"), None)})
    assert "$ git push" in caught.value.detail
    assert "exit code 128" in caught.value.detail


@pytest.mark.parametrize("sha", ["HEAD", "--help", "0" * 39, "main"])
def test_only_full_hashes_are_taken_where_a_commit_is_meant(repository: GitFolder, sha: str) -> None:
    """A name where a hash belongs is refused before git sees it."""
    with pytest.raises(GitError, match="not a full commit hash"):
        repository.opened.read(sha, "README.md")


def test_a_clone_has_the_branch_and_its_history(repository: GitFolder, tmp_path: Path) -> None:
    """A build's clone is of the branch asked for, whole."""
    repository.commit({"a": "1"})
    repository.git("branch", "side")
    sha = clone_branch(str(repository.path), "side", tmp_path / "clone")
    assert sha == repository.git("rev-parse", "side")
    assert len(GitFolder(tmp_path / "clone").git("rev-list", "--first-parent", sha).splitlines()) == 2


@pytest.mark.parametrize("name", ["-x", "a..b", "a b", "a.lock", "/a", "a/", "é", "", "a@{1}", "a\nb"])
def test_hostile_branch_names_are_refused(name: str) -> None:
    """What git or a shell could read as something else is no branch name."""
    assert not is_branch_name(name)


def test_a_commit_can_have_another_commits_tree_and_several_parents(repository: GitFolder) -> None:
    """A commit that advances a branch without rewriting it keeps the bytes of the one that it shows."""
    opened, base = repository.opened, repository.git("rev-parse", "HEAD")
    shown = opened.write_commit({"a": b"1"}, message="S", author=ME, parents=[base])
    older = opened.write_commit({"b": b"2"}, message="old", author=ME, parents=[base])
    made = opened.write_commit({}, message="live", author=ME, parents=[older, shown], tree=shown)
    assert opened.commit(made).parents == (older, shown)
    assert opened.commit(made).tree == opened.commit(shown).tree
