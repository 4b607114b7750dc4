"""Where everything happens: a repository with its ledger, its pending runs, and the environment's secrets."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from publisher import schema
from publisher.config import FILE, Config, parse
from publisher.errors import StorageError, UsageError
from publisher.files import atomic_write, canonical_json, sha256_hex
from publisher.git import Repository
from publisher.ledger import history
from publisher.ledger.store import Ledger
from publisher.netlify.client import Netlify, Settings
from publisher.samples import unpack_samples
from publisher.schema import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from publisher.ledger.history import Run
    from publisher.schema import Sample

LARGEST_SAMPLES = 1 << 30
"""Bytes of samples that are read back at most."""


def now() -> str:
    """Return the time as every stored file writes it: UTC, to the second."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Pending:
    """Measured runs that have no verdict yet, in a folder beside the repository's objects."""

    folder: Path

    def store(self, record: Record, samples: bytes) -> None:
        """Keep a measured run; the record is written last, so a run without one was never finished."""
        place = self.folder / record.run_id
        atomic_write(place / "samples.jsonl.gz", samples)
        atomic_write(place / "record.json", canonical_json(record))

    def records(self) -> Iterator[Record]:
        """Yield the pending records, oldest first; one that cannot be read is left out: it can be measured again."""
        for path in sorted(self.folder.glob("*/record.json")):
            try:
                yield schema.decode(path.read_bytes(), Record, str(path))
            except StorageError:
                continue

    def samples(self, run_id: str) -> bytes:
        """Return the packed samples of a pending run."""
        path = self.folder / run_id / "samples.jsonl.gz"
        try:
            return path.read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}", hint="measure it again with --fresh") from error

    def discard(self, run_id: str) -> None:
        """Forget a pending run: it is in the ledger."""
        shutil.rmtree(self.folder / run_id, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A repository, its ledger and pending runs, and the environment that the secrets come from."""

    repository: Repository
    ledger: Ledger
    pending: Pending
    environment: Mapping[str, str]

    @classmethod
    def open(cls, folder: Path, environment: Mapping[str, str], remote: str = "origin") -> Place:
        """Open the repository around `folder`; without the remote, everything stays in this repository."""
        repository = Repository(folder)
        known = remote if remote in repository.remotes() else None
        own = repository.git_folder / "publisher"
        return cls(repository, Ledger(repository, known), Pending(own / "runs"), environment)

    @property
    def who(self) -> str:
        """Who is at work here, as git knows them; hostile text like any name."""
        return self.repository.setting("user.name")[:100]

    @property
    def workspace(self) -> Path:
        """The folder for what is ours and is not in git: journals and pending runs."""
        return self.pending.folder.parent

    def config(self, commit: str) -> tuple[Config, str]:
        """Return the publisher.toml of a commit and its digest; UsageError where the commit has none."""
        data = self.repository.read(commit, FILE)
        if data is None:
            raise UsageError(f"commit {commit[:12]} has no {FILE}", hint="publisher init   writes one; then commit it")
        return parse(data, f"{FILE} of {commit[:12]}"), sha256_hex(data)

    def netlify(self, config: Config) -> Netlify:
        """Return the client of the site that a configuration names."""
        return Netlify(Settings.of(config.netlify.site, self.environment))

    def runs(self) -> list[Run]:
        """Return every run in the ledger, oldest first."""
        return history.read_runs(self.ledger)

    def run(self, run_id: str) -> Run | None:
        """Return one run of the ledger, or None."""
        return next((run for run in self.runs() if run.run_id == run_id), None)

    def record(self, run_id: str) -> Record:
        """Return the record of a run in the ledger."""
        return history.read_part(self.ledger, run_id, "record.json", Record)

    def measured(self, commit: str, tier: str) -> Record | None:
        """Return the newest record of a commit and tier, pending or in the ledger."""
        waiting = [record for record in self.pending.records() if (record.commit.sha, record.tier) == (commit, tier)]
        if waiting:
            return waiting[-1]
        known = [run for run in self.runs() if (run.line.commit, run.line.tier) == (commit, tier)]
        readable = [run for run in known if run.line.verdict != "unreadable"]
        return self.record(readable[-1].run_id) if readable else None

    def reusable(self, generation: str) -> Iterable[tuple[str, list[Sample]]]:
        """Yield (run id, samples) of the runs whose samples any run of the same generation may take over."""
        for record in self.pending.records():
            if record.generation == generation:
                yield record.run_id, unpack_samples(self.pending.samples(record.run_id), LARGEST_SAMPLES)
        for run in reversed(self.runs()):
            if run.line.generation == generation:
                data = self.ledger.read(f"{history.folder(run.run_id)}/samples.jsonl.gz")
                if data is not None:
                    yield run.run_id, unpack_samples(data, LARGEST_SAMPLES)
