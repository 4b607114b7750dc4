"""What deploying a snapshot's model takes: llama-server, who may reach it, and in which order namespaces get it.

Pure functions from checked values to manifests. Every object has the label `PART`, so one selector finds all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from publisher.errors import UsageError
from publisher.tekton.resources import quantity
from publisher.tekton.settings import NAME, Manifest, pinned
from publisher.tekton.shapes import CONFINED, LABELS, USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MODEL = f"{NAME}-model"
"""The name of every object of the service."""
PART = {"app.kubernetes.io/part-of": MODEL}
PORT = 8080
MODELS = "/models"
ENDPOINTS = "ENDPOINTS"
"""What `serve.sh` replaces by the pods' addresses, which nobody knows before they run."""
QUEUE = "llamacpp:requests_deferred"
"""llama-server's metric of requests that wait for a free slot."""
STEPS = 12 << 30
"""Bytes of memory that the quota leaves for the pods of the Tasks themselves."""
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
Bind = Literal["external-name", "endpoint-slice", "reference-grant"]
KINDS = {
    "Deployment": "deployment.apps",
    "EndpointSlice": "endpointslice.discovery.k8s.io",
    "HorizontalPodAutoscaler": "horizontalpodautoscaler.autoscaling",
    "NetworkPolicy": "networkpolicy.networking.k8s.io",
    "PodDisruptionBudget": "poddisruptionbudget.policy",
    "ReferenceGrant": "referencegrant.gateway.networking.k8s.io",
    "ResourceQuota": "resourcequota",
    "Service": "service",
}
"""How kubectl is told each kind."""
OWN = ("ResourceQuota", "NetworkPolicy", "Service", "Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler")
BOUND = ("Service", "EndpointSlice")
"""The kinds in the service's own namespace, beside a ReferenceGrant, and in those that it is bound into."""


@dataclass(frozen=True, slots=True)
class Service:
    """A model that namespaces share."""

    sha256: str
    """The model file's digest, by the snapshot's record."""
    snapshot: str
    image: str
    """llama-server's image, pinned by digest."""
    namespace: str
    claim: str
    """The PersistentVolumeClaim in that namespace that holds the model."""
    namespaces: tuple[str, ...]
    """Those that get the model, in this order."""
    allowed: tuple[str, ...]
    """Those that may: the rendered list, which a TaskRun cannot change."""
    bind: Bind = "external-name"
    first: int = 1
    """How many namespaces get it first, before all others do."""
    context: int = 4096
    slots: int = 4
    memory: int = 4 << 30
    """Bytes per replica."""
    cores: int = 4
    most: int = 3
    """Replicas at most."""
    monitoring: str = ""
    """The namespace that scrapes the metrics; empty: none."""


def checked(service: Service) -> Service:
    """Return the service where every name has its form and every namespace is on the list; UsageError otherwise."""
    pinned(service.image, "server-image")
    for name in {service.namespace, service.monitoring or "x", service.claim, *service.namespaces, *service.allowed}:
        if not _NAMESPACE.fullmatch(name):
            raise UsageError(f"{name[:80]!r} is not the name of a namespace or claim", hint="a-z, 0-9 and -")
    strangers = [name for name in service.namespaces if name not in service.allowed]
    if strangers:
        raise UsageError(
            f"the namespace {strangers[0]} is not on the list of those that may use the model",
            hint=f"publisher tekton render --serve-to {strangers[0]} …   and apply what it writes",
        )
    if not service.namespaces or service.namespace in service.namespaces:
        raise UsageError("name at least one namespace, and not the service's own", hint="namespaces: team-a team-b")
    if not re.fullmatch(r"[0-9a-f]{64}", service.sha256):
        raise UsageError("the snapshot's record names no digest of its model")
    return service


def stages(service: Service) -> list[tuple[str, ...]]:
    """Return the namespaces that have the model after each stage: a few first, then all."""
    names = tuple(dict.fromkeys(service.namespaces))
    first = names[: max(1, service.first)]
    return [first] if first == names else [first, names]


def own(service: Service) -> list[Manifest]:
    """Return what the service is made of, in the order in which it is made; nobody may reach it yet."""
    made = {
        "ResourceQuota": _quota(service),
        "NetworkPolicy": policy(service, ()),
        "Service": _front(service),
        "Deployment": _deployment(service),
        "PodDisruptionBudget": _budget(service),
        "HorizontalPodAutoscaler": _scaler(service),
    }
    return [made[kind] for kind in OWN]


def opened(service: Service, namespaces: Sequence[str]) -> list[Manifest]:
    """Return what lets exactly these namespaces in."""
    grant = [_grant(service, namespaces)] if service.bind == "reference-grant" else []
    return [policy(service, namespaces), *grant]


def binding(service: Service, namespace: str) -> list[Manifest]:
    """Return what makes the model known in a namespace as the Service `publisher-model`."""
    if service.bind == "reference-grant":
        return []  # an HTTPRoute of that namespace names the Service here
    ports = [{"name": "http", "port": PORT, "protocol": "TCP"}]
    if service.bind == "external-name":
        spec = {"type": "ExternalName", "externalName": f"{MODEL}.{service.namespace}.svc.cluster.local"}
        return [_object("v1", "Service", namespace, spec=spec)]
    slices = {
        "metadata": {
            "name": MODEL,
            "namespace": namespace,
            "labels": {**LABELS, **PART, "kubernetes.io/service-name": MODEL},
        },
        "addressType": "IPv4",
        "ports": ports,
        # Cluster addresses of another Service are not allowed here, so these are the pods' own.
        "endpoints": ENDPOINTS,
    }
    return [
        _object("v1", "Service", namespace, spec={"ports": ports}),
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", **slices},
    ]


def policy(service: Service, namespaces: Sequence[str]) -> Manifest:
    """Return the policy: these namespaces, the one that scrapes metrics and the Task's probes come in, nothing out."""
    known = [*namespaces, *([service.monitoring] if service.monitoring else [])]
    names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": known}
    sources: list[Manifest] = [{"podSelector": {"matchLabels": {"tekton.dev/task": f"{NAME}-serve"}}}]
    sources += [{"namespaceSelector": {"matchExpressions": [names]}}] if known else []
    spec = {
        "podSelector": {"matchLabels": dict(PART)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": sources, "ports": [{"port": PORT, "protocol": "TCP"}]}],
        "egress": [],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", service.namespace, spec=spec)


def plan(service: Service) -> tuple[dict[str, Manifest], list[str]]:
    """Return the manifests by file name, and the lines by which `serve.sh` applies them.

    A line is `STAGE VERB NAMESPACE KIND FILE`: `apply`, `probe` (its last word is an address) or `delete`.
    """
    files: dict[str, Manifest] = {}
    lines: list[str] = []

    def applied(stage: int, manifests: Iterable[Manifest]) -> None:
        for one in manifests:
            name = f"{len(files):03d}.yaml"
            files[name] = one
            lines.append(f"{stage} apply {one['metadata']['namespace']} {KINDS[one['kind']]} {name}")

    applied(0, own(service))
    lines.append(f"0 probe {service.namespace} - {_address(service.namespace)}")
    bound: set[str] = set()
    for stage, namespaces in enumerate(stages(service), start=1):
        applied(stage, opened(service, namespaces))
        for name in (name for name in namespaces if name not in bound):
            applied(stage, binding(service, name))
            where = service.namespace if service.bind == "reference-grant" else name
            lines.append(f"{stage} probe {name} - {_address(where)}")
        bound |= set(namespaces)
    # Namespaces that had the model before, and ways of binding that are no longer used, go last.
    last = len(stages(service))
    kept = {(words[2], words[3]) for words in map(str.split, lines) if words[1] == "apply"}
    gone = [line for line in removal(service.namespace, service.allowed) if tuple(line.split()[2:4]) not in kept]
    return files, [*lines, *(f"{last}{line[1:]}" for line in gone)]


def removal(namespace: str, allowed: Sequence[str]) -> list[str]:
    """Return the lines by which everything goes, bindings first: what a person made is kept by its missing label."""
    found = [f"0 delete {name} {KINDS[kind]} -" for name in allowed for kind in BOUND]
    return found + [f"0 delete {namespace} {KINDS[kind]} -" for kind in ("ReferenceGrant", *reversed(OWN))]


def _address(namespace: str) -> str:
    return f"http://{MODEL}.{namespace}.svc.cluster.local:{PORT}"


def _object(api: str, kind: str, namespace: str, **parts: Manifest) -> Manifest:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": MODEL, "namespace": namespace, "labels": {**LABELS, **PART}},
        **parts,
    }


def _front(service: Service) -> Manifest:
    ports = [{"name": "http", "port": PORT, "protocol": "TCP", "targetPort": "http"}]
    return _object("v1", "Service", service.namespace, spec={"selector": dict(PART), "ports": ports})


def _quota(service: Service) -> Manifest:
    """Return the quota of the service's namespace: all replicas, one more while they are replaced, and the Tasks."""
    memory = quantity((service.most + 1) * service.memory + STEPS)
    hard = {"requests.memory": memory, "limits.memory": memory, "pods": str(service.most + 9)}
    hard |= {"services.loadbalancers": "0", "services.nodeports": "0"}
    return _object("v1", "ResourceQuota", service.namespace, spec={"hard": hard})


def _budget(service: Service) -> Manifest:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": dict(PART)}}
    return _object("policy/v1", "PodDisruptionBudget", service.namespace, spec=spec)


def _scaler(service: Service) -> Manifest:
    """Return the scaler: another replica where more than one request per pod waits for a slot."""
    metric = {"metric": {"name": QUEUE}, "target": {"type": "AverageValue", "averageValue": "1"}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": MODEL},
        "minReplicas": 1,
        "maxReplicas": service.most,
        "metrics": [{"type": "Pods", "pods": metric}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    }
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", service.namespace, spec=spec)


def _deployment(service: Service) -> Manifest:
    file = f"{MODELS}/{service.sha256}.gguf"
    asked = {"cpu": str(service.cores), "memory": quantity(service.memory)}
    mounts = [{"name": "models", "mountPath": MODELS, "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - the container's
    shared: Manifest = {"image": service.image, "securityContext": dict(CONFINED), "volumeMounts": mounts}
    health = {"httpGet": {"path": "/health", "port": "http"}}
    arguments = [
        *("--model", file, "--alias", service.snapshot, "--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104 - in a pod
        *("--ctx-size", str(service.context * service.slots), "--parallel", str(service.slots), "--metrics"),
    ]
    digest = {
        **shared,
        "name": "digest",
        "command": ["sh", "-c", 'echo "$SHA256  $MODEL" | sha256sum --check --strict'],
        "env": [{"name": "SHA256", "value": service.sha256}, {"name": "MODEL", "value": file}],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
    }
    server = {
        **shared,
        "name": "llama-server",
        "args": arguments,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": asked, "limits": {"memory": quantity(service.memory)}},
        # Loading takes minutes where the model is large.
        "startupProbe": {**health, "periodSeconds": 5, "failureThreshold": 180},
        "readinessProbe": {**health, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {**health, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER},
        "initContainers": [digest],
        "containers": [server],
        "volumes": [
            {"name": "models", "persistentVolumeClaim": {"claimName": service.claim, "readOnly": True}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
    spec = {
        # `replicas` is the scaler's.
        "selector": {"matchLabels": dict(PART)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": {**LABELS, **PART}}, "spec": pod},
    }
    return _object("apps/v1", "Deployment", service.namespace, spec=spec)


def _grant(service: Service, namespaces: Sequence[str]) -> Manifest:
    routes = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": name} for name in namespaces]
    spec = {"from": routes, "to": [{"group": "", "kind": "Service", "name": MODEL}]}
    return _object("gateway.networking.k8s.io/v1", "ReferenceGrant", service.namespace, spec=spec)
