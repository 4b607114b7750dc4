"""The main job, as a user drives it: real repository, real model, real host over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher.files import sha256_file
from publisher.host import HostInfo, HostOptions, running
from publisher.web import Web
from tests.made import GitFolder
from tests.project import PUBLISHER, Project, config

pytestmark = pytest.mark.model
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of this checkout, which is what the site's builds install."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[tuple[Project, HostInfo]]:
    """Return one project and its running host for the whole file: the tests below are one story, told in order.

    First ── Worse ── Same          (main; Worse ships the early checkpoint)
      │                 │
    snapshot-A       snapshot-C     (each: its commit plus ledger/)
    """
    path = tmp_path_factory.mktemp("flow")
    project = Project.create(path)
    options = HostOptions(
        state=path / "host",
        site="demo",
        repository=str(path / "origin.git"),
        port=0,
        environment={"PUBLISHER_REQUIREMENT": str(wheel)},
    )
    with running(options) as info:
        project.connect(info)
        yield project, info


def hook_calls(info: HostInfo) -> int:
    """Return how many hook calls the host has accepted, from its own log of effects."""
    answer = Web().request(
        "GET", f"{info.api_url}/__host__/effects", what="effects", headers={"Authorization": f"Bearer {info.token}"}
    )
    return answer.body.count(b'"hook')


def test_a_good_commit_is_published(stage: tuple[Project, HostInfo]) -> None:
    """The first commit is kept, deployed, verified and live; its address opens."""
    project, info = stage
    done = project.run("publish")
    assert done.code == 0, done.err
    (run,) = project.log()
    assert run["verdict"] == "kept"
    page = Web().request("GET", run["address"] + "/", what="the snapshot")
    assert page.status == 200
    assert run["commit"][:12] in page.body.decode()
    assert Web().request("GET", info.site_url + "/", what="the site").body == page.body


def test_publishing_again_does_nothing_and_says_so(stage: tuple[Project, HostInfo]) -> None:
    """No second run, no second call of the hook."""
    project, info = stage
    before = hook_calls(info), project.folder.git("rev-parse", "ledger")
    done = project.run("publish")
    assert (done.code, "already published" in done.out) == (0, True)
    assert (hook_calls(info), project.folder.git("rev-parse", "ledger")) == before


def test_the_snapshot_commit_is_the_benchmarked_commit_plus_the_ledger(stage: tuple[Project, HostInfo]) -> None:
    """Git itself proves it: the parent, the changed paths, and the branch on the remote."""
    project, _ = stage
    head = project.folder.git("rev-parse", "HEAD")
    branch = f"snapshot-{head[:12]}"
    assert project.folder.git("rev-parse", f"{branch}^") == head
    changed = project.folder.git("diff", "--name-only", head, branch).split()
    assert {path.split("/")[0] for path in changed} == {"ledger"}
    assert project.folder.git("ls-remote", "origin", branch).split()[0] == project.folder.git("rev-parse", branch)
    assert project.folder.git("ls-remote", "origin", "live").split()[0] == project.folder.git("rev-parse", branch)
    assert project.folder.git("status", "--porcelain") == ""


def test_rendering_again_gives_the_bytes_that_are_served(stage: tuple[Project, HostInfo], tmp_path: Path) -> None:
    """A clean clone of the branch renders to the manifest that the address serves, whatever the environment."""
    project, _ = stage
    (run,) = project.log()
    project.folder.git("clone", "--quiet", "--branch", run["snapshot"], str(project.folder.path), str(tmp_path / "s"))
    again = Project(GitFolder(tmp_path / "s"))
    done = again.run(
        "render", "--into", str(tmp_path / "dist"), TZ="Asia/Tokyo", PYTHONHASHSEED="7", URL="https://x.example"
    )
    assert done.code == 0, done.err
    assert sha256_file(tmp_path / "dist" / "manifest.json") == run["receipt"]["manifest_sha256"]


def test_a_worse_commit_is_rejected_and_calls_nothing(stage: tuple[Project, HostInfo]) -> None:
    """The early checkpoint is recorded with its reasons after a part of its samples, exits 1 and starts no build."""
    project, info = stage
    project.folder.commit({"publisher.toml": config("builtin:abacus@early")}, "Worse")
    before = hook_calls(info)
    done = project.run("publish")
    assert done.code == 1, done.err
    assert " --outcome wrong" in done.err
    assert "even if all" in done.out
    assert "samples decided it" in done.out
    assert hook_calls(info) == before
    assert [run["verdict"] for run in project.log()] == ["kept", "rejected"]
    assert project.run("gate").code == 1


def test_a_rejected_commit_stays_rejected(stage: tuple[Project, HostInfo]) -> None:
    """Running it again neither measures nor records it again."""
    project, _ = stage
    done = project.run("publish")
    assert (done.code, "already rejected" in done.out) == (1, True)
    assert len(project.log()) == 2


def test_a_commit_that_changes_nothing_about_the_model_costs_nothing(stage: tuple[Project, HostInfo]) -> None:
    """Every sample of the first run is reused; the record says from which; the history links to it."""
    project, _ = stage
    project.folder.commit({"publisher.toml": config(), "notes.txt": "words"}, "Same")
    done = project.run("publish")
    assert done.code == 0, done.err
    assert "reusing 48 samples of" in done.err
    first, _, third = project.log()
    assert third["scores"] == first["scores"]
    history = Web().request("GET", third["address"] + "/history.json", what="history").body.decode()
    assert first["address"] in history


def test_the_live_site_can_be_rolled_back_and_forward(stage: tuple[Project, HostInfo]) -> None:
    """`-1` shows the snapshot before, the newest's name brings it back, and the ledger says who and why."""
    project, info = stage
    first, _, third = project.log()
    assert project.run("rollback", "-1", "--why", "a test").code == 0
    shown = Web().request("GET", info.site_url + "/snapshot.json", what="live").json("live")
    assert shown["run_id"] == first["run_id"]
    assert "a test" in project.run("live").out
    assert project.run("rollback", third["snapshot"], "--why", "back").code == 0
    assert project.run("live", "--json").json["run_id"] == third["run_id"]


def test_a_snapshot_reproduces_to_the_letter(stage: tuple[Project, HostInfo]) -> None:
    """Measuring the commit again, reusing nothing, gives the recorded answers, and leaves no trace."""
    project, _ = stage
    first = project.log()[0]
    done = project.run("reproduce", first["snapshot"], "--json")
    assert done.code == 0, done.err
    assert (done.json["same"], done.json["different"], done.json["why"]) == (48, [], [])
    assert not (project.folder.path / ".git" / "publisher" / "reproduce").exists()


def test_every_published_file_verifies(stage: tuple[Project, HostInfo]) -> None:
    """Each snapshot's address serves what its manifest lists."""
    project, _ = stage
    done = project.run("verify", "--all")
    assert done.code == 0, done.err
    assert done.out.count("✓") == 2


def test_nothing_that_was_said_or_stored_holds_a_secret(stage: tuple[Project, HostInfo]) -> None:
    """Neither the ledger, nor the snapshot branches, nor any output shows the hook or the token."""
    project, info = stage
    secrets = [info.token, info.hook_url.rsplit("/", 1)[-1]]
    done = project.run("publish")
    text = done.out + done.err + project.folder.git("log", "--all", "--format=%B")
    assert not [secret for secret in secrets if secret in text]
    for secret in secrets:
        command = ["git", "-C", str(project.folder.path), "grep", "-q", "-e", secret, "ledger", "live"]
        assert subprocess.run(command, check=False).returncode == 1


def test_an_interrupted_run_goes_on(stage: tuple[Project, HostInfo]) -> None:
    """Ctrl-C ends with exit code 130; the same command then keeps the samples that were finished."""
    project, _ = stage
    project.folder.commit({"publisher.toml": config(temperature=0.2, more="[engine]\nslots = 1\n")}, "Slower")
    command = [str(PUBLISHER), "--repo", str(project.folder.path), "publish"]
    process = subprocess.Popen(
        command, env={**os.environ, **project.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    journal = project.folder.path / ".git" / "publisher" / "journal"
    for _ in range(400):
        if any(path.stat().st_size > 2000 for path in journal.glob("*.jsonl")):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    again = project.run("publish")
    assert again.code in {0, 1}, again.err
    assert "of an interrupted run" in again.err


def test_every_sample_is_generated_with_no_reuse(stage: tuple[Project, HostInfo]) -> None:
    """A commit that has been measured is measured again, with the same seeds, and takes nothing over."""
    project, _ = stage
    project.folder.git("checkout", "--quiet", "main")
    known = project.log()[-1]
    record = project.run("bench", known["commit"], "--no-reuse", "--json").json
    assert (record["reused"], record["run_id"] == known["run_id"]) == ({}, False)
    assert record["results"][0]["score"] == known["scores"]["small"]["score"]
