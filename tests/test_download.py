from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from publisher.errors import ModelError, NetworkError
from publisher.files import sha256_hex
from publisher.web import download
from publisher.web.pace import Pace
from tests.scripted import Step, answer, drip, scripted

MODEL = bytes(range(256)) * 8
DIGEST = sha256_hex(MODEL)
REST = answer(206, MODEL[1000:], Content_Range=f"bytes 1000-{len(MODEL) - 1}/{len(MODEL)}")


def cut(size: int = 1000) -> bytes:
    """Return an answer that breaks off after `size` bytes of the model."""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(MODEL)}\r\n\r\n".encode() + MODEL[:size]


def fetch(url: str, target: Path, **options: Any) -> None:
    """Download the model from this machine."""
    download(url, target, sha256=DIGEST, limit=10_000, loopback=True, **options)


def ranges(heads: list[str]) -> list[str]:
    """Return the range that each request asked for, empty for all."""
    found = []
    for head in heads:
        lines = [line for line in head.split("\r\n") if line.lower().startswith("range:")]
        found.append(lines[0].split(": ")[1] if lines else "")
    return found


def test_a_download_has_the_declared_digest(tmp_path: Path) -> None:
    """The file is there, whole and alone, when its digest is right."""
    with scripted(answer(200, MODEL)) as server:
        fetch(server.url, tmp_path / "m.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]
    assert (tmp_path / "m.gguf").read_bytes() == MODEL


def test_progress_is_told(tmp_path: Path) -> None:
    """A caller learns how many bytes have arrived and how many there will be."""
    told: list[tuple[int, int | None]] = []
    with scripted(cut(), REST) as server:
        download(
            server.url,
            tmp_path / "m",
            sha256=DIGEST,
            limit=10_000,
            loopback=True,
            progress=lambda done, size: told.append((done, size)),
        )
    assert told == [(1000, 2048), (2048, 2048)]


@pytest.mark.parametrize("fault", [answer(500), answer(503), answer(429, Retry_After="0"), "reset"])
def test_a_fault_is_followed_by_another_attempt(tmp_path: Path, fault: Step) -> None:
    """A 5xx, a 429 or a reset is not the end."""
    with scripted(fault, answer(200, MODEL)) as server:
        fetch(server.url, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == MODEL


def test_a_broken_download_is_continued(tmp_path: Path) -> None:
    """After a break only the rest is asked for."""
    with scripted(cut(), REST) as server:
        fetch(server.url, tmp_path / "m")
    assert ranges(server.heads) == ["", "bytes=1000-"]
    assert (tmp_path / "m").read_bytes() == MODEL


def test_another_process_continues(tmp_path: Path) -> None:
    """What a killed or failed download brought is where the next one starts."""
    with scripted(cut(), answer(404)) as server, pytest.raises(NetworkError, match="404"):
        fetch(server.url, tmp_path / "m")
    with scripted(REST) as server:
        fetch(server.url, tmp_path / "m")
    assert ranges(server.heads) == ["bytes=1000-"]
    assert (tmp_path / "m").read_bytes() == MODEL


@pytest.mark.parametrize("again", [answer(200, MODEL), answer(416)])
def test_a_server_without_ranges_sends_all(tmp_path: Path, again: bytes) -> None:
    """A server that sends the whole file, or has no such part, leads to the whole file from the start."""
    with scripted(cut(), again, answer(200, MODEL)) as server:
        fetch(server.url, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == MODEL


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    """Where the part of an earlier run belongs to another version, the digest shows it and all is fetched again."""
    (tmp_path / f".{DIGEST}.part").write_bytes(b"\0" * 1000)
    with scripted(REST, answer(200, MODEL)) as server:
        fetch(server.url, tmp_path / "m")
    assert ranges(server.heads) == ["bytes=1000-", ""]
    assert (tmp_path / "m").read_bytes() == MODEL


def test_a_part_that_is_whole_asks_nobody(tmp_path: Path) -> None:
    """A download that was killed just before the end needs no request."""
    (tmp_path / f".{DIGEST}.part").write_bytes(MODEL)
    with scripted(answer(500)) as server:
        fetch(server.url, tmp_path / "m")
    assert server.asked == []
    assert (tmp_path / "m").read_bytes() == MODEL


def test_two_downloads_at_once_are_one(tmp_path: Path) -> None:
    """A second caller waits for the first and takes its file."""
    with scripted(drip(cut(5)), answer(200, MODEL)) as server:
        threads = [threading.Thread(target=fetch, args=(server.url, tmp_path / "m")) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_another_digest_leaves_nothing_and_tells_nothing(tmp_path: Path) -> None:
    """The declared digest is named, the one of the answer is not, and no file stays."""
    with scripted(answer(200, b"other")) as server, pytest.raises(ModelError, match=DIGEST) as caught:
        fetch(server.url, tmp_path / "m")
    assert sha256_hex(b"other") not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fault",
    [
        answer(404),
        answer(302, Location="http://127.0.0.1:1/"),
        answer(302, Location="https://u:p@host/"),
        answer(302, Location="https://[::1"),
        answer(200, b"x" * 20_000),
        answer(206, b"x", Content_Range="bytes 5-6/7"),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20_000,
        b"nonsense\r\n\r\n",
        answer(429, Retry_After="86400"),
    ],
)
def test_a_refused_download_leaves_nothing(tmp_path: Path, fault: bytes) -> None:
    """A refused, redirected, too large or senseless answer is an error at once and leaves no file."""
    with scripted(fault) as server, pytest.raises(NetworkError, match="download from 127"):
        fetch(server.url, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_drip_ends_at_the_deadline(tmp_path: Path) -> None:
    """A file that comes byte by byte is given up in time, and what came is kept for the next run."""
    started = time.monotonic()
    with scripted(drip(answer(200, MODEL))) as server, pytest.raises(NetworkError, match="too long"):
        fetch(server.url, tmp_path / "m", pace=Pace(grace=0.5))
    assert time.monotonic() - started < 3


def test_a_drip_of_many_connections_ends_at_the_deadline(tmp_path: Path) -> None:
    """A byte per connection is an advance each time, and still too slow on the whole."""
    steps = [f"HTTP/1.1 200 OK\r\nContent-Length: {len(MODEL)}\r\n\r\n".encode() + MODEL[:1]]
    started = time.monotonic()
    with scripted(*steps) as server, pytest.raises(NetworkError, match="too long"):
        fetch(server.url, tmp_path / "m", pace=Pace(grace=1))
    assert time.monotonic() - started < 5


def test_a_large_file_gets_the_time_that_it_takes(tmp_path: Path) -> None:
    """Longer than any file may take to begin, as long as it keeps coming."""
    whole = answer(200, MODEL)
    steps = tuple(whole[place : place + 100] for place in range(0, len(whole), 100))
    started = time.monotonic()
    with scripted(steps) as server:
        fetch(server.url, tmp_path / "m", pace=Pace(grace=0.7, slowest=500))
    assert time.monotonic() - started > 0.7


def test_this_machine_is_not_asked_unless_told(tmp_path: Path) -> None:
    """A commit's configuration reaches no service of the machine that measures it."""
    with scripted(answer(200, MODEL)) as server, pytest.raises(NetworkError, match="this machine itself"):
        download(server.url, tmp_path / "m", sha256=DIGEST, limit=10_000)
    assert server.asked == []


def test_a_download_needs_https(tmp_path: Path) -> None:
    """Plain http to another machine is refused before anything is sent."""
    with pytest.raises(NetworkError, match="https"):
        download("http://example.invalid/m", tmp_path / "m", sha256="0" * 64, limit=1)
