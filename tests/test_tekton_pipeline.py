"""The Tekton pipeline with its own scripts, for real: kept, rejected, without a secret, cancelled and retried."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from publisher.host import HostInfo, HostOptions, running
from publisher.web import Web
from tests.hub import COMMIT, hub
from tests.project import QUICK, Project, config, small_suite
from tests.tekton import IMAGE, NOBODY, Cluster, PipelineRun, as_nobody, image_environment, objects

pytestmark = pytest.mark.model
TOKEN = "canary-git-0123456789"
HUB_TOKEN = "canary-hub-0123456789"


@dataclass
class Stage:
    """A project with its remote and host, and the namespace that publishes it."""

    project: Project
    info: HostInfo
    cluster: Cluster
    path: Path

    def push(self, files: dict[str, str], message: str) -> str:
        """Commit, push to main, and return the commit."""
        self.project.folder.commit(files, message)
        self.project.folder.git("push", "-q", "origin", "main")
        return self.project.folder.git("rev-parse", "HEAD")

    def start(self, revision: str = "", *, work: Path | None = None, **more: object) -> PipelineRun:
        """Run the Pipeline for a commit."""
        params = {"image": IMAGE, "address": str(self.path / "origin.git"), "revision": revision}
        params |= {"server": "http://127.0.0.1", "netlify-api": self.info.api_url}
        return self.cluster.start({**params, **more}, work=work)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Return the stage. Its folder is open to another user, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="tekton-"))
    path.chmod(0o755)
    try:
        project = Project.create(path)
        project.folder.commit({"netlify.toml": QUICK}, "First")
        project.folder.git("push", "-q", "origin", "main")
        done = project.run(
            "tekton", "render", "--image", IMAGE, "--address", "https://github.com/o/r", "--into", str(path / "made")
        )
        assert done.code == 0, done.err
        options = HostOptions(
            state=path / "host",
            site="demo",
            repository=str(path / "origin.git"),
            port=0,
            environment={"PATH": image_environment()["PATH"]},
        )
        with running(options) as info:
            cluster = Cluster(objects(path / "made" / "base"), path, environment=image_environment())
            cluster.secrets = {
                "publisher-git": {"token": TOKEN},
                "publisher-netlify": {"build-hook": info.hook_url, "token": info.token},
            }
            yield Stage(project, info, cluster, path)
    finally:
        shutil.rmtree(path)


def test_a_kept_commit_is_published(stage: Stage) -> None:
    """Measured without secrets as another user, published with them; results say verdict, score, run and address."""
    commit = stage.project.folder.git("rev-parse", "HEAD")
    run = stage.start()
    assert run.status == "Succeeded", run.logs
    (entry,) = stage.project.log()
    assert (entry["commit"], entry["verdict"]) == (commit, "kept")
    (published,) = run.done["publish"]
    assert published.results["address"] == entry["address"] != ""
    assert published.results["run-id"] == entry["run_id"] == run.done["gate"][0].results["run-id"]
    assert (published.results["verdict"], published.results["code"]) == ("kept", "0")
    assert float(published.results["score"]) > 40
    served = Web().request("GET", published.results["manifest-ARTIFACT_URI"], what="the manifest").body
    assert published.results["manifest-ARTIFACT_DIGEST"] == f"sha256:{hashlib.sha256(served).hexdigest()}"
    assert run.skipped == ["record", "conclude", "conclude-recorded"]
    assert "nobody is told" in run.done["notify"][0].logs
    assert TOKEN not in run.logs
    assert stage.info.token not in run.logs
    assert stage.info.hook_url not in run.logs
    for step in ("bench", "gate"):
        assert not [value for value in stage.cluster.seen[step].values() if "secret" in value]
        if as_nobody():
            assert stage.cluster.users[step] == NOBODY


def test_the_live_site_is_verified_and_rolled_back(stage: Stage) -> None:
    """Both Tasks work on clones of their own; a reason with a shell's characters is a reason and nothing else."""
    params = {"image": IMAGE, "address": str(stage.path / "origin.git"), "server": "http://127.0.0.1"}
    params |= {"netlify-api": stage.info.api_url}
    done = stage.cluster.run("publisher-verify", params, {})
    assert (done.code, "✓" in done.logs) == (0, True), done.logs
    mark = stage.path / "mark"
    why = f"$(touch {mark}) `touch {mark}`; touch {mark} \" ' && touch {mark}"
    (entry,) = stage.project.log()
    done = stage.cluster.run("publisher-rollback", {**params, "snapshot": entry["snapshot"], "why": why}, {})
    assert (done.code, "is live already" in done.logs) == (0, True), done.logs
    done = stage.cluster.run("publisher-rollback", {**params, "snapshot": f"--lock;touch {mark}", "why": why}, {})
    assert done.code == 2, done.logs
    assert not mark.exists()


def test_a_rejected_commit_is_recorded_and_fails_the_last_task(stage: Stage) -> None:
    """The gate exits with 0, nothing is built, the ledger has the run, and the last Task says why it fails."""
    commit = stage.push({"publisher.toml": config("builtin:abacus@early")}, "Worse")
    run = stage.start(commit, pushed="main")
    assert run.status == "Failed"
    assert [one.code for one in run.done["gate"]] == [0], run.logs
    assert run.skipped == ["publish", "conclude", "conclude-published"]
    (recorded,) = run.done["record"]
    assert (recorded.results["verdict"], recorded.results["address"]) == ("rejected", "")
    (last,) = run.done["conclude-recorded"]
    assert (last.code, "the gate rejected it: " in last.logs) == (1, True)
    assert run.tries["conclude-recorded"] == 1
    entry = stage.project.log()[-1]
    assert (entry["commit"], entry["verdict"], entry["address"]) == (commit, "rejected", "")


def test_a_pull_request_is_measured_and_not_recorded(stage: Stage) -> None:
    """Where publish is no, the verdict is said and no step with a Netlify secret runs."""
    stage.cluster.seen.clear()
    before = len(stage.project.log())
    run = stage.start(stage.project.folder.git("rev-parse", "HEAD"), publish="no")
    assert run.done["gate"][0].results["verdict"] == "rejected", run.logs
    assert run.skipped == ["publish", "record"]
    assert [one.code for one in run.done["conclude"]] == [1]
    assert not any("NETLIFY_BUILD_HOOK_FILE" in seen for seen in stage.cluster.seen.values())
    assert len(stage.project.log()) == before


def test_a_run_that_publish_rejects_fails_the_pipeline(stage: Stage) -> None:
    """The gate knows no baseline and keeps it; by the time it is published, another run is in the ledger."""
    lenient = config("builtin:abacus@early").replace("min = 40.0", "min = 10.0")
    commit = stage.push({"publisher.toml": lenient}, "Worse, and compared alone")
    origin = ["git", "--git-dir", str(stage.path / "origin.git"), "update-ref"]
    (tip,) = stage.project.folder.git("ls-remote", "origin", "refs/heads/ledger").split()[:1]
    subprocess.run([*origin, "-d", "refs/heads/ledger"], check=True)

    def grown(step: str, process: subprocess.Popen[str]) -> None:
        if step == "clone":
            os.killpg(process.pid, signal.SIGSTOP)
            subprocess.run([*origin, "refs/heads/ledger", tip], check=True)
            os.killpg(process.pid, signal.SIGCONT)

    stage.cluster.watch = grown
    try:
        run = stage.start(commit)
    finally:
        stage.cluster.watch = None
    assert [one.results["verdict"] for one in run.done["gate"]] == ["kept"], run.logs
    assert [(one.results["verdict"], one.results["address"]) for one in run.done["publish"]] == [("rejected", "")]
    (last,) = run.done["conclude-published"]
    assert (run.status, last.code, "rejected, unlike the gate" in last.logs) == ("Failed", 1, True), last.logs
    entry = stage.project.log()[-1]
    assert (entry["commit"], entry["verdict"], entry["address"]) == (commit, "rejected", "")


def test_a_missing_secret_is_one_message_and_nothing_half_done(stage: Stage) -> None:
    """A Secret without its key ends the step with 2 and the file's name; the run is not in the ledger yet."""
    commit = stage.push({"publisher.toml": config(more="[site]\nlang = 'en'\n"), "note.txt": "x"}, "Again")
    secrets = stage.cluster.secrets
    stage.cluster.secrets = {**secrets, "publisher-netlify": {}}
    before = len(stage.project.log())
    try:
        run = stage.start(commit)
    finally:
        stage.cluster.secrets = secrets
    name = next(name for name in ("publish", "record") if name in run.done)
    (failed,) = run.done[name]
    assert (run.status, failed.code) == ("Failed", 2)
    assert failed.logs.count("cannot read") == 1
    assert "build-hook" in failed.logs
    assert len(stage.project.log()) == before
    # The same pipeline continues once the secret is there: what was measured is measured once.
    again = stage.start(commit, work=run.work)
    assert again.status == "Succeeded", again.logs
    assert [entry["commit"] for entry in stage.project.log()].count(commit) == 1


def test_private_inputs_take_the_hubs_token_in_one_step(stage: Stage) -> None:
    """The step that fetches what the commit names has the token, and no other one; without it, nothing is fetched."""
    with hub() as there:
        there.token, there.files["o/r/small.jsonl"] = HUB_TOKEN, small_suite().encode()
        digest = hashlib.sha256(there.files["o/r/small.jsonl"]).hexdigest()
        suite = f'source = "hf:o/r@{COMMIT}/small.jsonl"\nsha256 = "{digest}"'
        commit = stage.push({"publisher.toml": config().replace('source = "small.jsonl"', suite)}, "Private")
        params = {"image": IMAGE, "address": str(stage.path / "origin.git"), "server": "http://127.0.0.1"}
        params |= {"revision": commit}
        source = stage.path / "private"
        source.mkdir()
        source.chmod(0o777)
        stage.cluster.environment |= there.environment
        done = stage.cluster.run("publisher-fetch", params, {"source": source})
        assert (done.code, "needs HF_TOKEN" in done.logs) == (3, True), done.logs
        stage.cluster.secrets["publisher-hub"] = {"token": f"{HUB_TOKEN}\n"}
        done = stage.cluster.run("publisher-fetch", params, {"source": source})
    assert (done.code, done.results) == (0, {"commit": commit}), done.logs
    assert HUB_TOKEN not in done.logs
    assert "secret-hub" in stage.cluster.seen["inputs"]["HF_TOKEN_FILE"]
    assert "HF_TOKEN_FILE" not in stage.cluster.seen["fetch"]


def test_a_cancelled_run_that_is_retried_makes_one_entry(stage: Stage) -> None:
    """Cancelled while it measures and again while it publishes; the third run ends with one entry and one address."""
    commit = stage.push({"publisher.toml": config(temperature=0.1)}, "Warmer")
    work: Path | None = None
    for name in ("bench", "publish"):
        stage.cluster.watch = lambda step, process, name=name: _cancel(process) if step == name else None
        try:
            run = stage.start(commit, work=work)
        finally:
            stage.cluster.watch = None
        assert run.status == "Failed"
        work = run.work
    run = stage.start(commit, work=work)
    entries = [entry for entry in stage.project.log() if entry["commit"] == commit]
    assert len(entries) == 1, run.logs
    assert entries[0]["verdict"] == run.done["gate"][0].results["verdict"]
    if entries[0]["verdict"] == "kept":
        assert entries[0]["address"]


def test_tiers_are_measured_side_by_side(stage: Stage) -> None:
    """Each tier has its own run, verdict and entry; one kept tier is enough for the Task that publishes."""
    tiers = '[tiers.quick]\nsuites = ["small"]\nrules = []\n'
    commit = stage.push({"publisher.toml": config(temperature=0.05, more=tiers)}, "Two tiers")
    run = stage.start(commit, tiers=["quick", "full"])
    assert [one.results["verdict"] for one in run.done["gate"]] == ["passed", "kept"], run.logs
    assert run.status == "Succeeded"
    assert [bool(one.results["address"]) for one in run.done["publish"]] == [False, True]
    entries = [(entry["tier"], entry["verdict"]) for entry in stage.project.log() if entry["commit"] == commit]
    assert sorted(entries) == [("full", "kept"), ("quick", "passed")]


def _cancel(process: subprocess.Popen[str]) -> None:
    """End a step as the kubelet ends a pod."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)


def test_hostile_revisions_and_messages_reach_no_shell(stage: Stage) -> None:
    """A revision that is no hash is an error of one line; a commit message is text."""
    mark = stage.path / "reached"
    word = f"$(touch {mark})"
    for revision in (word, f"`touch {mark}`", f"x; touch {mark}", "--upload-pack=touch", "main", "$(HOME)"):
        run = stage.start(revision)
        assert (run.status, list(run.done)) == ("Failed", ["fetch", "notify"])
        assert "not the full hash of a commit" in run.logs
    params = {"image": IMAGE, "address": f"ext::sh -c touch% {mark}", "server": "http://127.0.0.1"}
    assert stage.cluster.run("publisher-verify", params, {}).code == 3
    assert not mark.exists()
