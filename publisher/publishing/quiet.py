"""An observer for callers that show no progress: it only passes notes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from publisher.schema import Sample


@dataclass(frozen=True, slots=True)
class Quiet:
    """Tells `note` what a user should know, and nobody how a run progresses."""

    note: Callable[[str], None]

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Do nothing: no progress is shown."""

    def generating(self, figures: Callable[[], Mapping[str, float]]) -> None:
        """Do nothing: no progress is shown."""

    def generated(self) -> None:
        """Do nothing: no progress is shown."""

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Do nothing: no progress is shown."""
