"""The GitHub Action's steps, run by bash: in a checkout that tries to be imported by them, and for real."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from publisher.host import HostInfo, HostOptions, running
from publisher.publishing import pipeline
from publisher.publishing.project import Project as Opened
from tests.project import QUICK, Project, config
from tests.runner import ACTION, ROOT, Runner, load, with_installed

CANARY = {"build-hook": "canary-hook-5f0c", "token": "canary-token-5f0c", "github-token": "canary-git-5f0c"}
MODULES = ["json", "re", "os", "venv", "ensurepip", "pip", "sitecustomize", "usercustomize", "publisher", "encodings"]
PROGRAMS = ["python3", "python", "pip", "publisher", "git", "bash"]
COMMIT = "c" * 40
BACKEND = """
import json, os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "snapshot_publisher-1-py3-none-any.whl"
    info = "snapshot_publisher-1.dist-info"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("publisher/__init__.py", "")
        wheel.write("main.py", "publisher/__main__.py")
        wheel.writestr("publisher/cli/__init__.py", "")
        wheel.write("main.py", "publisher/cli/github.py")
        extras = "Provides-Extra: bench\\nProvides-Extra: grade\\n"
        metadata = "Metadata-Version: 2.1\\nName: snapshot-publisher\\nVersion: 1\\n" + extras
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
STAND_IN = """
import json, os, pathlib, sys
seen = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}
with open(os.path.join(os.environ["RUNNER_TEMP"], "seen.jsonl"), "a") as stream:
    stream.write(json.dumps(seen) + "\\n")
if "--out" in sys.argv:
    pathlib.Path(sys.argv[sys.argv.index("--out") + 1]).write_text("run")
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Run all three steps beside a hostile checkout; return what it captured and the calls of publisher."""
    folder = tmp_path_factory.mktemp("hostile")
    checkout, captured = folder / "checkout", folder / "captured"
    checkout.mkdir()
    theft = f"import os\nopen({str(captured)!r}, 'a').write(__file__ + repr(dict(os.environ)))\n"
    for name in MODULES:
        (checkout / f"{name}.py").write_text(theft)
    for name in PROGRAMS:
        program = checkout / name
        program.write_text(f"#!/bin/sh\necho {name} >>{captured}; env >>{captured}\n")
        program.chmod(0o755)
    action = folder / "action" / ".github" / "actions" / "publish"
    shutil.copytree(ACTION, action)
    package = folder / "action"
    (package / "backend.py").write_text(BACKEND)
    (package / "main.py").write_text(STAND_IN)
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (package / "pyproject.toml").write_text(f"{system}[project]\nname = 'x'\noptional-dependencies.bench = []\n")
    calls = []
    for step in ("bench", "gate", "publish"):
        environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PIP_NO_INDEX": "1"}
        runner = Runner(folder / step, checkout, folder / "store", environment)
        (folder / step / "temp" / "wheels").mkdir()
        (folder / step / "temp" / "wheels" / "llama_cpp_python-0-py3-none-any.whl").write_text("")
        artifact = "" if step == "bench" else "1"
        code = runner.run(
            {"step": step, "revision": COMMIT, "artifact-id": artifact, "policy-ref": "main", **CANARY}, action
        )
        assert code == 0, runner.logs
        seen = (folder / step / "temp" / "seen.jsonl").read_text().splitlines()
        calls += [{"step": step, **json.loads(line)} for line in seen]
    return captured, calls


def test_nothing_of_the_checkout_is_run(hostile: tuple[Path, list[dict[str, Any]]]) -> None:
    """Modules and programs that the commit brings along are neither imported nor executed, with or without secrets."""
    assert not hostile[0].exists(), hostile[0].read_text()[:2000]


def test_only_the_publishing_call_gets_the_secrets(hostile: tuple[Path, list[dict[str, Any]]]) -> None:
    """One call of publisher has the secrets in its environment, none in its arguments; no other step has any."""
    holders = [call for call in hostile[1] if "canary" in json.dumps(call)]
    (call,) = holders
    assert (call["step"], call["argv"][2]) == ("publish", "publish")
    assert call["env"]["NETLIFY_BUILD_HOOK"] == CANARY["build-hook"]
    assert call["env"]["NETLIFY_AUTH_TOKEN"] == CANARY["token"]
    assert call["env"]["PUBLISHER_GIT_TOKEN"] == CANARY["github-token"]
    assert "canary" not in " ".join(call["argv"])


@pytest.mark.parametrize(
    "inputs",
    [
        {"step": "both"},
        {"step": "bench", "revision": "main"},
        {"step": "bench", "revision": f"{COMMIT}\nartifact-id=7"},
        {"step": "publish", "artifact-id": ""},
        {"step": "publish", "artifact-id": "1\nkey=x"},
        {"step": "publish", "artifact-id": "../../etc/passwd"},
        {"step": "publish", "artifact-id": "1", "policy-ref": ""},
        {"step": "publish", "artifact-id": "1", "policy-ref": "main\nx"},
        {"step": "gate", "artifact-id": "1", "fail-on": "Rejected"},
    ],
)
def test_an_odd_input_ends_the_job(tmp_path: Path, inputs: dict[str, str]) -> None:
    """Nothing is installed or run, nothing reaches the outputs, and the input is named but never quoted."""
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    runner = Runner(tmp_path / "job", tmp_path, tmp_path / "store", environment)
    assert runner.run({"revision": COMMIT, "policy-ref": "main", **inputs}) != 0
    assert (tmp_path / "job" / "output").read_text() == ""
    assert "must be" in runner.logs
    assert "passwd" not in runner.logs


def test_no_script_holds_an_expression() -> None:
    """What comes from outside enters a script through its environment, where bash does not parse it."""
    steps = load(ACTION / "action.yml")["runs"]["steps"]
    workflows = [load(path) for path in sorted((ROOT / "hooks" / "starter").glob("*.yml"))]
    steps += [step for flow in workflows for job in flow["jobs"].values() for step in job["steps"]]
    assert not [step["name"] for step in steps if "${{" in step.get("run", "")]


def test_a_foreign_action_is_pinned_by_commit() -> None:
    """No tag of somebody else's can be moved under us."""
    files = [ACTION / "action.yml", *(ROOT / "hooks" / "starter").glob("*.yml"), *(ROOT / ".github").rglob("*.yml")]
    used = {name for path in files for name in re.findall(r"uses: (\S+)", path.read_text())} - {"ACTION@COMMIT"}
    assert not [name for name in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", name)]


@pytest.mark.parametrize("path", sorted((ROOT / "hooks" / "starter").glob("*.yml")), ids=lambda path: path.name)
def test_a_starter_keeps_its_secrets_to_one_step(path: Path) -> None:
    """Credentials stay off the disk, secrets meet one step of a job with the environment, and Python is isolated."""
    for job in load(path)["jobs"].values():
        holders = [step for step in job["steps"] if "secrets." in json.dumps(step)]
        assert len(holders) <= 1
        assert not holders or job["environment"] == "netlify"
        assert "secrets." not in json.dumps(job.get("env", {}))
        checkouts = [step for step in job["steps"] if str(step.get("uses")).startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)
        assert not [step for step in job["steps"] if re.search(r"python3? (?!-I )", step.get("run", ""))]


def test_a_pull_request_meets_no_secret_and_no_runner_of_its_own() -> None:
    """The workflow of pull requests has no environment, no secret, and only hosted runners."""
    flow = load(ROOT / "hooks" / "starter" / "pull-request.yml")
    text = json.dumps(flow)
    assert "pull_request_target" not in text
    assert "secrets." not in text
    assert {job["runs-on"] for job in flow["jobs"].values()} == {"ubuntu-24.04"}
    assert not [job for job in flow["jobs"].values() if "environment" in job]


@dataclass
class Forge:
    """The part of GitHub's API that comments need, and what it was sent."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def forge() -> Iterator[Forge]:
    """Serve a forge on loopback, whose pull request has somebody else's comment that begins as ours would."""
    known = Forge(comments=[{"id": 1, "body": "<!-- snapshot-publisher -->\nfake", "user": {"type": "User"}}])

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known.calls.append((self.command, self.path.partition("?")[0]))
            status, data = 200, json.dumps(known.comments)
            if self.headers["Authorization"] != f"Bearer {CANARY['github-token']}":
                status, data = 401, "{}"
            elif self.command == "POST":
                made = {"id": 2, "body": json.loads(body)["body"], "user": {"type": "Bot"}}
                known.comments.append(made)
                status, data = 201, json.dumps(made)
            elif self.command == "PATCH":
                known.comments[1]["body"] = json.loads(body)["body"]
                data = json.dumps(known.comments[1])
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data.encode())

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield known
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, HostInfo]]:
    """Return the folder of an origin whose main has one commit with a hostile message, and a running host."""
    folder = tmp_path_factory.mktemp("stage")
    project = Project.create(folder)
    message = "::error::x\n\n::set-output name=verdict::kept\n$(touch /tmp/pwned) `id` ![x](http://evil.example/x.png)"
    project.folder.commit({"netlify.toml": QUICK}, message)
    project.folder.git("push", "-q", "origin", "main")
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    options = HostOptions(
        state=folder / "host", site="demo", repository=str(folder / "origin.git"), port=0, environment=path
    )
    with running(options) as info:
        yield folder, info


def job(folder: Path, name: str, event: dict[str, Any], **environment: str) -> Runner:
    """Return the machine of a job with a fresh checkout of the origin."""
    place = folder / name
    checkout = place / "checkout"
    subprocess.run(["git", "clone", "-q", str(folder / "origin.git"), str(checkout)], check=True, capture_output=True)
    (place / "event.json").write_text(json.dumps(event))
    own = {"GITHUB_REPOSITORY": "team/model", "GITHUB_EVENT_PATH": str(place / "event.json"), "GITHUB_ACTIONS": "true"}
    own |= {"XDG_CACHE_HOME": str(folder / "cache"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    if name in {"bench", "unchanged", "pr-bench", "pr-gate", "pr-again"}:
        # As in a private repository, whose credential the checkout has not kept.
        subprocess.run(["git", "-C", str(checkout), "remote", "set-url", "origin", "https://127.0.0.1:1/x"], check=True)
    for variable in ("GIT_AUTHOR", "GIT_COMMITTER"):
        own |= {f"{variable}_NAME": "ci", f"{variable}_EMAIL": "ci@example.org"}
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    github = {"sha": head.stdout.strip(), "event.repository.default_branch": "main"}
    return with_installed(Runner(place, checkout, folder / "store", own | environment, github), Path(sys.prefix))


@pytest.mark.model
def test_a_commit_goes_from_bench_to_its_address(stage: tuple[Path, HostInfo]) -> None:
    """Two machines, one artifact: measured without secrets, checked and published with them; outputs as documented."""
    folder, info = stage
    bench = job(folder, "bench", {})
    assert bench.run({"step": "bench"}) == 0, bench.logs
    assert bench.outputs["changed"] == "yes"
    desk = job(folder, "publish", {}, NETLIFY_API_URL=info.api_url)
    secrets = {"build-hook": info.hook_url, "token": info.token, "github-token": ""}
    inputs = {"step": "publish", "artifact-id": bench.outputs["artifact-id"], **secrets}
    assert desk.run(inputs) == 0, desk.logs
    found = desk.outputs
    assert (found["verdict"], found["score"]) == ("kept", "100.0")
    assert re.fullmatch(r"9[0-9]\.[0-9] to 100\.0", found["interval"])
    assert re.fullmatch(r"snapshot-[0-9a-f]{12}", found["snapshot"])
    assert found["snapshot"] in found["address"]
    assert found["permalink"] != found["address"]
    assert json.loads(Path(found["report"]).read_text())["run"]["run_id"] == found["run-id"]
    assert found["address"] in (desk.folder / "summary.md").read_text()
    for text in (desk.logs, bench.logs):
        assert info.token not in text
        assert info.hook_url not in text
        assert not re.search(r"(?m)^::(error::x|set-output)", text)
    assert not Path("/tmp/pwned").exists()  # noqa: S108 - what the commit's message tries to make


@pytest.mark.model
def test_a_commit_that_changes_nothing_costs_no_engine(stage: tuple[Path, HostInfo]) -> None:
    """A corrected README is told from git alone; the summary says what it is like."""
    folder, _ = stage
    clone = job(folder, "edit", {}).checkout
    (clone / "README.md").write_text("corrected")
    for command in (["add", "."], ["commit", "-qm", "Correct the README"], ["push", "-q", "origin", "HEAD:main"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(clone), *identity, *command], check=True, capture_output=True)
    bench = job(folder, "unchanged", {})
    assert bench.run({"step": "bench"}) == 0, bench.logs
    assert (bench.outputs["changed"], bench.outputs["artifact-id"]) == ("no", "")
    assert "## Bench" not in bench.logs
    assert (bench.folder / "summary.md").read_text().startswith("unchanged: ")


@pytest.mark.model
def test_a_pull_request_gets_one_comment(stage: tuple[Path, HostInfo], forge: Forge) -> None:
    """A worse branch is judged by main's rules: the job fails, one comment is edited later, nothing is recorded."""
    folder, _ = stage
    author = job(folder, "author", {}).checkout
    (author / "publisher.toml").write_text(config(source="builtin:abacus@early").replace("min = 40.0", "min = 1.0"))
    git = ["git", "-C", str(author), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["checkout", "-qb", "worse"], ["commit", "-qam", "Worse"], ["push", "-q", "origin", "worse"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    event = {"pull_request": {"number": 7, "head": {"sha": head, "repo": {"full_name": "team/model"}}}}
    bench = job(folder, "pr-bench", event)
    bench.github["event.pull_request.head.sha"] = head
    assert bench.run({"step": "bench"}) == 0, bench.logs
    for attempt in ("pr-gate", "pr-again"):
        gate = job(folder, attempt, event, GITHUB_API_URL=forge.url)
        gate.github["event.pull_request.head.sha"] = head
        more = {"comment": "true", "github-token": CANARY["github-token"]}
        assert gate.run({"step": "gate", "artifact-id": bench.outputs["artifact-id"], **more}) == 1, gate.logs
        assert gate.values["steps.outcome.outputs.verdict"] == "rejected"
        assert re.search(r"(?m)^::error file=publisher.toml,line=[0-9]+,title=max-drop%3A rejected::", gate.logs)
    assert [call for call, _ in forge.calls] == ["GET", "POST", "GET", "PATCH"]
    assert forge.comments[0]["body"].endswith("fake")
    assert "rejected" in forge.comments[1]["body"]
    refs = subprocess.run([*git, "ls-remote", "origin"], check=True, capture_output=True, text=True).stdout
    assert f"snapshot-{head[:12]}" not in refs


@pytest.mark.model
def test_another_grader_is_a_change(tmp_path: Path) -> None:
    """A commit that only changes the file of a grader is measured again."""
    project = Project.create(tmp_path)
    text = config().replace('source = "small.jsonl"', 'source = "small.jsonl"\ngrader = "python:grader.py:grade"')
    body = "def grade(answer, expected):\n    return True\n"
    project.folder.commit({"netlify.toml": QUICK, "publisher.toml": text, "grader.py": body}, "Own grader")
    assert project.run("bench").code == 0
    opened = Opened.open(project.folder.path, {})
    (record,) = opened.pending.records()
    assert pipeline.enter(opened, record).verdict.verdict == "kept"
    project.folder.commit({"README.md": "x"}, "Say more")
    assert project.run("changed", "--json").json["changed"] is False
    project.folder.commit({"grader.py": body.replace("True", "answer == expected")}, "Be strict")
    assert project.run("changed", "--json").json["changed"] is True


@pytest.mark.parametrize("repo", [{"full_name": "stranger/fork"}, None])
def test_a_fork_gets_no_comment(tmp_path: Path, forge: Forge, repo: dict[str, str] | None) -> None:
    """GitHub is not even asked: a fork's job has no right to comment, and must not have."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"repo": repo}}}))
    (tmp_path / "report.md").write_text("x")
    environment = {"GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": "team/model", "GITHUB_API_URL": forge.url}
    command = [sys.executable, "-m", "publisher.cli.github", "comment", str(tmp_path / "report.md")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, forge.calls) == (0, [])
    assert "fork" in done.stderr
