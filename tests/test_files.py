from __future__ import annotations

from pathlib import Path

import pytest

from publisher.errors import StorageError
from publisher.files import atomic_write, canonical_json, walk_files


def test_canonical_json_depends_on_nothing_but_the_value() -> None:
    """Key order does not show in the bytes."""
    assert canonical_json({"b": 1, "a": [1.5, None]}) == canonical_json({"a": [1.5, None], "b": 1})


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    """The new bytes are there with the mode asked for, and nothing else is left in the folder."""
    path = tmp_path / "deep" / "file"
    atomic_write(path, b"old")
    atomic_write(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_cannot_be_made_leaves_the_old_file(tmp_path: Path) -> None:
    """A path below a file is an error that names it, and no temporary file stays."""
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(StorageError, match="cannot write"):
        atomic_write(tmp_path / "file" / "below", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_walking_finds_files_in_order_and_no_links(tmp_path: Path) -> None:
    """Names come sorted and relative; a symbolic link is not followed."""
    for name in ("b/c", "a", "b/a"):
        atomic_write(tmp_path / name, b"")
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert [name for name, _ in walk_files(tmp_path)] == ["a", "b/a", "b/c"]
