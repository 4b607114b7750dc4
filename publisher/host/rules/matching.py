"""What a path answers with, given a deploy's files and rules. Pure: no disk, no network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from publisher.host.rules.routing import is_elsewhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.host.store.records import Entry, HeaderRule, Manifest, RedirectRule


_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A file to send, a place to go, or a reason why there is nothing."""

    status: int
    name: str = ""
    """The path of the file in the deploy, which says its type."""
    entry: Entry | None = None
    location: str = ""
    note: str = ""


def resolve(manifest: Manifest, path: str, query: str) -> Answer:
    """Return what `path` (decoded, with a leading slash) and `query` (raw) answer with.

    The first rule that matches wins; one without `!` gives way to a file that exists.
    """
    found = _look_up(manifest, path)
    for rule in manifest.redirects:
        values = _match(rule, path, query)
        if values is not None and (rule.force or found.status == 404):
            return _follow(manifest, rule, values, query)
    if found.status == 404:
        return _not_found(manifest)
    if found.location and query:
        return Answer(found.status, location=f"{found.location}?{query}")
    return found


def headers_for(rules: tuple[HeaderRule, ...], path: str) -> dict[str, str]:
    """Return the headers for a path, in lower case; of two rules for one name the later wins."""
    headers: dict[str, str] = {}
    for rule in rules:
        if _covers(rule.path, path):
            headers |= {name.lower(): value for name, value in rule.values.items()}
    return headers


def _look_up(manifest: Manifest, path: str) -> Answer:
    """Find a file as Netlify does: itself, with `.html`, or the index of a folder, which has a trailing slash."""
    name = path[1:]
    folder = not name or name.endswith("/")
    candidates = (f"{name}index.html", f"{name[:-1]}.html") if folder else (name, f"{name}.html")
    for candidate in candidates:
        if candidate in manifest.files:
            return Answer(200, candidate, manifest.files[candidate])
    if not folder and f"{name}/index.html" in manifest.files:
        return Answer(301, location=quote(f"/{name}/"))
    return Answer(404)


def _not_found(manifest: Manifest, status: int = 404) -> Answer:
    return Answer(status, "404.html", manifest.files.get("404.html"))


def _follow(manifest: Manifest, rule: RedirectRule, values: Mapping[str, str], query: str) -> Answer:
    if is_elsewhere(rule.target) and not 300 < rule.status < 400:
        return Answer(501, note=f"this host has no outbound network: it does not proxy to {rule.target}")
    if 300 < rule.status < 400:
        return Answer(rule.status, location=_location(rule, values, query))
    target = urlsplit(_fill(rule.target, values, encode=False)).path
    found = _look_up(manifest, target)
    if found.location:
        found = _look_up(manifest, f"{target}/")
    if found.entry is None:
        return _not_found(manifest, 404 if rule.status == 200 else rule.status)
    return Answer(rule.status, found.name, found.entry)


def _location(rule: RedirectRule, values: Mapping[str, str], query: str) -> str:
    filled = _fill(rule.target, values, encode=True)
    if not is_elsewhere(rule.target):
        filled = "/" + filled.lstrip("/\\")
    target, mark, fragment = filled.partition("#")
    if query and "?" not in target and not rule.query:
        target = f"{target}?{query}"
    # A header of HTTP holds no other characters; an address spells them so.
    return _NOT_ASCII.sub(lambda found: quote(found[0]), target + mark + fragment)


def _fill(target: str, values: Mapping[str, str], *, encode: bool) -> str:
    def value(match: re.Match[str]) -> str:
        text = values.get(match[1])
        if text is None:
            return match[0]
        return quote(text, safe="/-._~!$&'()*+,;=:@") if encode else text

    return re.sub(r":([A-Za-z_]\w*)", value, target)


def _match(rule: RedirectRule, path: str, query: str) -> dict[str, str] | None:
    """Return the placeholders' values where a rule matches; its parameters must be all that there are."""
    match = _redirect_pattern(rule.source).fullmatch(path)
    if match is None:
        return None
    values = {name: text or "" for name, text in match.groupdict().items()}
    if not rule.query:
        return values
    given = dict(parse_qsl(query, keep_blank_values=True))
    if set(given) != set(rule.query):
        return None
    for name, wanted in rule.query.items():
        if wanted.startswith(":"):
            values[wanted[1:]] = given[name]
        elif given[name] != wanted:
            return None
    return values


@lru_cache(maxsize=4096)
def _redirect_pattern(source: str) -> re.Pattern[str]:
    """Compile `/a/:b/*`; a trailing slash makes no difference, and `/a/*` matches `/a` as well."""
    splat = source.endswith("/*")
    parts = [part for part in (source[:-2] if splat else source).split("/") if part]
    pattern = "".join("/" + _segment(part) for part in parts)
    return re.compile(pattern + ("(?:/(?P<splat>.*))?" if splat else "/?"), re.DOTALL)


def _covers(rule: str, path: str) -> bool:
    """Return whether a header rule is for a path, in time linear in both.

    One pattern with `.*` for each star would try every way to share the path out among the stars. Here each piece
    between two stars is taken where it is first found: what comes after it then has the most room.
    """
    position = 0
    for number, piece in enumerate(_pieces(rule)):
        found = piece.search(path, position) if number else piece.match(path)
        if found is None:
            return False
        position = found.end()
    return True


@lru_cache(maxsize=4096)
def _pieces(rule: str) -> tuple[re.Pattern[str], ...]:
    """Return a pattern for each piece between the stars of a header rule; the last one has to reach the path's end.

    `*` may stand anywhere; `/a/*` is for `/a` as well, and a trailing slash makes no difference.
    """
    splat = rule.endswith("/*")
    pieces = [""]
    for number, part in enumerate((rule[:-2] if splat else rule).split("/")):
        first, *others = ("[^/]+",) if part.startswith(":") else map(re.escape, part.split("*"))
        pieces[-1] += ("/" if number else "") + first
        pieces += others
    pieces[-1] += r"(?:/|\Z)" if splat else r"/?\Z"
    return tuple(map(re.compile, pieces))


def _segment(part: str) -> str:
    return f"(?P<{part[1:]}>[^/]+)" if part.startswith(":") else re.escape(part)
