"""The models that this machine keeps: their size, the commits that were measured with them, and what nothing uses."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import PublisherError
from publisher.files import storage_error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from publisher.publishing.project import Project
    from publisher.schema import Record

_DIGEST = 64


class CachedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model file of the cache."""

    sha256: str
    size: int
    names: list[str]
    """What records call it."""
    commits: list[str]
    """The commits that were measured with it, in the order of the ledger."""
    wanted: bool
    """Whether the newest commit of the branch asks for it by its digest."""

    @property
    def is_used(self) -> bool:
        """Whether a run, or the newest commit, needs it."""
        return self.wanted or bool(self.commits)


def cached(project: Project, cache: Path) -> list[CachedModel]:
    """Return the models of the cache, the largest first; a file that is no finished model is left out."""
    used: dict[str, list[Record]] = {}
    for record in _records(project):
        used.setdefault(record.model.sha256, []).append(record)
    wanted = _wanted(project)
    found = []
    for path in sorted((cache / "models").glob("*.gguf")):
        if len(path.stem) == _DIGEST and path.is_file():
            records = used.get(path.stem, [])
            found.append(
                CachedModel(
                    sha256=path.stem,
                    size=path.stat().st_size,
                    names=list(dict.fromkeys(record.model.name for record in records)),
                    commits=list(dict.fromkeys(record.commit.sha for record in records)),
                    wanted=path.stem in wanted,
                )
            )
    return sorted(found, key=lambda one: (-one.size, one.sha256))


def freed(models: Iterable[CachedModel], cache: Path) -> int:
    """Remove the models that nothing of this repository uses, and return how many bytes that freed; StorageError."""
    total = 0
    for model in models:
        if model.is_used:
            continue
        path = cache / "models" / f"{model.sha256}.gguf"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, path) from error
        total += model.size
    return total


def _records(project: Project) -> list[Record]:
    """Return the records of the ledger, in its order, and then the pending ones."""
    ids = [run.run_id for run in project.runs() if run.line.verdict != "unreadable"]
    known = project.records(ids)
    return [*(known[run_id] for run_id in ids if run_id in known), *project.pending.records()]


def _wanted(project: Project) -> set[str]:
    """Return the digests that HEAD's publisher.toml declares; none where it has no readable one."""
    with contextlib.suppress(PublisherError):
        config, _ = project.config(project.repository.resolve("HEAD"))
        return {config.model.sha256, *config.model.shards} - {""}
    return set()
