"""The host as one application: its routes, who may reach them, and what it logs."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from publisher.errors import PublisherError
from publisher.host.build.builds import Builds
from publisher.host.http.api import api_routes
from publisher.host.http.content import Content
from publisher.host.http.control import control_routes
from publisher.host.http.details import detail_routes
from publisher.host.http.forms import form_routes
from publisher.host.http.handling import Host, as_error
from publisher.host.http.hooks import hook_routes
from publisher.host.http.limits import RateLimits
from publisher.host.http.splits import split_routes
from publisher.host.http.uploads import upload_routes
from publisher.host.http.variables import variable_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from publisher.host.store.clock import Clock
    from publisher.host.store.state import State

_LOG = logging.getLogger("publisher.host")
_ACCESS = logging.getLogger("publisher.host.access")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HOOK = re.compile(r"(/build_hooks/).+")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_RETENTION_SECONDS = 3600.0


def create_app(state: State) -> Starlette:
    """Return the application that serves `state`; it builds while it runs."""
    builds = Builds(state)
    limits = RateLimits(state.clock, enabled=state.options.rate_limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        builds.resume()
        retention = asyncio.create_task(_expire_regularly(state))
        yield
        retention.cancel()
        with suppress(asyncio.CancelledError):
            await retention
        await builds.stop()

    app = Starlette(
        routes=[
            *api_routes(),
            *split_routes(),
            *form_routes(),
            *variable_routes(),
            *detail_routes(),
            *upload_routes(),
            *hook_routes(),
            *control_routes(),
        ],
        middleware=[
            Middleware(_Dated, clock=state.clock),
            Middleware(_AccessLog),
            Middleware(_ByHost, content=Content(state)),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _surprise},
        lifespan=lifespan,
    )
    app.state.host = Host(state, builds, limits)
    return app


class _ByHost:
    """Routes `*.localhost` to the deploys and this machine's own names to the API; rejects every other host name."""

    def __init__(self, app: ASGIApp, content: ASGIApp) -> None:
        self._app = app
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _host_name(scope)
        if name.endswith(".localhost"):
            await self._content(scope, receive, send)
        elif name in _LOOPBACK:
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("This host answers to its own names only\n", 421)(scope, receive, send)


class _Dated:
    """Puts the host's time into every answer, as its clock says it: what publishing goes by."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message["headers"] if pair[0] != b"date"]
                moment = formatdate(self._clock.now(), usegmt=True).encode()
                message = {**message, "headers": [*headers, (b"date", moment)]}
            await send(message)

        await self._app(scope, receive, dated if scope["type"] == "http" else send)


class _AccessLog:
    """One line per request, without queries, tokens or the ids of build hooks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            path = _UNPRINTABLE.sub("?", _HOOK.sub(r"\1****", scope["path"]))[:300]
            milliseconds = (time.perf_counter() - started) * 1000
            _ACCESS.info(
                "%s %s%s %d %.1f ms",
                scope["method"],
                _UNPRINTABLE.sub("?", _host_name(scope))[:80],
                path,
                status,
                milliseconds,
            )


def _host_name(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"host"]
    text = values[0].decode("latin-1").lower() if values else ""
    return re.sub(r":\d+\Z", "", text)


async def _http_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    status = error.status_code if isinstance(error, HTTPException) else 500
    return as_error(status, str(getattr(error, "detail", "Internal Server Error")))


async def _surprise(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return as_error(500, "Internal Server Error")


async def _expire_regularly(state: State) -> None:
    """Delete what has become too old, every hour; a folder that cannot be written now is tried again in an hour."""
    while True:
        try:
            state.expire()
        except (PublisherError, OSError):
            _LOG.exception("old deploys could not be deleted")
        await asyncio.sleep(_RETENTION_SECONDS)
