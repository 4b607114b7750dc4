"""The Pipeline that joins the Tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:  # noqa: ARG001 - until it is there
    """Return the Pipeline."""
    return {}
