"""Forms: the API's lists of what readers sent, and the sending itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from msgspec.structs import replace
from starlette.responses import Response
from starlette.routing import Route

from publisher.host.http.handling import Host, as_json, check_site, endpoint, page_of, read_body
from publisher.host.store.clock import timestamp
from publisher.host.store.state import RefusedError
from publisher.host.store.submissions import MOST

if TYPE_CHECKING:
    from starlette.requests import Request

    from publisher.host.http.handling import Handler
    from publisher.host.store.records import Form, Submission
    from publisher.host.store.state import State

_URL_ENCODED = "application/x-www-form-urlencoded"
_MOST_BYTES = 256 * 1024
_MOST_FIELDS = 200
_AGENT = 300
"""Characters that are kept of a browser's name and of the referring page."""


def form_routes() -> list[Route]:
    """Return the routes of forms and submissions."""
    site = "/api/v1/sites/{site_id}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", f"{site}/forms", list_site_forms),
        ("DELETE", f"{site}/forms/{{form_id}}", delete_site_form),
        ("GET", f"{site}/submissions", list_site_submissions),
        ("GET", "/api/v1/forms/{form_id}/submissions", list_form_submissions),
        ("GET", "/api/v1/submissions/{submission_id}", list_form_submission),
        ("DELETE", "/api/v1/submissions/{submission_id}", delete_submission),
    ]
    return [Route(path, endpoint(handler), methods=[method]) for method, path, handler in table]


async def list_site_forms(host: Host, request: Request) -> Response:
    """List the forms that deploys have declared."""
    check_site(host.state, request)
    return as_json([form_view(host.state, form) for form in host.state.store.site.forms])


async def delete_site_form(host: Host, request: Request) -> Response:
    """Forget a form; what was sent by it stays."""
    check_site(host.state, request)
    site = host.state.store.site
    kept = tuple(form for form in site.forms if form.id != request.path_params["form_id"])
    if len(kept) == len(site.forms):
        raise RefusedError(404, "Not Found")
    host.state.store.save_site(replace(site, forms=kept))
    return Response(status_code=204)


async def list_site_submissions(host: Host, request: Request) -> Response:
    """List what readers sent, the newest first, a page at a time."""
    check_site(host.state, request)
    return _listed(host, request, host.state.store.submissions.newest_first())


async def list_form_submissions(host: Host, request: Request) -> Response:
    """List what readers sent by one form, the newest first, a page at a time."""
    form_id = request.path_params["form_id"]
    if form_id not in {form.id for form in host.state.store.site.forms}:
        raise RefusedError(404, "Not Found")
    return _listed(host, request, host.state.store.submissions.newest_first(form_id))


async def list_form_submission(host: Host, request: Request) -> Response:
    """Return one submission, in a list as the description has it."""
    return as_json([submission_view(host.state, _find(host, request))])


async def delete_submission(host: Host, request: Request) -> Response:
    """Delete one submission."""
    host.state.store.submissions.remove(_find(host, request).id)
    return Response(status_code=204)


async def receive(state: State, request: Request) -> None:
    """Keep what a reader sends by a form. Raises RefusedError for what Netlify does not take as a submission.

    A filled honeypot is answered like any other and kept nowhere.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _URL_ENCODED:
        raise RefusedError(405, "Method Not Allowed")
    body = await read_body(request, _MOST_BYTES)
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise RefusedError(413, f"The form has more than {_MOST_FIELDS} fields") from error
    data = dict(pairs)
    name = data.pop("form-name", "")
    form = next((form for form in state.store.site.forms if form.name == name), None)
    if form is None:
        raise RefusedError(404, "Not Found")
    if form.honeypot and data.pop(form.honeypot, ""):
        state.effects.record("submission dropped", form=form.id)
        return
    if len(state.store.submissions) >= MOST:
        raise RefusedError(429, f"This host keeps {MOST} submissions at most")
    client = request.client.host if request.client else ""
    seen = {
        "ip": client,
        "user_agent": request.headers.get("user-agent", "")[:_AGENT],
        "referrer": request.headers.get("referer", "")[:_AGENT],
    }
    made = state.store.submissions.add(form.id, {**data, **seen}, state.clock.now())
    state.effects.record("submission", form=form.id, submission=made.id)


def form_view(state: State, form: Form) -> dict[str, Any]:
    """Return a form in the shape of Netlify's API."""
    return {
        "id": form.id,
        "site_id": state.store.site.id,
        "name": form.name,
        "paths": list(form.paths),
        "submission_count": len(state.store.submissions.newest_first(form.id)),
        "fields": [{"name": name, "type": kind} for name, kind in form.fields],
        "created_at": timestamp(form.created_at),
    }


def submission_view(state: State, submission: Submission) -> dict[str, Any]:
    """Return a submission in the shape of Netlify's API."""
    form = next((form.name for form in state.store.site.forms if form.id == submission.form_id), "")
    data = submission.data
    return {
        "id": submission.id,
        "number": submission.number,
        "form_id": submission.form_id,
        "form_name": form,
        "email": data.get("email"),
        "name": data.get("name"),
        "first_name": data.get("first_name"),
        "last_name": data.get("last_name"),
        "company": data.get("company"),
        "summary": next(iter(data.values()), ""),
        "body": data.get("message"),
        "data": data,
        "created_at": timestamp(submission.created_at),
        "site_url": state.site_url,
    }


def _listed(host: Host, request: Request, found: list[Submission]) -> Response:
    return page_of(request, found, lambda one: submission_view(host.state, one))


def _find(host: Host, request: Request) -> Submission:
    found = host.state.store.submissions.get(request.path_params["submission_id"])
    if found is None:
        raise RefusedError(404, "Not Found")
    return found
