from __future__ import annotations

import contextlib
import copy
import logging
import pickle
import time
import traceback
from pathlib import Path

import pytest

from publisher.errors import NetworkError
from publisher.secret import Secret
from publisher.web import Web, download
from tests.scripted import OK, Step, answer, drip, scripted

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
        web = Web(attempts=1, read_timeout=0.3 if fault == "hang" else 20.0)
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


LONG_HEAD = b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 4000


@pytest.mark.parametrize("step", [drip(LONG_HEAD), drip(answer(200, b"x" * 4000))])
def test_a_drip_ends_at_the_deadline(step: Step) -> None:
    """A head or a body that comes byte by byte is given up in time, and not asked for again."""
    started = time.monotonic()
    with scripted(step) as server, pytest.raises(NetworkError, match="too slowly"):
        Web(read_timeout=2.0, total=0.5).request("GET", server.url, what="the test")
    assert time.monotonic() - started < 20
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Retry_After", "\u00b2"),
        ("Retry_After", "9" * 400),
        ("Retry_After", "-1"),
        ("Retry_After", "Thu, 99 Foo 99999999999999 99:99:99 +9999"),
        ("Retry_After", "()"),
        ("Retry_After", ""),
        ("X_RateLimit_Reset", "\u0663"),
        ("X_RateLimit_Reset", "1e9"),
        ("X_RateLimit_Reset", "9" * 5000),
    ],
)
def test_an_odd_pause_is_ignored(header: str, value: str) -> None:
    """A header that asks for no readable pause leads to our own pause and another attempt."""
    odd = f"HTTP/1.1 503 X\r\nContent-Length: 0\r\n{header.replace('_', '-')}: {value}\r\n\r\n".encode()
    with scripted(odd, OK) as server:
        assert get(server.url) == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://host:99999/",
        "https://me:pass@host/",
        "https://good\\@evil/",
        "http://\u00e4/",
        "https:///x",
        "file:///etc/passwd",
        "ftp://host/",
        "",
        "https://a b/",
        "https://a\r\nX: y/",
        "//host/",
        "https://" + "a" * 3000,
    ],
)
def test_a_malformed_address_is_an_error(url: str, tmp_path: Path) -> None:
    """An address that programs read in different ways is refused before anything is sent."""
    with pytest.raises(NetworkError, match="address"):
        get(url)
    with pytest.raises(NetworkError):
        download(url, tmp_path / "m", sha256="0" * 64, limit=1, loopback=True)


def test_a_header_that_cannot_be_sent_is_an_error() -> None:
    """A secret with a line break or a letter outside Latin-1 is one message that does not show it."""
    for wrong in (f"{CANARY}\n", f"{CANARY}\u20ac"):
        with scripted(OK) as server, pytest.raises(NetworkError, match="cannot be sent") as caught:
            Web().request("GET", server.url, what="the test", headers={"Authorization": Secret(wrong)})
        assert CANARY not in str(caught.value)
        assert server.asked == []


def test_a_netrc_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for the host in the user's .netrc leaves our own credentials as they are."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password other\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with scripted(OK) as server:
        Web().request("GET", server.url, what="the test", headers={"Authorization": Secret("Bearer ours")})
    assert "Authorization: Bearer ours" in server.heads[0]


@pytest.mark.parametrize("location", ["https://[::1", "http://a\x00b", "//\xff", "https://h:x/"])
def test_an_odd_redirect_is_an_answer_or_an_error(location: str) -> None:
    """A redirect that points to no address is never a traceback."""
    with scripted(answer(302, Location=location)) as server, contextlib.suppress(NetworkError):
        assert get(server.url, "POST", attempts=1) == 302


def test_a_deep_answer_is_not_json() -> None:
    """An answer nested beyond all measure is an error, not a traceback."""
    with scripted(answer(200, b"[" * 100_000)) as server, pytest.raises(NetworkError, match="not JSON"):
        Web().request("GET", server.url, what="the test").json("the test")
