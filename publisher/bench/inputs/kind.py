"""What a file that is fetched is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from publisher.errors import PublisherError


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
