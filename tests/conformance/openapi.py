"""Netlify's official API description: the part that the host answers for, and a check of answers against it."""

from __future__ import annotations

import json
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

STORED = Path(__file__).with_name("openapi.json")
OPERATIONS = frozenset(
    {
        "cancelSiteDeploy",
        "createEnvVars",
        "createSite",
        "createSiteBuild",
        "createSiteBuildHook",
        "createSiteDeploy",
        "createSiteInTeam",
        "createSplitTest",
        "deleteDeploy",
        "deleteEnvVar",
        "deleteEnvVarValue",
        "deleteSite",
        "deleteSiteDeploy",
        "deleteSiteForm",
        "deleteSubmission",
        "disableSplitTest",
        "enableSplitTest",
        "getAccount",
        "getCurrentUser",
        "getDeploy",
        "getEnvVar",
        "getEnvVars",
        "getSite",
        "getSiteBuild",
        "getSiteBuildHook",
        "getSiteDeploy",
        "getSiteEnvVars",
        "getSiteFileByPathName",
        "getSiteMetadata",
        "getSplitTest",
        "getSplitTests",
        "listAccountsForUser",
        "listFormSubmission",
        "listFormSubmissions",
        "listHooksBySiteId",
        "listSiteBuildHooks",
        "listSiteBuilds",
        "listSiteDeployedBranches",
        "listSiteDeploys",
        "listSiteFiles",
        "listSiteForms",
        "listSiteSubmissions",
        "listSites",
        "listSitesForAccount",
        "lockDeploy",
        "restoreSiteDeploy",
        "rollbackSiteDeploy",
        "setEnvVarValue",
        "unlockDeploy",
        "updateEnvVar",
        "updateSite",
        "updateSiteDeploy",
        "updateSiteMetadata",
        "updateSplitTest",
        "uploadDeployFile",
    }
)
"""The operations that the host has."""
EXTENSIONS = re.compile(r"(/api/v1)?/deploys/[0-9a-f]{24}/log\Z")
"""What only the host has below the API's address."""
_KEPT = frozenset({"type", "items", "properties", "required", "additionalProperties", "enum", "allOf"})
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def trim(document: dict[str, Any]) -> dict[str, Any]:
    """Return the operations of a Swagger document that the host has, with the shapes of their answers."""
    paths: dict[str, Any] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters" and operation["operationId"] in OPERATIONS:
                answers = operation["responses"].items()
                shapes = {status: _shape(document, answer.get("schema")) for status, answer in answers}
                paths.setdefault(path, {})[method] = {"operationId": operation["operationId"], "responses": shapes}
    return {"version": document["info"]["version"], "paths": paths}


def problems(method: str, path: str, status: int, body: Any) -> list[str]:
    """Return how an answer differs from the description; `body` is None where there is none.

    A null stands for an absent value: Netlify's own answers have nulls for most of what they do not know.
    """
    if EXTENSIONS.match(path):
        return []
    operation = _operation(method, path)
    if operation is None:
        return [] if status in {404, 405} else [f"{method} {path} is no documented operation"]
    name, answers = operation["operationId"], operation["responses"]
    if 200 <= status < 300 and str(status) not in answers:
        return [f"{name}: {status} is none of {sorted(answers)}"]
    shape = answers.get(str(status)) or (None if 200 <= status < 300 else answers["default"])
    if shape is None:
        return [] if body is None else [f"{name}: {status} has a body"]
    return [f"{name}: {problem}" for problem in _differences(shape, body, "answer")]


def _operation(method: str, path: str) -> dict[str, Any] | None:
    plain = path.partition("?")[0]
    for template, methods in _stored()["paths"].items():
        pattern = re.sub(r"\\{(file_)?path\\}", ".+", re.escape(template))
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", pattern), plain) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    return None


@lru_cache(maxsize=1)
def _stored() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(STORED.read_text("utf-8"))
    return document


def _shape(document: dict[str, Any], schema: Any) -> Any:
    """Return a schema with its references followed and its prose left out."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _shape(document, document["definitions"][schema["$ref"].rpartition("/")[2]])
    shape = {key: value for key, value in schema.items() if key in _KEPT}
    for key in ("items", "additionalProperties"):
        if key in shape:
            shape[key] = _shape(document, shape[key])
    if "properties" in shape:
        shape["properties"] = {name: _shape(document, value) for name, value in shape["properties"].items()}
    if "allOf" in shape:
        shape["allOf"] = [_shape(document, part) for part in shape["allOf"]]
    return shape


def _differences(shape: dict[str, Any], value: Any, where: str) -> list[str]:
    found = [problem for part in shape.get("allOf", []) for problem in _differences(part, value, where)]
    kind = shape.get("type")
    if kind and not (isinstance(value, _TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)):
        return [*found, f"{where} is {value!r}, not of type {kind}"]
    if "enum" in shape and value not in shape["enum"]:
        found.append(f"{where} is {value!r}, none of {shape['enum']}")
    if isinstance(value, list) and "items" in shape:
        found += [
            problem
            for index, item in enumerate(value)
            for problem in _differences(shape["items"], item, f"{where}[{index}]")
        ]
    if isinstance(value, dict):
        found += [f"{where}.{name} is missing" for name in shape.get("required", []) if value.get(name) is None]
        found += [
            problem
            for name, part in shape.get("properties", {}).items()
            if value.get(name) is not None
            for problem in _differences(part, value[name], f"{where}.{name}")
        ]
    return found


if __name__ == "__main__":
    trimmed = trim(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    STORED.write_text(json.dumps(trimmed, indent=1, sort_keys=True) + "\n", "utf-8")
