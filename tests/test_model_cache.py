"""What `publisher models` says of the cache, and what it frees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from publisher.files import sha256_hex
from publisher.ledger import history
from publisher.publishing.project import Project as Opened
from tests.made import record, verdict
from tests.project import Project

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = '[model]\nname = "m"\nsource = "local:x.gguf"\nsha256 = "{}"\n[suites.s]\nsource = "small.jsonl"\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with one run in its ledger, and a cache with three models.

    `a…a` was measured, `b…b` is what HEAD asks for, and the third is used by nothing.
    """
    made = Project.create(tmp_path, remote=False)
    made.environment = {"PUBLISHER_CACHE": str(tmp_path / "cache")}
    commit = made.folder.commit({"publisher.toml": CONFIG.format("b" * 64)})
    run = record(commit)
    opened = Opened.open(made.folder.path, made.environment)
    opened.ledger.append(history.run_files(run, verdict(run), b"samples"), "one\n")
    models = tmp_path / "cache" / "models"
    models.mkdir(parents=True)
    for name, size in (("a" * 64, 10), ("b" * 64, 20), (sha256_hex(b"unused"), 3_000_000)):
        (models / f"{name}.gguf").write_bytes(bytes(size))
    (models / ".part-of-a-download").write_bytes(bytes(5))
    return made


def test_cached_models_are_listed_with_the_commits_that_use_them(project: Project) -> None:
    """The largest comes first; what is still being fetched is no model."""
    found = project.run("models", "--json").json["models"]
    assert [one["sha256"] for one in found] == [sha256_hex(b"unused"), "b" * 64, "a" * 64]
    assert [(bool(one["commits"]), one["wanted"]) for one in found] == [(False, False), (False, True), (True, False)]
    assert "1 of 3 are used by nothing here, 3.0 MB" in project.run("models").out


def test_freeing_removes_what_nothing_uses_and_nothing_else(project: Project, tmp_path: Path) -> None:
    """A model of a run, and the one that HEAD asks for, stay; so does a download that is under way."""
    assert "freed 3.0 MB" in project.run("models", "--free").out
    left = sorted(path.name for path in (tmp_path / "cache" / "models").iterdir())
    assert left == [".part-of-a-download", f"{'a' * 64}.gguf", f"{'b' * 64}.gguf"]
