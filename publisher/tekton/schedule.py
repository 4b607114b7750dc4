"""The CronJob: a signed event to the EventListener, so that it needs no rights in the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.tekton.settings import NAME
from publisher.tekton.shapes import CONFINED, LABELS, SCRATCH, SECRETS, SMALL, USER, manifest, variables
from publisher.tekton.triggers import WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:
    """Return the CronJob."""
    job = {
        "backoffLimit": 0,  # a second event would start a second pipeline
        "activeDeadlineSeconds": 600,
        "ttlSecondsAfterFinished": 86_400,
        "template": {"metadata": {"labels": dict(LABELS)}, "spec": _pod(settings)},
    }
    spec = {
        "schedule": settings.schedule,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": job},
    }
    return {"schedule": [manifest("batch/v1", "CronJob", f"{NAME}-schedule", spec=spec)]}


def _pod(settings: Settings) -> Manifest:
    environment = {
        "HOME": SCRATCH,
        "LISTENER": f"http://el-{NAME}:8080",
        "PUBLISHER_WEBHOOK_SECRET_FILE": f"{SECRETS}/webhook/secret",
    }
    mounts = [
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "webhook", "mountPath": f"{SECRETS}/webhook", "readOnly": True},
    ]
    container = {
        "name": "trigger",
        "image": settings.image,
        "command": ["/usr/bin/env", "bash", "-c", settings.script("trigger")],
        "workingDir": SCRATCH,
        "env": variables(environment),
        "volumeMounts": mounts,
        "resources": {key: dict(value) for key, value in SMALL.items()},
        "securityContext": dict(CONFINED),
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"fsGroup": USER, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "scratch", "emptyDir": {}},
            {"name": "webhook", "secret": {"secretName": WEBHOOK, "defaultMode": 0o440}},
        ],
    }
