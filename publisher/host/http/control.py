"""What only this host has: below `/__host__/` its clock, its effects and who may read the site; `/` about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from publisher.host.http.handling import Host, as_json, endpoint, read_json
from publisher.host.store.clock import timestamp
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

_MOST_SECONDS = 10 * 366 * 86_400


def control_routes() -> list[Route]:
    """Return the routes that Netlify does not have."""
    return [
        Route("/", endpoint(about, authorized=False), methods=["GET"]),
        Route("/__host__/clock", endpoint(advance_clock, counted=False), methods=["POST"]),
        Route("/__host__/effects", endpoint(list_effects, counted=False), methods=["GET"]),
        Route("/__host__/private", endpoint(set_private, counted=False), methods=["POST"]),
    ]


async def about(host: Host, request: Request) -> Response:  # noqa: ARG001
    """Say what this is and how it differs from Netlify. No secrets."""
    state = host.state
    published = state.store.published()
    lines = [
        "A Netlify-compatible host on this machine (publisher serve).",
        "",
        f"site       {state.site_url}",
        f"published  {state.address(published.id) if published else 'nothing yet'}",
        f"deploys    {len(state.store.deploys)}",
        f"builds     of {state.options.repository}; {state.options.production_branch} is published",
        f"API        {state.origin}/api/v1",
        "",
        f"Rate limits are {'on' if state.options.rate_limits else 'off; Netlify has them always on'}.",
        "It has no TLS, no CDN, no functions and no proxying, and it never watches pushes.",
    ]
    return PlainTextResponse("\n".join(lines) + "\n")


async def advance_clock(host: Host, request: Request) -> Response:
    """Advance the clock by `seconds` and delete deploys that are then too old."""
    body = await read_json(request, host.state.options.bounds.hook_body)
    seconds = body.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _MOST_SECONDS:
        raise RefusedError(422, "seconds is not a positive number of at most ten years")
    deleted = host.state.advance(seconds)
    return as_json({"now": timestamp(host.state.clock.now()), "deleted": deleted})


async def list_effects(host: Host, request: Request) -> Response:
    """List what the host did after the given number."""
    after = request.query_params.get("after", "0")
    return as_json(host.state.effects.read(int(after) if after.isascii() and after.isdigit() else 0))


async def set_private(host: Host, request: Request) -> Response:
    """Change who may read the site, until the next start."""
    body = await read_json(request, host.state.options.bounds.hook_body)
    if body.get("private") not in {"", "previews", "all"}:
        raise RefusedError(422, "private is not empty, 'previews' or 'all'")
    host.state.private = body["private"]
    return as_json({"private": host.state.private})
