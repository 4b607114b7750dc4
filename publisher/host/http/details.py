"""What the API tells about the site, its files and its branches; other sites than this one it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from starlette.responses import Response
from starlette.routing import Route

from publisher.host.http.handling import Host, as_json, check_account, check_site, endpoint, known_names, read_json
from publisher.host.http.views import account_view, file_view, site_view
from publisher.host.store.blobs import sha1_hex
from publisher.host.store.state import RefusedError
from publisher.host.store.store import branch_label

if TYPE_CHECKING:
    from starlette.requests import Request

    from publisher.host.http.handling import Handler
    from publisher.host.store.records import Deploy, Manifest
    from publisher.host.store.state import State

_MOST_METADATA = 200
_ONE_SITE = "This host has one site, which publisher serve was started for; it makes and deletes none"


def detail_routes() -> list[Route]:
    """Return the routes that tell about the site."""
    site = "/api/v1/sites/{site_id}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/api/v1/accounts/{account_id}", get_account),
        ("GET", "/api/v1/hooks", list_hooks_by_site_id),
        ("PATCH", site, update_site),
        ("DELETE", site, delete_site),
        ("POST", "/api/v1/sites", create_site),
        ("GET", "/api/v1/{account_id}/sites", list_sites_for_account),
        ("POST", "/api/v1/{account_id}/sites", create_site),
        ("GET", f"{site}/files", list_site_files),
        ("GET", f"{site}/files/{{path:path}}", get_site_file_by_path_name),
        ("GET", f"{site}/metadata", get_site_metadata),
        ("PUT", f"{site}/metadata", update_site_metadata),
        ("GET", f"{site}/deployed-branches", list_site_deployed_branches),
    ]
    return [Route(path, endpoint(handler), methods=[method]) for method, path, handler in table]


async def get_account(host: Host, request: Request) -> Response:
    """Return the one account."""
    check_account(host.state, request)
    return as_json(account_view(host.state))


async def list_sites_for_account(host: Host, request: Request) -> Response:
    """List the one site, where its name contains what was asked for."""
    check_account(host.state, request)
    wanted = request.query_params.get("name", "")
    return as_json([site_view(host.state)] if wanted in host.state.options.site else [])


async def list_hooks_by_site_id(host: Host, request: Request) -> Response:
    """List no notifications: this host calls nobody."""
    if request.query_params.get("site_id") not in known_names(host.state):
        raise RefusedError(404, "Not Found")
    return as_json([])


async def update_site(host: Host, request: Request) -> Response:
    """Return the site; what it is called and builds is said to `publisher serve`, so a change of these is refused."""
    check_site(host.state, request)
    body = await read_json(request, host.state.options.bounds.json_body)
    view = site_view(host.state)
    other = sorted(name for name, value in body.items() if name not in view or view[name] != value)
    if other:
        raise RefusedError(422, f"{other[0]} cannot be changed here: it is an option of publisher serve")
    return as_json(view)


async def create_site(host: Host, request: Request) -> Response:  # noqa: ARG001
    """Refuse: a host has one site. 403 is what Netlify answers where a plan allows no more sites."""
    raise RefusedError(403, _ONE_SITE)


async def delete_site(host: Host, request: Request) -> Response:
    """Refuse: the site ends with its state folder."""
    check_site(host.state, request)
    raise RefusedError(403, _ONE_SITE)


async def list_site_files(host: Host, request: Request) -> Response:
    """List the files of the published deploy."""
    check_site(host.state, request)
    manifest = _published(host.state)
    return as_json([_file(host.state, manifest, name) for name in manifest.files] if manifest else [])


async def get_site_file_by_path_name(host: Host, request: Request) -> Response:
    """Return one file of the published deploy; it is told about, not sent."""
    check_site(host.state, request)
    manifest, name = _published(host.state), request.path_params["path"].lstrip("/")
    if manifest is None or name not in manifest.files:
        raise RefusedError(404, "Not Found")
    return as_json(_file(host.state, manifest, name))


async def get_site_metadata(host: Host, request: Request) -> Response:
    """Return what clients keep at the site."""
    check_site(host.state, request)
    return as_json(host.state.store.site.metadata)


async def update_site_metadata(host: Host, request: Request) -> Response:
    """Replace what clients keep at the site."""
    check_site(host.state, request)
    body = await read_json(request, host.state.options.bounds.hook_body)
    if len(body) > _MOST_METADATA or any(isinstance(value, dict | list) for value in body.values()):
        raise RefusedError(422, f"Metadata is at most {_MOST_METADATA} names with plain values")
    host.state.store.save_site(replace(host.state.store.site, metadata=body))
    return Response(status_code=204)


async def list_site_deployed_branches(host: Host, request: Request) -> Response:
    """List the branches that have a deploy, with the newest one of each."""
    check_site(host.state, request)
    state = host.state
    newest: dict[str, Deploy] = {}
    for deploy in state.store.newest_first():
        if deploy.state == "ready" and deploy.branch and not deploy.draft:
            newest.setdefault(deploy.branch, deploy)
    return as_json(
        [
            {
                "id": deploy.id,
                "deploy_id": deploy.id,
                "name": branch,
                "slug": branch_label(branch, state.options.site),
                "url": state.branch_url(branch),
                "ssl_url": state.branch_url(branch),
            }
            for branch, deploy in newest.items()
        ]
    )


def _published(state: State) -> Manifest | None:
    deploy = state.store.published()
    return state.store.manifest(deploy.id) if deploy else None


def _file(state: State, manifest: Manifest, name: str) -> dict[str, Any]:
    entry = manifest.files[name]
    return file_view(name, sha1_hex(state.store.blobs.path(entry.sha256).read_bytes()), entry)
