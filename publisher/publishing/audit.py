"""Compare every published snapshot with what its address serves, repair it from git, and continue where it stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher import verify
from publisher.address import host_of, is_loopback, split
from publisher.errors import DeployError, StorageError
from publisher.files import sha256_hex, storage_error
from publisher.ledger import history
from publisher.publishing.deliver import Desk, check_settings, repair
from publisher.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from publisher.ledger.history import Run
    from publisher.publishing.failures import Failures
    from publisher.publishing.project import Project
    from publisher.schema import Receipt
    from publisher.web import Web

    Note = Callable[[str], None]

FRESH = 24 * 3600.0
"""Seconds for which what an interrupted audit found whole is believed."""


class _Whole(msgspec.Struct, frozen=True):
    """One line of the progress: a snapshot that was found whole, and when (Unix time)."""

    run_id: str
    receipt: int
    files: int
    manifest_sha256: str
    time: float


@dataclass(slots=True)
class Progress:
    """What an interrupted audit has found whole; the file is deleted when an audit comes to its end."""

    path: Path
    known: dict[tuple[str, int], _Whole]

    @classmethod
    def of(cls, project: Project, *, fresh: bool = False) -> Progress:
        """Read the progress of the last audit, unless it came to its end; old and unreadable lines are left out.

        With `fresh`, that progress is forgotten.
        """
        path = project.workspace / "audit.jsonl"
        known = {}
        if fresh:
            path.unlink(missing_ok=True)
        lines = path.read_bytes().splitlines() if path.is_file() else []
        for line in lines:
            try:
                whole = msgspec.json.decode(line, type=_Whole)
            except msgspec.MsgspecError:
                continue
            if 0 <= time.time() - whole.time < FRESH:
                known[whole.run_id, whole.receipt] = whole
        return cls(path, known)

    def add(self, receipt: Receipt, report: Verification) -> None:
        """Write down that a snapshot is whole; StorageError when the disk is full."""
        whole = _Whole(receipt.run_id, receipt.number, report.files, report.manifest_sha256, time.time())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                # The line break comes first: a line that a crash cut short then spoils no other.
                stream.write(b"\n" + msgspec.json.encode(whole))
        except OSError as error:
            raise storage_error(error, self.path) from error

    def end(self) -> None:
        """Forget everything: the next audit starts over."""
        self.path.unlink(missing_ok=True)


def auditable(project: Project, *, mend: bool) -> list[Run]:
    """Return the runs to look at, oldest first: the published ones and, to `mend`, those that are not finished."""
    return [
        run
        for run in project.runs()
        if not run.is_over and (run.receipt or (mend and run.last_receipt is None and run.line.verdict == "kept"))
    ]


def audit(
    project: Project, runs: Iterable[Run], progress: Progress | None, *, mend: bool, failures: Failures
) -> Iterator[tuple[Verification, bool]]:
    """Yield what each snapshot's address serves, and whether that was known from an audit that was interrupted.

    With `mend`, what is missing or changed is deployed again from git first, and a run that was never published to the
    end is published. A run that cannot be audited is one of the `failures`, and the next one follows. Raises
    NetworkError where hosts do not answer: what was found whole until then is in `progress`, where there is one.
    """
    if progress and progress.known:
        found = f"{len(progress.known)} snapshot{'s' if len(progress.known) > 1 else ''}"
        failures.note(f"continuing an audit that was interrupted: {found} found whole then (--fresh starts over)")
    for run in runs:
        report = None
        with failures.of(run.run_id):
            report = _audit_one(project, run, progress, mend=mend, note=failures.note)
        if report is not None:
            yield report
    if progress:
        progress.end()


def _audit_one(
    project: Project, run: Run, progress: Progress | None, *, mend: bool, note: Note
) -> tuple[Verification, bool]:
    """Return what one snapshot's address serves, after a repair where that is needed, and whether it was known."""
    receipt = run.last_receipt
    if receipt is None:
        note(f"{run.run_id} was never published to the end: publishing it")
        receipt = restore_snapshot(project, run, note)
    whole = progress.known.get((receipt.run_id, receipt.number)) if progress else None
    if whole is not None:
        return Verification(address_of(project, run, receipt), whole.manifest_sha256, whole.files), True
    report = check(project, run, receipt)
    if mend and not report.private and (report.damaged or _is_replaced(project, run, receipt)):
        note(f"repairing {run.line.snapshot}")
        receipt = restore_snapshot(project, run, note)
        report = check(project, run, receipt)
    if progress and not report.problems:
        progress.add(receipt, report)
    return report, False


def _is_replaced(project: Project, run: Run, receipt: Receipt) -> bool:
    """Return whether a snapshot is whole but by another deploy than its receipt's: a repair was interrupted."""
    netlify, _ = project.client_of(run)
    return bool(netlify.settings.token) and not netlify.has(receipt.deploy_id)


def address_of(project: Project, run: Run, receipt: Receipt) -> str:
    """Return the permanent address of a receipt's snapshot, on the site that its run's own commit names.

    The receipt's own word is not enough: everybody who can push can write it, and it could name a host that serves the
    right files today and others tomorrow. Raises StorageError where it names another host; only the port of a host on
    this machine may have changed since.
    """
    netlify, _ = project.client_of(run)
    address = netlify.settings.address_of(receipt.snapshot)
    if _host(address) == _host(receipt.address):
        return address
    here = is_loopback(receipt.address) and not is_loopback(address)
    raise StorageError(
        f"its receipt is of {host_of(receipt.address)}, and its site is {host_of(address)}",
        hint="it was published on this machine: set NETLIFY_API_URL to that host (publisher serve says it)"
        if here
        else "git log ledger   says who wrote it; where the site is on another host, set NETLIFY_API_URL",
    )


def _host(address: str) -> tuple[str, str, bool]:
    """Return what must not change of an address: scheme and host, and the port where it is not on this machine."""
    try:
        parts = split(address)
    except ValueError:
        return "", "", False
    here = is_loopback(address)
    return parts.scheme, ((parts.hostname or "") if here else parts.netloc), here


def check(project: Project, run: Run, receipt: Receipt, *, web: Callable[[], Web] = verify.patient) -> Verification:
    """Compare what a snapshot's address serves with its manifest, whose digest is in the receipt.

    A site that does not answer at all, or not with a manifest, is reported as missing it.
    """
    address = address_of(project, run, receipt)
    try:
        return verify.verify(
            address,
            record_sha256=record_digest(project, run),
            commit=receipt.commit,
            manifest_sha256=receipt.manifest_sha256,
            web=web,
        )
    except DeployError:
        return Verification(address, missing=["manifest.json"])


def record_digest(project: Project, run: Run) -> str:
    """Return the SHA-256 of a run's record as it is stored."""
    return sha256_hex(project.ledger.read(f"{history.folder(run.run_id)}/record.json") or b"")


def restore_snapshot(project: Project, run: Run, note: Note) -> Receipt:
    """Deploy a damaged or lost snapshot again from git, byte for byte; the live site is not touched."""
    desk = Desk.of_run(project, run, note)
    check_settings(desk.netlify)
    return repair(desk, project.record(run.run_id))
