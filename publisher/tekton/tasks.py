"""The Tasks: fetch, bench, gate, publish, verify, roll back, notify, upload the reports, and fail what was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.tekton.shapes import CONFINED, SECRETS, param, result, step, task, volumes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

_ = (CONFINED, SECRETS, param, result, step, volumes)


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:
    """Return the Tasks."""
    return {"tasks": [task("fetch", settings.address)]}
