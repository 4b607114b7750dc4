"""What starts the Pipeline: signed webhooks for pushes and pull requests, and the signed event of the schedule.

Only hashes and names of plain characters pass the filters: a template's parameters are put into JSON as they are.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from publisher.config import FILE
from publisher.tekton.access import LISTENER
from publisher.tekton.resources import quantity
from publisher.tekton.settings import NAME
from publisher.tekton.shapes import LABELS, USER, manifest
from publisher.tekton.tasks import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.config import Config
    from publisher.tekton.settings import Manifest, Settings

API = "triggers.tekton.dev/v1beta1"
WEBHOOK = f"{NAME}-webhook"
"""The Secret whose key `secret` signs webhooks."""
GIT = f"{NAME}-git"
HASH = "^[0-9a-f]{40}([0-9a-f]{24})?$"
FILES = "extensions.changed_files.split(',')"
TIMEOUTS = {"pipeline": "24h", "tasks": "23h", "finally": "1h"}


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:
    """Return the EventListener with its bindings and its template."""
    bindings = [
        _binding("push", revision="$(body.after)", pushed="$(extensions.pushed)"),
        _binding("pull-request", revision="$(body.pull_request.head.sha)", publish="no"),
    ]
    return {"triggers": [*bindings, _template(settings), _listener(settings)]}


def push_filter(settings: Settings) -> str:
    """Return which pushes start a pipeline: of branches that publish, and of files that can decide a score (CEL)."""
    paths = f"(c.added + c.modified + c.removed).exists(f, {_decides(settings)})"
    return " && ".join(
        [
            "body.deleted == false",
            f"body.after.matches({_quoted(HASH)})",
            "body.ref.matches('^refs/heads/[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$')",
            f"body.ref.matches({_quoted(_branches(settings))})",
            f"(body.created || body.forced || body.commits.exists(c, {paths}))",
        ]
    )


def pull_request_filter(settings: Settings) -> str:
    """Return which pull requests start one: none of a fork, and only those into the trusted branch (CEL)."""
    return " && ".join(
        [
            "body.action in ['opened', 'synchronize', 'reopened']",
            "body.pull_request.head.repo.full_name == body.repository.full_name",
            f"body.pull_request.base.ref == {_quoted(settings.branch)}",
            f"body.pull_request.head.sha.matches({_quoted(HASH)})",
        ]
    )


def path_filter(settings: Settings) -> str:
    """Return whether a pull request changes files that can decide a score (CEL); GitHub is asked for them."""
    return f"{FILES}.exists(f, {_decides(settings)})"


def _decides(settings: Settings) -> str:
    """Return the condition on a path `f`: it is an input, or nothing says that it decides no score."""
    inputs = ", ".join(_quoted(path) for path in _inputs(settings.config))
    return f"f in [{inputs}] || !f.matches({_quoted(settings.skipped)})"


def _inputs(config: Config) -> list[str]:
    """Return the committed files that a configuration names."""
    sources = [config.model.source, *(suite.source for suite in config.suites.values() if not suite.use)]
    return sorted({FILE, *(source for source in sources if not re.match(r"[a-z0-9]+:", source))})


def _branches(settings: Settings) -> str:
    """Return the refs of branches that are recorded: the trusted one, and those that `[branches]` lets publish."""
    names = [settings.branch, *(name for name, section in settings.config.branches.items() if section.publish)]
    patterns = [re.escape(name).replace(r"\*", ".*").replace(r"\?", ".") for name in names]
    return f"^refs/heads/({'|'.join(patterns)})$"


def _quoted(text: str) -> str:
    """Return a text as CEL writes it: between double quotes, with JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)


def _binding(name: str, **values: str) -> Manifest:
    params = [{"name": key, "value": value} for key, value in values.items()]
    return manifest(API, "TriggerBinding", f"{NAME}-{name}", spec={"params": params})


def _template(settings: Settings) -> Manifest:
    """Return the template of a PipelineRun."""
    known = parameters(settings)
    given = {"revision": "", "pushed": "", "publish": "yes"}
    described = {
        "revision": known["revision"]["description"],
        "pushed": known["pushed"]["description"],
        "publish": "yes: record and publish; no: only say the verdict.",
        "image": known["image"]["description"],
    }
    defaults = {**given, "image": settings.image}
    params = [{"name": name, "description": text, "default": defaults[name]} for name, text in described.items()]
    run = {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"generateName": f"{NAME}-", "labels": dict(LABELS)},
        "spec": {
            "pipelineRef": {"name": NAME},
            "params": [{"name": name, "value": f"$(tt.params.{name})"} for name in described],
            "timeouts": dict(TIMEOUTS),
            "taskRunTemplate": {"serviceAccountName": NAME, "podTemplate": _pods()},
            "workspaces": [{"name": "work", "volumeClaimTemplate": _claim(settings)}],
        },
    }
    return manifest(API, "TriggerTemplate", NAME, spec={"params": params, "resourcetemplates": [run]})


def _pods() -> Manifest:
    """Return what all pods share; fsGroup lets the steps' user write to the workspace and read the mounted secrets."""
    confined = {"fsGroup": USER, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"automountServiceAccountToken": False, "enableServiceLinks": False, "securityContext": confined}


def _claim(settings: Settings) -> Manifest:
    storage = {"requests": {"storage": quantity(settings.needs.disk)}}
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": storage}}


def _listener(settings: Settings) -> Manifest:
    pushed = {"key": "pushed", "expression": "body.ref.substring(11)"}
    own = _cel(pull_request_filter(settings))
    token = {"secretName": GIT, "secretKey": "token"}
    changed = {"enabled": True, "personalAccessToken": token}
    triggers = [
        _trigger("push", [_github("push"), _cel(push_filter(settings), overlays=[pushed])], "push"),
        # A fork's is dropped before GitHub is asked for anything.
        _trigger(
            "pull-request",
            [
                _github("pull_request"),
                own,
                _github("pull_request", addChangedFiles=changed),
                _cel(path_filter(settings)),
            ],
            "pull-request",
        ),
        _trigger("schedule", [_github("schedule"), _cel("body.event == 'schedule'")]),
    ]
    return manifest(API, "EventListener", NAME, spec={"serviceAccountName": LISTENER, "triggers": triggers})


def _trigger(name: str, interceptors: list[Manifest], binding: str = "") -> Manifest:
    bindings = [{"ref": f"{NAME}-{binding}", "kind": "TriggerBinding"}] if binding else []
    found: Manifest = {"name": name, "interceptors": interceptors}
    return {**found, **({"bindings": bindings} if bindings else {}), "template": {"ref": NAME}}


def _github(event: str, **more: object) -> Manifest:
    """Return the interceptor that checks the webhook's signature and its event."""
    values = {"secretRef": {"secretName": WEBHOOK, "secretKey": "secret"}, "eventTypes": [event], **more}
    return {
        "name": f"signature{'-and-files' if more else ''}",
        "ref": {"name": "github", "kind": "ClusterInterceptor"},
        "params": [{"name": name, "value": value} for name, value in values.items()],
    }


def _cel(condition: str, **more: object) -> Manifest:
    values = {"filter": condition, **more}
    return {
        "ref": {"name": "cel", "kind": "ClusterInterceptor"},
        "params": [{"name": name, "value": value} for name, value in values.items()],
    }
