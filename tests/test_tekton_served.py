"""The Task that serves a model, whole: on a really published snapshot, and with a cluster that never answers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml

from publisher.bench.inputs.model_file import builtin_path
from publisher.engine.gguf import read_header
from publisher.files import sha256_file
from publisher.ledger import history
from publisher.publishing import deliver
from publisher.tekton.resources import served
from tests.made import record, verdict
from tests.outside import cluster, held
from tests.shelf import Shelf, shelf
from tests.tekton import IMAGE, ROOT, Cluster, image_environment
from tests.test_tekton_service import loaded, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def published() -> Iterator[tuple[Shelf, str, Path]]:
    """Return a shelf, a snapshot on it whose record names the builtin model as it is, and their folder.

    The folder is open to another user, unlike pytest's own.
    """
    path = Path(tempfile.mkdtemp(prefix="service-"))
    path.chmod(0o755)
    try:
        with shelf(path) as on:
            commit = on.folder.commit({"n": "1"}, "Measured")
            run = record(commit)
            digest = sha256_file(builtin_path("builtin:abacus"))
            run = msgspec.structs.replace(run, model=msgspec.structs.replace(run.model, sha256=digest))
            on.project.ledger.append(history.run_files(run, verdict(run), b"samples"), "kept\n")
            receipt = deliver.deliver(on.desk(run.run_id), on.project.record(run.run_id))
            on.folder.git("push", "-q", "origin", "main")
            yield on, receipt.snapshot, path
    finally:
        shutil.rmtree(path)


def test_the_task_serves_a_snapshots_own_model(published: tuple[Shelf, str, Path]) -> None:
    """All three steps in order: a clone, the plan with the model checked and on its claim, and the roll-out."""
    on, snapshot, path = published
    tasks = {("Task", one["metadata"]["name"]): one for one in loaded(rendered("team-a", "team-b")) if "spec" in one}
    outside = cluster(path / "cluster")
    models = path / "models"
    models.mkdir()
    (path / "pods").mkdir()
    for place in (models, path / "pods", path / "cluster", *(path / "cluster").rglob("*")):
        place.chmod(0o777)
    environment = image_environment()
    environment |= {"CLUSTER": outside["CLUSTER"], "PATH": f"{outside['PATH']}:{environment['PATH']}"}
    namespace = Cluster(tasks, path / "pods", environment=environment)
    namespace.secrets = {"publisher-cosign": {"cosign.pub": "key"}, "publisher-git": {"token": "t"}}
    params = {"image": IMAGE, "tools-image": IMAGE, "server-image": IMAGE, "snapshot": snapshot}
    params |= {"address": str(path / "origin.git"), "server": "http://127.0.0.1", "namespaces": "team-a team-b"}
    done = namespace.run("publisher-serve", params, {"models": models})
    assert done.code == 0, done.logs
    assert {"models/deployment", "team-a/service", "team-b/service"} <= held(path / "cluster").keys()
    (model,) = models.iterdir()
    assert model.stem == sha256_file(model)
    # A replica asks for what this model takes as it was measured, not for what another one took when this was rendered.
    engine = record("0" * 40).engine
    with model.open("rb") as stream:
        wanted = served(read_header(stream.fileno()), context=engine.context, slots=engine.slots)
    (container,) = yaml.safe_load(held(path / "cluster")["models/deployment"])["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == f"{wanted >> 20}Mi"
    mark, before = path / "cluster" / "mark", held(path / "cluster")
    for hostile in ({"namespaces": f"$(touch {mark})"}, {"bind": f"`touch {mark}`"}, {"namespaces": "kube-system"}):
        done = namespace.run("publisher-serve", {**params, **hostile}, {"models": models})
        assert (done.code, mark.exists(), held(path / "cluster")) == (2, False, before), done.logs
    # The commit's configuration names the builtin model, and this record another one.
    other = record(on.folder.commit({"n": "2"}, "Other"), started="20261121T201133Z")
    on.project.ledger.append(history.run_files(other, verdict(other), b"samples"), "kept\n")
    on.folder.git("push", "-q", "origin", "main")
    second = deliver.deliver(on.desk(other.run_id), on.project.record(other.run_id)).snapshot
    done = namespace.run("publisher-serve", {**params, "snapshot": second}, {"models": models})
    assert (done.code, "is not the one that was measured" in done.logs) == (3, True), done.logs
    assert (list(models.iterdir()), held(path / "cluster")) == ([model], before)


def test_a_cluster_that_never_answers_is_an_error(tmp_path: Path) -> None:
    """Real kubectl, and a server that takes the connection and says nothing: an error of its own, and an end."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = {"cluster": {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}, "name": "c"}
        config = {"clusters": [at], "contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}
        (tmp_path / "config").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
        environment = {**os.environ, "KUBECONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)}
        environment |= {
            "RUN": "r",
            "NAMESPACE": "models",
            "ALLOWED": "team-a",
            "SELECTOR": "a=b",
            "REQUEST_TIMEOUT": "1s",
        }
        command = ["bash", str(ROOT / "hooks" / "tekton" / "unserve.sh")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["message"] == "the cluster did not answer as it should"
