"""The ledger of a repository as values, two runs beside each other, and a measurement."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from publisher.publishing import compare as comparing
from publisher.publishing import pipeline
from publisher.publishing.find import Found, find_measured
from publisher.publishing.listing import state_of
from publisher.publishing.project import Project
from publisher.publishing.quiet import Quiet
from publisher.samples import without_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.gate.compare import Lengths
    from publisher.ledger.history import Run as Entered
    from publisher.schema import Comparison, HistoryLine, Receipt, Record, Report, Sample


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Run:
    """A measured run: its line of history at once, its record and answers when they are asked for."""

    line: HistoryLine
    """The run in one line: commit, tier, scores, verdict. A run that is not in the ledger yet says `inconclusive`."""
    entered: Entered | None
    """What the ledger has of it beside its files; None for a run that has no verdict yet."""
    _project: Project

    @classmethod
    def of(cls, project: Project, run: Entered) -> Run:
        """Return a run of a project's ledger."""
        return cls(run.line, run, project)

    @property
    def run_id(self) -> str:
        """The run's id: start, commit and tier."""
        return self.line.run_id

    @property
    def commit(self) -> str:
        """The benchmarked commit."""
        return self.line.commit

    @property
    def state(self) -> str:
        """How far it has come: `pending`, its verdict, or its snapshot's state, such as `published` or `pruned`."""
        return state_of(self.entered) if self.entered is not None else "pending"

    @property
    def receipt(self) -> Receipt | None:
        """The proof of its deploy; None where it has none, or where that was deleted."""
        return self.entered.receipt if self.entered is not None else None

    @property
    def record(self) -> Record:
        """What the run wrote down; StorageError where it cannot be read."""
        return self._found().record

    @property
    def report(self) -> Report:
        """What is said of its verdict: rules, what turned, what was changed, what could not be seen."""
        record = self.record
        return comparing.report_of(self._project, record, pipeline.verdict_of(self._project, record))

    @property
    def samples(self) -> list[Sample]:
        """Every answer, in the order of the samples file; those of private suites without a word of them."""
        public = {suite.name for suite in self.record.suites if suite.public}
        found = self._project.published_samples(self.run_id)
        return [sample if sample.suite in public else without_text(sample) for sample in found]

    def compared(self) -> tuple[Found, Lengths]:
        """Return what `compare` looks at: the run as the gate sees it, and the tokens of its answers by suite."""
        return self._found(), comparing.lengths_of(self._project, self.run_id)

    def _found(self) -> Found:
        return find_measured(self._project, self.run_id)

    def __repr__(self) -> str:
        return f"<Run {self.run_id}, {self.state}>"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Ledger:
    """The ledger of a repository, as this clone has it."""

    _project: Project

    def runs(self) -> list[Run]:
        """Return every run, kept or rejected, in the order in which they came into the ledger."""
        return [Run.of(self._project, run) for run in self._project.runs()]

    def run(self, name: str, *, tier: str = "") -> Run:
        """Return the run that a run id, snapshot, pin, revision or `-N` (N before live) names, pending ones included.

        Raises UsageError where there is none, or several of different tiers and no `tier`.
        """
        return _run_of(self._project, find_measured(self._project, name, tier))

    @property
    def history(self) -> list[HistoryLine]:
        """Every run as one line, in the order in which they came into the ledger."""
        return [run.line for run in self._project.runs()]

    def fetch(self) -> None:
        """Bring this clone's ledger and the remote's together, as `publisher log` does; GitError where that fails."""
        self._project.ledger.sync()

    def __repr__(self) -> str:
        return f"<Ledger of {self._project.repository.root}>"


def ledger(repo: str | os.PathLike[str] = ".", *, remote: str | None = None) -> Ledger:
    """Open the ledger of the repository around a folder, as this clone last fetched it; no remote is asked.

    `remote` is the one whose ledger counts (default: origin, where there is one). Raises UsageError where the folder
    is in no repository, or that has no such remote.
    """
    open_project(repo, remote)  # takes over what the clone has fetched
    return Ledger(Project.open(Path(repo), os.environ, remote))


class Comparable(Protocol):
    """A run, or a snapshot that was fetched."""

    def compared(self) -> tuple[Found, Lengths]:
        """Return what `compare` looks at."""


def compare(before: Comparable, after: Comparable) -> Comparison:
    """Return two runs beside each other: scores with a paired test, problems that turned, settings, figures.

    It is what `publisher diff` prints and what pages and reports show. Lengths of answers are compared where both
    sides have their answers at hand, so not for snapshots over HTTP.
    """
    (one, its), (other, theirs) = before.compared(), after.compared()
    return comparing.side_by_side(one, other, (its, theirs))


def bench(
    repo: str | os.PathLike[str] = ".",
    revision: str = "HEAD",
    *,
    tier: str = "",
    fresh: bool = False,
    note: Callable[[str], None] | None = None,
) -> Run:
    """Measure the model that a commit describes, or find the run that did, and return it; it stays pending.

    `tier` is the one that is published where it is empty; `fresh` measures again with new seeds; `note` is told what
    a user should know. It needs `pip install 'snapshot-publisher[bench]'`, and raises ModelError without.
    """
    tell = note or (lambda _: None)
    project = Project.open(Path(repo), os.environ, note=tell)
    record = pipeline.bench(project, revision, tier, Quiet(tell), fresh=fresh)
    return _run_of(project, find_measured(project, record.run_id))


def open_project(repo: str | os.PathLike[str], remote: str | None) -> Project:
    """Open a repository with its ledger as this clone last fetched it."""
    project = Project.open(Path(repo), os.environ, remote, as_fetched=True)
    project.ledger.sync()
    return project


def _run_of(project: Project, found: Found) -> Run:
    return Run(found.measured.line, found.run, project)
