"""Split tests, by the names that Netlify's API description gives the operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from publisher.host.http.handling import Host, as_json, check_site, endpoint, read_json
from publisher.host.store import splits
from publisher.host.store.clock import timestamp
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from publisher.host.http.handling import Handler
    from publisher.host.store.records import Split
    from publisher.host.store.state import State


def split_routes() -> list[Route]:
    """Return the routes of split tests."""
    every, one = "/api/v1/sites/{site_id}/traffic_splits", "/api/v1/sites/{site_id}/traffic_splits/{split_id}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", every, get_split_tests),
        ("POST", every, create_split_test),
        ("GET", one, get_split_test),
        ("PUT", one, update_split_test),
        ("POST", f"{one}/publish", enable_split_test),
        ("POST", f"{one}/unpublish", disable_split_test),
    ]
    return [Route(path, endpoint(handler), methods=[method]) for method, path, handler in table]


async def get_split_tests(host: Host, request: Request) -> Response:
    """List the split tests, the newest first."""
    check_site(host.state, request)
    return as_json([split_view(host.state, split) for split in reversed(host.state.store.site.splits)])


async def create_split_test(host: Host, request: Request) -> Response:
    """Create a split test; it starts when it is published."""
    check_site(host.state, request)
    if not host.state.options.split_tests:
        raise RefusedError(403, "Split testing is not available for this site")
    return as_json(split_view(host.state, splits.create(host.state, await _shares(host, request))), 201)


async def get_split_test(host: Host, request: Request) -> Response:
    """Return one split test."""
    return as_json(split_view(host.state, _find(host, request)))


async def update_split_test(host: Host, request: Request) -> Response:
    """Change the shares of a split test, also while it runs."""
    split = _find(host, request)
    return as_json(split_view(host.state, splits.change(host.state, split, await _shares(host, request))), 201)


async def enable_split_test(host: Host, request: Request) -> Response:
    """Start a split test."""
    splits.start(host.state, _find(host, request))
    return Response(status_code=204)


async def disable_split_test(host: Host, request: Request) -> Response:
    """End a split test."""
    splits.end(host.state, _find(host, request))
    return Response(status_code=204)


def split_view(state: State, split: Split) -> dict[str, Any]:
    """Return a split test in the shape of Netlify's API."""
    return {
        "id": split.id,
        "site_id": state.store.site.id,
        "name": split.name or None,
        "path": None,
        "branches": [{"branch": branch, "percentage": share} for branch, share in split.shares.items()],
        "active": split.active,
        "created_at": timestamp(split.created_at),
        "updated_at": timestamp(split.updated_at),
        "unpublished_at": timestamp(split.ended_at) if split.ended_at else None,
    }


async def _shares(host: Host, request: Request) -> object:
    return (await read_json(request, host.state.options.bounds.hook_body)).get("branch_tests")


def _find(host: Host, request: Request) -> Split:
    check_site(host.state, request)
    return splits.find(host.state, request.path_params["split_id"])
