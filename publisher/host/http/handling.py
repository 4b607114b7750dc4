"""What every request handler needs: the running host, bounded bodies, and answers in JSON."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from publisher.errors import PublisherError
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from publisher.host.build.builds import Builds
    from publisher.host.http.limits import RateLimits
    from publisher.host.store.state import State

    Handler = Callable[["Host", Request], Awaitable[Response]]
    Endpoint = Callable[[Request], Awaitable[Response]]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Host:
    """What the handlers work on."""

    def __init__(self, state: State, builds: Builds, limits: RateLimits) -> None:
        """Keep the parts."""
        self.state = state
        self.builds = builds
        self.limits = limits
        self.awaited: dict[str, set[str]] = {}
        """Deploy id to the SHA-1 digests of the files that it still waits for."""


def endpoint(handler: Handler, *, authorized: bool = True, counted: bool = True) -> Endpoint:
    """Wrap a handler: check the token, count the request, and turn a refusal into Netlify's error object."""

    async def answer(request: Request) -> Response:
        host: Host = request.app.state.host
        headers: dict[str, str] = {}
        try:
            if authorized:
                _authorize(request, host.state.token)
                headers = host.limits.request() if counted else {}
            response = await handler(host, request)
        except RefusedError as error:
            headers |= error.headers
            response = as_error(error.status, error.message)
        except PublisherError as error:
            response = as_error(500, error.message)
        response.headers.update(headers)
        return response

    return answer


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `value` as a JSON answer."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def as_error(status: int, message: str) -> Response:
    """Return Netlify's error object."""
    return as_json({"code": status, "message": message}, status)


async def read_body(request: Request, limit: int) -> bytes:
    """Return a request's body. Raises RefusedError (413) as soon as it is larger than `limit` bytes."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise RefusedError(413, f"The request body is larger than {limit} bytes")
    return bytes(body)


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """Return a body that is a JSON object, or an empty one. Raises RefusedError (400 or 413)."""
    body = await read_body(request, limit)
    try:
        return msgspec.json.decode(body, type=dict[str, Any]) if body.strip() else {}
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RefusedError(400, f"The request body is not a JSON object: {error}") from error


def branch_name(text: str, limit: int) -> str:
    """Return a branch name as it is. Raises RefusedError (422) when no branch can be called that."""
    if not 0 < len(text) <= limit or _CONTROL.search(text) or text.startswith("-"):
        raise RefusedError(422, f"The branch must be 1 to {limit} printable characters and not start with -")
    return text


def title_text(text: str, limit: int) -> str:
    """Return a title on one line. Raises RefusedError (422) when it is too long."""
    if len(text) > limit:
        raise RefusedError(422, f"The title is longer than {limit} characters")
    return _CONTROL.sub(" ", text)


def is_true(text: str) -> bool:
    """Read a flag of a query."""
    return text.lower() in {"true", "1"}


def same(given: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def _authorize(request: Request, token: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not same(given.strip(), token):
        raise RefusedError(401, "Access Denied")
