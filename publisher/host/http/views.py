"""The host's records in the shapes of Netlify's API, with null where Netlify says null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from publisher.host.rules.content_types import content_type
from publisher.host.store.clock import timestamp

if TYPE_CHECKING:
    from publisher.host.store.records import Build, Deploy, Entry, Hook
    from publisher.host.store.state import State


def deploy_view(state: State, deploy: Deploy, required: list[str] | None = None) -> dict[str, Any]:
    """Return a deploy. Its `deploy_ssl_url` follows the branch, as Netlify's does; `links.permalink` never changes."""
    commit = deploy.commit if state.options.hook_commits or deploy.source != "hook" else ""
    permalink = state.address(deploy.id)
    address = state.branch_url(deploy.branch) if deploy.branch and not deploy.draft else permalink
    return {
        "id": deploy.id,
        "site_id": state.store.site.id,
        "user_id": state.store.site.account_id,
        "build_id": deploy.build_id or None,
        "state": deploy.state,
        "name": state.store.site.name,
        "url": state.site_url,
        "ssl_url": state.site_url,
        "admin_url": state.origin,
        "deploy_url": address,
        "deploy_ssl_url": address,
        "links": {"permalink": permalink, "alias": address, "branch": address if deploy.branch else None},
        "review_id": None,
        "draft": deploy.draft,
        "required": required or [],
        "required_functions": [],
        "error_message": deploy.error or None,
        "branch": deploy.branch or None,
        "commit_ref": commit or None,
        "commit_url": _commit_url(state, commit),
        "skipped": deploy.skipped or None,
        "locked": deploy.locked or None,
        "created_at": timestamp(deploy.created_at),
        "updated_at": timestamp(deploy.updated_at),
        "published_at": timestamp(deploy.published_at) if deploy.published_at else None,
        "title": deploy.title or None,
        "context": deploy.context,
        "framework": None,
        "manual_deploy": deploy.source == "upload",
    }


def site_view(state: State) -> dict[str, Any]:
    """Return the site with the deploy that is published."""
    site, published = state.store.site, state.store.published()
    return {
        "id": site.id,
        "site_id": site.id,
        "state": "current",
        "name": site.name,
        "custom_domain": None,
        "url": state.site_url,
        "ssl_url": state.site_url,
        "admin_url": state.origin,
        "deploy_id": site.published,
        "deploy_url": state.branch_url(state.options.production_branch),
        "created_at": timestamp(site.created_at),
        "updated_at": timestamp(site.updated_at),
        "user_id": site.account_id,
        "account_id": site.account_id,
        "account_slug": "local",
        "account_name": "local",
        "ssl": False,
        "published_deploy": deploy_view(state, published) if published else None,
        "build_settings": {
            "repo_url": state.options.shown_repository,
            "repo_branch": state.options.production_branch,
            "stop_builds": False,
            **({"allowed_branches": list(state.options.branches)} if state.options.branches else {}),
        },
    }


def build_view(state: State, build: Build) -> dict[str, Any]:
    """Return a build; `done` turns true when its deploy is ready or failed."""
    deploy = state.store.deploys.get(build.deploy_id)
    return {
        "id": build.id,
        "deploy_id": build.deploy_id,
        "sha": (deploy.commit or None) if deploy else None,
        "done": deploy.final if deploy else build.done,
        "error": (deploy.error or None) if deploy else None,
        "created_at": timestamp(build.created_at),
    }


def hook_view(state: State, hook: Hook) -> dict[str, Any]:
    """Return a build hook with its address, which is a secret."""
    return {
        "id": hook.id,
        "title": hook.title,
        "branch": hook.branch,
        "url": state.hook_url(hook),
        "site_id": state.store.site.id,
        "created_at": timestamp(hook.created_at),
    }


def file_view(name: str, sha1: str, entry: Entry) -> dict[str, Any]:
    """Return an uploaded file."""
    return {
        "id": f"/{name}",
        "path": f"/{name}",
        "sha": sha1,
        "mime_type": content_type(name).split(";")[0],
        "size": entry.size,
    }


def account_view(state: State) -> dict[str, Any]:
    """Return the one account that there is."""
    site = state.store.site
    return {
        "id": site.account_id,
        "name": "local",
        "slug": "local",
        "type": "local",
        "default": True,
        "created_at": timestamp(site.created_at),
        "updated_at": timestamp(site.updated_at),
    }


def user_view(state: State) -> dict[str, Any]:
    """Return whoever has the token."""
    site = state.store.site
    return {
        "id": site.account_id,
        "uid": site.account_id,
        "full_name": "publisher serve",
        "email": "nobody@localhost.invalid",
        "site_count": 1,
        "created_at": timestamp(site.created_at),
    }


def _commit_url(state: State, commit: str) -> str | None:
    repository = state.options.shown_repository
    if not commit or not repository.startswith("https://github.com/"):
        return None
    return f"{repository.removesuffix('/').removesuffix('.git')}/commit/{commit}"
