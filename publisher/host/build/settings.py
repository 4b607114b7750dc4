"""What a tree's `netlify.toml` says about building it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from publisher.errors import ConfigError
from publisher.host.rules.toml import read_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """The build of one context."""

    command: str = ""
    """What bash runs; empty where nothing is to be built."""
    publish: str = ""
    """The folder to publish, from the top of the repository."""
    base: str = ""
    """The folder that the command runs in, from the top of the repository."""
    environment: dict[str, str]
    """Variables that the file sets."""
    headers: tuple[dict[str, Any], ...] = ()
    """The `[[headers]]` tables, as they are."""
    redirects: tuple[dict[str, Any], ...] = ()
    """The `[[redirects]]` tables, as they are."""


def read_settings(text: str, context: str, branch: str) -> BuildSettings:
    """Return the settings of one context; a branch's own table wins over its context's, and that over `[build]`.

    Raises ConfigError for a file that is not TOML or has values of another kind.
    """
    document = read_toml(text)
    contexts = _table(document, "context")
    layers = [_table(document, "build"), _table(contexts, context), _table(contexts, branch)]
    base = _inside(_last(layers, "base"))
    return BuildSettings(
        command=_last(layers, "command"),
        publish=_join(base, _inside(_last(layers, "publish"))),
        base=base,
        environment=_environment(layers),
        headers=_tables(document, "headers"),
        redirects=_tables(document, "redirects"),
    )


def _last(layers: list[dict[str, Any]], key: str) -> str:
    values = [layer[key] for layer in layers if key in layer]
    if not values:
        return ""
    if not isinstance(values[-1], str):
        raise ConfigError(f"netlify.toml: {key} is not a string")
    return values[-1]


def _environment(layers: list[dict[str, Any]]) -> dict[str, str]:
    merged: dict[str, Any] = {}
    for layer in layers:
        merged |= _table(layer, "environment")
    return {key: _variable(key, value) for key, value in merged.items()}


def _variable(key: str, value: Any) -> str:
    if "\0" in key or "=" in key or not key or isinstance(value, dict | list) or "\0" in str(value):
        raise ConfigError(f"netlify.toml: the variable {key!r} cannot be set")
    return str(value)


def _inside(path: str) -> str:
    """Return a path from the repository's top, where a leading slash means that top; `..` is an error."""
    parts = PurePosixPath(path.lstrip("/")).parts
    if ".." in parts or "\0" in path:
        raise ConfigError(f"netlify.toml: the path {path!r} leaves the repository")
    return "/".join(parts)


def _join(base: str, publish: str) -> str:
    return "/".join(part for part in (base, publish) if part)


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"netlify.toml: {key} is not a table")
    return value


def _tables(document: dict[str, Any], key: str) -> tuple[dict[str, Any], ...]:
    value = document.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"netlify.toml: {key} is not a list of tables")
    return tuple(value)
