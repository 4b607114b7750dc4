"""The manifests on a real Kubernetes API server, by the rights of each account.

    tests/install-kubernetes .kubernetes && pytest -m cluster

Debian's last whole server is version 1.20, so four kinds are sent by older versions, which it knows. Tekton's own kinds
are stored as they are: its admission code is asked elsewhere. No kubelet runs; the tests say of the service's pods what
one would say.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from publisher.tekton import rendering, serving
from publisher.tekton.text import document
from tests import outside
from tests.tekton import ROOT, Object, pod_defaults, wrap
from tests.test_tekton_manifests import settings
from tests.test_tekton_service import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
PROGRAMS = ROOT / ".kubernetes" / "bin"
OLDER = {
    "autoscaling/v2": "autoscaling/v2beta2",
    "batch/v1": "batch/v1beta1",
    "discovery.k8s.io/v1": "discovery.k8s.io/v1beta1",
    "policy/v1": "policy/v1beta1",
}
CUSTOM = {
    "tekton.dev/v1": "Task Pipeline TaskRun PipelineRun",
    "triggers.tekton.dev/v1beta1": "EventListener TriggerBinding TriggerTemplate Trigger ClusterTriggerBinding",
    "triggers.tekton.dev/v1alpha1": "Interceptor ClusterInterceptor",
    "gateway.networking.k8s.io/v1": "ReferenceGrant",
}
NAMESPACES = ("publisher", "models", "team-a", "team-b", "team-c")
TEAMS = NAMESPACES[2:]
KUBECTL = """#!/bin/bash
# kubectl, which sends a file's object by the version that the server knows
words=("$@")
for place in "${{!words[@]}}"; do
  [ "${{words[$place]}}" = -f ] || continue
  file=${{words[$((place + 1))]}}
  sed -E '{changes}' "$file" >"$file.older.yaml"
  words[place + 1]=$file.older.yaml
done
exec {kubectl} "${{words[@]}}"
"""


@dataclass
class Server:
    """A running API server, and the file by which its administrator reaches it."""

    config: Path

    def kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        command = ["kubectl", f"--kubeconfig={self.config}", *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    def apply(self, manifests: Sequence[Object], *words: str) -> None:
        """Apply some objects; fails the test where the server does not take one."""
        text = yaml.safe_dump_all([older(one) for one in manifests])
        done = self.kubectl("apply", "-f", "-", *words, given=text)
        assert done.returncode == 0, done.stderr

    def account(self, namespace: str, name: str) -> Path:
        """Return the file by which a service account reaches the server, with a token that the server made for it."""
        token = self.kubectl("-n", namespace, "create", "token", name)
        assert token.returncode == 0, token.stderr
        config = yaml.safe_load(self.config.read_text())
        config["users"][0]["user"] = {"token": token.stdout.strip()}
        path = self.config.with_name(f"{namespace}-{name}")
        path.write_text(yaml.safe_dump(config))
        return path


def older(one: Object) -> Object:
    """Return an object by the version that the server knows; time zones of CronJobs came later."""
    spec = {key: value for key, value in one.get("spec", {}).items() if key != "timeZone"}
    changed = {**one, "apiVersion": OLDER.get(one["apiVersion"], one["apiVersion"])}
    return {**changed, "spec": spec} if one["kind"] == "CronJob" else changed


def custom() -> list[Object]:
    """Return definitions of the kinds that Tekton and the Gateway API bring along, which take every field."""
    whole = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    found = []
    for api, kinds in CUSTOM.items():
        group, version = api.split("/")
        for kind in kinds.split():
            names = {"kind": kind, "singular": kind.lower(), "plural": f"{kind.lower()}s"}
            versions = [{"name": version, "served": True, "storage": True, "schema": whole}]
            scope = "Cluster" if kind.startswith("Cluster") else "Namespaced"
            spec = {"group": group, "names": names, "scope": scope, "versions": versions}
            metadata = {
                "name": f"{names['plural']}.{group}",
                "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api"},
            }
            api_version = "apiextensions.k8s.io/v1"
            found.append(
                {"apiVersion": api_version, "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}
            )
    return found


@contextmanager
def started(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as long as the block lasts."""
    with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent) as process:
        try:
            yield process
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run etcd, the API server and its controllers, with the namespaces and kinds that the manifests need."""
    if not (PROGRAMS / "kube-controller-manager").is_file() or shutil.which("kubectl") is None:
        pytest.skip("run  tests/install-kubernetes .kubernetes  and install kubectl")
    home = tmp_path_factory.mktemp("cluster")
    store, peers, port = (free_port() for _ in range(3))
    key = ["openssl", "genrsa", "-out", str(home / "key")]
    subprocess.run(key, check=True, capture_output=True)
    subprocess.run(
        ["openssl", "rsa", "-in", str(home / "key"), "-pubout", "-out", str(home / "public")],
        check=True,
        capture_output=True,
    )
    (home / "tokens").write_text('admin,admin,admin,"system:masters"\n')
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    config: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": "c"}
    config |= {"clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": {"token": "admin"}}]}
    config |= {"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}
    (home / "config").write_text(yaml.safe_dump(config))
    found = Server(home / "config")
    at, beside = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{peers}"
    etcd = [f"--data-dir={home / 'etcd'}", f"--listen-client-urls={at}", f"--advertise-client-urls={at}"]
    etcd += [f"--listen-peer-urls={beside}", f"--initial-advertise-peer-urls={beside}"]
    etcd += [f"--initial-cluster=default={beside}"]
    api = [f"--etcd-servers={at}", f"--secure-port={port}", "--bind-address=127.0.0.1", f"--cert-dir={home / 'certs'}"]
    api += [f"--service-account-key-file={home / 'public'}", f"--service-account-signing-key-file={home / 'key'}"]
    api += ["--service-account-issuer=https://kubernetes.default.svc", f"--token-auth-file={home / 'tokens'}"]
    api += ["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24", "--advertise-address=127.0.0.1"]
    api += ["--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"]
    controllers = "deployment,replicaset,resourcequota,endpointslice,endpoint,garbagecollector,namespace,serviceaccount"
    manager = [f"--kubeconfig={home / 'config'}", "--leader-elect=false", f"--controllers={controllers}"]
    with (
        started(str(PROGRAMS / "etcd"), *etcd, log=home / "etcd.log"),
        started(str(PROGRAMS / "kube-apiserver"), *api, log=home / "api.log") as process,
    ):
        until = time.monotonic() + 120
        while found.kubectl("get", "--raw", "/readyz").returncode:
            said = (home / "api.log").read_text()[-3000:]
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.5)
        with started(str(PROGRAMS / "kube-controller-manager"), *manager, log=home / "manager.log"):
            made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
            found.apply([*made, *custom()])
            names = [f"crd/{one['metadata']['name']}" for one in custom()]
            done = found.kubectl("wait", "--for=condition=established", "--timeout=60s", *names)
            assert done.returncode == 0, done.stderr
            yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of everything that is rendered, the service included."""
    folder = tmp_path_factory.mktemp("made")
    chosen = replace(settings(), serve_to=TEAMS, serve_from="models")
    for name, data in rendering.files(chosen).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def applied(server: Server, made: Path) -> Server:
    """Apply every overlay, one after the other, and the service."""
    for name in ("overlays/cpu", "overlays/gpu", "overlays/airgapped", "service"):
        built = server.kubectl("kustomize", str(made / name))
        assert built.returncode == 0, built.stderr
        # What an overlay of a team adds: its namespace.
        text = built.stdout.replace("namespace: default", "namespace: publisher")
        server.apply(list(yaml.safe_load_all(text)), *([] if name == "service" else ["--namespace=publisher"]))
    return server


def test_every_manifest_is_accepted(applied: Server) -> None:
    """All overlays and the service, and what they become is there."""
    found = applied.kubectl("-n", "publisher", "get", "tasks,pipelines,eventlisteners,cronjobs", "-o", "name")
    assert "pipeline.tekton.dev/publisher" in found.stdout.splitlines(), found.stderr
    assert "cronjob.batch/publisher-schedule" in found.stdout.splitlines()


def test_every_step_is_accepted_as_a_pod(applied: Server, made: Path, tmp_path: Path) -> None:
    """Volumes, mounts and security contexts are what the server takes from a Pod."""
    wrap(made / "base", tmp_path, pod_defaults(made / "base"))
    wrap(made / "service", tmp_path, pod_defaults(made / "base"))
    steps = len(list(tmp_path.iterdir()))
    done = applied.kubectl("create", "--dry-run=server", "-f", str(tmp_path))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, steps), done.stderr


@pytest.mark.parametrize(
    ("account", "wish", "may"),
    [
        ("models:publisher-serve", "delete deployments/publisher-model -n models", True),
        ("models:publisher-serve", "delete deployments/other -n models", False),
        ("models:publisher-serve", "list pods -n models", True),
        ("models:publisher-serve", "create pods -n models", False),
        ("models:publisher-serve", "get secrets -n models", False),
        ("models:publisher-serve", "create rolebindings -n models", False),
        ("models:publisher-serve", "patch services/publisher-model -n team-a", True),
        ("models:publisher-serve", "patch services/other -n team-a", False),
        ("models:publisher-serve", "create deployments -n team-a", False),
        ("models:publisher-serve", "create services -n kube-system", False),
        ("publisher:publisher-listener", "create pipelineruns.tekton.dev -n publisher", True),
        ("publisher:publisher-listener", "create pipelineruns.tekton.dev -n models", False),
        ("publisher:publisher-listener", "create taskruns.tekton.dev -n publisher", False),
        ("publisher:publisher-listener", "list clusterinterceptors.triggers.tekton.dev", True),
        ("publisher:publisher-listener", "get secrets -n publisher", False),
        ("publisher:publisher", "get pods -n publisher", False),
        ("publisher:publisher", "get secrets -n publisher", False),
        ("publisher:publisher", "create pipelineruns.tekton.dev -n publisher", False),
    ],
)
def test_accounts_have_the_least_rights(applied: Server, account: str, wish: str, may: bool) -> None:
    """As the server itself decides."""
    done = applied.kubectl("auth", "can-i", f"--as=system:serviceaccount:{account}", *wish.split())
    assert (done.stdout.strip() == "yes") == may, done.stdout + done.stderr


class Machine:
    """The step that deploys, by the rights of its account; cosign and curl are stand-ins."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.environment = outside.cluster(folder / "outside")
        program = folder / "outside" / "bin" / "kubectl"
        changes = ";".join(f"s#^apiVersion: {new}$#apiVersion: {old}#" for new, old in OLDER.items())
        program.write_text(KUBECTL.format(kubectl=shutil.which("kubectl"), changes=changes))
        (folder / "key").write_text("key")
        self.config = server.account("models", "publisher-serve")

    def run(self, script: str, **more: str) -> tuple[int, str]:
        """Run a script; return its exit code and its log."""
        environment = {
            "PATH": f"{self.environment['PATH']}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.config),
            "CLUSTER": self.environment["CLUSTER"],
            "PLAN": str(self.folder / "plan"),
            "IMAGE": SERVICE.image,
            "COSIGN_KEY": str(self.folder / "key"),
            "IDENTITY": "",
            "ISSUER": "",
            "PATIENCE": "2m",
            "RUN": "r",
            "REQUEST_TIMEOUT": "30s",
            "NAMESPACE": "models",
            "ALLOWED": " ".join(TEAMS),
            "SELECTOR": "app.kubernetes.io/part-of=publisher-model",
            "HOME": str(self.folder),
            **more,
        }
        command = ["bash", str(ROOT / "hooks" / "tekton" / f"{script}.sh")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def serve(self, bind: serving.Bind) -> tuple[int, str]:
        """Serve the model, bound one way."""
        shutil.rmtree(self.folder / "plan", ignore_errors=True)
        (self.folder / "plan").mkdir()
        files, lines = serving.plan(serving.checked(replace(SERVICE, bind=bind, allowed=TEAMS)))
        for name, one in files.items():
            (self.folder / "plan" / name).write_bytes(document([one]))
        (self.folder / "plan" / "plan").write_text("".join(f"{line}\n" for line in lines))
        return self.run("serve")

    def kind_of_service(self) -> str:
        """Return the type of team-a's Service; "" where there is none."""
        words = ("-n", "team-a", "get", "service/publisher-model", "--ignore-not-found", "-o", "jsonpath={.spec.type}")
        return self.server.kubectl(*words).stdout

    def left(self) -> str:
        """Return the names of what has the service's label in any namespace, but for pods: no kubelet ends them."""
        kinds = "service,deployment,networkpolicy,resourcequota,poddisruptionbudget,hpa,endpointslice,referencegrants"
        words = ("get", kinds, "-A", "-l", "app.kubernetes.io/part-of=publisher-model", "-o", "name")
        return self.server.kubectl(*words).stdout


@contextmanager
def kubelet(server: Server) -> Iterator[None]:
    """Say of every pod of the service that it runs and is ready, as long as the block lasts."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            listed = server.kubectl("-n", "models", "get", "pods", "-o", "json")
            pods = json.loads(listed.stdout)["items"] if listed.returncode == 0 else []
            for pod in (one for one in pods if one["status"]["phase"] == "Pending"):
                ready = [{"type": "Ready", "status": "True"}]
                status = {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "conditions": ready}
                words = ("patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge", "-p")
                server.kubectl("-n", "models", *words, json.dumps({"status": status}))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_the_service_is_deployed_bound_each_way_taken_back_and_removed(applied: Server, tmp_path: Path) -> None:
    """By the rights of its account alone, with the controllers at work; in the end nothing is left."""
    machine = Machine(applied, tmp_path)
    with kubelet(applied):
        code, log = machine.serve("external-name")
        assert (code, machine.kind_of_service()) == (0, "ExternalName"), log
        code, log = machine.serve("endpoint-slice")
        assert (code, machine.kind_of_service()) == (0, "ClusterIP"), log
        (tmp_path / "outside" / "unreachable").write_text("publisher-model.team-c.")
        code, log = machine.serve("external-name")
        assert (code, machine.kind_of_service()) == (3, "ClusterIP"), log
        assert "rolled back: everything is as it was" in log
        (tmp_path / "outside" / "unreachable").write_text("no such address")
        code, log = machine.serve("reference-grant")
        assert (code, machine.kind_of_service()) == (0, ""), log
        assert "referencegrant.gateway.networking.k8s.io/publisher-model" in machine.left()
    code, log = machine.run("unserve")
    assert (code, "nothing is left" in log) == (0, True), log
    # What a controller made follows its owner within moments.
    until = time.monotonic() + 60
    while machine.left() and time.monotonic() < until:
        time.sleep(0.5)
    assert machine.left() == ""
