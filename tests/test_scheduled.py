"""Drift without a commit: the live commit measured again with the same seeds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from publisher.files import canonical_json
from publisher.ledger import drift
from publisher.ledger.history import live_file
from publisher.publishing import pipeline
from publisher.publishing.project import Project as Opened
from publisher.schema import DriftCheck, LiveMove
from tests.made import GitFolder
from tests.measuring import model
from tests.project import Project, config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Make a project whose only run is in the ledger and live."""
    project = Project.create(tmp_path_factory.mktemp("drift"), remote=False)
    project.folder.commit({"publisher.toml": config("builtin:abacus@middle")}, "Second")
    assert project.run("bench").code == 0
    opened = Opened.open(project.folder.path, {})
    (record,) = opened.pending.records()
    entry = pipeline.enter(opened, record)
    move = LiveMove(
        snapshot=f"snapshot-{record.commit.sha[:12]}",
        commit="0" * 40,
        run_id=entry.record.run_id,
        deploy_id="d",
        previous="",
        who="",
        why="a test",
        time="2026-11-20T20:11:33Z",
        via="api",
    )
    opened.ledger.append(live_file(move, 1), "Live\n")
    return project


@model
def test_nothing_has_drifted(live: Project) -> None:
    """The same commit, seeds and machine give the same answers; each check is a file of the ledger."""
    done = live.run("bench", "--scheduled", "--json")
    assert done.code == 0, done.err
    assert (done.json["same"], done.json["different"], done.json["dropped"]) == (48, 0, [])
    again = live.run("bench", "--scheduled")
    assert "check 2 of this run; answers that differed, check by check: 0, 0" in again.out
    assert len(live.run("log", "--json").json) == 1


@model
def test_drop_without_a_commit_is_an_alert_that_names_what_changed(live: Project, tmp_path: Path) -> None:
    """A record from better days, on another processor: the alert says so, and the command exits with 1."""
    rewrite(live.folder, tmp_path / "ledger")
    done = live.run("bench", "--scheduled")
    assert done.code == 1, done.err
    assert "ALERT small dropped without a commit: processor was A better one, is " in done.out


def rewrite(folder: GitFolder, place: Path) -> None:
    """Make the ledger's record say that another processor answered everything rightly."""
    folder.git("worktree", "add", "--quiet", str(place), "ledger")
    (path,) = place.glob("runs/*/record.json")
    record = json.loads(path.read_text())
    record["machine"]["cpu"] = "A better one"
    (result,) = record["results"]
    result["score"] = 100.0
    result["right_by_problem"] = dict(result["scored_by_problem"])
    path.write_text(json.dumps(record))
    inside = type(folder)(place)
    inside.git("commit", "--quiet", "--all", "-m", "Better days")
    folder.git("worktree", "remove", str(place))


def test_broken_check_is_left_out(tmp_path: Path) -> None:
    """A file that is no check, or claims to be another run's, does not end a command."""
    opened = Opened.open(GitFolder.create(tmp_path / "r").path, {})
    run = "20261120T201133Z-0123456789ab-full"
    good = DriftCheck(run_id=run, number=1, time="t", scores={}, same=1, different=0, changed=[], dropped=[])
    files = drift.file_of(good) | {f"drift/{run}-000002.json": b"{", f"drift/{run}-000003.json": canonical_json(good)}
    opened.ledger.append(files, "Checks\n")
    assert drift.checks(opened.ledger) == [good]


def test_nothing_is_live(tmp_path: Path) -> None:
    """Without a live snapshot there is nothing to watch."""
    done = Project.create(tmp_path, remote=False).run("bench", "--scheduled")
    assert (done.code, "nothing is live yet" in done.err) == (2, True)


def test_scheduled_takes_no_other_options(tmp_path: Path) -> None:
    """It measures what is live as it was measured."""
    done = Project.create(tmp_path, remote=False).run("bench", "--scheduled", "--fresh")
    assert (done.code, "takes no other options" in done.err) == (2, True)
