"""The shapes that manifests are made of: parameters, results, steps, and the rights that every step goes without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from publisher.tekton.settings import NAME, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USER = 65532
"""The user and group of every step: nobody that an image is likely to know."""
SCRATCH = "/scratch"
"""The only folder besides workspaces that a step can write to."""
SECRETS = "/secrets"
LABELS = {"app.kubernetes.io/name": "snapshot-publisher", "app.kubernetes.io/managed-by": "kustomize"}
CONFINED: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What every container is confined by."""
SMALL: Mapping[str, Any] = {
    "requests": {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
    "limits": {"memory": "2Gi", "ephemeral-storage": "8Gi"},
}
"""What a step takes that measures nothing."""


def manifest(api: str, kind: str, name: str, **parts: Any) -> Manifest:
    """Return an object of a kind, labelled as ours."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": dict(LABELS)}, **parts}


def param(name: str, description: str, default: str | list[str] | None = None) -> Manifest:
    """Return a parameter; without a default it has to be given."""
    kind = "array" if isinstance(default, list) else "string"
    found: Manifest = {"name": name, "type": kind, "description": description}
    return found if default is None else {**found, "default": default}


def result(name: str, description: str) -> Manifest:
    """Return a result that a step writes."""
    return {"name": name, "type": "string", "description": description}


def variables(values: Mapping[str, str]) -> list[Manifest]:
    """Return environment variables; only by these do parameters reach a script, so that no shell parses them."""
    return [{"name": name, "value": value} for name, value in values.items()]


def step(
    name: str,
    script: str,
    environment: Mapping[str, str],
    *,
    timeout: str,
    resources: Mapping[str, Any] = SMALL,
    secrets: Sequence[str] = (),
    arguments: Sequence[str] = (),
) -> Manifest:
    """Return a confined step; `secrets` are the volumes that are mounted for this one only."""
    mounts: list[Manifest] = [{"name": "scratch", "mountPath": SCRATCH}]
    mounts += [{"name": one, "mountPath": f"{SECRETS}/{one}", "readOnly": True} for one in secrets]
    surroundings = {"HOME": SCRATCH, "TMPDIR": SCRATCH, "RESULTS": "/tekton/results", "PYTHONSAFEPATH": "1"}
    return {
        "name": name,
        "image": "$(params.image)",
        "timeout": timeout,
        "workingDir": SCRATCH,
        "env": variables({**surroundings, **environment}),
        "volumeMounts": mounts,
        "computeResources": {key: dict(value) for key, value in resources.items()},
        "securityContext": dict(CONFINED),
        **({"args": list(arguments)} if arguments else {}),
        "script": script,
    }


def volumes(secrets: Mapping[str, bool]) -> list[Manifest]:
    """Return the scratch folder and the volumes of secrets; the parameter `NAME-secret` names each Secret.

    The value says whether the Secret may be absent.
    """
    found: list[Manifest] = [{"name": "scratch", "emptyDir": {}}]
    for name, optional in secrets.items():
        source = {"secretName": f"$(params.{name}-secret)", "defaultMode": 0o440, "optional": optional}
        found.append({"name": name, "secret": source})
    return found


def task(name: str, description: str, **spec: Any) -> Manifest:
    """Return a Task."""
    return manifest("tekton.dev/v1", "Task", f"{NAME}-{name}", spec={"description": description, **spec})
