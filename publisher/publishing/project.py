"""Where everything happens: a repository with its ledger, its pending runs, and the environment's secrets."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from publisher import schema
from publisher.bench.workspace import proof_key, whole_samples
from publisher.config import FILE, BranchConfig, Config, PromptConfig, parse
from publisher.config.prompts import load, path_of
from publisher.errors import ConfigError, StorageError, UsageError
from publisher.files import sha256_hex
from publisher.git import Repository
from publisher.graders import mistake_in
from publisher.ledger import history
from publisher.ledger.store import Ledger
from publisher.netlify.client import Netlify, Settings
from publisher.publishing.pending import Pending, Running
from publisher.publishing.trust import TrustedBranch, combined
from publisher.publishing.turns import Marks, Patience
from publisher.samples import FILE as SAMPLES
from publisher.samples import unpack_samples
from publisher.schema import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from publisher.ledger.history import Run
    from publisher.schema import EngineIdentity, Sample

LARGEST_CONFIG = 1 << 20
"""Bytes of a commit's publisher.toml that are read at most."""


def timestamp(moment: float) -> str:
    """Return a Unix time as every stored file writes it: UTC, to the second."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """Return the time by this machine's clock, as every stored file writes it."""
    return timestamp(time.time())


@dataclass(frozen=True, slots=True)
class Target:
    """The commit that a command is about, with its configuration and that file's digest, and the tier to run."""

    commit: str
    config: Config
    """As it is for the runs of this tier."""
    digest: str
    tier: str
    policy: str = ""
    """The commit of the trusted branch whose rules and suites count instead of the commit's own; empty for its own."""
    series: str = ""
    """The tiers whose fresh measurements share their seeds, so that a higher one reuses a lower one's samples."""
    recordable: bool = True
    """Whether the trusted branch lets a run of this commit into the ledger."""
    branch: str = ""
    """The branch that the commit was pushed to, or is checked out as; empty where that is not known."""

    @property
    def salted_by(self) -> str:
        """What the salt of a fresh measurement is remembered by."""
        return self.series or self.tier


@dataclass(frozen=True, slots=True)
class Project:
    """A repository, its ledger and pending runs, and the environment that the secrets come from."""

    repository: Repository
    ledger: Ledger
    pending: Pending
    environment: Mapping[str, str]
    clock: Callable[[], float] = time.time
    """This machine's wall clock: Unix time, which may be wrong."""
    patience: Patience = field(default_factory=Patience)
    """How long other publishers are waited for."""
    trusted: TrustedBranch | None = None
    """The branch whose rules count for commits that are not on it; where it is None each commit brings its own."""
    marks: Marks = field(init=False)
    """When this machine first saw what it waits for."""
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Keep the marks beside the pending runs."""
        object.__setattr__(self, "marks", Marks(self.workspace / "seen"))

    @classmethod
    def open(
        cls,
        folder: Path,
        environment: Mapping[str, str],
        remote: str | None = None,
        note: Callable[[str], None] = lambda _: None,
        policy_ref: str = "",
        *,
        as_fetched: bool = False,
    ) -> Project:
        """Open the repository around `folder`; UsageError when it has no remote called `remote`.

        Where no remote is named, `origin` counts, and without an `origin` everything stays in this repository. `note`
        is told what git had to mend. `policy_ref` names the trusted branch, where one is to count. With
        `as_fetched` the remote is not asked: its branches are where they were when this clone last fetched.
        """
        repository = Repository(folder, note=note)
        names = repository.remotes()
        if remote is not None and remote not in names:
            raise UsageError(
                f"{repository.root} has no remote called {remote!r}; it has {', '.join(names) or 'none'}",
                hint="git remote -v   lists them; without --remote it is origin",
            )
        known = remote or ("origin" if "origin" in names else None)
        own = repository.git_folder / "publisher"
        trusted = TrustedBranch(repository, known, policy_ref, as_fetched) if policy_ref else None
        return cls(
            repository, Ledger(repository, known, as_fetched), Pending(own / "runs"), environment, trusted=trusted
        )

    @property
    def who(self) -> str:
        """Who is at work here, as git knows them; hostile text like any name."""
        return self.repository.setting("user.name")[:100]

    @property
    def workspace(self) -> Path:
        """The folder for what is ours and is not in git: journals and pending runs."""
        return self.pending.folder.parent

    @property
    def running(self) -> Running:
        """What is being measured here at this moment."""
        return Running(self.workspace / "running")

    @property
    def smoke(self) -> Pending:
        """The smoke run that was measured last; it never gets into the ledger."""
        return Pending(self.workspace / "smoke" / "runs")

    def config(self, commit: str) -> tuple[Config, str]:
        """Return what counts for a commit, and the digest of its publisher.toml; UsageError where it has none.

        For a commit that is not on the trusted branch everything but model, prompt and engine is that branch's.
        """
        own, digest = self._own_config(commit)
        policy = self.policy(commit)
        return (combined(own, self._own_config(policy)[0]) if policy else own), digest

    def policy(self, commit: str) -> str:
        """Return the commit whose rules and suites count for `commit` instead of its own, or nothing."""
        return "" if self.trusted is None or self.trusted.has(commit) else self.trusted.tip

    def _own_config(self, commit: str) -> tuple[Config, str]:
        """Return the publisher.toml of a commit and its digest; UsageError where the commit has none."""
        self.repository.fetch_commit(self.ledger.remote, commit)
        data = self.repository.read(commit, FILE, limit=LARGEST_CONFIG)
        if data is None:
            raise UsageError(f"commit {commit[:12]} has no {FILE}", hint="publisher init   writes one; then commit it")
        where = f"commit {commit[:12]}"
        config = parse(data, f"{FILE} of {commit[:12]}", graders=mistake_in)
        if config.prompt.use:
            config = msgspec.structs.replace(config, prompt=self.prompt(commit, config.prompt.use))
        if config.model.card.system_prompt and not config.prompt.system.strip():
            place = path_of(config.prompt.use) if config.prompt.use else f"prompt.system in {FILE}"
            raise ConfigError(
                f"{where}: the system prompt is empty, and the card of {config.model.name} demands one",
                hint=f"write it into {place}",
            )
        return config, sha256_hex(data)

    def prompt(self, commit: str, name: str) -> PromptConfig:
        """Return the prompt prompts/NAME.toml of a commit; ConfigError where it has none, or one with mistakes."""

        def file(path: str) -> bytes | None:
            return self.repository.read(commit, path, limit=LARGEST_CONFIG)

        return load(name, file, f"commit {commit[:12]}")

    def now(self, netlify: Netlify) -> float:
        """Return the host's time where it was heard, otherwise this machine's, as Unix time."""
        heard = netlify.clock.now()
        return self.clock() if heard is None else heard

    def moment(self, netlify: Netlify) -> str:
        """Return the time to write down: the host's where it was heard, for machines' clocks differ."""
        return timestamp(self.now(netlify))

    def say_once(self, what: str) -> bool:
        """Return whether this is the first time that `what` is to be said."""
        first = what not in self._said
        self._said.add(what)
        return first

    def target(self, revision: str, tier: str, branch: str = "") -> Target:
        """Return what a revision names, with its configuration; an empty `tier` means the one that is published.

        A commit that is not on the trusted branch may be recorded where that one's `[branches]` lets its `branch`
        publish, and the branch has the commit.
        """
        commit = self.repository.resolve(revision)
        config, digest = self.config(commit)
        chosen = tier or config.publishing_tier
        config.tier(chosen)
        policy = self.policy(commit)
        recordable = not policy or (self._is_published_branch(config, branch) and self._is_on(branch, commit))
        known = branch or self._branch_of(commit)
        return Target(commit, config.of_tier(chosen), digest, chosen, policy, recordable=recordable, branch=known)

    def _branch_of(self, commit: str) -> str:
        """Return the branch that is checked out here, where a commit is its newest."""
        form = "--format=%(HEAD)%(refname:short)"
        names = self.repository.text("for-each-ref", form, "--points-at", commit, "refs/heads").splitlines()
        return next((name[1:] for name in names if name.startswith("*")), "")

    def convention(self, revision: str, branch: str) -> BranchConfig:
        """Return what becomes of a commit that was pushed to `branch`, by the rules that count for it."""
        return self.config(self.repository.resolve(revision))[0].branch(branch) if branch else BranchConfig()

    @staticmethod
    def _is_published_branch(config: Config, branch: str) -> bool:
        return bool(branch) and config.branch(branch).publish

    def _is_on(self, branch: str, commit: str) -> bool:
        """Return whether a branch, on the remote where there is one, has a commit."""
        return TrustedBranch(self.repository, self.ledger.remote, branch).has(commit)

    def netlify(self, config: Config) -> Netlify:
        """Return the client of the site that a configuration names."""
        return Netlify(Settings.of(config.netlify.site, self.environment))

    def client_of(self, run: Run) -> tuple[Netlify, Config]:
        """Return the client and the configuration that a run's own commit asks for."""
        config, _ = self.config(run.line.commit)
        return self.netlify(config), config

    def runs(self) -> list[Run]:
        """Return every run in the ledger, in the order in which they came."""
        return history.read_runs(self.ledger)

    def runs_before(self, run_id: str) -> list[Run]:
        """Return the runs that came into the ledger before a run: all of them where it is not there yet."""
        return list(itertools.takewhile(lambda run: run.run_id != run_id, self.runs()))

    def run(self, run_id: str) -> Run | None:
        """Return one run of the ledger, or None."""
        return next((run for run in self.runs() if run.run_id == run_id), None)

    def record(self, run_id: str) -> Record:
        """Return the record of a run in the ledger."""
        return history.read_part(self.ledger, run_id, "record.json", Record)

    def records(self, run_ids: Iterable[str]) -> dict[str, Record]:
        """Return the records of some runs, read by one process; one that is absent or unreadable is left out."""
        wanted = list(run_ids)
        head = self.ledger.head
        paths = [f"{history.folder(run_id)}/record.json" for run_id in wanted]
        blobs = self.repository.read_many([f"{head}:{path}" for path in paths]) if head and paths else []
        found: dict[str, Record] = {}
        for run_id, path, data in zip(wanted, paths, blobs or [None] * len(wanted), strict=True):
            with contextlib.suppress(StorageError):
                found |= {run_id: schema.decode(data, Record, path)} if data is not None else {}
        return found

    def measured(self, commit: str, tier: str, *, salt: str = "") -> Record | None:
        """Return the newest record of a commit and tier, pending or in the ledger; with `salt` only one with that.

        What was measured by other rules than those that count now is left out.
        """
        policy = self.policy(commit)
        waiting = [
            record
            for record in self.pending.records()
            if (record.commit.sha, record.tier, record.policy) == (commit, tier, policy) and salt in {"", record.salt}
        ]
        if waiting:
            return waiting[-1]
        known = [
            run
            for run in self.runs()
            if (run.line.commit, run.line.tier) == (commit, tier) and salt in {"", run.line.salt} and not policy
        ]
        readable = [run for run in known if run.line.verdict != "unreadable"]
        return self.record(readable[-1].run_id) if readable else None

    def lengths(self, tier: str) -> dict[tuple[str, str], float]:
        """Return the mean tokens of an answer by (suite, problem), from the newest readable run of a tier."""
        lines = [run for run in self.runs() if run.line.tier == tier and run.line.verdict != "unreadable"]
        found: dict[tuple[str, str], list[int]] = {}
        # These only decide the order in which samples start, so what cannot be read is done without.
        with contextlib.suppress(StorageError):
            for sample in self.samples(lines[-1].run_id) if lines else ():
                found.setdefault((sample.suite, sample.problem), []).append(sample.tokens)
        return {key: sum(tokens) / len(tokens) for key, tokens in found.items()}

    def samples(self, run_id: str) -> Iterator[Sample]:
        """Return a run's samples, read as they are asked for: whole where this machine measured it; StorageError.

        Elsewhere those of private suites are withheld.
        """
        kept = whole_samples(self.workspace, run_id)
        if kept.is_file():
            try:
                return unpack_samples(kept.read_bytes())
            except OSError as error:
                raise StorageError(f"cannot read {kept}: {error.strerror}") from error
        return self.published_samples(run_id)

    def published_samples(self, run_id: str) -> Iterator[Sample]:
        """Return a run's samples as they are in the ledger, or will be where it is still pending; StorageError."""
        return unpack_samples(self.packed_samples(run_id))

    def packed_samples(self, run_id: str) -> bytes:
        """Return the file of a run's samples as it is in the ledger, will be, or is so far; StorageError."""
        data = self.ledger.read(f"{history.folder(run_id)}/{SAMPLES}")
        for kept in (self.pending, self.smoke, self.running):
            data = kept.samples(run_id) if data is None and kept.holds(run_id) else data
        if data is None:
            raise StorageError(f"the ledger has no samples of {run_id}", hint="git fetch origin ledger:ledger")
        return data

    @property
    def proof_key(self) -> bytes:
        """The key by which this machine knows the texts again that it withheld."""
        return proof_key(self.workspace)

    def reusable(self, generation: str) -> Iterator[tuple[str, EngineIdentity | None, Iterator[Sample]]]:
        """Yield (run id, engine, samples) of the runs whose samples a run of the same generation may take over.

        None stands for the engine of a run whose record cannot be read.
        """
        for record in self.pending.records():
            if record.generation == generation:
                yield record.run_id, record.engine, self._lazily(record.run_id)
        for run in reversed(self.runs()):
            if run.line.generation == generation:
                known = self.records([run.run_id]).get(run.run_id)
                yield run.run_id, known.engine if known else None, self._lazily(run.run_id)

    def _lazily(self, run_id: str) -> Iterator[Sample]:
        """Read a run's samples only when the first is asked for: so a run that cannot be read fails alone."""
        yield from self.samples(run_id)
