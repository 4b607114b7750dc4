"""Smoke runs: some problems, or files that are not committed yet, measured for a look. None gets into the ledger."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

from publisher.config import FILE, parse
from publisher.errors import StorageError, UsageError
from publisher.graders import mistake_in
from publisher.ledger.store import author
from publisher.publishing.uncommitted import paths_of

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.bench.measure import Observer
    from publisher.bench.plan import Part
    from publisher.publishing.project import Project
    from publisher.schema import Record

LARGEST = 256 << 20
"""Bytes of an uncommitted file that is taken."""


def smoke(
    project: Project, revision: str, tier: str, observer: Observer, *, part: Part, dirty: bool, reuse: bool
) -> Record:
    """Measure a part of a tier, of a commit or (`dirty`) of the files as they are now, and keep it until the next one.

    Answers that earlier runs have are taken over where `reuse` is true, as for every run.
    """
    # What infers is absent where sites are built.
    from publisher.bench.measure import Job, measure  # noqa: PLC0415
    from publisher.engine.fleet import Fleet  # noqa: PLC0415

    target = project.target(working_tree(project) if dirty else revision, tier)
    job = Job(
        project.repository,
        target.commit,
        target.config,
        target.digest,
        target.tier,
        project.repository.is_dirty(),
        "",
        dt.datetime.fromtimestamp(project.clock(), dt.UTC),
        target.policy,
        target.branch,
        part,
    )
    kept = project.smoke
    with project.running.shown() as so_far:
        measurement = measure(
            job,
            start=Fleet,
            workspace=kept.folder.parent,
            reusable=project.reusable if reuse else lambda _: (),
            observer=observer,
            so_far=so_far,
        )
    # Whatever else is in that folder belongs to smoke runs before this one.
    shutil.rmtree(kept.folder.parent, ignore_errors=True)
    kept.store(measurement.record, measurement.packed)
    return measurement.record


def working_tree(project: Project) -> str:
    """Return a commit that nothing points to: HEAD with publisher.toml and what it names as they are on disk.

    Neither the index nor any branch changes; git forgets the commit in time. UsageError where there is no such file.
    """
    repository = project.repository
    if repository.root == repository.git_folder:
        raise UsageError("--dirty: a bare repository has no files", hint="publisher bench REV")
    head = repository.resolve("HEAD")
    text = _contents(repository.root, FILE)
    if text is None:
        raise UsageError(f"--dirty: there is no {FILE} in {repository.root}", hint="publisher init   writes one")
    paths = paths_of(parse(text, FILE, graders=mistake_in))
    listed = repository.text("status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--", *paths)
    changed = [entry[3:] for entry in listed.split("\0") if entry]
    files = {path: _contents(repository.root, path) for path in changed if path in paths}
    gone = [path for path, data in files.items() if data is None]
    if gone:
        raise UsageError(f"--dirty: {gone[0]} was deleted, and {FILE} names it", hint=f"git restore {gone[0]}")
    there = {path: data for path, data in files.items() if data is not None}
    message = "The files as they are, for a smoke run\n"
    return repository.write_commit(there, message=message, author=author(0), parents=[head]) if there else head


def _contents(root: Path, path: str) -> bytes | None:
    """Return a file's bytes; None where there is none. StorageError for one that cannot be read or is too large."""
    place = root / path
    try:
        if not place.is_file():
            return None
        if place.stat().st_size > LARGEST:
            raise UsageError(
                f"--dirty: {path} has changed, and is larger than {LARGEST >> 20} MiB",
                hint="commit it, or name it local:NAME, in the folder $PUBLISHER_MODELS",
            )
        return place.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {place}: {error.strerror}") from error
