"""Who may do what: accounts with the least rights, and no network for what measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from publisher.tekton.settings import NAME
from publisher.tekton.shapes import LABELS, manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

LISTENER = f"{NAME}-listener"
READ = ["get", "list", "watch"]
MEASURING: Mapping[str, Any] = {"key": "tekton.dev/task", "operator": "In", "values": [f"{NAME}-bench", f"{NAME}-gate"]}
"""The pods in which what a commit asks for runs, in a Pipeline or in a TaskRun by itself."""
STEPS: Mapping[str, Any] = {"key": "tekton.dev/taskRun", "operator": "Exists"}
"""The pods that have steps; the EventListener's may have the same labels as they."""
NETWORK = "networking.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io/v1"


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:  # noqa: ARG001 - rights depend on nothing
    """Return accounts, roles and the policy for what measures."""
    return {"access": [*_accounts(), *_roles(), *_networks()]}


def _accounts() -> list[Manifest]:
    """Return the account of the steps, which may ask the cluster for nothing, and that of the EventListener."""
    nothing = {"automountServiceAccountToken": False}
    return [
        manifest("v1", "ServiceAccount", NAME, **nothing),
        manifest("v1", "ServiceAccount", LISTENER),
    ]


def _roles() -> list[Manifest]:
    """Return what the EventListener may: read its own configuration and start pipelines, in this namespace.

    What Triggers keeps for the whole cluster, the listener's program lists when it starts; that is all it may there.
    """
    own = ["eventlisteners", "interceptors", "triggerbindings", "triggers", "triggertemplates"]
    rules = [
        {"apiGroups": ["triggers.tekton.dev"], "resources": own, "verbs": READ},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": READ},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["create"]},
    ]
    shared = [
        {
            "apiGroups": ["triggers.tekton.dev"],
            "resources": ["clusterinterceptors", "clustertriggerbindings"],
            "verbs": READ,
        }
    ]
    return [
        manifest(RBAC, "Role", LISTENER, rules=rules),
        manifest(RBAC, "RoleBinding", LISTENER, **_bound("Role")),
        manifest(RBAC, "ClusterRole", LISTENER, rules=shared),
        manifest(RBAC, "ClusterRoleBinding", LISTENER, **_bound("ClusterRole")),
    ]


def _bound(kind: str) -> Manifest:
    # `default` is replaced by the namespace that the overlay names.
    subject = {"kind": "ServiceAccount", "name": LISTENER, "namespace": "default"}
    return {"roleRef": {"apiGroup": RBAC.partition("/")[0], "kind": kind, "name": LISTENER}, "subjects": [subject]}


def _networks() -> list[Manifest]:
    """Return the policies: nothing reaches a step, and bench and gate, where a commit's wishes run, reach nothing."""
    steps = {
        "matchLabels": {"app.kubernetes.io/name": LABELS["app.kubernetes.io/name"]},
        "matchExpressions": [dict(STEPS)],
    }
    nobody = {"podSelector": steps, "policyTypes": ["Ingress"]}
    measuring = {"podSelector": {"matchExpressions": [dict(MEASURING)]}, "policyTypes": ["Ingress", "Egress"]}
    return [
        manifest(NETWORK, "NetworkPolicy", f"{NAME}-steps", spec=nobody),
        manifest(NETWORK, "NetworkPolicy", f"{NAME}-measuring", spec=measuring),
    ]
