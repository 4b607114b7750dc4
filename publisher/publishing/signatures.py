"""Who signed what: every entry of the ledger, every snapshot commit and every manifest, by the trusted branch's list.

What was written before the first good signature may be unsigned. After it, everything has to carry one: otherwise
whoever can push could leave the signature out.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from publisher import verify
from publisher.errors import UsageError
from publisher.git import signatures, signing
from publisher.ledger import history
from publisher.publishing.audit import address_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from publisher.git.signing import State
    from publisher.ledger.history import Run
    from publisher.publishing.failures import Failures
    from publisher.publishing.project import Project
    from publisher.schema import Receipt

LARGEST_LIST = 1 << 20
"""Bytes of a list of allowed signers."""
LARGEST_SIGNATURE = 16 << 10


@dataclass(frozen=True, slots=True)
class Signed:
    """What the signature of one thing is worth."""

    kind: Literal["entry", "snapshot", "manifest"]
    name: str
    """The entry's subject, or the snapshot's branch; hostile text."""
    commit: str
    """The commit that is signed; for a manifest the entry that brought its receipt."""
    state: State
    fault: bool
    """Whether it should be otherwise: bad, by an unknown signer, or unsigned after the first good signature."""


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The ledger's entries as they are signed."""

    states: dict[str, State]
    """By commit, oldest first."""
    added: dict[str, str]
    """The commit that added each path."""
    since: int
    """The place of the first good signature."""

    def is_fault(self, state: State, entry: str) -> bool:
        """Return whether a state is a fault of something that an entry brought."""
        after = list(self.states).index(entry) > self.since if entry in self.states else True
        return state in {"bad", "unknown"} or (state == "unsigned" and after)


def signed(project: Project, runs: Iterable[Run], failures: Failures) -> Iterator[Signed]:
    """Yield what every ledger entry is worth, then the snapshots of `runs` and their manifests, as they are served.

    A snapshot that cannot be looked at is one of the `failures`. Raises UsageError where the trusted branch names no
    list of signers.
    """
    head = project.ledger.head
    if head is None:
        return
    with _signers(project) as signers:
        repository = project.repository
        entries = signatures.entries(repository, head)
        states = signatures.states(repository, (sha for sha, _ in entries), signers)
        order = {sha: states[sha] for sha, _ in entries}
        since = next((place for place, state in enumerate(order.values()) if state == "good"), len(order))
        ledger = _Ledger(order, {path: sha for sha, paths in reversed(entries) for path in paths}, since)
        for sha, state in order.items():
            yield Signed("entry", repository.commit(sha).subject, sha, state, ledger.is_fault(state, sha))
        for run in runs:
            receipt = run.last_receipt
            with failures.of(run.run_id):
                if receipt is not None:
                    yield _snapshot(project, run, receipt, ledger, signers)
                    yield _manifest(project, run, receipt, ledger, signers)


def _snapshot(project: Project, run: Run, receipt: Receipt, ledger: _Ledger, signers: Path) -> Signed:
    """Return what a snapshot commit's signature is worth."""
    project.repository.fetch_commit(project.ledger.remote, receipt.commit)
    state = signatures.states(project.repository, [receipt.commit], signers)[receipt.commit]
    named = ledger.added.get(f"{history.folder(run.run_id)}/snapshot.json", "")
    return Signed("snapshot", receipt.snapshot, receipt.commit, state, ledger.is_fault(state, named))


def _manifest(project: Project, run: Run, receipt: Receipt, ledger: _Ledger, signers: Path) -> Signed:
    """Return what the signature beside a receipt is worth for the manifest that its address serves."""
    place = f"{history.folder(run.run_id)}/receipt-{receipt.number}"
    entry = ledger.added.get(f"{place}.json", "")
    signature = project.ledger.read(f"{place}.sig", limit=LARGEST_SIGNATURE)
    state: State = "unsigned"
    if signature is not None:
        served = verify.manifest_bytes(verify.patient(), address_of(project, run, receipt), receipt.manifest_sha256)
        moment = project.repository.commit(entry).time
        state = signing.check(served, signature, signers, signing.MANIFESTS, moment)
    return Signed("manifest", receipt.snapshot, entry, state, ledger.is_fault(state, entry))


@contextmanager
def _signers(project: Project) -> Iterator[Path]:
    """Yield a file with the list of the trusted branch, or of HEAD where none is trusted; UsageError without one."""
    trusted = project.trusted
    commit = trusted.tip if trusted else project.repository.resolve("HEAD")
    where = trusted.name if trusted else "HEAD"
    path = project.config(commit)[0].ledger.signers
    listed = project.repository.read(commit, path, limit=LARGEST_LIST) if path else None
    if listed is None:
        raise UsageError(
            f"{where} has no file {path}" if path else f"publisher.toml of {where} names no list of signers",
            hint='[ledger] signers = "allowed-signers"   a line each: NAME namespaces="git,publisher-manifest" ssh-…',
        )
    with tempfile.TemporaryDirectory(prefix="publisher-signers-") as folder:
        file = Path(folder) / "allowed-signers"
        file.write_bytes(listed)
        yield file
