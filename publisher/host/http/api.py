"""The operations of Netlify's API that publishing needs, by the names that their OpenAPI document gives them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from publisher.host.http.handling import (
    Host,
    as_error,
    as_json,
    branch_name,
    check_site,
    endpoint,
    is_true,
    page_of,
    read_json,
    same,
    title_text,
)
from publisher.host.http.views import account_view, build_view, deploy_view, hook_view, site_view, user_view
from publisher.host.store.clock import timestamp
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from publisher.host.http.handling import Handler
    from publisher.host.store.records import Deploy
    from publisher.host.store.state import State

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def api_routes() -> list[Route]:
    """Return the routes below `/api/v1`, which are those of Netlify's API."""
    site, deploy = "/sites/{site_id}", "/deploys/{deploy_id}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/user", get_current_user),
        ("GET", "/accounts", list_accounts),
        ("GET", "/sites", list_sites),
        ("GET", site, get_site),
        ("GET", f"{site}/deploys", list_site_deploys),
        ("GET", f"{site}{deploy}", get_deploy),
        ("DELETE", f"{site}{deploy}", delete_deploy),
        ("POST", f"{site}{deploy}/restore", restore_site_deploy),
        ("PUT", f"{site}/rollback", rollback_site_deploy),
        ("GET", f"{site}/builds", list_site_builds),
        ("POST", f"{site}/builds", create_site_build),
        ("GET", f"{site}/build_hooks", list_site_build_hooks),
        ("POST", f"{site}/build_hooks", create_site_build_hook),
        ("GET", f"{site}/build_hooks/{{hook_id}}", get_site_build_hook),
        ("GET", "/builds/{build_id}", get_site_build),
        ("GET", deploy, get_deploy),
        ("DELETE", deploy, delete_deploy),
        ("POST", f"{deploy}/lock", lock_deploy),
        ("POST", f"{deploy}/unlock", unlock_deploy),
        ("POST", f"{deploy}/cancel", cancel_site_deploy),
        ("GET", f"{deploy}/log", get_deploy_log),
    ]
    routes = [Route(f"/api/v1{path}", endpoint(handler), methods=[method]) for method, path, handler in table]
    # The official command line asks for its log below its base path, which ends in /api/v1 already.
    log = Route("/api/v1/api/v1/deploys/{deploy_id}/log", endpoint(get_deploy_log), methods=["GET"])
    # And for extensions before it builds, without the token; neither is part of the documented API.
    extensions = ("/team/{account_id}/integrations/installations/meta/{site_id}", "/site/{site_id}/integrations/safe")
    asked = endpoint(list_extensions, authorized=False)
    return [*routes, log, *(Route(path, asked, methods=["GET"]) for path in extensions)]


async def get_current_user(host: Host, request: Request) -> Response:  # noqa: ARG001
    """Return the user that the token belongs to."""
    return as_json(user_view(host.state))


async def list_accounts(host: Host, request: Request) -> Response:  # noqa: ARG001
    """List the one account."""
    return as_json([account_view(host.state)])


async def list_extensions(host: Host, request: Request) -> Response:  # noqa: ARG001
    """List no extensions."""
    return as_json([])


async def list_sites(host: Host, request: Request) -> Response:
    """List the one site, where its name contains what was asked for."""
    wanted = request.query_params.get("name", "")
    return as_json([site_view(host.state)] if wanted in host.state.options.site else [])


async def get_site(host: Host, request: Request) -> Response:
    """Return the site with its published deploy."""
    check_site(host.state, request)
    return as_json(site_view(host.state))


async def list_site_deploys(host: Host, request: Request) -> Response:
    """List deploys, the newest first, a page at a time."""
    check_site(host.state, request)
    found = list(_filtered(host.state, request))
    return page_of(request, found, lambda deploy: deploy_view(host.state, deploy))


async def get_deploy(host: Host, request: Request) -> Response:
    """Return one deploy."""
    deploy = find_deploy(host.state, request)
    return as_json(deploy_view(host.state, deploy))


async def delete_deploy(host: Host, request: Request) -> Response:
    """Delete a deploy permanently."""
    host.state.delete(find_deploy(host.state, request))
    return Response(status_code=204)


async def restore_site_deploy(host: Host, request: Request) -> Response:
    """Publish a deploy that was kept."""
    deploy = host.state.restore(find_deploy(host.state, request))
    return as_json(deploy_view(host.state, deploy), 201)


async def rollback_site_deploy(host: Host, request: Request) -> Response:
    """Publish the deploy that was published before."""
    check_site(host.state, request)
    host.state.roll_back()
    return Response(status_code=204)


async def lock_deploy(host: Host, request: Request) -> Response:
    """Turn automatic publishing off."""
    deploy = host.state.lock(find_deploy(host.state, request), locked=True)
    return as_json(deploy_view(host.state, deploy))


async def unlock_deploy(host: Host, request: Request) -> Response:
    """Turn automatic publishing on."""
    deploy = host.state.lock(find_deploy(host.state, request), locked=False)
    return as_json(deploy_view(host.state, deploy))


async def cancel_site_deploy(host: Host, request: Request) -> Response:
    """Cancel a build that is running or waiting."""
    deploy = host.builds.cancel(find_deploy(host.state, request))
    return as_json(deploy_view(host.state, deploy), 201)


async def get_deploy_log(host: Host, request: Request) -> Response:
    """Return a build's output so far, a line each, as the official command line reads it.

    Netlify documents nothing like it. A line's own time is not kept: it has the deploy's.
    """
    deploy = find_deploy(host.state, request)
    at = timestamp(deploy.created_at)
    lines = host.builds.log(deploy).decode("utf-8", "replace").splitlines()
    return as_json([{"ts": at, "section": "building", "log": _COLOUR.sub("", line)} for line in lines])


async def list_site_builds(host: Host, request: Request) -> Response:
    """List builds, the newest first, a page at a time."""
    check_site(host.state, request)
    builds = [
        host.state.store.builds[deploy.build_id]
        for deploy in host.state.store.newest_first()
        if deploy.build_id in host.state.store.builds
    ]
    return page_of(request, builds, lambda build: build_view(host.state, build))


async def create_site_build(host: Host, request: Request) -> Response:
    """Start a build of a branch and return the deploy that it will become."""
    check_site(host.state, request)
    bounds = host.state.options.bounds
    query = request.query_params
    branch = branch_name(query.get("branch") or host.state.options.production_branch, bounds.name)
    title = title_text(query.get("title", ""), bounds.title)
    host.limits.deploy()
    build = host.builds.add(branch=branch, title=title, clear_cache=is_true(query.get("clear_cache", "")))
    return as_json(build_view(host.state, build))


async def get_site_build(host: Host, request: Request) -> Response:
    """Return one build."""
    build = host.state.store.builds.get(request.path_params["build_id"])
    if build is None:
        raise RefusedError(404, "Not Found")
    return as_json(build_view(host.state, build))


async def list_site_build_hooks(host: Host, request: Request) -> Response:
    """List the build hooks."""
    check_site(host.state, request)
    return as_json([hook_view(host.state, hook) for hook in host.state.store.site.hooks])


async def create_site_build_hook(host: Host, request: Request) -> Response:
    """Create another build hook."""
    check_site(host.state, request)
    bounds = host.state.options.bounds
    body = await read_json(request, bounds.hook_body)
    title = title_text(str(body.get("title", "")), bounds.title)
    branch = branch_name(str(body.get("branch") or host.state.options.production_branch), bounds.name)
    return as_json(hook_view(host.state, host.state.add_hook(title, branch)), 201)


async def get_site_build_hook(host: Host, request: Request) -> Response:
    """Return one build hook."""
    check_site(host.state, request)
    for hook in host.state.store.site.hooks:
        if same(request.path_params["hook_id"], hook.id):
            return as_json(hook_view(host.state, hook))
    return as_error(404, "Not Found")


def find_deploy(state: State, request: Request) -> Deploy:
    """Return the deploy that the path names. Raises RefusedError (404)."""
    if "site_id" in request.path_params:
        check_site(state, request)
    return state.deploy(request.path_params["deploy_id"])


def _filtered(state: State, request: Request) -> Iterable[Deploy]:
    query = request.query_params
    wanted, store = query.get("state"), state.store
    for deploy in store.newest_first(query.get("branch")):
        if wanted and deploy.state != wanted:
            continue
        if is_true(query.get("production", "")) and deploy.context != "production":
            continue
        if is_true(query.get("deploy-previews", "")) and deploy.context != "deploy-preview":
            continue
        if is_true(query.get("latest-published", "")) and deploy.id != store.site.published:
            continue
        yield deploy
