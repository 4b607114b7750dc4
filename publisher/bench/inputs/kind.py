"""What a file is fetched for, and what fetching needs: the commit, the folders of this machine, and where notes go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from publisher.files import storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from publisher.errors import PublisherError
    from publisher.git import Repository


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is for: how messages name it, which error it raises, and how large it may be."""

    noun: Literal["model", "suite"]
    section: str
    """Its section in publisher.toml, for messages."""
    error: type[PublisherError]
    limit: int
    suffix: str

    @property
    def folder(self) -> str:
        """The folder of the cache that such files are in."""
        return f"{self.noun}s"


@dataclass(frozen=True, slots=True)
class Inputs:
    """The commit whose files are read, the cache for fetched and extracted files, and where notes go."""

    repository: Repository
    commit: str
    cache: Path
    note: Callable[[str], None]
    loopback: bool = False
    """Whether a commit's publisher.toml may name services of this machine: $PUBLISHER_LOOPBACK_SOURCES is 1."""
    models: Path | None = None
    """The folder that `local:NAME` sources are in: $PUBLISHER_MODELS, or links to what `publisher init` found."""

    @classmethod
    def of(
        cls, repository: Repository, commit: str, environment: Mapping[str, str], note: Callable[[str], None]
    ) -> Self:
        """Return the inputs of a commit, with the folders and the permission that the environment names."""
        loopback = environment.get("PUBLISHER_LOOPBACK_SOURCES") == "1"
        models = environment.get("PUBLISHER_MODELS", "")
        found = Path(models) if models else _found(environment)
        return cls(repository, commit, cache_folder(environment), note, loopback, found if found.is_dir() else None)


def remember(path: Path, environment: Mapping[str, str]) -> None:
    """Let `local:NAME` find a file on this machine without $PUBLISHER_MODELS; StorageError where that cannot be."""
    folder = _found(environment)
    link = folder / path.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    except OSError as error:
        raise storage_error(error, link) from error


def _found(environment: Mapping[str, str]) -> Path:
    return cache_folder(environment) / "found"


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder for fetched files: $PUBLISHER_CACHE, or snapshot-publisher in the user's cache folder."""
    if environment.get("PUBLISHER_CACHE"):
        return Path(environment["PUBLISHER_CACHE"])
    own = environment.get("XDG_CACHE_HOME", "")
    return (Path(own) if own.startswith("/") else Path(environment.get("HOME", "/")) / ".cache") / "snapshot-publisher"
