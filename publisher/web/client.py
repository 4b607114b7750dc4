"""One request and its whole answer.

A request is repeated only where that is safe: a read, or one that certainly never reached the server. When a write may
have had its effect (a reset, a timeout or a 5xx after sending) the NetworkError is `ambiguous` and the caller looks
before it sends again. Errors name the host and the status, never a path or a query: a build hook's path is a secret.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3

from publisher import address
from publisher.address import host_of
from publisher.errors import NetworkError
from publisher.secret import Secret
from publisher.version import __version__
from publisher.web import deadline
from publisher.web.pauses import asked_pause, own_pause

# urllib3 writes request paths to its debug log; a build hook's path is a secret.
logging.getLogger("urllib3").setLevel(logging.WARNING)

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
ATTEMPTS = 5
LONGEST_PAUSE = 60.0
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


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
        except (ValueError, RecursionError):
            pass
        raise NetworkError(f"{what} answered with something that is not JSON", status=self.status)


@dataclass(slots=True)
class Web:
    """An HTTP client for one purpose; `pause` is the seam through which waiting can be watched."""

    attempts: int = ATTEMPTS
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    total: float | None = None
    """Seconds for one whole answer, however slowly it comes (default: ten times the read timeout)."""
    _session: requests.Session = field(default_factory=deadline.session, repr=False)

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
        plain = _checked(what, url, headers or {})
        attempt = 0
        while True:
            attempt += 1
            outcome = self._send(method, plain, headers or {}, parameters, body, limit)
            if isinstance(outcome, Answer) and outcome.status != 429 and outcome.status < 500:
                return outcome
            refused = isinstance(outcome, _Fault) and not outcome.sent
            limited = isinstance(outcome, Answer) and outcome.status == 429
            final = isinstance(outcome, _Fault) and outcome.final
            again = not final and (method in _REPEATABLE or refused or limited)
            pause = _pause(outcome, attempt)
            if not again or attempt >= self.attempts or pause > LONGEST_PAUSE:
                raise _failure(what, url, outcome, ambiguous=not (refused or limited) and method not in {"GET", "HEAD"})
            time.sleep(pause)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str | Secret],
        parameters: dict[str, str] | None,
        body: Any,
        limit: int,
    ) -> Answer | _Fault:
        """Send once; every failure comes back as a value, because exceptions of requests carry the URL."""
        target, host = loopback_target(url)
        shown = {key: value.reveal() if isinstance(value, Secret) else value for key, value in headers.items()}
        shown = {"User-Agent": f"snapshot-publisher/{__version__}", **({"Host": host} if host else {}), **shown}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            shown["Content-Type"] = "application/json"
        with deadline.deadline(10 * self.read_timeout if self.total is None else self.total):
            try:
                with self._session.request(
                    method,
                    target,
                    headers=shown,
                    params=parameters,
                    data=data,
                    auth=_as_given,
                    allow_redirects=False,
                    stream=True,
                    timeout=(self.connect_timeout, self.read_timeout),
                ) as response:
                    content = _read(response, limit)
                    return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                if deadline.passed():
                    return _Fault("the answer came too slowly", sent=True, final=True)
                return _fault(error)
            except _TooLargeError:
                return _Fault(f"the answer is larger than {limit} bytes", sent=True, final=True)


_LOCAL = "publisher serve   in another terminal, where that host does not run; the same command then continues"
_REMOTE = "check the network; the same command continues from here"


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why no answer came, whether the request may have reached the server, and whether another try is pointless."""

    reason: str
    sent: bool
    final: bool = False
    hint: str = ""
    """What to do where trying again cannot help."""


def _fault(error: Exception) -> _Fault:
    """Return what went wrong, in words without the URL."""
    if isinstance(error, requests.ConnectTimeout):
        return _Fault("no connection in time", sent=False)
    if isinstance(error, requests.Timeout | urllib3.exceptions.ReadTimeoutError):
        return _Fault("no answer in time", sent=True)
    if isinstance(error, requests.exceptions.SSLError):
        hint = "check this machine's clock, and its certificates: SSL_CERT_FILE or REQUESTS_CA_BUNDLE may name others"
        return _Fault("the TLS certificate or connection is not valid", sent=False, hint=hint)
    if isinstance(error, requests.ConnectionError):
        refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
        return _Fault("the connection was refused" if refused else "the connection broke", sent=not refused)
    return _Fault(f"the answer broke off ({type(error).__name__})", sent=True)


class _TooLargeError(Exception):
    """An answer's body passed its cap."""


def _read(response: requests.Response, limit: int) -> bytes:
    """Return the body, at most `limit` bytes of it."""
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_content(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise _TooLargeError
    return b"".join(pieces)


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request alone: without this, a line for the host in the user's .netrc would replace our token."""
    return request


def _checked(what: str, url: str | Secret, headers: Mapping[str, str | Secret]) -> str:
    """Return the address to send to; NetworkError where it or a header could not be sent as it is."""
    plain = url.reveal() if isinstance(url, Secret) else url
    try:
        address.split(plain)
    except ValueError as error:
        problem = str(error)
    else:
        values = [value.reveal() if isinstance(value, Secret) else value for value in headers.values()]
        if all(value.isascii() and value.isprintable() for value in values):
            return plain
        problem = "a header has a character that cannot be sent"
    raise NetworkError(f"{what}: its address cannot be used: {problem}")


def loopback_target(url: str) -> tuple[str, str]:
    """Return (URL, Host header) with a name below `.localhost` turned into 127.0.0.1 (RFC 6761: always loopback)."""
    parts = urllib.parse.urlsplit(url)
    if not (parts.hostname or "").endswith(".localhost"):
        return url, ""
    port = f":{parts.port}" if parts.port else ""
    return urllib.parse.urlunsplit(parts._replace(netloc=f"127.0.0.1{port}")), parts.netloc


def _pause(outcome: Answer | _Fault, attempt: int) -> float:
    """Return the seconds to wait before the next attempt: what the server asked for, or our own."""
    asked = asked_pause(outcome.headers) if isinstance(outcome, Answer) else None
    return own_pause(attempt) if asked is None else asked


def _failure(what: str, url: str | Secret, outcome: Answer | _Fault, *, ambiguous: bool) -> NetworkError:
    """Return the error for a request that came to nothing: what, which host, why."""
    plain = url.reveal() if isinstance(url, Secret) else url
    host = host_of(plain)
    if isinstance(outcome, _Fault):
        return NetworkError(
            f"{what}: {outcome.reason} ({host})",
            ambiguous=ambiguous and outcome.sent,
            hint=outcome.hint or (_LOCAL if address.is_loopback(plain) else _REMOTE),
        )
    asked = asked_pause(outcome.headers)
    wait = f"; it asks to wait {asked:.0f} s" if asked is not None and asked > LONGEST_PAUSE else ""
    return NetworkError(
        f"{what}: {host} answered {outcome.status}{wait}",
        status=outcome.status,
        ambiguous=ambiguous,
        retry_after=asked,
        hint="run the same command again later",
    )
