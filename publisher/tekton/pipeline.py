"""The Pipeline: fetch, bench, gate, publish what is kept, record what is not, fail what was rejected, tell people.

fetch ─▶ bench (per tier) ─▶ gate (per tier) ─┬▶ publish, when a verdict is kept ─▶ conclude-published
                                              ├▶ record, when none is ─▶ conclude-recorded
                                              └▶ conclude, when nothing is recorded and one is rejected
finally: notify, upload

The last Task is there three times, because Tekton skips a Task that takes a result of a skipped one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from publisher.tekton.settings import NAME
from publisher.tekton.shapes import manifest, param
from publisher.tekton.tasks import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

COMMIT = "$(tasks.fetch.results.commit)"
VERDICTS = "$(tasks.gate.results.verdict[*])"
CODES = "$(tasks.gate.results.code[*])"
LAST = ("conclude", "conclude-published", "conclude-recorded")
"""Where the Task that may fail the pipeline is."""
TIMEOUTS = {
    "fetch": "5h",
    "bench": "13h",
    "gate": "2h",
    "publish": "3h",
    "record": "3h",
    **dict.fromkeys(LAST, "10m"),
    "notify": "10m",
    "upload": "30m",
}
"""How long each Task may take, with its start; without one, the cluster's default (an hour) could count."""
SHARED = [
    *("image", "address", "server", "revision", "branch", "pushed"),
    *("git-secret", "hub-secret", "netlify-secret", "notify-secret", "reports-secret", "netlify-api", "report-address"),
]
"""The parameters that Pipeline and Tasks share."""


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:
    """Return the Pipeline."""
    known = parameters(settings)
    tiers = param("tiers", "The tiers to measure, each by itself.", [settings.config.publishing_tier])
    publish = param("publish", "yes: record and publish; no: only say the verdict, as for a pull request.", "yes")
    spec = {
        "description": "Measures a commit without secrets, and publishes with them what the gate keeps.",
        "params": [*(known[name] for name in SHARED), tiers, publish],
        "workspaces": [
            {"name": "work", "description": "The repository, the model and the measured runs of this PipelineRun."},
            {"name": "models", "description": "The folder that local:NAME models are in.", "optional": True},
        ],
        "tasks": _tasks(),
        "finally": _finally(),
        "results": [
            {"name": "commit", "description": "The commit that was measured.", "value": COMMIT},
            {"name": "verdicts", "type": "array", "description": "The gate's verdict per tier.", "value": VERDICTS},
        ],
    }
    return {"pipeline": [manifest("tekton.dev/v1", "Pipeline", NAME, spec=spec)]}


def _tasks() -> list[Manifest]:
    measured = {"revision": COMMIT, "branch": "$(params.branch)"}
    with_secrets = {
        **measured,
        **_passed("address", "server", "pushed", "git-secret", "netlify-secret", "netlify-api"),
    }
    wanted = _when("$(params.publish)", "in", "yes")
    return [
        _task(
            "fetch",
            _passed("address", "server", "revision", "branch", "git-secret", "hub-secret"),
            ["source", "models"],
            retries=2,
        ),
        # It continues from its journal in the workspace.
        _task("bench", measured, ["source", "models", "runs"], retries=1, each=True),
        _task("gate", measured, ["source", "models", "runs"], retries=1, each=True, after=["bench"]),
        _task("publish", with_secrets, ["runs"], retries=2, each=True, when=[wanted, _when("kept", "in", VERDICTS)]),
        # Every run is in the ledger, rejected ones too: the same Task, which publishes nothing that is not kept.
        _task(
            "record",
            with_secrets,
            ["runs"],
            retries=2,
            each=True,
            kind="publish",
            when=[wanted, _when("kept", "notin", VERDICTS)],
        ),
        _task(
            "conclude",
            {"gate": CODES},
            ["runs"],
            when=[_when("$(params.publish)", "notin", "yes"), _when("1", "in", CODES)],
        ),
        _concluded("publish"),
        _concluded("record"),
    ]


def _concluded(name: str) -> Manifest:
    """Return the last Task after publish or record, whose verdict counts: the ledger may have grown meanwhile."""
    results = f"$(tasks.{name}.results"
    last = next(one for one in LAST if one.startswith(f"conclude-{name}"))
    params = {"gate": CODES, "recorded": f"{results}.code[*])", "runs": f"{results}.run-id[*])"}
    return _task(last, params, ["runs"], kind="conclude")


def _finally() -> list[Manifest]:
    run = {"run": "$(context.pipelineRun.name)"}
    return [
        _task("notify", {**run, "status": "$(tasks.status)", **_passed("notify-secret")}, ["runs"]),
        _task(
            "upload",
            {**run, **_passed("report-address", "reports-secret")},
            ["runs"],
            retries=2,
            when=[_when("$(params.report-address)", "notin", "")],
        ),
    ]


def _task(
    name: str,
    params: Mapping[str, str],
    workspaces: Sequence[str],
    *,
    kind: str = "",
    retries: int = 0,
    each: bool = False,
    after: Sequence[str] = (),
    when: Sequence[Manifest] = (),
) -> Manifest:
    """Return a Task of the Pipeline; with `each` it runs once per tier, and `kind` is its Task where not `name`'s."""
    found: dict[str, Any] = {"name": name, "taskRef": {"kind": "Task", "name": f"{NAME}-{kind or name}"}}
    found["timeout"] = TIMEOUTS[name]
    if after:
        found["runAfter"] = list(after)
    if when:
        found["when"] = list(when)
    if each:
        found["matrix"] = {"params": [{"name": "tier", "value": "$(params.tiers[*])"}]}
    if retries:
        found["retries"] = retries
    found["params"] = [{"name": key, "value": value} for key, value in {**_passed("image"), **params}.items()]
    found["workspaces"] = [_workspace(one) for one in workspaces]
    return found


def _workspace(name: str) -> Manifest:
    """Return a workspace of a Task: folders of one volume, because a Task may mount no two that are claimed."""
    if name == "models":
        return {"name": name, "workspace": name}
    return {"name": name, "workspace": "work", "subPath": name}


def _passed(*names: str) -> dict[str, str]:
    """Return parameters that are passed on as they are."""
    return {name: f"$(params.{name})" for name in names}


def _when(value: str, operator: str, other: str) -> Manifest:
    return {"input": value, "operator": operator, "values": [other]}
