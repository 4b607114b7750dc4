"""What `publisher tekton render` writes: valid, confined, reproducible, and closed to hostile events."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from publisher.config import parse
from publisher.tekton import rendering
from publisher.tekton.resources import Needs, needs
from publisher.tekton.settings import Settings
from publisher.tekton.text import plain
from publisher.tekton.triggers import path_filter, pull_request_filter, push_filter
from tests.made import GitFolder
from tests.project import Project, config
from tests.tekton import GPU_IMAGE, IMAGE, ROOT, VALIDATE, Object, objects

CORE = {"apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1", "v1"}
CONFINED = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
MORE = '[branches."release/*"]\npublish = true\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of everything that is rendered for a small project."""
    folder = tmp_path_factory.mktemp("made")
    for name, data in rendering.files(settings()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def settings(more: str = MORE) -> Settings:
    """Return settings of a project whose suite is a committed file."""
    scripts = {path.stem: path.read_text() for path in (ROOT / "hooks" / "tekton").glob("*.sh")}
    return Settings(
        config=parse(config(more=more).encode(), "publisher.toml"),
        needs=Needs(memory=3 << 30, gpu_memory=2 << 30, cores=4, disk=8 << 30),
        scripts=scripts,
        image=IMAGE,
        gpu_image=GPU_IMAGE,
        address="https://github.com/o/r",
    )


def steps(made: Path) -> list[tuple[str, Object]]:
    """Return every step with its Task's name."""
    tasks = [one for (kind, _), one in objects(made / "base").items() if kind == "Task"]
    return [(task["metadata"]["name"], step) for task in tasks for step in task["spec"]["steps"]]


def built(made: Path, overlay: str, into: Path) -> Path:
    """Return a file with what kustomize makes of an overlay; skips where there is no kustomize 5."""
    command = next((c for c in (["kustomize", "build"], ["kubectl", "kustomize"]) if shutil.which(c[0])), None)
    if command is None:
        pytest.skip("kustomize 5 is not installed, so the overlays are not built")
    done = subprocess.run([*command, str(made / "overlays" / overlay)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    path = into / f"{overlay}.yaml"
    path.write_bytes(done.stdout)
    return path


def test_tektons_own_admission_accepts_everything(made: Path) -> None:
    """Strict decoding, defaulting and validation as Tekton does it."""
    if not VALIDATE.is_file():
        pytest.skip("tekton-validate is not beside this checkout")
    files = [str(path) for path in sorted((made / "base").glob("*.yaml"))]
    done = subprocess.run([str(VALIDATE), *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Pipeline publisher: valid" in done.stdout


@pytest.mark.parametrize("overlay", ["cpu", "gpu", "airgapped"])
def test_an_overlay_is_built_and_valid(made: Path, tmp_path: Path, overlay: str) -> None:
    """What kustomize makes of it is accepted as well, and core kinds by the newest two versions of Kubernetes."""
    path = built(made, overlay, tmp_path)
    _check_core(yaml.safe_load_all(path.read_text()))
    if VALIDATE.is_file():
        done = subprocess.run([str(VALIDATE), str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_core_kinds_are_valid(made: Path) -> None:
    """Strictly, against the newest two versions that kubernetes-validate knows."""
    assert _check_core(objects(made / "base").values()) >= 8


def _check_core(manifests: Any) -> int:
    """Validate manifests of core kinds and return how many there are."""
    major, minor, _ = map(int, kubernetes_validate.latest_version().split("."))
    core = [one for one in manifests if one["apiVersion"] in CORE]
    for one in core:
        for version in (minor, minor - 1):
            kubernetes_validate.validate(one, f"{major}.{version}", strict=True)
    return len(core)


def test_the_overlay_gpu_asks_for_a_gpu(made: Path, tmp_path: Path) -> None:
    """Only bench does, and runs the CUDA image; the other steps keep theirs."""
    found = {one["metadata"]["name"]: one for one in yaml.safe_load_all(built(made, "gpu", tmp_path).read_text())}
    (step,) = found["publisher-bench"]["spec"]["steps"]
    assert step["computeResources"]["limits"]["nvidia.com/gpu"] == "1"
    assert step["image"] == "$(params.gpu-image)"
    assert {"default": GPU_IMAGE}.items() <= found["publisher-bench"]["spec"]["params"][-1].items()
    assert found["publisher-gate"]["spec"]["steps"][0]["image"] == "$(params.image)"


def test_the_overlay_airgapped_reaches_nothing_outside(made: Path, tmp_path: Path) -> None:
    """Models come from a claim; pods reach private addresses, and those that measure still reach nothing."""
    path = built(made, "airgapped", tmp_path)
    found = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(path.read_text())}
    (run,) = found["TriggerTemplate", "publisher"]["spec"]["resourcetemplates"]
    assert run["spec"]["workspaces"][-1]["persistentVolumeClaim"]["claimName"] == "publisher-models"
    inputs = found["Task", "publisher-fetch"]["spec"]["steps"][1]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in inputs["env"]
    policy = found["NetworkPolicy", "publisher-airgapped"]["spec"]
    left_out = {"key": "tekton.dev/task", "operator": "NotIn", "values": ["publisher-bench", "publisher-gate"]}
    assert left_out in policy["podSelector"]["matchExpressions"]
    assert "0.0.0.0/0" not in path.read_text()


def test_every_step_is_confined_and_bounded(made: Path) -> None:
    """Not root, a root file system that cannot be written, no rights to gain; a timeout, requests, a memory limit."""
    for task, step in steps(made):
        context = step["securityContext"]
        assert {key: context[key] for key in CONFINED} == CONFINED, task
        assert context["runAsUser"] > 0
        assert step["timeout"], task
        resources = step["computeResources"]
        assert {"cpu", "memory"} <= set(resources["requests"])
        assert "memory" in resources["limits"]


def test_parameters_reach_a_script_as_variables_only(made: Path) -> None:
    """No script holds a reference, which Tekton would replace before the shell reads it; each one calls publisher."""
    for task, step in steps(made):
        assert "$(params" not in step["script"], task
        assert "$(tasks" not in step["script"], task
        assert "publisher " in step["script"], task


def test_secrets_are_files_of_the_steps_that_need_them(made: Path) -> None:
    """No variable holds one, and what measures and decides mounts none."""
    holders = {
        (task.removeprefix("publisher-"), step["name"]): {
            mount["name"] for mount in step["volumeMounts"] if mount["mountPath"].startswith("/secrets")
        }
        for task, step in steps(made)
        if task.startswith("publisher-")
    }
    expected = {
        ("fetch", "fetch"): {"git"},
        ("fetch", "inputs"): {"hub"},
        ("bench", "bench"): set(),
        ("gate", "gate"): set(),
        ("publish", "clone"): {"git"},
        ("publish", "publish"): {"git", "netlify"},
        ("verify", "clone"): {"git"},
        ("verify", "verify"): {"git"},
        ("rollback", "clone"): {"git"},
        ("rollback", "rollback"): {"git", "netlify"},
        ("conclude", "conclude"): set(),
        ("notify", "notify"): {"notify"},
        ("upload", "upload"): {"reports"},
    }
    assert {key: holders[key] for key in expected} == expected
    assert not [step for _, step in steps(made) for one in step["env"] if "valueFrom" in one]


def test_only_what_may_be_repeated_is_retried(made: Path) -> None:
    """Telling people and failing the pipeline happen once; every Task has a timeout."""
    spec = objects(made / "base")["Pipeline", "publisher"]["spec"]
    assert all(task["timeout"] for task in [*spec["tasks"], *spec["finally"]])
    retried = {task["name"] for task in [*spec["tasks"], *spec["finally"]] if task.get("retries")}
    assert retried == {"fetch", "bench", "gate", "publish", "record", "upload"}


def test_every_parameter_says_what_it_is(made: Path) -> None:
    """Tasks, Pipeline and template; only image, reason, run and status have to be given."""
    for (kind, _), one in objects(made / "base").items():
        for param in one.get("spec", {}).get("params", []) if kind in {"Task", "Pipeline", "TriggerTemplate"} else []:
            assert param["description"].endswith("."), param


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the seed of hashes; --check says with 1 which file is another one, and writes nothing."""
    project = Project.create(tmp_path)
    command = ["tekton", "render", "--image", IMAGE, "--address", "https://github.com/o/r", "--into"]
    for seed in ("1", "2"):
        done = project.run(*command, str(tmp_path / seed), PYTHONHASHSEED=seed)
        assert done.code == 0, done.err
    first, second = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*.yaml")} for d in (tmp_path / "1", tmp_path / "2")
    )
    assert first == second
    assert project.run(*command, str(tmp_path / "1"), "--check").code == 0
    (tmp_path / "1" / "base" / "tasks.yaml").write_text("")
    done = project.run(*command, str(tmp_path / "1"), "--check")
    assert (done.code, done.out) == (1, "differs  base/tasks.yaml\n")


@pytest.mark.parametrize("text", ["1e3", "0o7", "y", "N", ".5e1", "-07", "12", "no", "1.", "null"])
def test_text_stays_text_for_every_reader(text: str) -> None:
    """YAML's readers differ in what is a number or a truth value, and a namespace may be called 1e3 or y."""
    assert plain({"namespace": text}) == f"namespace: '{text}'\n"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--image", "python:3.12", "not pinned by its digest"),
        ("--image", f"x@sha256:{'A' * 64}", "not pinned by its digest"),
        ("--gpu-image", f"x@sha256:{'a' * 63}", "not pinned by its digest"),
        ("--address", "https://user:secret@github.com/o/r", "without a login"),
        ("--address", "git@github.com:o/r", "not https"),
        ("--schedule", "* * * *", "five fields"),
        ("--branch", "$(touch x)", "not a branch's name"),
        ("--skip", "(", "not a regular expression"),
        ("--skip", "^(?!small)", "which RE2 cannot"),
    ],
)
def test_odd_options_are_mistakes(tmp_path: Path, option: str, value: str, words: str) -> None:
    """Each is one clear message, and nothing is written."""
    project = Project.create(tmp_path)
    options = {"--image": IMAGE, "--address": "https://github.com/o/r", option: value}
    done = project.run("tekton", "render", *(part for pair in options.items() for part in pair))
    assert (done.code, words in done.err) == (2, True), done.err
    assert "secret" not in done.err
    assert not (project.folder.path / "hooks" / "tekton").exists()


def test_memory_follows_model_and_context() -> None:
    """Twice the context takes twice the cache, and the weights are asked for once."""
    from publisher.engine.gguf import Header  # noqa: PLC0415 - only here

    values = {"qwen2.attention.head_count": 12, "qwen2.attention.head_count_kv": 2, "qwen2.embedding_length": 1536}
    header = Header(
        size=1_900_000_000,
        version=3,
        name="m",
        architecture="qwen2",
        quantization="Q8_0",
        parameters=1_500_000_000,
        layers=28,
        context_trained=131_072,
        vocabulary=150_000,
        chat_template="",
        values=values,
    )

    def memory(context: int) -> int:
        text = config().replace("context = 512", f"context = {context}")
        return needs(parse(text.encode(), "publisher.toml"), header).memory

    # 28 layers x 2 heads x 128 x 2 x 2 bytes = 28,672 bytes per token, for 4 slots, twice.
    assert memory(40_960) - memory(20_480) == pytest.approx(8 * 20_480 * 28_672, abs=256 << 20)
    assert memory(64) == pytest.approx(header.size + (1 << 30), abs=256 << 20)


def event(**changes: Any) -> Object:
    """Return a push as GitHub sends one."""
    commit = {"added": [], "modified": ["publisher.toml"], "removed": [], "message": "$(touch /tmp/x)"}
    body = {"ref": "refs/heads/main", "after": "c" * 40, "deleted": False, "created": False, "forced": False}
    return {"body": {**body, "commits": [commit], **changes}}


def touching(*paths: str) -> list[Object]:
    """Return the commits of a push that changes these paths."""
    return [{"added": [], "modified": list(paths), "removed": []}]


@pytest.mark.parametrize(
    ("changes", "starts"),
    [
        ({}, True),
        ({"ref": "refs/heads/release/1.2"}, True),
        ({"ref": "refs/heads/feature"}, False),
        ({"ref": "refs/tags/v1"}, False),
        ({"ref": 'refs/heads/release/"},"x":{"$(touch /tmp/x)'}, False),
        ({"ref": "refs/heads/release/$(HOME)"}, False),
        ({"after": "0" * 39 + "x"}, False),
        ({"after": "c" * 40 + "\n"}, False),
        ({"deleted": True}, False),
        ({"commits": touching("README.md", "docs/a.txt")}, False),
        ({"commits": touching("README.md", "small.jsonl")}, True),
        ({"commits": touching("docs/a.txt"), "forced": True}, True),
    ],
)
def test_which_pushes_start_a_pipeline(changes: Object, starts: bool) -> None:
    """Those of branches that publish, with a hash and a name of plain characters, of files that can decide a score."""
    assert holds(push_filter(settings()), event(**changes)) == starts


@pytest.mark.parametrize(
    ("changes", "starts"),
    [
        ({}, True),
        ({"head": {"repo": {"full_name": "attacker/r"}, "sha": "c" * 40}}, False),
        ({"head": {"repo": None, "sha": "c" * 40}}, False),
        ({"head": {"repo": {"full_name": "o/r"}, "sha": "$(touch /tmp/x)"}}, False),
        ({"base": {"ref": "other"}}, False),
    ],
)
def test_no_pull_request_of_a_fork_starts_one(changes: Object, starts: bool) -> None:
    """A fork's is dropped by the filter, before any Task; so is one whose fork was deleted."""
    pull = {"head": {"repo": {"full_name": "o/r"}, "sha": "c" * 40}, "base": {"ref": "main"}, **changes}
    body = {"action": "opened", "pull_request": pull, "repository": {"full_name": "o/r"}}
    assert holds(pull_request_filter(settings()), {"body": body}) == starts


def test_a_pull_request_is_filtered_by_its_files() -> None:
    """The interceptor names them, separated by commas."""
    for files, starts in (("README.md,docs/x", False), ("README.md,small.jsonl", True)):
        assert holds(path_filter(settings()), {"extensions": {"changed_files": files}}) == starts


def holds(condition: str, values: Object) -> bool:
    """Return what a CEL condition comes to; an error counts as false, as for the interceptor."""
    import celpy  # noqa: PLC0415 - slow to import

    def split(text: Any, by: Any) -> Any:
        return celpy.celtypes.ListType([celpy.celtypes.StringType(part) for part in str(text).split(str(by))])

    environment = celpy.Environment()
    program = environment.program(environment.compile(condition), functions={"split": split})
    try:
        return bool(program.evaluate({key: celpy.json_to_cel(value) for key, value in values.items()}))
    except celpy.CELEvalError:
        return False


def test_the_listener_checks_signatures_first(made: Path) -> None:
    """Each trigger's first interceptor is GitHub's, with the webhook's secret and the one event that it takes."""
    listener = objects(made / "base")["EventListener", "publisher"]
    for trigger in listener["spec"]["triggers"]:
        first = trigger["interceptors"][0]
        params = {one["name"]: one["value"] for one in first["params"]}
        assert first["ref"]["name"] == "github"
        assert params["secretRef"]["secretName"] == "publisher-webhook"
        assert len(params["eventTypes"]) == 1


def test_rights_are_named_one_by_one(made: Path) -> None:
    """No wildcard; what is cluster-wide can only be read; the steps' account has no token."""
    found = objects(made / "base")
    for (kind, _), one in found.items():
        if kind in {"Role", "ClusterRole"}:
            assert "*" not in json.dumps(one["rules"])
        if kind == "ClusterRole":
            assert all(set(rule["verbs"]) <= {"get", "list", "watch"} for rule in one["rules"])
    assert found["ServiceAccount", "publisher"]["automountServiceAccountToken"] is False


def test_the_scripts_are_sound() -> None:
    """No script has anything that shellcheck finds."""
    files = sorted((ROOT / "hooks" / "tekton").glob("*.sh"))
    done = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_containerfile_names_no_image_of_its_own() -> None:
    """Base images are required arguments; every target ends as a user that is not root, and holds no secret."""
    text = (ROOT / "hooks" / "tekton" / "Containerfile").read_text()
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert [line[1] for line in lines if line[0] == "FROM"] == ["${PYTHON_IMAGE}", "${CUDA_IMAGE}"]
    assert [line for line in lines if line[0] == "ARG" and "=" in line[1]] == []
    assert [line[1] for line in lines if line[0] == "USER"] == ["65532:65532"] * 2


def test_a_model_from_elsewhere_has_to_be_at_hand(repository: GitFolder) -> None:
    """Its size decides what is asked of a node; many gigabytes are not fetched for that."""
    text = config(source="hf:o/r@0123456789012345678901234567890123456789/m.gguf").replace(
        "context = 512", f'context = 512\nsha256 = "{"0" * 64}"'
    )
    repository.commit({"publisher.toml": text, "small.jsonl": "{}"})
    done = Project(repository).run("tekton", "render", "--image", IMAGE, "--address", "https://github.com/o/r")
    assert (done.code, "--model FILE" in done.err) == (2, True), done.err
