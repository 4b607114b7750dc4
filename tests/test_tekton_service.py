"""The model service: its manifests by Kubernetes' own schemas, and its Tasks' scripts, run for real."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from publisher.config import parse
from publisher.errors import UsageError
from publisher.tekton import rendering, serving
from publisher.tekton.resources import Needs
from publisher.tekton.settings import Settings
from publisher.tekton.text import document
from tests.outside import cluster, held
from tests.shelf import CONFIG
from tests.tekton import IMAGE, ROOT, VALIDATE

SERVICE = serving.Service(
    sha256="c" * 64,
    snapshot="snapshot-0123456789ab",
    image=IMAGE,
    namespace="models",
    claim="publisher-model",
    namespaces=("team-a", "team-b", "team-c"),
    allowed=("team-a", "team-b", "team-c", "team-d"),
)
GRANT = ROOT.parent / "shared" / "data" / "schemas" / "gateway_referencegrant_v1.json"
SCRIPTS = {path.stem: path.read_text() for path in (ROOT / "hooks" / "tekton").glob("*.sh")}


def rendered(*names: str) -> dict[str, bytes]:
    """Return what is rendered for some namespaces that may use the model."""
    config = parse(CONFIG.format(site="demo", timeout=60, more="").encode())
    needs = Needs(memory=1 << 30, gpu_memory=1 << 30, cores=2, disk=1 << 30)
    chosen = Settings(
        config, needs, SCRIPTS, IMAGE, IMAGE, "https://github.com/o/r", serve_to=names, serve_from="models"
    )
    return {name: data for name, data in rendering.files(chosen).items() if name.startswith("service/")}


def loaded(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """Return every object of some files."""
    return [one for data in files.values() for one in yaml.safe_load_all(data)]


class Machine:
    """A cluster of stand-ins, and a plan in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = cluster(folder / "cluster")
        self.key = folder / "cosign.pub"
        self.key.write_text("key")

    def plan(self, service: serving.Service) -> None:
        """Write a plan, as the step before does."""
        place = self.folder / "plan"
        place.mkdir(exist_ok=True)
        files, lines = serving.plan(serving.checked(service))
        for name, one in files.items():
            (place / name).write_bytes(document([one]))
        (place / "plan").write_text("".join(f"{line}\n" for line in lines))

    def set(self, name: str, text: str) -> None:
        """Say what the stand-ins do."""
        (self.folder / "cluster" / name).write_text(text)

    def run(self, script: str, **more: str) -> tuple[int, list[dict[str, str]]]:
        """Run a script; return its exit code and the lines of its log."""
        environment = {
            **os.environ,
            "CLUSTER": self.environment["CLUSTER"],
            "PATH": f"{self.environment['PATH']}:{os.environ['PATH']}",
            "PLAN": str(self.folder / "plan"),
            "IMAGE": IMAGE,
            "COSIGN_KEY": str(self.key),
            "IDENTITY": "",
            "ISSUER": "",
            "PATIENCE": "15m",
            "RUN": "serve-x7k2p",
            "REQUEST_TIMEOUT": "30s",
            "NAMESPACE": "models",
            "ALLOWED": "team-a team-b team-c team-d",
            "SELECTOR": "app.kubernetes.io/part-of=publisher-model",
            **more,
        }
        command = ["bash", str(ROOT / "hooks" / "tekton" / f"{script}.sh")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    @property
    def calls(self) -> str:
        """Every call of an outside program."""
        return (self.folder / "cluster" / "calls").read_text()

    @property
    def objects(self) -> dict[str, str]:
        """What the cluster holds."""
        return held(self.folder / "cluster")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a cluster in which nothing is."""
    return Machine(tmp_path)


@pytest.mark.parametrize("bind", ["external-name", "endpoint-slice", "reference-grant"])
def test_manifests_fit_the_newest_two_versions(bind: serving.Bind) -> None:
    """Strictly, whichever way namespaces are bound; every object has the one label and the namespace that it is for."""
    files, lines = serving.plan(serving.checked(replace(SERVICE, bind=bind, monitoring="monitoring")))
    for one in files.values():
        assert one["metadata"]["labels"].items() >= serving.PART.items()
        if one["kind"] == "ReferenceGrant":
            if GRANT.is_file():
                jsonschema.validate(one, json.loads(GRANT.read_bytes()))
            continue
        whole = {**one, "endpoints": [{"addresses": ["10.0.0.1"]}]} if one["kind"] == "EndpointSlice" else one
        for version in ("1.37", "1.36"):
            kubernetes_validate.validate(whole, version, strict=True)
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)


def test_rights_and_tasks_are_rendered_for_the_named_namespaces_alone(tmp_path: Path) -> None:
    """Rights fit the schemas strictly, have no wildcard, and change only objects with the service's name."""
    assert rendered() == {}
    files = rendered("team-a", "team-b")
    assert files == rendered("team-a", "team-b")
    found = loaded(files)
    assert {one["metadata"]["namespace"] for one in found if one["kind"] == "Role"} == {"models", "team-a", "team-b"}
    # The quota would keep out every later pod of Tekton, whose own containers name no memory.
    (assumed,) = [one["spec"]["limits"] for one in found if one["kind"] == "LimitRange"]
    assert {"default", "defaultRequest"} <= assumed[0].keys()
    for one in found:
        if one["apiVersion"].startswith(("v1", "rbac")):
            kubernetes_validate.validate(one, "1.37", strict=True)
        for rule in one.get("rules", []):
            assert "*" not in {word for words in rule.values() for word in words}
            assert rule.get("resourceNames") == ["publisher-model"] or not {"patch", "delete"} & set(rule["verbs"])
            assert "secrets" not in rule["resources"]
    tasks = [one for one in found if one["kind"] == "Task"]
    for task in tasks:
        assert all(param["description"] for param in task["spec"]["params"])
        assert all(step["securityContext"]["readOnlyRootFilesystem"] for step in task["spec"]["steps"])
    # The account's token is a file of the steps that ask the cluster, and nothing mounts it by itself.
    (account,) = [one for one in found if one["kind"] == "ServiceAccount"]
    assert account["automountServiceAccountToken"] is False
    every = [step for task in tasks for step in task["spec"]["steps"]]
    having = [step["name"] for step in every if "cluster" in {mount["name"] for mount in step["volumeMounts"]}]
    assert having == ["serve", "unserve"]
    asked = {one["name"]: one for one in tasks[0]["spec"]["params"]}
    assert not any("default" in asked[name] for name in ("image", "tools-image", "server-image"))
    if VALIDATE.is_file():
        (tmp_path / "tasks.yaml").write_bytes(files["service/tasks.yaml"])
        done = subprocess.run([VALIDATE, tmp_path / "tasks.yaml"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"namespaces": ("team-z",)}, "team-z is not on the list"),
        ({"namespaces": ("$(touch x)",)}, "is not the name"),
        ({"namespaces": ()}, "at least one"),
        ({"image": "registry.example/server:latest"}, "not pinned"),
        ({"claim": "a; rm -rf /"}, "is not the name"),
        ({"sha256": ""}, "no digest"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_is_planned(change: dict[str, Any], said: str) -> None:
    """A namespace that is not on the list, a hostile name, an image without a digest: one message each."""
    with pytest.raises(UsageError, match=said.replace("$", "\\$")):
        serving.checked(replace(SERVICE, **change))


def test_the_model_is_checked_by_its_digest_before_the_server_starts() -> None:
    """The init container compares with the record's digest, and the server reads that very file; nothing goes out."""
    made = {one["kind"]: one for one in serving.own(SERVICE)}
    pod = made["Deployment"]["spec"]["template"]["spec"]
    (digest,), (server,) = pod["initContainers"], pod["containers"]
    assert {"name": "SHA256", "value": "c" * 64} in digest["env"]
    assert server["args"][1] == f"/models/{'c' * 64}.gguf"
    assert made["NetworkPolicy"]["spec"]["egress"] == []
    assert made["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"] == serving.QUEUE


def test_namespaces_get_the_model_in_stages(machine: Machine) -> None:
    """Signature first, then the service and a probe, one namespace and its probe, then all; the log is JSON."""
    machine.plan(SERVICE)
    code, log = machine.run("serve")
    assert code == 0, log
    calls = machine.calls.splitlines()
    assert calls[0].startswith("cosign verify --key=")
    assert calls[0].endswith(IMAGE)
    applied = [line.split()[2] for line in calls if " apply -f " in line]
    assert applied.index("team-a") < applied.index("team-b") < applied.index("team-c")
    between = calls[: next(place for place, line in enumerate(calls) if "-n team-b" in line and "apply" in line)]
    assert any("curl" in line and "publisher-model.team-a." in line for line in between)
    policy = yaml.safe_load(machine.objects["models/networkpolicy"])
    sources = policy["spec"]["ingress"][0]["from"]
    assert sources[1]["namespaceSelector"]["matchExpressions"][0]["values"] == ["team-a", "team-b", "team-c"]
    assert {line["run"] for line in log} == {"serve-x7k2p"}
    assert {"apply-0", "probe-1", "apply-2"} <= {line["step"] for line in log}
    assert any(line["namespace"] == "team-b" for line in log)


def test_addresses_of_pods_are_filled_in_where_dns_is_not_wanted(machine: Machine) -> None:
    """The slice has the pods' addresses and belongs to the Service without a selector."""
    machine.plan(replace(SERVICE, bind="endpoint-slice"))
    code, log = machine.run("serve")
    assert code == 0, log
    one = yaml.safe_load(machine.objects["team-b/endpointslice"])
    assert [point["addresses"] for point in one["endpoints"]] == [["10.1.2.3"], ["10.1.2.4"]]
    kubernetes_validate.validate(one, "1.37", strict=True)
    assert "selector" not in yaml.safe_load(machine.objects["team-b/service"])["spec"]


@pytest.mark.parametrize(
    ("name", "text", "more", "said"),
    [
        ("fail", "cosign", {}, "the image is not signed by the key"),
        ("fail", "cosign", {"COSIGN_KEY": "", "IDENTITY": "me", "ISSUER": "https://x"}, "not signed by that identity"),
        ("fail", "", {"COSIGN_KEY": "/nowhere"}, "neither the Secret with cosign.pub nor identity"),
    ],
)
def test_an_unsigned_image_deploys_nothing(
    machine: Machine, name: str, text: str, more: dict[str, str], said: str
) -> None:
    """Neither with a wrong signature nor without a key: kubectl is never called."""
    machine.plan(SERVICE)
    machine.set(name, text)
    code, log = machine.run("serve", **more)
    assert (code, machine.objects) == (2, {})
    assert said in log[-1]["message"]
    assert "kubectl" not in machine.calls


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unreachable", "publisher-model.team-a."),
        ("unreachable", "publisher-model.team-c."),
        ("fail", "rollout status"),
        ("fail", "-n team-c apply"),
    ],
)
def test_whatever_fails_everything_goes_back(machine: Machine, name: str, text: str) -> None:
    """After a failed probe, rollout or apply the first service is gone whole, and a changed one is as it was."""
    machine.plan(SERVICE)
    machine.set(name, text)
    code, log = machine.run("serve")
    assert (code, machine.objects) == (3, {}), log
    assert "rolled back" in log[-1]["message"]
    machine.set(name, "no such address")
    machine.plan(replace(SERVICE, namespaces=("team-a",)))
    assert machine.run("serve")[0] == 0
    before = machine.objects
    machine.plan(replace(SERVICE, sha256="d" * 64))
    machine.set(name, text)
    code, log = machine.run("serve")
    assert (code, machine.objects) == (3, before), log


def test_what_could_not_go_back_is_named(machine: Machine) -> None:
    """A rollback that fails in part does not say that everything is as it was."""
    machine.plan(SERVICE)
    machine.set("unreachable", "publisher-model.team-a.")
    machine.set("fail", "-n team-a delete")
    code, log = machine.run("serve")
    assert (code, set(machine.objects)) == (3, {"team-a/service"}), log
    assert "not everything" in log[-1]["message"]
    assert any("service/publisher-model is not deleted" in line["message"] for line in log)


@pytest.mark.parametrize("patience", ["0", "0s", "3h", "15m --all", ""])
def test_a_wait_without_an_end_deploys_nothing(machine: Machine, patience: str) -> None:
    """Past the step's own limit nothing would be rolled back."""
    machine.plan(SERVICE)
    code, log = machine.run("serve", PATIENCE=patience)
    assert (code, machine.objects) == (2, {}), log
    assert "patience" in log[-1]["message"]


def test_somebody_elses_object_is_left_alone(machine: Machine) -> None:
    """A Service of that name without the label ends the run, which takes back what it had made."""
    place = machine.folder / "cluster" / "objects" / "team-b" / "service"
    place.parent.mkdir(parents=True)
    place.write_text("kind: Service\nmetadata: {name: publisher-model}\n")
    before = machine.objects
    machine.plan(SERVICE)
    code, log = machine.run("serve")
    assert (code, machine.objects) == (2, before)
    assert any("none that publisher made" in line["message"] for line in log)
    assert machine.run("unserve")[0] == 0
    assert machine.objects == before


def test_a_namespace_that_is_no_longer_named_loses_the_model(machine: Machine) -> None:
    """Only those that are named have it after the run, in the way that is asked for now."""
    machine.plan(replace(SERVICE, bind="endpoint-slice"))
    assert machine.run("serve")[0] == 0
    machine.plan(replace(SERVICE, namespaces=("team-c",)))
    assert machine.run("serve")[0] == 0
    assert {name for name in machine.objects if not name.startswith("models/")} == {"team-c/service"}


@pytest.mark.parametrize("apis", ["referencegrants", ""])
def test_removing_leaves_nothing(machine: Machine, apis: str) -> None:
    """Every object is gone, with or without the Gateway API; where one stays, that is said."""
    machine.plan(replace(SERVICE, bind="reference-grant" if apis else "external-name"))
    machine.set("apis", apis)
    assert machine.run("serve")[0] == 0
    assert len(machine.objects) >= 7
    code, log = machine.run("unserve")
    assert (code, machine.objects) == (0, {})
    assert log[-1]["message"] == "nothing is left"


@pytest.mark.parametrize(
    ("script", "fails"),
    [("unserve", "api-resources"), ("unserve", "-n team-a get"), ("unserve", "delete"), ("serve", "view-last-applied")],
)
def test_a_cluster_that_does_not_answer_is_an_error_of_its_own(machine: Machine, script: str, fails: str) -> None:
    """Never 1, which says that the gate rejected; the last line of the log says that something is wrong."""
    machine.plan(SERVICE)
    assert machine.run("serve")[0] == 0
    (machine.folder / "plan" / "touched").unlink()
    machine.set("fail", fails)
    code, log = machine.run(script)
    assert code in {2, 3}, log
    assert log[-1]["level"] == "error", log
