"""The overlays: cpu is the base as it is, gpu measures on one NVIDIA GPU, airgapped reaches nothing outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from publisher.tekton.access import MEASURING, NETWORK, STEPS
from publisher.tekton.resources import quantity
from publisher.tekton.settings import NAME
from publisher.tekton.shapes import LABELS, manifest, param
from publisher.tekton.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

MODELS = f"{NAME}-models"
"""The claim that the overlay airgapped takes models from."""
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:
    """Return the overlays' files by path below `overlays/`, without `.yaml`."""
    base = ["../../base"]
    return {
        "cpu/kustomization": [kustomization(resources=base)],
        "gpu/kustomization": [kustomization(resources=base, patches=_gpu(settings))],
        "airgapped/kustomization": [kustomization(resources=[*base, "network.yaml"], patches=_airgapped())],
        "airgapped/network": [_inside()],
    }


def kustomization(**parts: Any) -> Manifest:
    """Return a kustomization."""
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **parts}


def _gpu(settings: Settings) -> list[Manifest]:
    """Return the patches that let bench run on one GPU: its image, and what it asks of the node."""
    memory = quantity(settings.needs.gpu_memory)
    asked = {"cpu": "2", "memory": memory, "ephemeral-storage": "1Gi", "nvidia.com/gpu": "1"}
    limits = {"memory": memory, "ephemeral-storage": "8Gi", "nvidia.com/gpu": "1"}
    image = param("gpu-image", "The CUDA image that measures, pinned by digest.", settings.gpu_image)
    step = "/spec/steps/0"
    changes: list[Manifest] = [
        {"op": "add", "path": "/spec/params/-", "value": image},
        {"op": "replace", "path": f"{step}/image", "value": "$(params.gpu-image)"},
        {"op": "replace", "path": f"{step}/computeResources", "value": {"requests": asked, "limits": limits}},
    ]
    return [_patch("Task", f"{NAME}-bench", changes)]


def _airgapped() -> list[Manifest]:
    """Return the patches by which models come from a claim, and no library asks Hugging Face."""
    models = {"name": "models", "persistentVolumeClaim": {"claimName": MODELS, "readOnly": True}}
    workspaces = "/spec/resourcetemplates/0/spec/workspaces/-"
    offline = {"name": "HF_HUB_OFFLINE", "value": "1"}
    return [
        _patch("TriggerTemplate", NAME, [{"op": "add", "path": workspaces, "value": models}]),
        _patch("Task", f"{NAME}-fetch", [{"op": "add", "path": "/spec/steps/1/env/-", "value": offline}]),
    ]


def _patch(kind: str, name: str, changes: Sequence[Manifest]) -> Manifest:
    """Return a JSON patch (RFC 6902) of one object; kustomize takes it as a text."""
    return {"target": {"kind": kind, "name": name}, "patch": plain(list(changes))}


def _inside() -> Manifest:
    """Return the policy that lets our pods reach names and private addresses only."""
    dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    private = {"to": [{"ipBlock": {"cidr": one}} for one in PRIVATE]}
    spec = {
        # Policies add up, and bench and gate have no network at all.
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/name": LABELS["app.kubernetes.io/name"]},
            "matchExpressions": [
                dict(STEPS),
                {"key": MEASURING["key"], "operator": "NotIn", "values": MEASURING["values"]},
            ],
        },
        "policyTypes": ["Egress"],
        "egress": [dns, private],
    }
    return manifest(NETWORK, "NetworkPolicy", f"{NAME}-airgapped", spec=spec)
