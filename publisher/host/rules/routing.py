"""`_headers`, `_redirects` and their tables in `netlify.toml`, read into rules; a bad one is left out and named.

Source: Netlify's documentation of redirects and headers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from publisher.host.store.records import HeaderRule, RedirectRule

if TYPE_CHECKING:
    from collections.abc import Iterable

STATUSES = frozenset({200, 301, 302, 303, 308, 404, 410})
"""The statuses that a redirect may have; 307 is not among them."""
IGNORED_HEADERS = frozenset(
    {
        "accept-ranges",
        "age",
        "allow",
        "alt-svc",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "date",
        "location",
        "server",
        "set-cookie",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The names of the headers that Netlify does not let a site set."""
_MOST_HEADERS = 100
"""How many headers one path may be given."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STATUS = re.compile(r"\d{3}!?\Z")
_CONDITIONS = frozenset({"country", "language", "role", "cookie"})
_PLACEHOLDER = re.compile(r":[A-Za-z_]\w*\Z")


class _Problem(Exception):  # noqa: N818 - it never leaves this module
    """Why one rule was left out."""


def parse_headers(text: str) -> tuple[list[HeaderRule], list[str]]:
    """Read a `_headers` file: a path on a line of its own, then its headers, indented or not, one per line."""
    rules: list[HeaderRule] = []
    problems: list[str] = []
    values: dict[str, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if words.startswith("/"):
            values = {}
            rules.append(HeaderRule(words, values))
            continue
        try:
            _add_header(values, *_split_header(words))
        except _Problem as problem:
            problems.append(f"_headers, line {number}: {problem}")
    return [rule for rule in rules if rule.values], problems


def headers_from_toml(tables: Iterable[dict[str, Any]]) -> tuple[list[HeaderRule], list[str]]:
    """Read the `[[headers]]` tables of `netlify.toml`."""
    rules: list[HeaderRule] = []
    problems: list[str] = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(_header_table(table))
        except _Problem as problem:
            problems.append(f"netlify.toml, [[headers]] {number}: {problem}")
    return [rule for rule in rules if rule.values], problems


def parse_redirects(text: str) -> tuple[list[RedirectRule], list[str]]:
    """Read a `_redirects` file: from, parameters, to, status, conditions."""
    rules: list[RedirectRule] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        try:
            rules.append(_redirect_line(words))
        except _Problem as problem:
            problems.append(f"_redirects, line {number}: {problem}")
    return rules, problems


def redirects_from_toml(tables: Iterable[dict[str, Any]]) -> tuple[list[RedirectRule], list[str]]:
    """Read the `[[redirects]]` tables of `netlify.toml`."""
    rules: list[RedirectRule] = []
    problems: list[str] = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(_redirect_table(table))
        except _Problem as problem:
            problems.append(f"netlify.toml, [[redirects]] {number}: {problem}")
    return rules, problems


def is_elsewhere(target: str) -> bool:
    """Tell whether a target is on another host."""
    return target.lower().startswith(("http://", "https://", "//"))


def _split_header(words: str) -> tuple[str, str]:
    name, colon, value = words.partition(":")
    if not colon:
        raise _Problem(f"{words!r} is neither a path nor a header")
    return name.strip(), value.strip()


def _add_header(values: dict[str, str] | None, name: str, value: str) -> None:
    if values is None:
        raise _Problem("a header comes before any path")
    if not _HEADER_NAME.match(name) or not value or _CONTROL.search(value):
        raise _Problem(f"{name!r} is not a header with a value")
    if name.lower() in IGNORED_HEADERS:
        raise _Problem(f"the header {name} cannot be set")
    if len(values) >= _MOST_HEADERS:
        raise _Problem(f"a path has more than {_MOST_HEADERS} headers")
    key = next((known for known in values if known.lower() == name.lower()), name)
    values[key] = f"{values[key]}, {value}" if key in values else value


def _header_table(table: dict[str, Any]) -> HeaderRule:
    path = table.get("for")
    given = table.get("values")
    if not isinstance(path, str) or not path.startswith("/") or not isinstance(given, dict):
        raise _Problem("needs `for`, a path, and `values`, a table")
    values: dict[str, str] = {}
    for name, value in given.items():
        for line in value if isinstance(value, list) else str(value).splitlines():
            _add_header(values, name, str(line).strip())
    return HeaderRule(path, values)


def _redirect_line(words: list[str]) -> RedirectRule:
    source, *rest = words
    split = next((index for index, word in enumerate(rest) if word.startswith("/") or is_elsewhere(word)), None)
    if split is None and rest and _STATUS.match(rest[-1]):
        split = len(rest) - 1
        rest.insert(split, source)
    if split is None:
        raise _Problem("has no target")
    query = _pairs(rest[:split])
    target, *tail = rest[split:]
    status = tail.pop(0) if tail and _STATUS.match(tail[0]) else "301"
    if tail:
        raise _Problem(f"conditions are not supported here: {' '.join(tail)}")
    return _checked(RedirectRule(source, target, int(status.rstrip("!")), status.endswith("!"), query))


def _redirect_table(table: dict[str, Any]) -> RedirectRule:
    if table.get("conditions") or table.get("headers") or table.get("signed"):
        raise _Problem("conditions, headers and signatures are not supported here")
    source, status, force = table.get("from"), table.get("status", 301), table.get("force", False)
    target, query = table.get("to", source), table.get("query", table.get("params", {}))
    if not (isinstance(source, str) and isinstance(target, str) and isinstance(status, int)):
        raise _Problem("needs `from` and `to`, which are strings, and a `status` that is a number")
    if not isinstance(query, dict) or not isinstance(force, bool):
        raise _Problem("has a `query` that is not a table or a `force` that is not true or false")
    return _checked(RedirectRule(source, target, status, force, {key: str(value) for key, value in query.items()}))


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    if not all(separator and name.lower() not in _CONDITIONS for name, separator, _ in pairs):
        raise _Problem(f"{' '.join(words)!r} is not a list of parameters")
    return {name: value for name, _, value in pairs}


def _checked(rule: RedirectRule) -> RedirectRule:
    if not rule.source.startswith("/"):
        raise _Problem(f"{rule.source!r} does not start with /; rules for other hosts are not supported here")
    if rule.status not in STATUSES:
        raise _Problem(f"the status {rule.status} is not one of {', '.join(map(str, sorted(STATUSES)))}")
    if rule.source.startswith("/.netlify"):
        raise _Problem("paths below /.netlify are Netlify's own")
    if "*" in rule.source[:-1] or (rule.source.endswith("*") and not rule.source.endswith("/*")):
        raise _Problem(f"{rule.source!r} has a * that is not its whole last part")
    names = [part for part in rule.source.split("/") if part.startswith(":")]
    if len(names) != len(set(names)) or not all(_PLACEHOLDER.match(name) for name in names):
        raise _Problem(f"{rule.source!r} has placeholders that are not distinct names")
    if not (rule.target.startswith("/") or is_elsewhere(rule.target)) or _CONTROL.search(rule.target):
        raise _Problem(f"{rule.target!r} is neither a path nor an address")
    return rule
