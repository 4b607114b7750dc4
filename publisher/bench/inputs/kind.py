"""What a file is fetched for, and what fetching needs: the commit, the folders of this machine, and where notes go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

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
    """The folder that `local:NAME` sources are in: $PUBLISHER_MODELS."""

    @classmethod
    def of(
        cls, repository: Repository, commit: str, environment: Mapping[str, str], note: Callable[[str], None]
    ) -> Self:
        """Return the inputs of a commit, with the folders and the permission that the environment names."""
        loopback = environment.get("PUBLISHER_LOOPBACK_SOURCES") == "1"
        models = Path(environment["PUBLISHER_MODELS"]) if environment.get("PUBLISHER_MODELS") else None
        return cls(repository, commit, cache_folder(environment), note, loopback, models)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder for fetched files: $PUBLISHER_CACHE, or snapshot-publisher in the user's cache folder."""
    if environment.get("PUBLISHER_CACHE"):
        return Path(environment["PUBLISHER_CACHE"])
    own = environment.get("XDG_CACHE_HOME", "")
    return (Path(own) if own.startswith("/") else Path(environment.get("HOME", "/")) / ".cache") / "snapshot-publisher"
