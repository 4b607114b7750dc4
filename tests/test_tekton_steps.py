"""What the steps of the Tekton pipeline call: results of fixed form; events, reports and messages over real HTTP."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import yaml

from publisher.files import canonical_json
from publisher.gate.baseline import Measured
from publisher.gate.compare import identity
from publisher.ledger.history import summarize
from publisher.schema import Report
from publisher.tekton import rendering
from tests import made
from tests.project import PUBLISHER
from tests.tekton import IMAGE, Cluster, Object, image_environment
from tests.test_tekton_manifests import settings

SECRET = "canary-0123456789abcdef"
RUN = "publisher-x7k2p"


@dataclass
class Request:
    """What a server was sent."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A server on loopback that keeps what it is sent and answers with one status."""

    url: str
    status: int = 202
    requests: list[Request] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    """Run the server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            """Keep the request."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {key.lower(): value for key, value in self.headers.items()}
            state.requests.append(Request(self.requestline, headers, body))
            self.send_response(state.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state = Server(f"http://127.0.0.1:{running.server_port}")
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield state
        running.shutdown()
        thread.join()


def rendered() -> dict[tuple[str, str], Object]:
    """Return the objects of the base by kind and name."""
    files = {name: data for name, data in rendering.files(settings()).items() if name.startswith("base/")}
    found = [one for data in files.values() for one in yaml.safe_load_all(data)]
    return {(one["kind"], one.get("metadata", {}).get("name", "")): one for one in found}


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `publisher tekton`."""
    done = subprocess.run(
        [PUBLISHER, "tekton", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done


def report(folder: Path, word: str, name: str = "report-full.json", *, run_id: str = "") -> Path:
    """Write the report of a run with this verdict and return its path."""
    measured = made.record()
    told = identity(Measured(summarize(measured), measured))
    told = msgspec.structs.replace(told, run_id=run_id or told.run_id)
    found = Report(
        run=told, verdict=made.verdict(measured, word), scores={}, baseline=[], blind=[], samples=1, planned=1
    )
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(canonical_json(found))
    return folder / name


def test_results_have_their_forms_or_are_empty(tmp_path: Path) -> None:
    """Every declared result is written, because Tekton fails a Task that lacks one that others use; no newline."""
    path = report(tmp_path / "runs", "kept", run_id="$(touch x)\nverdict=kept")
    done = run("results", "--code", "0", "--into", tmp_path / "results", "--", path)
    assert done.returncode == 0, done.stderr
    found = {one.name: one.read_text() for one in (tmp_path / "results").iterdir()}
    assert (found["verdict"], found["code"], found["run-id"], found["address"]) == ("kept", "0", "", "")
    assert (found["manifest-ARTIFACT_URI"], found["manifest-ARTIFACT_DIGEST"]) == ("", "")


def test_a_hostile_report_is_an_error_of_one_line(tmp_path: Path) -> None:
    """Neither nonsense nor a link to a file without an end is believed."""
    (tmp_path / "nonsense.json").write_text('{"schema": 1}')
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    for name in ("nonsense.json", "endless.json"):
        done = run("results", "--code", "0", "--into", tmp_path / "results", "--", tmp_path / name)
        assert done.returncode in {2, 3}, done.stderr
        assert done.stderr.count("error:") == 1
        assert not (tmp_path / "results").exists()


def test_the_schedule_signs_as_github_does(server: Server, tmp_path: Path) -> None:
    """The signature is that of the body, by the webhook's secret, which comes from a file."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    done = run("trigger", server.url, PUBLISHER_WEBHOOK_SECRET_FILE=str(tmp_path / "secret"))
    assert done.returncode == 0, done.stderr
    (request,) = server.requests
    digest = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-hub-signature-256"] == f"sha256={digest}"
    assert (request.headers["x-github-event"], request.body) == ("schedule", b'{"event": "schedule"}')
    assert request.headers["content-type"] == "application/json"


def test_an_event_that_is_turned_down_is_a_failure(server: Server) -> None:
    """So is one without a secret, before anything is sent."""
    assert run("trigger", server.url).returncode == 2
    assert server.requests == []
    server.status = 403
    assert run("trigger", server.url, PUBLISHER_WEBHOOK_SECRET=SECRET).returncode == 3


def test_reports_are_put_below_the_address(server: Server, tmp_path: Path) -> None:
    """Each under the pipeline's and its own name, with the token."""
    report(tmp_path / "runs", "kept")
    report(tmp_path / "runs", "rejected", "report-quick.json")
    done = run(
        "upload", tmp_path / "runs", "--to", f"{server.url}/reports/", "--run", RUN, PUBLISHER_REPORT_TOKEN=SECRET
    )
    assert done.returncode == 0, done.stderr
    lines = [request.line for request in server.requests]
    assert lines == [f"PUT /reports/{RUN}/report-{tier}.json HTTP/1.1" for tier in ("full", "quick")]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {SECRET}"}


@pytest.fixture
def opened() -> Iterator[Path]:
    """Return a folder that another user can read, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="steps-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_the_task_that_uploads_puts_every_report(server: Server, opened: Path) -> None:
    """Its own script, with and without the Secret; what the address answers decides."""
    namespace = Cluster(rendered(), opened, environment=image_environment())
    report(opened / "runs", "kept")
    params = {"image": IMAGE, "run": RUN, "report-address": f"{server.url}/reports"}
    for secrets, sent in (({}, None), ({"publisher-reports": {"token": SECRET}}, f"Bearer {SECRET}")):
        namespace.secrets = secrets
        done = namespace.run("publisher-upload", params, {"runs": opened / "runs"})
        assert done.code == 0, done.logs
        assert server.requests[-1].line == f"PUT /reports/{RUN}/report-full.json HTTP/1.1"
        assert server.requests[-1].headers.get("authorization") == sent
        assert SECRET not in done.logs
    server.status = 403
    assert namespace.run("publisher-upload", params, {"runs": opened / "runs"}).code == 3


def test_the_cron_job_sends_a_signed_event(server: Server, tmp_path: Path) -> None:
    """Its container's own command and variables, with the listener on loopback; a missing secret sends nothing."""
    pod = rendered()["CronJob", "publisher-schedule"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    values = {one["name"]: one["value"] for one in container["env"]}
    assert values["LISTENER"] == "http://el-publisher:8080"
    secret = tmp_path / "secret"
    values |= {"LISTENER": server.url, "HOME": str(tmp_path), "PUBLISHER_WEBHOOK_SECRET_FILE": str(secret)}
    for status in (2, 0):
        done = subprocess.run(
            container["command"], env=values | image_environment(), capture_output=True, text=True, check=False
        )
        assert (done.returncode, len(server.requests)) == (status, int(status == 0)), done.stderr
        secret.write_text(f"{SECRET}\n")
    digest = hmac.new(SECRET.encode(), server.requests[0].body, hashlib.sha256).hexdigest()
    assert server.requests[0].headers["x-hub-signature-256"] == f"sha256={digest}"


@pytest.mark.parametrize("address", ["http://example.org/", "https://a:b@example.org", "ftp://x", "https://x/ y"])
def test_a_token_is_sent_over_https_only(tmp_path: Path, address: str) -> None:
    """An address without TLS, or with a login, is a mistake before anything is sent."""
    report(tmp_path / "runs", "kept")
    done = run("upload", tmp_path / "runs", "--to", address, "--run", RUN, PUBLISHER_REPORT_TOKEN=SECRET)
    assert (done.returncode, "is not https" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("word", "status", "told"),
    [("kept", "Succeeded", 0), ("kept", "Completed", 0), ("kept", "Failed", 1), ("rejected", "Completed", 1)],
)
def test_people_hear_of_what_went_wrong(server: Server, tmp_path: Path, word: str, status: str, told: int) -> None:
    """A pipeline that failed and a run that was rejected are told once; that all is well is not."""
    report(tmp_path / "runs", word)
    target = server.url.replace("http://", "json://")
    done = run("notify", tmp_path / "runs", "--run", RUN, "--status", status, PUBLISHER_NOTIFY=f"{target}/{SECRET}")
    assert (done.returncode, len(server.requests)) == (0, told), done.stderr
    assert all(RUN in request.body.decode() for request in server.requests)


@pytest.mark.parametrize("name", ["$(touch x)", "a\nb", "@everyone", ""])
def test_a_hostile_name_is_told_to_nobody(server: Server, tmp_path: Path, name: str) -> None:
    """Only what has the form of a PipelineRun's name gets into a message."""
    target = server.url.replace("http://", "json://")
    done = run("notify", tmp_path, "--run", name, "--status", "Failed", PUBLISHER_NOTIFY=target)
    assert (done.returncode, server.requests) == (2, [])


FULL, OTHER = "20261120T201133Z-0123456789ab-full", "20261120T201133Z-0123456789ab-quick"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("1 recorded runs", 1, "the gate rejected it: "),
        (f"1 recorded 1 runs {FULL}", 1, "the gate rejected it: "),
        (f"0 recorded 0 runs {FULL}", 0, ""),
        (f"4 recorded 4 runs {FULL}", 0, ""),
        (f"0 recorded 1 runs {FULL}", 1, f"{FULL}: the ledger has it as rejected"),
        (f"0 recorded 4 runs {FULL}", 4, f"{FULL}: the ledger has it as inconclusive"),
        (f"1 recorded 0 runs {FULL}", 0, f"{FULL}: the ledger has it as kept"),
        (f"0 4 recorded 0 1 runs {FULL} {OTHER}", 1, f"{OTHER}: the ledger has it as rejected"),
    ],
)
def test_the_last_task_says_why(tmp_path: Path, words: str, code: int, said: str) -> None:
    """A rejected run fails it, and one that was recorded otherwise than the gate had said; what is recorded counts."""
    report(tmp_path / "runs", "rejected")
    done = run("conclude", tmp_path / "runs", *words.split())
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("words", ["", "1", "2 recorded runs", f"0 recorded 0 1 runs {FULL}", "0 recorded 0 runs $(x)"])
def test_the_last_task_believes_no_other_words(tmp_path: Path, words: str) -> None:
    """Codes that no verdict has, and names without the form of a run's, are a mistake."""
    report(tmp_path / "runs", "kept")
    assert run("conclude", tmp_path / "runs", *words.split()).returncode == 2
