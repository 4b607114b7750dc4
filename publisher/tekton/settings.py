"""What decides the manifests: the configuration, what the operator chose, and the scripts of the steps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from publisher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from publisher.config import Config
    from publisher.tekton.resources import Needs

Manifest = dict[str, Any]
"""One Kubernetes object as plain values."""
NAME = "publisher"
"""What every object's name begins with."""
SKIPPED = r"^(docs|site|\.github)/|\.md$|^LICENSE$"
"""What decides no score, unless publisher.toml names it as an input."""
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,254}@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the manifests follow from; equal settings give equal bytes."""

    config: Config
    needs: Needs
    """What measuring takes of a machine."""
    scripts: Mapping[str, str]
    """The steps' scripts by name, as they are in `hooks/tekton/`."""
    image: str
    """The image of every step, pinned by digest; see `hooks/tekton/Containerfile`."""
    gpu_image: str
    """The image that the overlay gpu measures with."""
    address: str
    """The repository's https address."""
    branch: str = "main"
    """The trusted branch."""
    schedule: str = "23 3 * * *"
    """When the trusted branch is measured unasked, as cron writes it, in UTC."""
    skipped: str = SKIPPED
    """The paths whose changes alone start no pipeline, as a regular expression (RE2)."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Further images by purpose, pinned by digest."""
    serve_to: tuple[str, ...] = ()
    """The namespaces that may use a served model; without any, nothing of the service is written."""
    serve_from: str = f"{NAME}-models"
    """The namespace that serves it, for nothing else."""

    def script(self, name: str) -> str:
        """Return the script of a step; UsageError where this installation lacks it."""
        if name not in self.scripts:
            raise UsageError(
                f"this installation lacks hooks/tekton/{name}.sh",
                hint="pip install --force-reinstall 'snapshot-publisher[tekton]'",
            )
        return self.scripts[name]


def namespaces(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of namespaces, each once; UsageError for one that is none."""
    found = tuple(dict.fromkeys(names))
    wrong = next((name for name in found if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)), None)
    if wrong is not None:
        raise UsageError(f"{wrong[:80]!r} is not the name of a namespace", hint="a-z, 0-9 and -")
    return found


def pinned(image: str, what: str) -> str:
    """Return an image's name where it is pinned by its digest; UsageError where it is not: tags move."""
    if not _IMAGE.fullmatch(image):
        raise UsageError(
            f"{what}: {image[:80]!r} is not pinned by its digest",
            hint="REGISTRY/NAME@sha256:DIGEST   the registry shows it, and so does `skopeo inspect`",
        )
    return image
