from __future__ import annotations

import dataclasses
import functools
import http.server
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.bench.inputs.builtin_files import BUILTIN
from publisher.bench.inputs.kind import Inputs, cache_folder, remember
from publisher.bench.inputs.model_file import resolve
from publisher.bench.inputs.progress import Progress, watched
from publisher.bench.inputs.suites import load
from publisher.config import ModelConfig, SuiteConfig
from publisher.errors import ModelError, NetworkError, SuiteError
from publisher.files import sha256_hex
from publisher.web.pace import Pace

if TYPE_CHECKING:
    from tests.made import GitFolder

BYTES = b"GGUF" + bytes(1000)
DIGEST = sha256_hex(BYTES)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 134322796\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, with the headers by which Hugging Face names a file's revision and digest."""

    def end_headers(self) -> None:
        """Add the headers."""
        self.send_header("X-Repo-Commit", "b" * 40)
        self.send_header("ETag", f'"{DIGEST}"')
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the folder `tmp_path/web`, which holds `m.gguf`, over HTTP on this machine."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "m.gguf").write_bytes(BYTES)
    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def inputs(repository: GitFolder, tmp_path: Path) -> Inputs:
    """Return a commit with the file `models/m.gguf` and an empty cache."""
    commit = repository.commit({"models/m.gguf": BYTES, "models/big.gguf": POINTER})
    return Inputs(repository.opened, commit, tmp_path / "cache", lambda _: None, loopback=True)


def section(source: str, sha256: str = "") -> ModelConfig:
    """Return a `[model]` section."""
    return ModelConfig(name="m", source=source, sha256=sha256)


def refusal(source: str, inputs: Inputs, sha256: str = "") -> ModelError:
    """Return the ModelError that a source must end in."""
    with pytest.raises(ModelError) as caught:
        resolve(section(source, sha256), inputs)
    return caught.value


def test_a_path_is_read_from_the_commit(inputs: Inputs) -> None:
    """The working tree may hold something else; the file of the commit lands in the cache under its digest."""
    (inputs.repository.root / "models/m.gguf").write_bytes(b"other")
    found = resolve(section("models/m.gguf"), inputs)
    assert found.sha256 == DIGEST
    assert found.path == inputs.cache / "models" / f"{DIGEST}.gguf"
    assert found.path.read_bytes() == BYTES


def test_a_large_file_of_the_commit_is_copied_piece_by_piece(inputs: Inputs, repository: GitFolder) -> None:
    """A model need not fit into memory, neither to be copied nor to have its digest checked."""
    commit = repository.commit({"large.gguf": bytes(48 << 20)})
    tracemalloc.start()
    found = resolve(section("large.gguf"), dataclasses.replace(inputs, commit=commit))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.path.stat().st_size == 48 << 20
    assert peak < 8 << 20


def test_a_damaged_copy_in_the_cache_is_replaced(inputs: Inputs) -> None:
    """A cached file is checked before it is used."""
    path = resolve(section("models/m.gguf"), inputs).path
    path.write_bytes(b"GGUF damaged")
    assert resolve(section("models/m.gguf"), inputs).path.read_bytes() == BYTES


def test_a_wrong_digest_names_both_and_what_to_type(inputs: Inputs) -> None:
    """Also a file of the repository must have the declared digest."""
    error = refusal("models/m.gguf", inputs, "0" * 64)
    assert DIGEST in error.message
    assert "0" * 64 in error.message
    assert error.hint.endswith(f'write in [model]: sha256 = "{DIGEST}"')


def test_a_pointer_to_large_file_storage_is_refused(inputs: Inputs) -> None:
    """A pointer file would be loaded as a broken model; the message says what it is."""
    error = refusal("models/big.gguf", inputs)
    assert "is in Git LFS, and the repository has no remote to fetch it from" in error.message


def test_a_file_that_was_not_committed_is_told_apart_from_a_missing_one(inputs: Inputs) -> None:
    """The hint for the first is to commit it."""
    (inputs.repository.root / "new.gguf").write_bytes(BYTES)
    assert refusal("new.gguf", inputs).hint == "git add new.gguf && git commit"
    assert "does not exist in commit" in refusal("models/none.gguf", inputs).message
    assert "does not exist in commit" in refusal("models", inputs).message


@pytest.mark.parametrize("source", ["/etc/passwd", "../x.gguf", "a/../../x.gguf", "a\nb", "."])
def test_a_path_stays_inside_the_repository(inputs: Inputs, source: str) -> None:
    """Absolute paths, parent folders and line breaks are refused before git sees them."""
    assert "is not a path inside the repository" in refusal(source, inputs).message


@pytest.mark.parametrize("source", ["ftp://x/y.gguf", "file:///etc/passwd", "C:/m.gguf", "ftp://b/m"])
def test_an_unknown_kind_of_source_is_refused(inputs: Inputs, source: str) -> None:
    """The hint lists the kinds there are."""
    assert "hf:OWNER/REPO@REVISION/FILE" in refusal(source, inputs).hint


def test_a_download_is_kept_by_its_digest(inputs: Inputs, address: str, tmp_path: Path) -> None:
    """The second time nothing is fetched, so the server may be gone."""
    found = resolve(section(f"{address}/m.gguf", DIGEST), inputs)
    (tmp_path / "web" / "m.gguf").unlink()
    assert resolve(section(f"{address}/m.gguf", DIGEST), inputs) == found
    assert found.path.read_bytes() == BYTES


def test_a_download_with_another_digest_leaves_nothing(inputs: Inputs, address: str) -> None:
    """The declared digest is named, not the one of what was sent, and no file stays in the cache."""
    message = refusal(f"{address}/m.gguf", inputs, "1" * 64).message
    assert "1" * 64 in message
    assert DIGEST not in message
    assert list((inputs.cache / "models").iterdir()) == []


def test_a_commit_does_not_reach_this_machine_unless_its_owner_says_so(inputs: Inputs, address: str) -> None:
    """A publisher.toml could otherwise ask services that trust whoever is on this machine; a variable allows it."""
    with pytest.raises(NetworkError, match="not fetched from this machine") as caught:
        resolve(section(f"{address}/m.gguf", DIGEST), dataclasses.replace(inputs, loopback=False))
    assert caught.value.hint.startswith("PUBLISHER_LOOPBACK_SOURCES=1")
    assert Inputs.of(inputs.repository, "0" * 40, {"PUBLISHER_LOOPBACK_SOURCES": "1"}, print).loopback
    assert not Inputs.of(inputs.repository, "0" * 40, {}, print).loopback


def test_a_suite_with_another_digest_is_an_error_of_the_suite(inputs: Inputs, address: str) -> None:
    """It is named by its section, and the exit code says that publisher.toml is to be corrected."""
    with pytest.raises(SuiteError, match=r"suites\.s: .* has not the declared sha256"):
        load("s", SuiteConfig(source=f"{address}/m.gguf", sha256="1" * 64), inputs)


def test_a_long_download_says_how_far_it_is() -> None:
    """A line every few seconds, with the speed since the last one; what an earlier attempt brought is no speed."""
    notes: list[str] = []
    clock = iter([0.0, 1.0, 10.0, 12.0, 20.0]).__next__
    progress = Progress("fetching m.gguf", notes.append, every=10.0, clock=clock)
    for done in (500_000_000, 600_000_000, 700_000_000, 900_000_000):
        progress(done, 1_000_000_000)
    assert notes == [
        "fetching m.gguf: 600 of 1,000 MB (60%), 10.0 MB/s",
        "fetching m.gguf: 900 of 1,000 MB (90%), 30.0 MB/s",
    ]


def test_a_download_by_another_client_is_watched(tmp_path: Path) -> None:
    """Whatever the client does, the bytes in its folder say how far it is."""
    notes: list[str] = []
    (tmp_path / "part").write_bytes(bytes(3_000_000))

    def client() -> str:
        time.sleep(0.2)
        return "fetched"

    progress = Progress("fetching m", notes.append, every=0.01)
    assert watched(tmp_path, progress, Pace(), client, every=0.02) == "fetched"
    assert notes[0].startswith("fetching m: 3 MB, ")


def test_another_client_that_drips_is_left_behind(tmp_path: Path) -> None:
    """Bytes of an earlier attempt do not count; a client that keeps the pace gets longer than that."""
    (tmp_path / "part").write_bytes(bytes(3_000_000))
    ended = threading.Event()
    with pytest.raises(NetworkError, match="fetching m: it comes too slowly"):
        watched(tmp_path, Progress("fetching m", print), Pace(grace=0.2), lambda: ended.wait(5), every=0.05)

    def client() -> str:
        for number in range(8):
            (tmp_path / str(number)).write_bytes(bytes(100_000))
            time.sleep(0.05)
        return "fetched"

    assert watched(tmp_path, Progress("fetching m", print), Pace(grace=0.2), client, every=0.02) == "fetched"
    ended.set()


def test_an_error_of_another_client_is_raised_where_it_is_waited_for(tmp_path: Path) -> None:
    """It comes from a thread of its own."""

    def client() -> None:
        raise OSError(2, "No such file", "x")

    with pytest.raises(FileNotFoundError):
        watched(tmp_path, Progress("fetching m", print), Pace(), client)


def test_a_failed_download_is_a_network_error(inputs: Inputs, address: str) -> None:
    """A missing file on the server is not called a bad model."""
    with pytest.raises(NetworkError, match="404"):
        resolve(section(f"{address}/none.gguf", DIGEST), inputs)


@pytest.mark.parametrize("source", ["https://example.invalid/m.gguf", "hf:o/r@main/m.gguf"])
def test_what_is_fetched_needs_a_digest(inputs: Inputs, source: str) -> None:
    """Nothing is fetched on trust."""
    assert "model.sha256: required" in refusal(source, inputs).message


@pytest.mark.parametrize("source", ["hf:o/r/m.gguf", "hf:r@main/m.gguf", "hf:o/r@main", "hf:o/r@main/../m.gguf"])
def test_a_hub_source_names_owner_repository_revision_and_file(inputs: Inputs, source: str) -> None:
    """A source without a revision would change under the same configuration."""
    assert "is not hf:OWNER/REPO@REVISION/FILE" in refusal(source, inputs, DIGEST).message


def test_a_model_is_fetched_from_the_hub(inputs: Inputs, address: str, tmp_path: Path) -> None:
    """The client of Hugging Face fetches OWNER/REPO at a revision; an unreachable hub is a NetworkError."""
    folder = tmp_path / "web" / "owner" / "repo" / "resolve" / "v1" / "sub"
    folder.mkdir(parents=True)
    (folder / "m.gguf").write_bytes(BYTES)
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from publisher.bench.inputs.model_file import KIND\n"
        "from publisher.bench.inputs.kind import Inputs\n"
        "from publisher.bench.inputs.sources import fetch\n"
        "from publisher.git import Repository\n"
        "inputs = Inputs(Repository(Path(sys.argv[1])), '0' * 40, Path(sys.argv[2]), print)\n"
        "print(fetch('hf:owner/repo@v1/sub/m.gguf', sys.argv[3], KIND, inputs))\n"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "-c", script, str(inputs.repository.root), str(inputs.cache), DIGEST]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    target = inputs.cache / "models" / f"{DIGEST}.gguf"
    assert done.stdout.splitlines()[-1] == str(target)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    refused = subprocess.run([*command[:-1], "2" * 64], env=environment, capture_output=True, text=True, check=False)
    assert f"has not the declared sha256 {'2' * 64}" in refused.stderr
    assert DIGEST not in refused.stderr
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("checkpoint", ["early", "middle", "final"])
def test_the_builtin_checkpoints_are_there(inputs: Inputs, checkpoint: str) -> None:
    """Each is a GGUF file in the package."""
    found = resolve(section(f"builtin:abacus@{checkpoint}"), inputs)
    assert found.path == BUILTIN / f"abacus-{checkpoint}-q8_0.gguf"
    assert found.path.read_bytes()[:4] == b"GGUF"


def test_the_builtin_model_is_its_last_checkpoint(inputs: Inputs) -> None:
    """`builtin:abacus` needs no checkpoint, and a declared digest counts for it as well."""
    found = resolve(section("builtin:abacus"), inputs)
    assert found == resolve(section("builtin:abacus@final", found.sha256), inputs)
    assert found.sha256 in refusal("builtin:abacus", inputs, "3" * 64).message


@pytest.mark.parametrize("source", ["builtin:other", "builtin:abacus@late", "builtin:"])
def test_an_unknown_builtin_lists_those_there_are(inputs: Inputs, source: str) -> None:
    """The hint names the checkpoints."""
    assert "builtin:abacus@early" in refusal(source, inputs).hint


def test_the_cache_folder_follows_the_environment() -> None:
    """Ours first, then the user's cache folder, then the one in home; a relative one is not believed."""
    assert cache_folder({"PUBLISHER_CACHE": "/c", "XDG_CACHE_HOME": "/x"}) == Path("/c")
    assert cache_folder({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/snapshot-publisher")
    assert cache_folder({"XDG_CACHE_HOME": "x", "HOME": "/h"}) == Path("/h/.cache/snapshot-publisher")


def test_a_file_that_was_moved_is_named_with_where_it_was(inputs: Inputs, tmp_path: Path) -> None:
    """`init` remembers where a model lies; the message says which variable names its new folder."""
    there = {"PUBLISHER_CACHE": str(tmp_path / "cache")}
    remember(tmp_path / "gone.gguf", there)
    here = Inputs.of(inputs.repository, inputs.commit, there, lambda _: None)
    for name, said in (("gone", f"it was at {tmp_path}/gone.gguf"), ("other", "there is no other.gguf")):
        with pytest.raises(ModelError, match=said) as caught:
            resolve(section(f"local:{name}.gguf", "0" * 64), here)
        assert "PUBLISHER_MODELS" in caught.value.hint
