"""The operations of Netlify's API that publishing needs, by the names that their OpenAPI document gives them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from publisher.host.http.handling import (
    Host,
    as_error,
    as_json,
    branch_name,
    endpoint,
    is_true,
    read_json,
    same,
    title_text,
)
from publisher.host.http.views import account_view, build_view, deploy_view, hook_view, site_view, user_view
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from publisher.host.http.handling import Handler
    from publisher.host.store.records import Deploy
    from publisher.host.store.state import State

_PER_PAGE = 100


def api_routes() -> list[Route]:
    """Return the routes below `/api/v1`, which are those of Netlify's API."""
    site, deploy = "/sites/{site_id}", "/deploys/{deploy_id}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/user", get_current_user),
        ("GET", "/accounts", list_accounts),
        ("GET", "/accounts/{account_id}/env", get_env_vars),
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
    # The official command line asks here before it builds; it is not part of the documented API.
    extensions = "/team/{account_id}/integrations/installations/meta/{site_id}"
    return [*routes, Route(extensions, endpoint(list_extensions), methods=["GET"])]


async def get_current_user(host: Host, request: Request) -> Response:  # noqa: ARG001
    """Return the user that the token belongs to."""
    return as_json(user_view(host.state))


async def list_accounts(host: Host, request: Request) -> Response:  # noqa: ARG001
    """List the one account."""
    return as_json([account_view(host.state)])


async def get_env_vars(host: Host, request: Request) -> Response:  # noqa: ARG001
    """List no variables: the site's own are an option of the host and may be secret."""
    return as_json([])


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
    return _page(request, found, lambda deploy: deploy_view(host.state, deploy))


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
    """Return a build's output so far, as it came. Netlify documents nothing like it."""
    deploy = find_deploy(host.state, request)
    return Response(host.builds.log(deploy), media_type="text/plain; charset=utf-8")


async def list_site_builds(host: Host, request: Request) -> Response:
    """List builds, the newest first, a page at a time."""
    check_site(host.state, request)
    builds = [
        host.state.store.builds[deploy.build_id]
        for deploy in host.state.store.newest_first()
        if deploy.build_id in host.state.store.builds
    ]
    return _page(request, builds, lambda build: build_view(host.state, build))


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


def check_site(state: State, request: Request) -> None:
    """Accept the site's id, name or domain in the path. Raises RefusedError (404) for another site's."""
    name = state.options.site
    known = {state.store.site.id, name, f"{name}.localhost", f"{name}.localhost:{state.port}", f"{name}.netlify.app"}
    if request.path_params["site_id"] not in known:
        raise RefusedError(404, "Not Found")


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


def _page(request: Request, items: list[Any], view: Any) -> Response:
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
