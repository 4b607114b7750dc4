"""The order of runs is the ledger's: the order in which they were entered, not the one that their names tell."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from publisher.ledger import history, snapshots
from publisher.ledger.store import Ledger, author
from publisher.publishing import pipeline
from publisher.publishing.project import Project
from publisher.schema import HistoryIndex, decode
from tests.made import GitFolder, record, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.schema import Record

CONFIG = """
[model]
name = "m"
source = "builtin:abacus"
[suites.s]
source = "s.jsonl"
[gate]
rules = [{ rule = "max-drop", points = 20.0 }]
"""
AHEAD, RIGHT, LAST = "20261120T211500Z", "20261120T201600Z", "20261120T201700Z"
"""When runs began, by the clocks of their machines: one whose clock is an hour ahead, then two right ones."""


@dataclass
class Machine:
    """One clone of the project."""

    folder: GitFolder

    @property
    def project(self) -> Project:
        """The project as a new process opens it."""
        return Project.open(self.folder.path, os.environ)

    def measured(self, started: str, *, right: int) -> Record:
        """Commit something and return a run of it."""
        return record(self.folder.commit({"n": started}), started=started, right=right)

    def enter(self, started: str, *, right: int = 30, ledger: Ledger | None = None) -> str:
        """Put a kept run into the ledger and return its id."""
        run = self.measured(started, right=right)
        files = history.run_files(run, verdict(run), b"samples")
        (ledger or self.project.ledger).append(files, f"kept: {run.run_id}\n")
        return run.run_id

    def order(self) -> list[str]:
        """Return the runs in the order that a new process finds, after it has brought the ledger up to date."""
        project = self.project
        project.ledger.sync()
        return [run.run_id for run in project.runs()]


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    """Two clones of a project: (the first, the second)."""
    folder = GitFolder.create(tmp_path / "first")
    folder.commit({"publisher.toml": CONFIG})
    folder.with_remote(tmp_path / "origin.git")
    folder.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "second"))
    return Machine(folder), Machine(GitFolder(tmp_path / "second"))


def test_a_drop_is_measured_from_the_run_that_was_entered_last(machines: tuple[Machine, Machine]) -> None:
    """A machine whose clock is an hour ahead enters 90 points; the newer 60 points of a right one are the baseline."""
    ahead, right = machines
    ahead.enter(AHEAD, right=36)
    newest = right.enter(RIGHT, right=24)
    right.project.ledger.sync()
    (rule,) = pipeline.verdict_of(right.project, right.measured(LAST, right=20)).rules
    assert (rule.rule, rule.baseline, rule.outcome) == ("max-drop", newest, "pass")


def test_what_came_before_a_run_is_what_was_entered_before_it(machines: tuple[Machine, Machine]) -> None:
    """Everything in the ledger came before a run that is not there yet, whatever its name."""
    ahead, right = machines
    first, second = ahead.enter(AHEAD), right.enter(RIGHT)
    assert right.order() == [first, second]
    project = right.project
    assert [run.run_id for run in project.runs_before(second)] == [first]
    assert [run.run_id for run in project.runs_before("20260101T000000Z-0123456789ab-full")] == [first, second]


def test_a_site_shows_its_history_in_the_order_of_the_ledger(machines: tuple[Machine, Machine]) -> None:
    """The history in a snapshot branch begins with the run that was entered first."""
    ahead, right = machines
    first, second = ahead.enter(AHEAD), right.enter(RIGHT)
    made = snapshots.ensure_snapshot(right.project.ledger, second, site="https://x.invalid", address=str)
    shown = right.folder.git("show", f"{made.branch}:ledger/history.json")
    assert [line.run_id for line in decode(shown.encode(), HistoryIndex, "history").lines] == [first, second]


def test_every_reader_finds_the_same_order(machines: tuple[Machine, Machine]) -> None:
    """One that has followed the ledger entry by entry, one that reads what is new, and one that reads all of it."""
    ahead, right = machines
    ledger = right.project.ledger
    seen = []
    for place, started in enumerate([AHEAD, RIGHT, "20261119T000000Z", LAST]):
        seen.append((ahead if place % 2 else right).enter(started))
        ledger.sync()
        assert [run.run_id for run in history.read_runs(ledger)] == seen
    older = Ledger(right.folder.opened)
    assert [run.run_id for run in history.read_runs(older, at=right.folder.git("rev-parse", "ledger~2"))] == seen[:2]
    assert [run.run_id for run in history.read_runs(older)] == seen
    assert ahead.order() == right.order() == seen


def test_runs_that_were_entered_offline_come_after_those_of_the_remote(machines: tuple[Machine, Machine]) -> None:
    """They keep their own order, also for a process that knew them before the two ledgers were brought together."""
    alone, other = machines
    common = other.enter("20261101T000000Z")
    alone.project.ledger.sync()
    offline = Ledger(alone.folder.opened)
    own = [alone.enter(AHEAD, ledger=offline), alone.enter(RIGHT, ledger=offline)]
    assert [run.run_id for run in history.read_runs(offline)] == [common, *own]
    theirs = other.enter(LAST)
    joined = Ledger(offline.repository, "origin")
    joined.sync()
    assert [run.run_id for run in history.read_runs(joined)] == [common, theirs, *own]
    assert other.order() == alone.order() == [common, theirs, *own]


def test_a_run_that_no_commit_names_has_its_place_all_the_same(machines: tuple[Machine, Machine]) -> None:
    """Then the commit whose tree has it first counts, and a name that is none is passed over."""
    first, second = machines
    before = first.enter(AHEAD)
    run = first.measured(RIGHT, right=30)
    repository = first.folder.opened
    unnamed = repository.write_commit(
        history.run_files(run, verdict(run), b"samples"),
        message="by hand\n\nEntered-run: --all\nEntered-run: x\u2028y\n",
        author=author(0),
        parents=[first.folder.git("rev-parse", "ledger")],
    )
    first.folder.git("push", "--quiet", "origin", f"{unnamed}:refs/heads/ledger")
    second.project.ledger.sync()
    after = second.enter("20261101T000000Z")
    assert second.order() == first.order() == [before, run.run_id, after]
