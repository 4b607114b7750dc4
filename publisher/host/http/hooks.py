"""Build hooks: anyone who knows the address may start a build."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from publisher.host.http.handling import Host, branch_name, endpoint, is_true, read_body, same, title_text
from publisher.host.store.state import RefusedError, masked

if TYPE_CHECKING:
    from starlette.requests import Request

    from publisher.host.store.records import Hook


def hook_routes() -> list[Route]:
    """Return the route of the build hooks; the id in it is the only token."""
    return [Route("/build_hooks/{hook_id}", endpoint(run_build_hook, authorized=False), methods=["POST"])]


async def run_build_hook(host: Host, request: Request) -> Response:
    """Enqueue a build of a branch's newest commit. The answer names neither the build nor the deploy, as Netlify's."""
    hook = _find(host, request.path_params["hook_id"])
    bounds = host.state.options.bounds
    body = await read_body(request, bounds.hook_body)
    query = request.query_params
    branch = branch_name(query.get("trigger_branch") or hook.branch, bounds.name)
    title = title_text(query.get("trigger_title") or f"Deploy triggered by hook: {hook.title}", bounds.title)
    host.state.effects.record("hook accepted", hook=masked(hook.id), branch=branch, body_bytes=len(body))
    host.builds.add(
        branch=branch,
        title=title,
        hook=hook,
        body=quote(body, safe=""),
        clear_cache=is_true(query.get("clear_cache", "")),
    )
    return Response(status_code=200)


def _find(host: Host, given: str) -> Hook:
    found = [hook for hook in host.state.store.site.hooks if same(given, hook.id)]
    if not found:
        raise RefusedError(404, "Not Found")
    return found[0]
