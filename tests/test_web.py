from __future__ import annotations

import copy
import logging
import pickle
import traceback
from pathlib import Path

import pytest

from publisher.errors import ModelError, NetworkError
from publisher.files import sha256_hex
from publisher.secret import Secret
from publisher.web import Web, download
from tests.scripted import OK, answer, scripted

CANARY = "0123456789abcdef01234567"


def get(url: str, method: str = "GET", **options: float) -> int:
    """Send one request and return its status."""
    web = Web(read_timeout=options.get("read_timeout", 5.0), attempts=int(options.get("attempts", 3)))
    return web.request(method, url, what="the test").status


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"


@pytest.mark.parametrize("fault", [answer(500), answer(503), answer(429), "reset", CUT])
def test_a_read_is_repeated_after_a_fault(fault: bytes | str) -> None:
    """A GET that met a 5xx, a 429, a reset or a cut body is sent again."""
    with scripted(fault, OK) as server:
        assert get(server.url) == 200
    assert len(server.asked) == 2


@pytest.mark.parametrize("fault", [answer(500), answer(502), "reset", "hang"])
def test_a_write_in_doubt_is_not_repeated(fault: bytes | str) -> None:
    """A POST that may have had its effect is sent once, and the error says that it is in doubt."""
    with scripted(fault, OK) as server, pytest.raises(NetworkError) as caught:
        get(server.url, "POST", read_timeout=0.5)
    assert caught.value.ambiguous
    assert len(server.asked) == 1


def test_a_refused_write_is_repeated() -> None:
    """A 429 means that nothing happened, so a POST may be sent again."""
    with scripted(answer(429, Retry_After="0"), OK) as server:
        assert get(server.url, "POST") == 200


def test_a_write_that_never_left_is_certain() -> None:
    """A connection that nobody takes leaves no doubt."""
    with scripted(OK) as server:
        pass
    with pytest.raises(NetworkError, match="refused") as caught:
        get(server.url, "POST", attempts=1)
    assert not caught.value.ambiguous


def test_a_long_wait_is_not_taken() -> None:
    """A server that asks for an hour gets an error that says so instead."""
    with scripted(answer(429, Retry_After="3600"), OK) as server, pytest.raises(NetworkError, match="3600 s"):
        get(server.url)
    assert len(server.asked) == 1


def test_redirects_are_not_followed() -> None:
    """A redirect comes back as it is, and its target is never asked."""
    with scripted(OK) as target, scripted(answer(302, Location=target.url)) as server:
        assert get(server.url) == 302
    assert target.asked == []


def test_a_large_body_is_cut_off() -> None:
    """A body over the cap is an error, not memory."""
    with scripted(answer(200, b"x" * 70_000)) as server, pytest.raises(NetworkError, match="larger than 1000 bytes"):
        Web(attempts=1).request("GET", server.url, what="the test", limit=1000)


def test_a_body_over_its_cap_is_asked_for_once() -> None:
    """It would be as large the next time."""
    with scripted(answer(200, b"x" * 70_000)) as server, pytest.raises(NetworkError):
        Web(attempts=3).request("GET", server.url, what="the test", limit=1000)
    assert len(server.asked) == 1


@pytest.mark.parametrize("fault", [answer(404), answer(500), "reset", "hang"])
def test_no_failure_shows_a_secret_address(fault: bytes | str, caplog: pytest.LogCaptureFixture) -> None:
    """Message, hint, traceback and debug logs of every failure are free of the hook's id."""
    caplog.set_level(logging.DEBUG)
    with scripted(fault) as server:
        secret = Secret(f"{server.url}/build_hooks/{CANARY}")
        web = Web(attempts=1, read_timeout=0.3)
        if fault == answer(404):
            web.request("POST", secret, what="the build hook", body={})
        else:
            with pytest.raises(NetworkError) as caught:
                web.request("POST", secret, what="the build hook", body={})
            error = caught.value
            assert (error.__cause__, error.__context__) == (None, None)
            assert CANARY not in "".join(traceback.format_exception(error)) + error.hint + error.detail
    assert CANARY not in caplog.text


def test_a_secret_never_shows_itself() -> None:
    """Neither repr, str, format, pickling nor copying gives it away."""
    secret = Secret(CANARY)
    assert CANARY not in f"{secret} {secret!r} {secret!s} {secret:>40}"
    for escape in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            escape(secret)
    assert secret.reveal() == CANARY


def test_a_download_has_the_declared_digest(tmp_path: Path) -> None:
    """The file is there, whole, when its digest is right."""
    with scripted(answer(200, b"model")) as server:
        download(server.url, tmp_path / "m.gguf", sha256=sha256_hex(b"model"), limit=100)
    assert (tmp_path / "m.gguf").read_bytes() == b"model"


def test_a_download_with_another_digest_leaves_nothing(tmp_path: Path) -> None:
    """Both digests are named, and no file, whole or partial, stays."""
    with scripted(answer(200, b"other")) as server, pytest.raises(ModelError, match=sha256_hex(b"other")):
        download(server.url, tmp_path / "m.gguf", sha256=sha256_hex(b"model"), limit=100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fault",
    [
        answer(404),
        "reset",
        answer(302, Location="http://127.0.0.1:1/"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut",
        answer(200, b"x" * 200),
    ],
)
def test_a_broken_download_leaves_nothing(tmp_path: Path, fault: bytes | str) -> None:
    """A refused, cut, redirected or too large download is an error and leaves no file."""
    with scripted(fault) as server, pytest.raises(NetworkError):
        download(server.url, tmp_path / "m.gguf", sha256="0" * 64, limit=100)
    assert list(tmp_path.iterdir()) == []


def test_a_download_needs_https(tmp_path: Path) -> None:
    """Plain http to another machine is refused before anything is sent."""
    with pytest.raises(NetworkError, match="https"):
        download("http://example.invalid/m", tmp_path / "m", sha256="0" * 64, limit=1)
