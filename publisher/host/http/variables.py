"""Build variables that are set through the API, by the names that Netlify's description gives the operations.

Those that the host was started with are options of its own, may be secret, and are not listed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from starlette.responses import Response
from starlette.routing import Route

from publisher.host.http.handling import Host, as_json, check_account, check_site, endpoint, read_body
from publisher.host.store.clock import timestamp
from publisher.host.store.records import Value, Variable, new_id
from publisher.host.store.state import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from publisher.host.http.handling import Handler
    from publisher.host.store.state import State

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,199}\Z")
_SCOPES = ("builds", "functions", "runtime", "post-processing")
_CONTEXTS = frozenset({"all", "dev", "dev-server", "branch-deploy", "deploy-preview", "production", "branch"})
_MOST_VARIABLES = 200
_MOST_VALUES = 50
_MOST_VALUE = 5000
"""Characters of one value; Netlify's own limit."""


def variable_routes() -> list[Route]:
    """Return the routes of build variables."""
    every = "/api/v1/accounts/{account_id}/env"
    one = f"{every}/{{key}}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", every, get_env_vars),
        ("POST", every, create_env_vars),
        ("GET", one, get_env_var),
        ("PUT", one, update_env_var),
        ("PATCH", one, set_env_var_value),
        ("DELETE", one, delete_env_var),
        ("DELETE", f"{one}/value/{{value_id}}", delete_env_var_value),
        # The description names this path from the root, and the official client puts it behind its base path.
        ("GET", "/api/v1/sites/{site_id}/env", get_site_env_vars),
        ("GET", "/api/v1/api/v1/sites/{site_id}/env", get_site_env_vars),
    ]
    return [Route(path, endpoint(handler), methods=[method]) for method, path, handler in table]


async def get_env_vars(host: Host, request: Request) -> Response:
    """List the variables, those of one context or scope where one is asked for."""
    check_account(host.state, request)
    return as_json(_listed(host.state, request))


async def get_site_env_vars(host: Host, request: Request) -> Response:
    """List the variables of the site."""
    check_site(host.state, request)
    return as_json(_listed(host.state, request))


async def create_env_vars(host: Host, request: Request) -> Response:
    """Set new variables; all of them or none."""
    check_account(host.state, request)
    given = await _body(host, request)
    if not isinstance(given, list) or not given:
        raise RefusedError(400, "The request body is not a list of variables")
    made = [_variable(host.state, one) for one in given]
    known = {variable.key for variable in host.state.store.site.variables}
    for variable in made:
        if variable.key in known:
            raise RefusedError(422, f"{variable.key} is set already")
        known.add(variable.key)
    _save(host.state, (*host.state.store.site.variables, *made))
    return as_json([_view(variable) for variable in made], 201)


async def get_env_var(host: Host, request: Request) -> Response:
    """Return one variable."""
    return as_json(_view(_find(host, request)))


async def update_env_var(host: Host, request: Request) -> Response:
    """Set a variable anew, in all contexts."""
    known = _find(host, request)
    given = await _body(host, request)
    if not isinstance(given, dict):
        raise RefusedError(400, "The request body is not a variable")
    made = _variable(host.state, {"is_secret": known.secret, **given, "key": given.get("key") or known.key})
    if made.key != known.key and any(one.key == made.key for one in host.state.store.site.variables):
        raise RefusedError(422, f"{made.key} is set already")
    _replace(host.state, known, made)
    return as_json(_view(made))


async def set_env_var_value(host: Host, request: Request) -> Response:
    """Set a variable in one context."""
    known = _find(host, request)
    made = _value(await _body(host, request))
    others = tuple(one for one in known.values if (one.context, one.parameter) != (made.context, made.parameter))
    if len(others) >= _MOST_VALUES:
        raise RefusedError(422, f"{known.key} has {_MOST_VALUES} values already")
    changed = replace(known, values=(*others, made), updated_at=host.state.clock.now())
    _replace(host.state, known, changed)
    return as_json(_view(changed), 201)


async def delete_env_var(host: Host, request: Request) -> Response:
    """Remove a variable."""
    _replace(host.state, _find(host, request), None)
    return Response(status_code=204)


async def delete_env_var_value(host: Host, request: Request) -> Response:
    """Remove a variable's value in one context."""
    known = _find(host, request)
    kept = tuple(one for one in known.values if one.id != request.path_params["value_id"])
    if len(kept) == len(known.values):
        raise RefusedError(404, "Not Found")
    _replace(host.state, known, replace(known, values=kept) if kept else None)
    return Response(status_code=204)


def _listed(state: State, request: Request) -> list[dict[str, Any]]:
    context, scope = request.query_params.get("context_name", "all"), request.query_params.get("scope", "any")
    found = []
    for variable in state.store.site.variables:
        values = tuple(one for one in variable.values if context in {"all", one.context, one.parameter})
        if values and (scope == "any" or scope in variable.scopes):
            found.append(_view(replace(variable, values=values)))
    return found


def _view(variable: Variable) -> dict[str, Any]:
    values = [
        {
            "id": one.id,
            "value": "" if variable.secret and one.context != "dev" else one.value,
            "context": one.context,
            **({"context_parameter": one.parameter} if one.parameter else {}),
        }
        for one in variable.values
    ]
    return {
        "key": variable.key,
        "scopes": list(variable.scopes),
        "values": values,
        "is_secret": variable.secret,
        "updated_at": timestamp(variable.updated_at),
        "updated_by": None,
    }


def _variable(state: State, given: object) -> Variable:
    if not isinstance(given, dict) or not isinstance(given.get("key"), str) or not _NAME.match(given["key"]):
        raise RefusedError(422, "A variable's key is a letter and then letters, digits and _")
    values, scopes = given.get("values"), given.get("scopes") or list(_SCOPES)
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_VALUES:
        raise RefusedError(422, f"{given['key']} needs 1 to {_MOST_VALUES} values")
    if not isinstance(scopes, list) or not set(map(str, scopes)) <= {*_SCOPES, "post_processing"}:
        raise RefusedError(422, f"The scopes of {given['key']} are not of {', '.join(_SCOPES)}")
    return Variable(
        key=given["key"],
        values=tuple(map(_value, values)),
        scopes=tuple(str(scope).replace("_", "-") for scope in scopes),
        secret=given.get("is_secret") is True,
        updated_at=state.clock.now(),
    )


def _value(given: object) -> Value:
    if not isinstance(given, dict):
        raise RefusedError(400, "A value is an object with `value` and `context`")
    value, context = given.get("value", ""), given.get("context", "all")
    parameter = given.get("context_parameter") or ""
    if not isinstance(value, str) or len(value) > _MOST_VALUE or "\x00" in value:
        raise RefusedError(422, f"A value is text of at most {_MOST_VALUE} characters")
    known = isinstance(context, str) and context in _CONTEXTS and isinstance(parameter, str)
    if not known or (context == "branch") != bool(parameter):
        raise RefusedError(422, "A value's context is none of Netlify's, or has no branch")
    return Value(new_id(), value, context, parameter[:250])


async def _body(host: Host, request: Request) -> object:
    try:
        return msgspec.json.decode(await read_body(request, host.state.options.bounds.json_body))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RefusedError(400, f"The request body is not JSON: {error}") from error


def _find(host: Host, request: Request) -> Variable:
    check_account(host.state, request)
    found = (one for one in host.state.store.site.variables if one.key == request.path_params["key"])
    variable = next(found, None)
    if variable is None:
        raise RefusedError(404, "Not Found")
    return variable


def _replace(state: State, known: Variable, made: Variable | None) -> None:
    kept = (made if one is known else one for one in state.store.site.variables)
    _save(state, (one for one in kept if one is not None))


def _save(state: State, variables: Iterable[Variable]) -> None:
    wanted = tuple(variables)
    if len(wanted) > _MOST_VARIABLES:
        raise RefusedError(422, f"A site has at most {_MOST_VARIABLES} variables")
    state.store.save_site(replace(state.store.site, variables=wanted))
    state.effects.record("variables changed", count=len(wanted))
