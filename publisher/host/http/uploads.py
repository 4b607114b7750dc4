"""Deploys without a build, by Netlify's digest protocol: the client lists its files, then sends the missing ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from publisher.errors import ConfigError, DeployError
from publisher.host.build.folder import check_name, make_manifest
from publisher.host.http.api import find_deploy
from publisher.host.http.handling import (
    Host,
    as_json,
    branch_name,
    check_site,
    endpoint,
    is_true,
    read_body,
    read_json,
    title_text,
)
from publisher.host.http.views import deploy_view, file_view
from publisher.host.rules.forms import process_forms
from publisher.host.rules.toml import read_toml
from publisher.host.store.blobs import sha1_hex
from publisher.host.store.records import SCHEMA, Deploy, Entry, Upload
from publisher.host.store.state import RefusedError, State

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_SHA1 = re.compile(r"[0-9a-f]{40}\Z")
_RULES = ("_headers", "_redirects", "netlify.toml")


def upload_routes() -> list[Route]:
    """Return the routes of deploys that are uploaded."""
    deploys = "/api/v1/sites/{site_id}/deploys"
    return [
        Route(deploys, endpoint(create_site_deploy), methods=["POST"]),
        Route(f"{deploys}/{{deploy_id}}", endpoint(update_site_deploy), methods=["PUT"]),
        Route("/api/v1/deploys/{deploy_id}/files/{path:path}", endpoint(upload_deploy_file), methods=["PUT"]),
    ]


async def create_site_deploy(host: Host, request: Request) -> Response:
    """Start an uploaded deploy; its files may be declared now or later."""
    check_site(host.state, request)
    body = await _digests(host, request)
    bounds = host.state.options.bounds
    title = title_text(request.query_params.get("title") or str(body.get("title") or ""), bounds.title)
    branch = str(body.get("branch") or "")
    draft = bool(body.get("draft"))
    context = "deploy-preview" if draft else "branch-deploy"
    if not branch and not draft:
        context, branch = "production", host.state.options.production_branch
    if branch:
        branch_name(branch, bounds.name)
    host.limits.deploy()
    deploy = host.state.new_deploy(
        branch=branch, title=title, context=context, source="upload", state="new", draft=draft
    )
    host.state.effects.record("deploy new", deploy_id=deploy.id, branch=branch)
    return as_json(_declare(host, deploy, body) if "files" in body else deploy_view(host.state, deploy))


async def update_site_deploy(host: Host, request: Request) -> Response:
    """Declare the files of an uploaded deploy."""
    deploy = find_deploy(host.state, request)
    body = await _digests(host, request)
    if deploy.source != "upload" or deploy.state not in {"new", "uploading", "prepared"}:
        raise RefusedError(422, f"Deploy {deploy.id} is {deploy.state} and takes no files")
    return as_json(_declare(host, deploy, body) if "files" in body else deploy_view(host.state, deploy))


async def upload_deploy_file(host: Host, request: Request) -> Response:
    """Accept one declared file; the last one makes the deploy ready."""
    state = host.state
    deploy = find_deploy(state, request)
    upload = state.store.upload(deploy.id)
    name = request.path_params["path"].lstrip("/")
    if upload is None or name not in upload.files:
        raise RefusedError(404, "Not Found")
    data = await read_body(request, state.options.bounds.file)
    if sha1_hex(data) != upload.files[name]:
        raise RefusedError(422, f"The SHA-1 of {name} is not the declared one")
    awaited = host.awaited.setdefault(deploy.id, _missing(state, upload))
    sha1, entry = state.store.blobs.add_uploaded(data)
    awaited.discard(sha1)
    if not awaited:
        _complete(host, deploy, upload)
    return as_json(file_view(name, sha1, entry))


async def _digests(host: Host, request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "")
    if "zip" in kind:
        raise RefusedError(415, "This host takes deploys by digest, not as zip files")
    return await read_json(request, host.state.options.bounds.json_body)


def _declare(host: Host, deploy: Deploy, body: dict[str, Any]) -> dict[str, Any]:
    state = host.state
    files = _declared_files(state, body["files"])
    upload = Upload(schema=SCHEMA, deploy_id=deploy.id, files=files)
    state.store.save_upload(upload)
    required = host.awaited[deploy.id] = _missing(state, upload)
    deploy = state.move(deploy, "prepared" if is_true(str(body.get("async"))) else "uploading")
    if not required:
        _complete(host, deploy, upload)
    return deploy_view(state, state.deploy(deploy.id), sorted(required))


def _declared_files(state: State, files: Any) -> dict[str, str]:
    bounds = state.options.bounds
    if not isinstance(files, dict) or not 0 < len(files) <= bounds.files:
        raise RefusedError(422, f"files must name 1 to {bounds.files} files")
    declared = {name.lstrip("/"): digest for name, digest in files.items()}
    for name, digest in declared.items():
        if not isinstance(digest, str) or not _SHA1.match(digest):
            raise RefusedError(422, f"The digest of {name!r} is not a SHA-1")
        try:
            check_name(name, bounds)
        except DeployError as error:
            raise RefusedError(422, error.message) from error
    return declared


def _missing(state: State, upload: Upload) -> set[str]:
    return {sha1 for sha1 in set(upload.files.values()) if state.store.blobs.find(sha1) is None}


def _complete(host: Host, deploy: Deploy, upload: Upload) -> None:
    state = host.state
    host.awaited.pop(deploy.id, None)
    if deploy.final:
        return
    files = {name: _entry(state, sha1) for name, sha1 in upload.files.items()}
    total = sum(entry.size for entry in files.values())
    if total > state.options.bounds.deploy:
        state.move(deploy, "error", error=f"The deploy holds more than {state.options.bounds.deploy} bytes")
        return
    texts = {
        name: state.store.blobs.path(files.pop(name).sha256).read_text("utf-8", "replace")
        for name in _RULES
        if name in files
    }
    tables = _tables(texts.pop("netlify.toml", ""))
    files, forms = process_forms(files, state.store.blobs) if state.options.forms else (files, ())
    manifest = make_manifest(files, texts, headers=tables[0], redirects=tables[1], forms=forms)
    state.complete(deploy, manifest)
    state.store.end_upload(deploy.id)


def _entry(state: State, sha1: str) -> Entry:
    entry = state.store.blobs.find(sha1)
    if entry is None:
        raise RefusedError(500, f"The file with the SHA-1 {sha1} is gone")
    return entry


def _tables(text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the tables of the `netlify.toml` that the official client makes of `_headers` and `_redirects`."""
    try:
        document = read_toml(text)
    except ConfigError:
        return [], []
    headers, redirects = document.get("headers"), document.get("redirects")
    return _dictionaries(headers), _dictionaries(redirects)


def _dictionaries(found: object) -> list[dict[str, Any]]:
    return [table for table in found if isinstance(table, dict)] if isinstance(found, list) else []
