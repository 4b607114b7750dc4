"""Published snapshots, fetched over HTTP and checked byte for byte against their manifest."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from publisher import address as addresses
from publisher import schema, shards, verify
from publisher.api import answers
from publisher.api.runs import Run, open_project
from publisher.errors import DeployError, StorageError, UsageError
from publisher.ledger import history
from publisher.ledger.history import Run as Entered
from publisher.publishing.find import Found
from publisher.schema import SiteSnapshot

if TYPE_CHECKING:
    import os

    from publisher.gate.compare import Lengths
    from publisher.publishing.project import Project
    from publisher.schema import HistoryLine, Manifest, Receipt, Record, Sample, Verdict
    from publisher.web import Web

T = TypeVar("T", bound=schema.Struct)

Proof = Literal["manifest", "receipt", "unproven"]
"""By what a snapshot is proven: the digest that the caller gave, a receipt in a ledger, or nothing.

`unproven` is what agrees with the host's own manifest alone: nothing was damaged on the way, but whoever controls the
host can have changed all of it together.
"""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Snapshot:
    """A published snapshot as it was fetched; every value in it agrees with the manifest, and so with `proof`."""

    address: str
    proof: Proof
    manifest_sha256: str
    """Digest of `manifest.json`: with it, anybody can prove later that the address still shows the same."""
    identity: SiteSnapshot
    history: list[HistoryLine]
    """The runs up to this one and those before it, oldest first, as of when it was published."""
    _manifest: Manifest
    _run: Run | None = None
    """The run in the repository that the receipt came from."""
    _web: Web = field(default_factory=verify.patient)

    @property
    def proven(self) -> bool:
        """Whether more than the host's own word says that this is the snapshot."""
        return self.proof != "unproven"

    @property
    def run_id(self) -> str:
        """The run that the snapshot shows."""
        return self.identity.run_id

    @property
    def commit(self) -> str:
        """The benchmarked commit."""
        return self.identity.commit

    @property
    def record(self) -> Record:
        """What the run wrote down: model, prompt, suites, engine, machine, and results."""
        return self.identity.record

    @property
    def verdict(self) -> Verdict:
        """What the gate said of the run."""
        return self.identity.verdict

    @property
    def samples(self) -> list[Sample]:
        """Every answer: those of the ledger with `repo`, otherwise those that the site publishes.

        The ledger has all of them, of private suites without a word. A site has those of public suites alone, as far
        as they fit into its file; a long text has lost its beginning, of which `clipped` counts the characters.
        Raises UsageError where neither has any: older sites show answers as pages only.
        """
        if self._run is not None:
            return self._run.samples
        if answers.FILE not in self._manifest.files:
            raise UsageError(
                f"{self.address} has no answers as values: they are in the repository that published it",
                hint="publisher.snapshot(address, repo=FOLDER)   where FOLDER is a clone of it",
            )
        return list(answers.samples(self.read(answers.FILE), f"{self.address}/{answers.FILE}"))

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of every file of the site, by path."""
        return {path: entry.sha256 for path, entry in self._manifest.files.items()}

    def read(self, path: str) -> bytes:
        """Fetch a file of the site, such as `every_eval_ever.json`; its bytes are those of the manifest.

        Raises UsageError where the manifest does not list it, DeployError where other bytes are served.
        """
        if path not in self._manifest.files:
            raise UsageError(f"{self.address} has no file {path!r}", hint="snapshot.files lists them")
        return verify.fetch(self._web, self.address, path, self._manifest)

    def verify(self) -> verify.Verification:
        """Fetch every file of the site and compare it with the manifest; DeployError where one differs.

        The result counts the files, and names headers that are not as they were rendered.
        """
        found = verify.verify(
            self.address,
            record_sha256=self.identity.record_sha256,
            commit=self.identity.snapshot,
            manifest_sha256=self.manifest_sha256,
        )
        return verify.require(found)

    def compared(self) -> tuple[Found, Lengths]:
        """Return what `compare` looks at: the run as the gate sees it; the lengths of answers are not in a site."""
        line = next(line for line in self.history if line.run_id == self.run_id)
        return Found(self.record, Entered(line)), {}

    def __repr__(self) -> str:
        return f"<Snapshot {self.run_id} at {self.address}, {_PROOFS[self.proof]}>"


_PROOFS = {"manifest": "proven by its manifest", "receipt": "proven by its receipt", "unproven": "unproven"}


def snapshot(
    address: str, *, manifest: str = "", repo: str | os.PathLike[str] | None = None, remote: str | None = None
) -> Snapshot:
    """Fetch the snapshot at an address and check it.

    With `manifest`, the SHA-256 of its `manifest.json`, or with `repo`, a clone whose ledger has its receipt, the
    result is proven. With neither it is only what the host serves, and its `proof` says `unproven`. `repo` reads the
    ledger as the clone last fetched it, of the remote `remote` (default: origin, where there is one).

    Raises UsageError for an address, a digest or a repository that cannot be used, NetworkError where no answer comes,
    DeployError where what is served is not the snapshot.
    """
    place = _origin(address)
    if manifest and not _DIGEST.fullmatch(manifest):
        raise UsageError(f"manifest={manifest[:80]!r} is not a SHA-256", hint="64 digits from 0-9 and a-f")
    project = open_project(repo, remote) if repo is not None else None
    run, receipt = _receipt(project, place) if project is not None else (None, None)
    if receipt is not None and manifest not in {"", receipt.manifest_sha256}:
        raise DeployError(
            f"the receipt of {place} names another manifest than the one that was asked for",
            detail=f"asked for  {manifest}\nreceipt    {receipt.manifest_sha256}",
        )
    web = verify.patient()
    wanted = receipt.manifest_sha256 if receipt is not None else manifest
    listed, digest = verify.fetch_manifest(web, place, manifest_sha256=wanted)
    part = functools.partial(_part, web, place, listed)
    identity = part("snapshot.json", SiteSnapshot)
    if run is not None and run.run_id != identity.run_id:
        raise DeployError(f"{place} shows {identity.run_id}, not {run.run_id}, whose receipt the ledger has")
    past = _history(web, place, listed)
    _check(identity, past, place)
    return Snapshot(
        address=place,
        proof="receipt" if receipt is not None else "manifest" if manifest else "unproven",
        manifest_sha256=digest,
        identity=identity,
        history=past,
        _manifest=listed,
        _run=run,
        _web=web,
    )


def _origin(address: str) -> str:
    """Return an address without its final slash; UsageError where it is not that of a whole site."""
    try:
        parts = addresses.split(address)
    except ValueError as error:
        raise UsageError(f"the address cannot be used: {error}", hint="publisher snapshots   lists them") from error
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise UsageError(
            f"{address} is a page of a site, not the site", hint=f"{parts.scheme}://{addresses.host_of(address)}/"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _receipt(project: Project, address: str) -> tuple[Run, Receipt]:
    """Return the run that a permanent address or a pin shows, and its receipt; UsageError where there is none."""
    pinned = {pin.run_id for pin in history.pins(project.ledger).values() if pin.address.rstrip("/") == address}
    for run in project.runs():
        receipt = run.last_receipt
        if receipt is None:
            continue
        known = {receipt.address.rstrip("/"), receipt.permalink.rstrip("/")}
        if address in known or run.run_id in pinned:
            return Run.of(project, run), receipt
    raise UsageError(
        f"no receipt in {project.repository.root} is of {address}",
        hint="git fetch origin ledger; the main address of a site has none, because it moves",
    )


def _listed(web: Web, address: str, listed: Manifest, path: str) -> bytes:
    """Fetch one of the site's files; DeployError where its manifest does not list it."""
    if path not in listed.files:
        raise DeployError(f"{address} has no {path}: it is not a snapshot", hint="publisher snapshots   lists them")
    return verify.fetch(web, address, path, listed)


def _part(web: Web, address: str, listed: Manifest, path: str, kind: type[T]) -> T:
    """Fetch one of the site's files for programs."""
    try:
        return schema.decode(_listed(web, address, listed, path), kind, f"{address}/{path}")
    except StorageError as error:
        raise DeployError(error.message, hint=error.hint) from error


def _history(web: Web, address: str, listed: Manifest) -> list[HistoryLine]:
    """Fetch the site's history, whose older lines are in files of their own."""
    read = functools.partial(_listed, web, address, listed)
    try:
        return shards.join(read(shards.INDEX), read, f"{address}/{shards.INDEX}")[0].lines
    except StorageError as error:
        raise DeployError(error.message, hint=error.hint) from error


def _check(identity: SiteSnapshot, past: list[HistoryLine], address: str) -> None:
    """Raise DeployError where the files for programs are about different runs."""
    ids = {identity.run_id, identity.record.run_id, identity.verdict.run_id}
    listed = any(line.run_id == identity.run_id for line in past)
    if len(ids) != 1 or identity.commit != identity.record.commit.sha or not listed:
        raise DeployError(f"{address} shows parts of several runs, so it is no snapshot")
