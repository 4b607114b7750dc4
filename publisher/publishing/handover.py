"""Measured runs in one file, from a machine that has the model to one that has the secrets.

The archive is a tar of plain files, for each run its record and its packed samples. Whoever reads it believes none of
it: sizes are bounded before anything is read, nothing is unpacked to a folder or run, and `bench.recheck` computes
again what follows from git and from the answers.
"""

from __future__ import annotations

import datetime as dt
import shlex
import tarfile
from typing import TYPE_CHECKING

from publisher import schema
from publisher.bench.plan import Job
from publisher.bench.recheck import recheck
from publisher.errors import StorageError
from publisher.files import atomic_write, canonical_json, storage_error
from publisher.publishing.extend import as_measured
from publisher.samples import FILE as SAMPLES
from publisher.samples import pack_samples, unpack_samples
from publisher.schema import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import BufferedReader
    from pathlib import Path

    from publisher.bench.recheck import Rechecked
    from publisher.publishing.project import Project, Target

RECORD = "record.json"
BLOCK = tarfile.BLOCKSIZE
MOST_RUNS = 16
LARGEST_RECORD = 64 << 20
LARGEST_SAMPLES = 512 << 20
"""Bytes of the packed samples."""


def export(project: Project, records: Sequence[Record], path: Path) -> None:
    """Write runs with their published samples to `path`, one per tier; StorageError where that cannot be done."""
    parts = []
    for record in records:
        samples = pack_samples(project.published_samples(record.run_id))
        parts += [_member(RECORD, canonical_json(record)), _member(SAMPLES, samples)]
    atomic_write(path, b"".join([*parts, bytes(2 * BLOCK)]))


def take_over(
    project: Project, target: Target, path: Path, note: Callable[[str], None], *, fresh: bool = False
) -> Record:
    """Return the run of `target` in the archive `path`, rechecked, and leave it in the pending folder.

    Only where a `fresh` one is asked for may it have other seeds than the commit gives: whoever may choose them can
    measure until they are lucky. Raises StorageError when the run is not what the commit asks for.
    """
    checked = read_run(project, target, path, note)
    if checked.record.salt and not fresh:
        raise StorageError(
            f"{path.name} was measured with seeds of its own (bench --fresh), and nobody asked for that here",
            hint=f"publisher publish --fresh --run {shlex.quote(str(path))}   takes it as a further run of its commit",
        )
    project.pending.store(checked.record, pack_samples(checked.samples))
    return checked.record


def read_run(project: Project, target: Target, path: Path, note: Callable[[str], None]) -> Rechecked:
    """Return the run of `target` in the archive `path`, rechecked; StorageError lists what does not fit."""
    record, packed = _run_of(path, target.tier)
    job = Job(
        project.repository,
        target.commit,
        as_measured(target.config, target.tier, record),
        target.digest,
        target.tier,
        record.commit.dirty,
        record.salt[:100],
        dt.datetime.now(dt.UTC),
        target.policy,
        target.branch or record.commit.branch,
    )
    checked = recheck(job, record, unpack_samples(packed))
    if checked.regraded:
        note(f"{checked.regraded} answers are graded otherwise here than {path.name} says: what is found here counts")
    if checked.believed:
        note(f"{checked.believed} outcomes cannot be graded here: their words were withheld or redacted")
    known = project.run(record.run_id)
    if known is not None and known.line.identity != checked.record.identity:
        raise StorageError(f"the ledger has another run called {record.run_id}", hint="measure the commit again")
    return checked


def _member(name: str, data: bytes) -> bytes:
    """Return one file of the archive: a header without times or owners, and the contents, filled up to a block."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)


def _run_of(path: Path, tier: str) -> tuple[Record, bytes]:
    """Return the record and the packed samples of a tier's run in an archive, which may be hostile."""
    tiers = []
    try:
        with path.open("rb") as stream:
            for _ in range(MOST_RUNS):
                head = _contents(stream, RECORD, LARGEST_RECORD, path)
                record = schema.decode(head, Record, f"{RECORD} of {path.name}")
                packed = _contents(stream, SAMPLES, LARGEST_SAMPLES, path)
                tiers.append(record.tier)
                if record.tier == tier:
                    return record, packed
                if not stream.peek(1)[:1].strip(b"\0"):
                    break
    except OSError as error:
        raise storage_error(error, path) from error
    shown = ", ".join(repr(name[:40]) for name in tiers)
    raise StorageError(f"{path} has no run of the tier {tier!r}; it has {shown}", hint=f"publisher bench --tier {tier}")


def _contents(stream: BufferedReader, name: str, limit: int, path: Path) -> bytes:
    """Return the next file of an archive, which must be the plain file `name` of at most `limit` bytes."""
    try:
        info = tarfile.TarInfo.frombuf(stream.read(BLOCK), "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise _not_a_run(path) from error
    if info.name != name or not info.isreg() or not 0 <= info.size <= limit:
        raise _not_a_run(path)
    data = stream.read(info.size)
    if len(data) != info.size:
        raise _not_a_run(path)
    stream.seek(-info.size % BLOCK, 1)
    return data


def _not_a_run(path: Path) -> StorageError:
    return StorageError(
        f"{path} is not a run that publisher wrote, or it is cut off", hint=f"publisher bench --out {path.name}"
    )
