"""What is changed in the working tree and not committed is said before it is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.errors import NetworkError
from publisher.publishing import project as opened
from publisher.publishing.uncommitted import remark, uncommitted
from publisher.web import Web
from tests.project import Project


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> Project:
    """Return a project without a remote."""
    return Project.create(tmp_path, remote=False)


def test_a_changed_suite_or_configuration_is_named(project: Project) -> None:
    """Only files that decide a run count, and only where HEAD is meant: an older commit was chosen on purpose."""
    here = opened.Project.open(project.folder.path, {})
    assert (uncommitted(here, "HEAD"), remark(here, "HEAD")) == ([], "")
    for name in ("publisher.toml", "small.jsonl", "hooks/netlify-build"):
        with (project.folder.path / name).open("a", encoding="utf-8") as stream:
            stream.write("\n")
    assert uncommitted(here, "HEAD") == ["publisher.toml", "small.jsonl"]
    assert remark(here, "HEAD").startswith("publisher.toml, small.jsonl have changes that are not committed")
    assert uncommitted(here, "main") == []


def test_publish_says_so(project: Project) -> None:
    """The remark comes before anything is measured, here before the unknown tier ends the command."""
    (project.folder.path / "small.jsonl").write_text("", encoding="utf-8")
    done = project.run("publish", "--tier", "none")
    assert (done.code, "small.jsonl has changes" in done.err) == (2, True), done.err


def test_a_host_of_this_machine_that_does_not_run_is_named() -> None:
    """The network is not at fault there, so the hint says what to start."""
    with pytest.raises(NetworkError, match="refused") as caught:
        Web(attempts=1).request("GET", "http://127.0.0.1:9/", what="the site")
    assert "publisher serve" in caught.value.hint
