"""The Tasks that deploy and remove the model service, and the least rights that they need.

They are a kustomization of their own, `service/`, and only rendered where namespaces are named that may use a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.tekton.access import RBAC
from publisher.tekton.serving import BOUND, MODEL, OWN, PART
from publisher.tekton.settings import NAME
from publisher.tekton.shapes import SCRATCH, SECRETS, manifest, param, step, task, volumes
from publisher.tekton.tasks import AS_FETCHED, GIT, HUB, TRUSTED, parameters
from publisher.tekton.tasks import OWN as CLONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

ACCOUNT = f"{NAME}-serve"
GROUPS = {
    "Deployment": "apps",
    "EndpointSlice": "discovery.k8s.io",
    "HorizontalPodAutoscaler": "autoscaling",
    "NetworkPolicy": "networking.k8s.io",
    "PodDisruptionBudget": "policy",
    "ReferenceGrant": "gateway.networking.k8s.io",
    "ResourceQuota": "",
    "Service": "",
}
ASSUMED = {"type": "Container", "defaultRequest": {"memory": "64Mi"}, "default": {"memory": "512Mi"}}
"""The memory of a container that names none: Tekton's own do not, and the service's quota keeps such pods out."""
PLAN = f"{SCRATCH}/service"
REQUEST_TIMEOUT = "30s"
"""How long the cluster may take to answer one request: kubectl alone would wait without an end."""


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:
    """Return the Tasks and the rights; nothing where no namespace may use a model."""
    if not settings.serve_to:
        return {}
    return {
        "access": [*_account(settings), *(one for name in settings.serve_to for one in _bindings(settings, name))],
        "tasks": [_placed(settings, _serve(settings)), _placed(settings, _remove(settings))],
    }


def _placed(settings: Settings, made: Manifest, namespace: str = "") -> Manifest:
    metadata = {**made["metadata"], "namespace": namespace or settings.serve_from}
    return {**made, "metadata": metadata}


def _account(settings: Settings) -> list[Manifest]:
    """Return the account of the Tasks, its rights in the service's own namespace, and what pods there take at least."""
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    rules = [*_rules((*OWN, "ReferenceGrant")), pods]
    made = [
        manifest("v1", "ServiceAccount", ACCOUNT, automountServiceAccountToken=False),
        manifest(RBAC, "Role", ACCOUNT, rules=rules),
        manifest(RBAC, "RoleBinding", ACCOUNT, **_bound(settings)),
        manifest("v1", "LimitRange", ACCOUNT, spec={"limits": [dict(ASSUMED)]}),
    ]
    return [_placed(settings, one) for one in made]


def _bindings(settings: Settings, namespace: str) -> list[Manifest]:
    """Return the account's rights in a namespace that may use the model."""
    made = [
        manifest(RBAC, "Role", ACCOUNT, rules=_rules(BOUND)),
        manifest(RBAC, "RoleBinding", ACCOUNT, **_bound(settings)),
    ]
    return [_placed(settings, one, namespace) for one in made]


def _rules(kinds: Sequence[str]) -> list[Manifest]:
    """Return rights to the one object of each kind that is the service's, and to make it.

    Kubernetes knows no names where an object is made or listed. A rollout is watched by listing the Deployments.
    """
    rules: list[Manifest] = []
    for kind in kinds:
        place = {"apiGroups": [GROUPS[kind]], "resources": [_plural(kind)]}
        rules.append({**place, "resourceNames": [MODEL], "verbs": ["get", "patch", "delete"]})
        rules.append({**place, "verbs": ["create", "list", "watch"] if kind == "Deployment" else ["create", "list"]})
    return rules


def _plural(kind: str) -> str:
    return "networkpolicies" if kind == "NetworkPolicy" else f"{kind.lower()}s"


def _bound(settings: Settings) -> Manifest:
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": settings.serve_from}
    role = {"apiGroup": RBAC.partition("/")[0], "kind": "Role", "name": ACCOUNT}
    return {"roleRef": role, "subjects": [subject]}


def _serve(settings: Settings) -> Manifest:
    known = parameters(settings)
    params = [
        *(known[name] for name in ("image", "address", "server", "branch", "git-secret", "hub-secret", "snapshot")),
        param("tools-image", "An image with bash, curl, kubectl and cosign, pinned by digest."),
        param("server-image", "llama-server's image with sh and sha256sum, pinned by digest."),
        param("namespaces", "The namespaces that get the model, of those that were rendered; separated by spaces."),
        param("first", "How many of them get it first, before all others do.", "1"),
        param("bind", "external-name, endpoint-slice (today's pods' addresses) or reference-grant.", "external-name"),
        param("claim", "The claim with the model in this namespace: ReadWriteMany, and the workspace models.", MODEL),
        param("replicas", "How many pods the scaler may make.", "3"),
        param("monitoring", "The namespace that scrapes the metrics; empty: none.", ""),
        param("cosign-secret", "The Secret whose key cosign.pub checks the image; it may be absent.", f"{NAME}-cosign"),
        param("identity", "Instead of a key: who signed the image, as its certificate says.", ""),
        param("issuer", "Instead of a key: who vouches for that identity, an https address.", ""),
        param("patience", "How long pods may take to become ready, such as 15m; 99m at most.", "15m"),
    ]  # fmt: skip
    environment = {**CLONE, **TRUSTED, **GIT, "ADDRESS": "$(params.address)", "REVISION": ""}
    # What the commit names is fetched in a step without git's token: the clone has all branches by then.
    planned = {
        **CLONE,
        **TRUSTED,
        **AS_FETCHED,
        **HUB,
        "SNAPSHOT": "$(params.snapshot)",
        "IMAGE": "$(params.server-image)",
        "TOOLS": "$(params.tools-image)",
        "NAMESPACE": settings.serve_from,
        "NAMESPACES": "$(params.namespaces)",
        "ALLOWED": " ".join(settings.serve_to),
        "FIRST": "$(params.first)",
        "BIND": "$(params.bind)",
        "CLAIM": "$(params.claim)",
        "REPLICAS": "$(params.replicas)",
        "MONITORING": "$(params.monitoring)",
        "MODELS": "$(workspaces.models.path)",
        "CORES": str(settings.needs.cores),
        "PLAN": PLAN,
    }
    rolled = {
        "IMAGE": "$(params.server-image)",
        "COSIGN_KEY": f"{SECRETS}/cosign/cosign.pub",
        "IDENTITY": "$(params.identity)",
        "ISSUER": "$(params.issuer)",
        "PATIENCE": "$(params.patience)",
        "RUN": "$(context.taskRun.name)",
        "REQUEST_TIMEOUT": REQUEST_TIMEOUT,
        "PLAN": PLAN,
    }
    tools = _asking(step("serve", settings.script("serve"), rolled, timeout="2h", secrets=["cosign"]))
    return task(
        "serve",
        "Serves a snapshot's model to other namespaces: a few first, then all; back where a probe fails.",
        params=params,
        workspaces=[{"name": "models", "description": "The claim that llama-server reads the model from."}],
        volumes=[*volumes({"git": True, "hub": True, "cosign": True}), _token()],
        steps=[
            step("clone", settings.script("fetch"), environment, timeout="15m", secrets=["git"]),
            step("plan", settings.script("plan-service"), planned, timeout="1h", secrets=["hub"]),
            {**tools, "image": "$(params.tools-image)"},
        ],
    )


def _asking(step: Manifest) -> Manifest:
    """Return a step that may ask the cluster: kubectl finds the account's token there, and no other step has it."""
    mount = {"name": "cluster", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
    return {**step, "volumeMounts": [*step["volumeMounts"], mount]}


def _token() -> Manifest:
    """Return the volume with what Kubernetes would otherwise mount into every container of the pod."""
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": "cluster", "projected": {"defaultMode": 0o440, "sources": sources}}


def _remove(settings: Settings) -> Manifest:
    """Return the Task that removes the service from every namespace that may have it."""
    environment = {
        "RUN": "$(context.taskRun.name)",
        "REQUEST_TIMEOUT": REQUEST_TIMEOUT,
        "NAMESPACE": settings.serve_from,
        "ALLOWED": " ".join(settings.serve_to),
        "SELECTOR": ",".join(f"{key}={value}" for key, value in PART.items()),
    }
    params = [param("image", "An image with bash and kubectl, pinned by digest.")]
    return task(
        "unserve",
        "Removes the model service; nothing with its label is left in the service's namespace and in those rendered.",
        params=params,
        volumes=[*volumes({}), _token()],
        steps=[_asking(step("unserve", settings.script("unserve"), environment, timeout="15m"))],
    )
