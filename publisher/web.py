"""The only module that opens sockets: timeouts on everything, careful retries, capped bodies, nothing secret said.

A request is repeated only where that is safe: a read, or one that certainly never reached the server. When a write may
have had its effect (a reset, a timeout or a 5xx after sending) the NetworkError is `ambiguous` and the caller looks
before it sends again. Errors name the host and the status, never a path or a query: a build hook's path is a secret.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import logging
import os
import random
import tempfile
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import urllib3

from publisher import __version__
from publisher.errors import ModelError, NetworkError
from publisher.files import storage_error
from publisher.secret import Secret

# urllib3 writes request paths to its debug log; a build hook's path is a secret.
logging.getLogger("urllib3").setLevel(logging.WARNING)

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
ATTEMPTS = 5
LONGEST_PAUSE = 60.0
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whole: status, headers with lower-case names, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self, what: str) -> Any:
        """Return the body as JSON; NetworkError, naming `what` was asked for, when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            pass
        raise NetworkError(f"{what} answered with something that is not JSON", status=self.status)


@dataclass(slots=True)
class Web:
    """An HTTP client for one purpose; `pause` is the seam through which waiting can be watched."""

    attempts: int = ATTEMPTS
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    _session: requests.Session = field(default_factory=requests.Session, repr=False)

    def request(
        self,
        method: str,
        url: str | Secret,
        *,
        what: str,
        headers: dict[str, str | Secret] | None = None,
        parameters: dict[str, str] | None = None,
        body: Any = None,
        limit: int = 32 << 20,
    ) -> Answer:
        """Send one request and return its answer, whatever its status below 500; redirects are never followed.

        `what` names the thing asked for in messages. Raises NetworkError when no believable answer comes: `ambiguous`
        where a write may have had its effect.
        """
        attempt = 0
        while True:
            attempt += 1
            outcome = self._send(method, url, headers or {}, parameters, body, limit)
            if isinstance(outcome, Answer) and outcome.status != 429 and outcome.status < 500:
                return outcome
            refused = isinstance(outcome, _Fault) and not outcome.sent
            limited = isinstance(outcome, Answer) and outcome.status == 429
            final = isinstance(outcome, _Fault) and outcome.final
            again = (method in _REPEATABLE or refused or limited) and not final
            pause = _pause(outcome, attempt)
            if not again or attempt >= self.attempts or pause > LONGEST_PAUSE:
                raise _failure(what, url, outcome, ambiguous=not (refused or limited) and method not in {"GET", "HEAD"})
            time.sleep(pause)

    def _send(  # noqa: PLR0911 - one return per kind of failure
        self,
        method: str,
        url: str | Secret,
        headers: dict[str, str | Secret],
        parameters: dict[str, str] | None,
        body: Any,
        limit: int,
    ) -> Answer | _Fault:
        """Send once; every failure comes back as a value, because exceptions of requests carry the URL."""
        plain = url.reveal() if isinstance(url, Secret) else url
        target, host = _loopback(plain)
        shown = {key: value.reveal() if isinstance(value, Secret) else value for key, value in headers.items()}
        shown = {"User-Agent": f"snapshot-publisher/{__version__}", **({"Host": host} if host else {}), **shown}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            shown["Content-Type"] = "application/json"
        try:
            with self._session.request(
                method,
                target,
                headers=shown,
                params=parameters,
                data=data,
                allow_redirects=False,
                stream=True,
                timeout=(self.connect_timeout, self.read_timeout),
            ) as response:
                content = _read(response, limit, time.monotonic() + 10 * self.read_timeout)
                return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)
        except requests.ConnectTimeout:
            return _Fault("no connection in time", sent=False)
        except (requests.Timeout, urllib3.exceptions.ReadTimeoutError):
            return _Fault("no answer in time", sent=True)
        except requests.exceptions.SSLError:
            return _Fault("the TLS certificate or connection is not valid", sent=False)
        except requests.ConnectionError as error:
            refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
            return _Fault("the connection was refused" if refused else "the connection broke", sent=not refused)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return _Fault(f"the answer broke off ({type(error).__name__})", sent=True)
        except _TooLargeError:
            # It would be as large the next time.
            return _Fault(f"the answer is larger than {limit} bytes", sent=True, final=True)
        except _TooSlowError:
            return _Fault("the answer came too slowly", sent=True, final=True)


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why no answer came, and whether the request may have reached the server."""

    reason: str
    sent: bool
    final: bool = False
    """Whether asking again cannot help."""


class _TooLargeError(Exception):
    """An answer's body passed its cap."""


class _TooSlowError(Exception):
    """An answer's body was not whole at its deadline."""


def _read(response: requests.Response, limit: int, deadline: float) -> bytes:
    """Return the body, at most `limit` bytes of it and before `deadline` on the monotonic clock."""
    pieces: list[bytes] = []
    size = 0
    while True:
        # `read1` returns what has come so far: to wait for a whole piece is to wait for a server that drips bytes.
        piece = response.raw.read1(1 << 16, decode_content=True)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise _TooLargeError
        if time.monotonic() > deadline:
            raise _TooSlowError


def _loopback(url: str) -> tuple[str, str]:
    """Return (URL, Host header) with a name below `.localhost` turned into 127.0.0.1 (RFC 6761: always loopback)."""
    parts = urllib.parse.urlsplit(url)
    if not (parts.hostname or "").endswith(".localhost"):
        return url, ""
    port = f":{parts.port}" if parts.port else ""
    return urllib.parse.urlunsplit(parts._replace(netloc=f"127.0.0.1{port}")), parts.netloc


def _pause(outcome: Answer | _Fault, attempt: int) -> float:
    """Return the seconds to wait before the next attempt: what the server asked for, or doubling with full jitter."""
    if isinstance(outcome, Answer):
        asked = _asked_pause(outcome.headers)
        if asked is not None:
            return asked
    return random.uniform(0.1, min(8.0, 0.25 * 2**attempt))  # noqa: S311 - jitter, not a secret


def _asked_pause(headers: dict[str, str]) -> float | None:
    """Return the pause that `Retry-After` (seconds or a date) or `X-RateLimit-Reset` (Unix time) asks for.

    Both moments are the server's, so they are compared with its own `Date`: this machine's clock may be wrong.
    """
    value = headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    sent = http_date(headers.get("date", ""))
    now = time.time() if sent is None else sent
    if value:
        moment = http_date(value)
        return None if moment is None else max(0.0, moment - now)
    reset = headers.get("x-ratelimit-reset", "")
    return max(1.0, float(reset) - now) if reset.isdigit() else None


def http_date(value: str) -> float | None:
    """Return the Unix time that an HTTP header gives, None where it is no date."""
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def _failure(what: str, url: str | Secret, outcome: Answer | _Fault, *, ambiguous: bool) -> NetworkError:
    """Return the error for a request that came to nothing: what, which host, why."""
    host = host_of(url)
    if isinstance(outcome, _Fault):
        return NetworkError(
            f"{what}: {outcome.reason} ({host})",
            ambiguous=ambiguous and outcome.sent,
            hint="check the network and run the same command again",
        )
    asked = _asked_pause(outcome.headers)
    wait = f"; it asks to wait {asked:.0f} s" if asked is not None and asked > LONGEST_PAUSE else ""
    return NetworkError(
        f"{what}: {host} answered {outcome.status}{wait}",
        status=outcome.status,
        ambiguous=ambiguous,
        retry_after=asked,
        hint="run the same command again later",
    )


def host_of(url: str | Secret) -> str:
    """Return the host and port of a URL, which is all that may be shown of it."""
    parts = urllib.parse.urlsplit(url.reveal() if isinstance(url, Secret) else url)
    return parts.netloc.rpartition("@")[2]


def is_loopback(url: str | Secret) -> bool:
    """Return whether a URL points to this machine."""
    name = urllib.parse.urlsplit(url.reveal() if isinstance(url, Secret) else url).hostname or ""
    return name in _LOOPBACK or name.endswith(".localhost")


def download(url: str, target: Path, *, sha256: str, limit: int) -> None:
    """Fetch `url` (https, or http on this machine) into `target`, whole and with the digest `sha256`, or not at all.

    Redirects are followed to https only. Raises NetworkError, ModelError (another digest) or StorageError.
    """
    if not (url.startswith("https://") or is_loopback(url)):
        raise NetworkError("a file is only downloaded over https", hint="use an https address")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".download-")
    fault = ""
    try:
        with os.fdopen(handle, "wb") as stream:
            digest, fault = _stream(url, stream, limit)
        if not fault and digest != sha256:
            raise ModelError(
                f"{host_of(url)} sent a file with sha256 {digest}, not the declared {sha256}",
                hint="check the sha256 in publisher.toml, or where the file comes from",
            )
        if not fault:
            Path(name).replace(target)
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        Path(name).unlink(missing_ok=True)
    if fault:
        raise NetworkError(f"download from {host_of(url)}: {fault}", hint="run the same command again")


def _stream(url: str, stream: Any, limit: int) -> tuple[str, str]:
    """Copy the body of `url` to `stream`; return (sha256, fault), one of them empty."""
    digest = hashlib.sha256()
    target, host = _loopback(url)
    try:
        for _ in range(6):
            response = requests.get(
                target,
                headers={"Host": host} if host else {},
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            )
            if not response.is_redirect:
                break
            target, host = urllib.parse.urljoin(target, response.headers["location"]), ""
            if not target.startswith("https://"):
                return "", "redirected to an address that is not https"
        if response.status_code != 200:
            return "", f"answered {response.status_code}"
        size = 0
        for piece in response.iter_content(1 << 20):
            size += len(piece)
            if size > limit:
                return "", f"larger than {limit} bytes"
            digest.update(piece)
            stream.write(piece)
    except requests.RequestException as error:
        return "", f"the connection failed ({type(error).__name__})"
    return digest.hexdigest(), ""
