"""The Tasks: fetch, bench, gate, publish, verify, roll back, notify, upload the reports, and fail what was rejected."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from publisher.tekton.resources import quantity
from publisher.tekton.settings import NAME
from publisher.tekton.shapes import SCRATCH, SECRETS, param, result, step, task, volumes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.tekton.settings import Manifest, Settings

SOURCE = {
    "REPOSITORY": "$(workspaces.source.path)/repository",
    "PUBLISHER_CACHE": "$(workspaces.source.path)/cache",
    "PUBLISHER_MODELS": "$(workspaces.models.path)",
}
"""Where the secret-less steps find the repository, the fetched inputs and, where there is one, the folder of models."""
OWN = {"REPOSITORY": f"{SCRATCH}/repository", "PUBLISHER_CACHE": f"{SCRATCH}/cache"}
"""A clone of their own for steps with secrets: one that bench can write to would bring a configuration along."""
RUNS = {"RUNS": "$(workspaces.runs.path)"}
TRUSTED = {"PUBLISHER_POLICY_REF": "$(params.branch)"}
GIT = {"PUBLISHER_GIT_TOKEN_FILE": f"{SECRETS}/git/token", "GITHUB_SERVER_URL": "$(params.server)"}
NETLIFY = {
    "NETLIFY_BUILD_HOOK_FILE": f"{SECRETS}/netlify/build-hook",
    "NETLIFY_AUTH_TOKEN_FILE": f"{SECRETS}/netlify/token",
    "NETLIFY_API_URL": "$(params.netlify-api)",
}
AS_FETCHED = {"PUBLISHER_AS_FETCHED": "1"}
HUB = {"HF_TOKEN_FILE": f"{SECRETS}/hub/token"}
"""Only for the steps that fetch what a commit names; the token goes to Hugging Face and nowhere else."""
RUN = {"RUN": "$(params.run)"}

VERDICT = result("verdict", "What the gate says: kept, rejected, inconclusive, unchanged, held or passed.")
SCORE = result("score", "The headline suite's score in points, with one decimal.")
RUN_ID = result("run-id", "The run's name in the ledger.")
CODE = result("code", "The verdict's exit code: 0, 1 (rejected) or 4 (inconclusive or held).")
ADDRESS = result("address", "The snapshot's permanent address; empty where nothing was published.")
MANIFEST = [
    result(
        "manifest-ARTIFACT_URI", "The published manifest, whose digest covers every file, as Tekton Chains reads it."
    ),
    result("manifest-ARTIFACT_DIGEST", "Its digest, sha256:…; empty where nothing was published."),
]

_SOURCE = {"name": "source", "description": "The repository and what was fetched for measuring; no secret is in it."}
_MODELS = {
    "name": "models",
    "description": "The folder that local:NAME sources of models are in.",
    "optional": True,
    "readOnly": True,
}
_RUNS = {"name": "runs", "description": "The measured runs and their reports, which nothing with secrets believes."}


def parameters(settings: Settings) -> dict[str, Manifest]:
    """Return every parameter by name, with its description and default; Tasks and Pipeline share them."""
    parts = urllib.parse.urlsplit(settings.address)
    found = [
        param("image", "The image of the steps, pinned by digest."),
        param("address", "The repository's https address.", settings.address),
        param("server", "The one server that the git token is sent to.", f"{parts.scheme}://{parts.netloc}"),
        param("revision", "The full hash of the commit; empty: the newest of the trusted branch.", ""),
        param("branch", "The trusted branch, whose rules count for commits that are not on it.", settings.branch),
        param("pushed", "The branch that was pushed to: [branches] says what becomes of its commits.", ""),
        param("tier", "The tier of publisher.toml.", settings.config.publishing_tier),
        param("git-secret", "The Secret whose key token pushes, and reads a private repository.", f"{NAME}-git"),
        param(
            "netlify-secret", "The Secret with the keys build-hook and, where there is one, token.", f"{NAME}-netlify"
        ),
        param(
            "notify-secret", "The Secret whose key targets has apprise addresses; it may be absent.", f"{NAME}-notify"
        ),
        param(
            "reports-secret",
            "The Secret whose key token opens the reports' address; it may be absent.",
            f"{NAME}-reports",
        ),
        param(
            "hub-secret",
            "The Secret whose key token reads private models and suites on Hugging Face; it may be absent.",
            f"{NAME}-hub",
        ),
        param("netlify-api", "Another host that speaks Netlify's API; empty: Netlify.", ""),
        param("report-address", "The https address below which reports are put; empty: nowhere.", ""),
        param(
            "snapshot", "A snapshot's branch, a pin, a commit's beginning, or -1 for the one before the live one.", ""
        ),
        param("why", "The reason, which the ledger keeps."),
        param("run", "The PipelineRun's name."),
        param("status", "What became of the pipeline's Tasks."),
        param("gate", "The exit codes of the gate's verdicts, one per tier.", []),
        param("recorded", "Those of the verdicts that were recorded; none where nothing is.", []),
        param("runs", "The names of the recorded runs.", []),
    ]
    return {one["name"]: one for one in found}


def files(settings: Settings) -> Mapping[str, Sequence[Manifest]]:
    """Return the Tasks."""
    known = parameters(settings)

    def named(names: str) -> list[Manifest]:
        return [known[name] for name in ["image", *names.split()]]

    return {
        "tasks": [
            _fetch(settings, named("address server revision branch git-secret hub-secret")),
            _bench(settings, named("revision branch tier")),
            _gate(settings, named("revision branch tier")),
            _publish(
                settings,
                named("address server revision branch pushed tier git-secret netlify-secret netlify-api"),
            ),
            _verify(settings, named("address server branch snapshot git-secret netlify-api")),
            _rollback(settings, named("address server branch snapshot why git-secret netlify-secret netlify-api")),
            _conclude(settings, named("gate recorded runs")),
            _notify(settings, named("run status notify-secret")),
            _upload(settings, named("run report-address reports-secret")),
        ]
    }


def _clone(settings: Settings, *, revision: str = "$(params.revision)") -> Manifest:
    """Return the step that makes a clone of its own, for a step with secrets."""
    environment = {**OWN, **TRUSTED, **GIT, "ADDRESS": "$(params.address)", "REVISION": revision}
    return step("clone", settings.script("fetch"), environment, timeout="15m", secrets=["git"])


def _fetch(settings: Settings, params: list[Manifest]) -> Manifest:
    wanted = {"ADDRESS": "$(params.address)", "REVISION": "$(params.revision)"}
    return task(
        "fetch",
        "Fetches the repository, and then, with no more than Hugging Face's token, the model and the suites that the "
        "commit names.",
        params=params,
        results=[result("commit", "The full hash of the commit.")],
        workspaces=[_SOURCE, _MODELS],
        volumes=volumes({"git": True, "hub": True}),
        steps=[
            step(
                "fetch",
                settings.script("fetch"),
                {**SOURCE, **TRUSTED, **GIT, **wanted},
                timeout="15m",
                secrets=["git"],
            ),
            step(
                "inputs",
                settings.script("inputs"),
                {**SOURCE, **TRUSTED, **AS_FETCHED, **HUB},
                timeout="4h",
                secrets=["hub"],
            ),
        ],
    )


def _bench(settings: Settings, params: list[Manifest]) -> Manifest:
    needs = settings.needs
    asked = {"cpu": str(needs.cores), "memory": needs.quantity, "ephemeral-storage": "1Gi"}
    resources = {"requests": asked, "limits": {"memory": needs.quantity, "ephemeral-storage": "8Gi"}}
    environment = {**SOURCE, **RUNS, **TRUSTED, **AS_FETCHED}
    environment |= {"REVISION": "$(params.revision)", "TIER": "$(params.tier)"}
    return task(
        "bench",
        "Measures the model that the commit describes, without a secret and without a network. Model and context take "
        f"{quantity(needs.memory)} of memory; docs/guides/tekton.md has the formula.",
        params=params,
        workspaces=[_SOURCE, _MODELS, _RUNS],
        volumes=volumes({}),
        steps=[step("bench", settings.script("bench"), environment, timeout="12h", resources=resources)],
    )


def _gate(settings: Settings, params: list[Manifest]) -> Manifest:
    environment = {**SOURCE, **RUNS, **TRUSTED, **AS_FETCHED}
    environment |= {"REVISION": "$(params.revision)", "TIER": "$(params.tier)"}
    return task(
        "gate",
        "Says what the gate says of a measured run. The verdict is a result, not a failure.",
        params=params,
        results=[VERDICT, SCORE, RUN_ID, CODE],
        workspaces=[_SOURCE, _MODELS, _RUNS],
        volumes=volumes({}),
        steps=[step("gate", settings.script("gate"), environment, timeout="1h")],
    )


def _publish(settings: Settings, params: list[Manifest]) -> Manifest:
    environment = {**OWN, **RUNS, **TRUSTED, **GIT, **NETLIFY, "REVISION": "$(params.revision)"}
    environment |= {"TIER": "$(params.tier)", "PUSHED": "$(params.pushed)"}
    return task(
        "publish",
        "Records a measured run, checked against git, and publishes it where it is kept.",
        params=params,
        results=[VERDICT, SCORE, RUN_ID, CODE, ADDRESS, *MANIFEST],
        workspaces=[{**_RUNS, "readOnly": True}],
        volumes=volumes({"git": False, "netlify": False}),
        steps=[
            _clone(settings),
            step("publish", settings.script("publish"), environment, timeout="2h", secrets=["git", "netlify"]),
        ],
    )


def _verify(settings: Settings, params: list[Manifest]) -> Manifest:
    environment = {**OWN, **TRUSTED, **GIT, "NETLIFY_API_URL": "$(params.netlify-api)"}
    environment |= {"SNAPSHOT": "$(params.snapshot)"}
    # The ledger is read again from the remote, so a private repository's token is needed here, too.
    return task(
        "verify",
        "Compares what the permanent addresses serve with what was rendered.",
        params=params,
        volumes=volumes({"git": True}),
        steps=[
            _clone(settings, revision=""),
            step("verify", settings.script("verify"), environment, timeout="2h", secrets=["git"]),
        ],
    )


def _rollback(settings: Settings, params: list[Manifest]) -> Manifest:
    environment = {**OWN, **TRUSTED, **GIT, **NETLIFY, "SNAPSHOT": "$(params.snapshot)", "WHY": "$(params.why)"}
    return task(
        "rollback",
        "Shows an older snapshot on the live site. Not to be retried: -1 goes back one more each time.",
        params=params,
        volumes=volumes({"git": False, "netlify": False}),
        steps=[
            _clone(settings, revision=""),
            step("rollback", settings.script("rollback"), environment, timeout="1h", secrets=["git", "netlify"]),
        ],
    )


def _conclude(settings: Settings, params: list[Manifest]) -> Manifest:
    return task(
        "conclude",
        "Fails the pipeline whose run was rejected, or was not recorded as the gate had said, and says why.",
        params=params,
        workspaces=[{**_RUNS, "readOnly": True}],
        volumes=volumes({}),
        steps=[
            step(
                "conclude",
                settings.script("conclude"),
                RUNS,
                timeout="5m",
                # No variable holds an array; these are digits and names of fixed form, and no shell parses them.
                arguments=["$(params.gate[*])", "recorded", "$(params.recorded[*])", "runs", "$(params.runs[*])"],
            )
        ],
    )


def _notify(settings: Settings, params: list[Manifest]) -> Manifest:
    environment = {**RUNS, **RUN, "STATUS": "$(params.status)", "PUBLISHER_NOTIFY_FILE": f"{SECRETS}/notify/targets"}
    return task(
        "notify",
        "Tells people that the pipeline failed or that the gate rejected; not to be retried.",
        params=params,
        workspaces=[{**_RUNS, "readOnly": True}],
        volumes=volumes({"notify": True}),
        steps=[step("notify", settings.script("notify"), environment, timeout="5m", secrets=["notify"])],
    )


def _upload(settings: Settings, params: list[Manifest]) -> Manifest:
    environment = {**RUNS, **RUN, "ADDRESS": "$(params.report-address)"}
    environment |= {"PUBLISHER_REPORT_TOKEN_FILE": f"{SECRETS}/reports/token"}
    return task(
        "upload",
        "Puts the reports where people look for them.",
        params=params,
        workspaces=[{**_RUNS, "readOnly": True}],
        volumes=volumes({"reports": True}),
        steps=[step("upload", settings.script("upload"), environment, timeout="15m", secrets=["reports"])],
    )
