"""Smoke runs, runs that are looked at while they are measured, and answers that are scored again."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher.bench.so_far import Teller
from publisher.publishing import project as opened
from publisher.publishing.pending import Running
from tests.made import SAMPLE, record
from tests.project import PUBLISHER, Project
from tests.test_view import UNTIL, get, viewing


@pytest.fixture(name="project", scope="module")
def project_fixture(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project without a run."""
    return Project.create(tmp_path_factory.mktemp("smoke"), remote=False)


@pytest.mark.model
def test_a_smoke_run_asks_the_first_problems_and_leaves_no_trace(project: Project) -> None:
    """Nothing of it is pending or in the ledger; its answers are shown, until the next one."""
    done = project.run("bench", "--limit", "2")
    assert done.code == 0, done.err
    assert re.findall(r"^  right .*#1", done.out, re.MULTILINE)
    assert "2 right" in done.out
    assert project.log() == []
    assert project.run("show").code == 2
    assert project.run("show", "smoke").out.count("── ") == 2
    done = project.run("bench", "--problem", "add-021", "--json")
    assert [one["problem"] for one in done.json["samples"]] == ["add-021"]
    assert project.run("show", "smoke").out.count("── ") == 1
    assert not list((project.folder.path / ".git" / "publisher" / "runs").glob("*"))


@pytest.mark.model
def test_a_dirty_run_measures_the_files_as_they_are(project: Project) -> None:
    """An edit and a suite that git does not know count; index, branches and files stay as they were."""
    folder = project.folder
    path = folder.path / "publisher.toml"
    committed = path.read_text()
    (folder.path / "new.jsonl").write_text('{"id": "n-1", "problem": "What is 1 + 1?", "answer": "2"}\n')
    path.write_text(re.sub(r"small.jsonl", "new.jsonl", committed))
    before = folder.git("status", "--porcelain"), folder.git("for-each-ref")
    try:
        done = project.run("bench", "--dirty", "--json")
        assert done.code == 0, done.err
        assert [one["problem"] for one in done.json["samples"]] == ["n-1"]
        assert (folder.git("status", "--porcelain"), folder.git("for-each-ref")) == before
        (folder.path / "new.jsonl").unlink()
        assert "does not exist" in project.run("bench", "--dirty").err
    finally:
        path.write_text(committed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--limit", "1", "--fresh"], "make a smoke run"),
        (["--dirty", "HEAD~1"], "make a smoke run"),
        (["--problem", "add-0011"], "did you mean "),
        (["--limit", "0"], "--limit"),
    ],
)
def test_what_makes_no_smoke_run_is_an_error(project: Project, arguments: list[str], words: str) -> None:
    """A smoke run cannot be recorded, so options of recorded runs contradict it; unknown problems are named."""
    done = project.run("bench", *arguments)
    assert (done.code, words in done.err) == (2, True), done.err


@pytest.mark.model
def test_regrade_says_what_changes_and_edits_nothing(tmp_path: Path) -> None:
    """Today's grader agrees with itself; with another one each changed answer is told, and the record stays."""
    project = Project.create(tmp_path, remote=False)
    assert project.run("bench").code == 0
    pending = project.folder.path / ".git" / "publisher" / "runs"
    before = {path.name: path.read_bytes() for path in pending.glob("*.run")}
    same = project.run("regrade", "--json").json["suites"][0]
    assert (same["before"], same["changed"], same["believed"]) == (same["after"], [], 0)
    other = project.run("regrade", "--grader", "choice:labels=yes|no", "--json")
    assert other.code == 0, other.err
    found = other.json["suites"][0]
    assert len(found["changed"]) == found["graded"] > 0
    assert (found["after"], found["changed"][0]["before"]) == (0.0, "right")
    assert "are scored otherwise" in project.run("regrade", "--grader", "choice:labels=yes|no").out
    assert project.run("regrade", "--grader", "mathe").code == 2
    assert {path.name: path.read_bytes() for path in pending.glob("*.run")} == before


@contextmanager
def benching(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    """Measure HEAD in the background until the block ends."""
    command = [str(PUBLISHER), "--repo", str(project.folder.path), "bench"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(UNTIL)


@pytest.mark.model
def test_a_run_is_looked_at_while_it_is_measured(tmp_path: Path) -> None:
    """Its pages say how far it is and change with its samples; its answers are shown; an interruption forgets it."""
    project = Project.create(tmp_path, remote=False)
    path = project.folder.path / "publisher.toml"
    text = path.read_text().replace("temperature = 0.0", "temperature = 0.8")
    suite = '[suites.many]\nsource = "builtin:abacus"\nsamples = 64\n[suites.'
    project.folder.commit({"publisher.toml": text.replace("[suites.", suite, 1).replace('["small"]', '["many"]')})
    running = opened.Project.open(project.folder.path, {}).running
    with benching(project) as bench:
        until = time.monotonic() + UNTIL
        while not list(running.records()):
            assert bench.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        with viewing(project) as (address, _):
            assert "Still being measured: " in get(address)[1]
            state = get(f"{address}__view/state")[1]
            while get(f"{address}__view/state")[1] == state:
                assert bench.poll() is None
                assert time.monotonic() < until + UNTIL
                time.sleep(0.3)
        assert "sample 1" in project.run("show", "--outcome", "right").out
        assert project.run("diff", "HEAD").code == 2
    assert list(running.folder.glob("*")) == []


def test_what_a_killed_process_left_is_no_run(tmp_path: Path) -> None:
    """A file is named after its process, and goes with it."""
    running = Running(tmp_path)
    with running.shown() as so_far:
        so_far(record(), [SAMPLE])
        (own,) = tmp_path.glob("*.run")
        (tmp_path / "4194304999.run").write_bytes(own.read_bytes())
        (tmp_path / "x.run").write_bytes(own.read_bytes())
        assert [one.run_id for one in running.records()] == [record().run_id]
        assert running.samples(record().run_id)
        assert list(tmp_path.glob("*.run")) == [own]
    assert not running.holds(record().run_id)


def test_errors_alone_are_nothing_to_look_at() -> None:
    """While there is no score there is no record, and the run continues; later there is one, at a bounded rate."""
    made = [None, (record(), [SAMPLE]), (record(), [SAMPLE])]
    taken: list[str] = []
    teller = Teller(lambda of, _: taken.append(of.run_id), lambda: made.pop(0))
    for _ in range(3):
        teller._next = 0.0
        teller.finished()
    teller.finished()
    assert taken == [record().run_id] * 2
