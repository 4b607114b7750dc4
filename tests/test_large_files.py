"""Files that are not in the commit itself: Git LFS, other repositories, folders of this machine, and S3."""

from __future__ import annotations

import dataclasses
import email.utils
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from publisher.bench.inputs.kind import Inputs
from publisher.bench.inputs.model_file import resolve
from publisher.bench.inputs.suites import load
from publisher.config import ModelConfig, SuiteConfig
from publisher.errors import ModelError, SuiteError
from publisher.files import sha256_hex
from tests.made import GitFolder

BYTES = b"GGUF" + bytes(range(256)) * 300
DIGEST = sha256_hex(BYTES)
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{DIGEST}\nsize {len(BYTES)}\n".encode()
SUITE = b'{"id": "p-1", "problem": "6 * 7?", "answer": "42"}\n'


def inputs_of(repository: GitFolder, commit: str, tmp_path: Path) -> Inputs:
    """Return what fetching needs, with a cache of its own."""
    return Inputs(repository.opened, commit, tmp_path / "cache", print, loopback=True, models=tmp_path / "models")


def model(source: str, sha256: str = "") -> ModelConfig:
    """Return a `[model]` section."""
    return ModelConfig(name="m", source=source, sha256=sha256)


@pytest.fixture
def pushed(repository: GitFolder, tmp_path: Path) -> tuple[GitFolder, str]:
    """Return a repository whose commit has a pointer, and whose remote alone has the file.

    pointer (main) ── origin: file://…/origin.git with lfs/objects/DI/GE/DIGEST
    """
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    commit = repository.commit({"m.gguf": POINTER, ".gitattributes": ""})
    repository.with_remote(tmp_path / "origin.git")
    repository.git("remote", "set-url", "origin", f"file://{tmp_path / 'origin.git'}")
    own = repository.path / ".git" / "lfs" / "objects" / DIGEST[:2] / DIGEST[2:4] / DIGEST
    own.parent.mkdir(parents=True)
    own.write_bytes(BYTES)
    repository.git("lfs", "push", "--object-id", "origin", DIGEST)
    shutil.rmtree(repository.path / ".git" / "lfs")
    return repository, commit


def test_the_repositorys_own_lfs_objects_come_first(repository: GitFolder, tmp_path: Path) -> None:
    """The pointer's oid is the file's sha256; what `git lfs pull` has fetched is used where it lies."""
    commit = repository.commit({"m.gguf": POINTER})
    own = repository.path / ".git" / "lfs" / "objects" / DIGEST[:2] / DIGEST[2:4] / DIGEST
    own.parent.mkdir(parents=True)
    own.write_bytes(BYTES)
    found = resolve(model("m.gguf"), inputs_of(repository, commit, tmp_path))
    assert (found.path, found.sha256) == (own, DIGEST)
    with pytest.raises(ModelError, match=r"but publisher\.toml declares"):
        resolve(model("m.gguf", "0" * 64), inputs_of(repository, commit, tmp_path))


def test_a_file_in_lfs_is_fetched_from_the_remote(pushed: tuple[GitFolder, str], tmp_path: Path) -> None:
    """The real git-lfs brings it into the cache, under its digest; the clone stays as it was."""
    repository, commit = pushed
    inputs = inputs_of(repository, commit, tmp_path)
    found = resolve(model("m.gguf"), inputs)
    assert found.path == inputs.cache / "models" / f"{DIGEST}.gguf"
    assert found.path.read_bytes() == BYTES
    assert [path.name for path in found.path.parent.iterdir()] == [found.path.name]
    assert not list((repository.path / ".git" / "lfs").rglob(DIGEST))


def test_a_commits_lfsconfig_is_ignored(pushed: tuple[GitFolder, str], tmp_path: Path) -> None:
    """A server that the commit names is never asked, so no credentials can be sent there."""
    repository, _ = pushed
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_error(401)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/evil"
        commit = repository.commit({".lfsconfig": f'[lfs]\n\turl = {url}\n[remote "origin"]\n\tlfsurl = {url}\n'})
        found = resolve(model("m.gguf"), inputs_of(repository, commit, tmp_path))
        server.shutdown()
        thread.join()
    assert found.path.read_bytes() == BYTES
    assert asked == []


def test_a_file_that_was_never_pushed_is_one_clear_error(pushed: tuple[GitFolder, str], tmp_path: Path) -> None:
    """The message names the file, the remote and what to try."""
    repository, commit = pushed
    shutil.rmtree(tmp_path / "origin.git" / "lfs")
    with pytest.raises(ModelError) as caught:
        resolve(model("m.gguf"), inputs_of(repository, commit, tmp_path))
    assert f"m.gguf of commit {commit[:12]} is in Git LFS: git lfs cannot fetch {DIGEST[:12]}" in caught.value.message
    assert list((tmp_path / "cache" / "models").iterdir()) == []


@pytest.fixture
def data(tmp_path: Path) -> tuple[GitFolder, str]:
    """Return another repository with a suite, and the commit that has it."""
    folder = GitFolder.create(tmp_path / "data")
    return folder, folder.commit({"suites/a.jsonl": SUITE})


def test_a_suite_comes_from_a_commit_of_another_repository(
    repository: GitFolder, data: tuple[GitFolder, str], tmp_path: Path
) -> None:
    """`git:ADDRESS@COMMIT:PATH` with its sha256; from then on it is in the cache."""
    folder, commit = data
    section = SuiteConfig(source=f"git:file://{folder.path}@{commit}:suites/a.jsonl", sha256=sha256_hex(SUITE))
    inputs = inputs_of(repository, repository.commit({}), tmp_path)
    assert load("a", section, inputs).problems[0].answer == "42"
    assert [path.name for path in (inputs.cache / "suites").iterdir()] == [f"{sha256_hex(SUITE)}.jsonl"]
    shutil.rmtree(folder.path)
    assert load("a", section, inputs).sha256 == sha256_hex(SUITE)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("git:file://{path}@{commit}:suites/b.jsonl", "does not exist in commit"),
        ("git:file://{path}@main:suites/a.jsonl", "is not git:ADDRESS@COMMIT:PATH"),
        ("git:ext::sh -c id@{commit}:a", "is not git:ADDRESS@COMMIT:PATH"),
        ("git:--upload-pack=x@{commit}:a", "is not git:ADDRESS@COMMIT:PATH"),
        ("git:file://{path}@{commit}:../a", "is not a path inside the repository"),
    ],
)
def test_a_git_source_is_checked_before_anything_runs(
    repository: GitFolder, data: tuple[GitFolder, str], tmp_path: Path, source: str, said: str
) -> None:
    """A branch would change under the same configuration, and git has protocols that run programs."""
    text = source.format(path=data[0].path, commit=data[1])
    with pytest.raises(SuiteError, match=said):
        load("a", SuiteConfig(source=text, sha256="1" * 64), inputs_of(repository, repository.commit({}), tmp_path))


def test_this_machines_own_repositories_are_the_operators_to_allow(
    repository: GitFolder, data: tuple[GitFolder, str], tmp_path: Path
) -> None:
    """A commit could otherwise read any repository of the bench machine."""
    inputs = dataclasses.replace(inputs_of(repository, repository.commit({}), tmp_path), loopback=False)
    section = SuiteConfig(source=f"git:{data[0].path}@{data[1]}:suites/a.jsonl", sha256=sha256_hex(SUITE))
    with pytest.raises(SuiteError, match="not fetched from this machine itself"):
        load("a", section, inputs)


def test_a_local_model_is_used_where_it_lies(repository: GitFolder, tmp_path: Path) -> None:
    """`local:NAME` is looked up in $PUBLISHER_MODELS and must have the declared digest."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.gguf").write_bytes(BYTES)
    inputs = inputs_of(repository, repository.commit({}), tmp_path)
    assert resolve(model("local:m.gguf", DIGEST), inputs).path == tmp_path / "models" / "m.gguf"
    assert resolve(model("local:m.gguf", DIGEST), inputs).sha256 == DIGEST
    for source, sha256, said in (
        ("local:m.gguf", "0" * 64, "has the sha256"),
        ("local:../m.gguf", DIGEST, "is not local:NAME"),
        ("local:n.gguf", DIGEST, "there is no n.gguf in"),
        ("local:m.gguf", "", r"model\.sha256: required"),
    ):
        with pytest.raises(ModelError, match=said):
            resolve(model(source, sha256), inputs)
    with pytest.raises(ModelError, match="needs the folder") as caught:
        resolve(model("local:m.gguf", DIGEST), dataclasses.replace(inputs, models=None))
    assert caught.value.hint == "export PUBLISHER_MODELS=/FOLDER"


class Bucket(http.server.BaseHTTPRequestHandler):
    """A bucket `suites` with one object, in the shape of S3: its size, and its bytes from wherever they are wanted."""

    def do_HEAD(self) -> None:
        """Say how large the object is."""
        self._answer(b"", SUITE if self.path == "/suites/team/a.jsonl" else None)

    def do_GET(self) -> None:
        """Send the object, or the range of it that is asked for."""
        found = SUITE if self.path.split("?")[0] == "/suites/team/a.jsonl" else None
        self._answer(found or b"", found)

    def _answer(self, body: bytes, found: bytes | None) -> None:
        wanted = self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.send_response(404 if found is None else 206 if wanted else 200)
        self.send_header("Content-Length", str(len(found or b"") - start if found else 0))
        self.send_header("Last-Modified", email.utils.formatdate(0, usegmt=True))
        self.send_header("ETag", '"0"')
        if wanted and found:
            self.send_header("Content-Range", f"bytes {start}-{len(found) - 1}/{len(found)}")
        self.end_headers()
        self.wfile.write(body[start:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_suite_comes_from_s3(repository: GitFolder, tmp_path: Path) -> None:
    """The real s3fs reads `s3:BUCKET/KEY`; a digest that is another file's is an error, and nothing stays."""
    pytest.importorskip("s3fs")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from publisher.bench.inputs.kind import Inputs\n"
        "from publisher.bench.inputs.registered import kind_of\n"
        "from publisher.bench.inputs.sources import fetch\n"
        "from publisher.errors import PublisherError\n"
        "from publisher.git import Repository\n"
        "inputs = Inputs(Repository(Path(sys.argv[1])), '0' * 40, Path(sys.argv[2]), print)\n"
        "for source, digest in zip(sys.argv[3::2], sys.argv[4::2]):\n"
        "    try:\n"
        "        print(fetch(source, digest, kind_of('suites.a'), inputs))\n"
        "    except PublisherError as error:\n"
        "        print(error.message)\n"
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        cache, digest = str(tmp_path / "cache"), sha256_hex(SUITE)
        pairs = ["s3:suites/team/b.jsonl", digest, "s3:suites/team/a.jsonl", "1" * 64, "s3:suites/team/a.jsonl", digest]
        command = [sys.executable, "-c", script, str(repository.path), cache, *pairs]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if not line.startswith("fetching")]
    assert said[0].startswith("cannot fetch s3:suites/team/b.jsonl: ")
    assert said[1] == f"suites.a: s3:suites/team/a.jsonl has not the declared sha256 {'1' * 64}"
    assert said[2] == str(tmp_path / "cache" / "suites" / f"{digest}.jsonl")
    assert [path.name for path in (tmp_path / "cache" / "suites").iterdir()] == [f"{digest}.jsonl"]
