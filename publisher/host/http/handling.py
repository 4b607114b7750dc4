"""What every request handler needs: the running host, bounded bodies, and answers in JSON."""

from __future__ import annotations

import hmac
import re
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from publisher.errors import PublisherError
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from publisher.host.build.builds import Builds
    from publisher.host.http.limits import RateLimits
    from publisher.host.store.state import State

    Handler = Callable[["Host", Request], Awaitable[Response]]
    Endpoint = Callable[[Request], Awaitable[Response]]

_PER_PAGE = 100
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


def known_names(state: State) -> set[str]:
    """Return what the site may be called."""
    name = state.options.site
    return {state.store.site.id, name, f"{name}.localhost", f"{name}.localhost:{state.port}", f"{name}.netlify.app"}


def check_site(state: State, request: Request) -> None:
    """Accept the site's id, name or domain in the path. Raises RefusedError (404) for another site's."""
    if request.path_params["site_id"] not in known_names(state):
        raise RefusedError(404, "Not Found")


def check_account(state: State, request: Request) -> None:
    """Accept the one account's id or slug in the path. Raises RefusedError (404) for another account's."""
    if request.path_params["account_id"] not in {state.store.site.account_id, "local"}:
        raise RefusedError(404, "Not Found")


def page_of(request: Request, items: Sequence[Any], view: Callable[[Any], dict[str, Any]]) -> Response:
    """Return the page of `items` that a request asks for, with links to its neighbours."""
    number = _positive(request, "page", 1)
    size = min(_positive(request, "per_page", _PER_PAGE), _PER_PAGE)
    last = max(1, -(-len(items) // size))
    shown = [view(item) for item in islice(items, (number - 1) * size, number * size)]
    targets = {"prev": number - 1, "next": number + 1, "last": last}
    links = [
        f'<{_page_url(request, target, size)}>; rel="{name}"'
        for name, target in targets.items()
        if 1 <= target <= last and target != number
    ]
    return as_json(shown, headers={"link": ", ".join(links)} if links else {})


def is_true(text: str) -> bool:
    """Read a flag of a query."""
    return text.lower() in {"true", "1"}


def same(given: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def _page_url(request: Request, number: int, size: int) -> str:
    query = [(key, value) for key, value in request.query_params.multi_items() if key not in {"page", "per_page"}]
    return str(request.url.replace(query=urlencode([*query, ("page", number), ("per_page", size)])))


def _positive(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise RefusedError(422, f"{name} is not a positive number")
    return int(text)


def _authorize(request: Request, token: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not same(given.strip(), token):
        raise RefusedError(401, "Access Denied")
