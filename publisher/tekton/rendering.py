"""All files of a kustomize base with its overlays, from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.tekton import pipeline, tasks
from publisher.tekton.text import document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

    Part = Callable[[Settings], Mapping[str, Sequence[Manifest]]]

PARTS: tuple[Part, ...] = (tasks.files, pipeline.files)
"""Each returns files of the base by name, without `.yaml`, with their manifests in order."""


def files(settings: Settings) -> dict[str, bytes]:
    """Return the contents of every file by its path below the folder that is rendered into."""
    base = {name: manifests for part in PARTS for name, manifests in part(settings).items()}
    found = {f"base/{name}.yaml": document(manifests) for name, manifests in base.items()}
    found["base/kustomization.yaml"] = document([_base(sorted(base))])
    return found


def _base(names: Sequence[str]) -> Manifest:
    """Return the kustomization of the base."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{name}.yaml" for name in names],
    }
