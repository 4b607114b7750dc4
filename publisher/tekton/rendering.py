"""All files of a kustomize base with its overlays, from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.tekton import access, overlays, pipeline, schedule, service, tasks, triggers
from publisher.tekton.overlays import kustomization
from publisher.tekton.text import document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

    Part = Callable[[Settings], Mapping[str, Sequence[Manifest]]]

PARTS: tuple[Part, ...] = (access.files, tasks.files, pipeline.files, triggers.files, schedule.files)
"""Each returns files of the base by name, without `.yaml`, with their manifests in order."""


def files(settings: Settings) -> dict[str, bytes]:
    """Return the contents of every file by its path below the folder that is rendered into."""
    base = {name: manifests for part in PARTS for name, manifests in part(settings).items()}
    found = {f"base/{name}.yaml": document(manifests) for name, manifests in base.items()}
    found["base/kustomization.yaml"] = document([kustomization(resources=[f"{name}.yaml" for name in sorted(base)])])
    for name, manifests in overlays.files(settings).items():
        found[f"overlays/{name}.yaml"] = document(manifests)
    shared = service.files(settings)
    found |= {f"service/{name}.yaml": document(manifests) for name, manifests in shared.items()}
    if shared:
        own = kustomization(resources=[f"{name}.yaml" for name in sorted(shared)])
        found["service/kustomization.yaml"] = document([own])
    return found
