"""The page that shows the snapshot beside older ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.render.parts import Draft
from publisher.render.tables import comparison, comparisons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.render.gather import Snapshot
    from publisher.render.tables import Comparison

MOST_COMPARED = 100


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Two older snapshots beside this one in full, and the rest by the headline score."""

    detailed: tuple[Comparison, ...]
    rest: tuple[Comparison, ...]
    omitted: int
    headline: str


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page that shows this snapshot beside every older kept one that can be compared with it."""
    older, suite = snapshot.older[::-1], snapshot.headline.suite
    rest = [comparison(snapshot, "", line, only=suite) for line in older[:MOST_COMPARED]]
    view = ComparisonView(tuple(comparisons(snapshot)), tuple(rest), len(older) - len(rest), suite)
    yield Draft("compare/", "Compare", "This snapshot beside older ones.", view)
