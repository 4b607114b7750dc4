"""The check of rendered pages: every internal link leads somewhere, and nothing needs an inline script or style.

Pages are read with one pattern: an HTML parser took longer than rendering them. Templates escape what they show, so a
"<" in a page begins a tag or a comment; where a team's own template breaks that rule, the worst is a false alarm.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from html import unescape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINKS = {"href", "src", "action", "poster", "data"}
_SCHEMES = {"http", "https"}
_EMBEDDED = {"base", "iframe", "object", "embed"}
# Possessive: a tag without an end costs one look, not one for every way to cut it. A comment is matched to be skipped.
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[a-zA-Z](?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>", re.DOTALL)
_ATTRIBUTE = re.compile(r"([^\s\"'>/=]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?")
_SHEET = re.compile(r"""(?:url\(\s*(?P<a>['"]?)|@import\s+(?P<b>['"]))(?P<link>[^'")]+)""")


class _Tag(NamedTuple):
    """What the check needs to know of one tag."""

    anchor: str
    links: tuple[str, ...]
    blocked: tuple[str, ...]
    """What the policy would block, in words."""


class _Page(NamedTuple):
    """What the check needs to know of one page."""

    anchors: set[str]
    doubled: set[str]
    links: set[str]
    blocked: list[str]


def check(files: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with the pages among `files`, sorted; nothing when all is well."""
    known: dict[str, _Tag] = {}
    pages = {name: _page(files[name].decode(), known) for name in files if name.endswith(".html")}
    redirected = {row.split()[0] for row in files.get("_redirects", b"").decode().splitlines() if row.strip()}
    problems = []
    for name, page in pages.items():
        problems += [f"{name} has {what}, which the site's policy blocks" for what in page.blocked]
        problems += [f"{name} has the anchor {anchor!r} twice" for anchor in page.doubled]
        problems += [
            f"{name} links to {link!r}: {why}"
            for link in page.links
            if (why := _fault(name, link, files, pages, redirected))
        ]
    for name in files:
        if name.endswith(".css"):
            problems += _faults_of_sheet(name, files)
    return sorted(problems)


def _page(html: str, known: dict[str, _Tag]) -> _Page:
    """Return what is on a page; `known` keeps the tags of all pages, most of which are there many times."""
    page = _Page(set(), set(), set(), [])
    for written, times in Counter(_TAG.findall(html)).items():
        tag = known.get(written) or known.setdefault(written, _tag(written))
        if tag.anchor and (times > 1 or tag.anchor in page.anchors):
            page.doubled.add(tag.anchor)
        if tag.anchor:
            page.anchors.add(tag.anchor)
        page.links.update(tag.links)
        page.blocked.extend(tag.blocked * times)
    return page


def _faults_of_sheet(name: str, files: Mapping[str, bytes]) -> list[str]:
    """Return what a style sheet loads that is not there, or that the policy blocks."""
    found = {match["link"].strip() for match in _SHEET.finditer(files[name].decode(errors="replace"))}
    faults = []
    for link in found:
        parts = urlsplit(link)
        if parts.netloc or parts.scheme not in {"", "data"}:
            faults.append(f"{name} loads {link!r}, which the site's policy blocks")
        elif not parts.scheme and _resolve(name, unquote(parts.path)) not in files:
            faults.append(f"{name} loads {link!r}: there is no such file")
    return faults


def _tag(written: str) -> _Tag:
    """Return what the check needs of a tag; nothing of a comment."""
    if written.startswith("<!"):
        return _Tag("", (), ())
    (name, *_), *attributes = _ATTRIBUTE.findall(written[1:])
    name = name.lower()
    # The first of two attributes of one name counts.
    given = {key.lower(): unescape(a or b or c) for key, a, b, c in reversed(attributes)}
    blocked = [f"an inline style (<{name}>)"] if "style" in given or name == "style" else []
    blocked += ["an inline script"] if name == "script" and "src" not in given else []
    blocked += [f"an inline handler ({key})" for key in given if key.startswith("on")]
    blocked += [f"<{name}>"] if name in _EMBEDDED else []
    leads = [given[key] for key in given.keys() & _LINKS]
    leads += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
    return _Tag(given.get("id", ""), tuple(leads), tuple(blocked))


def _fault(name: str, link: str, files: Mapping[str, bytes], pages: Mapping[str, _Page], redirected: set[str]) -> str:
    """Return why a link leads nowhere, or nothing; other sites are not looked at."""
    if link[:1] == "#" and link[1:] in pages[name].anchors:
        return ""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return "" if parts.scheme in _SCHEMES else "not a web address"
    target = _resolve(name, unquote(parts.path))
    if target not in files and parts.path not in redirected:
        return "there is no such file"
    if parts.fragment and target in pages and parts.fragment not in pages[target].anchors:
        return "there is no such anchor on that page"
    return ""


def _resolve(name: str, path: str) -> str:
    """Return the file that `path` names as seen from the page `name`."""
    if not path:
        return name
    joined = posixpath.join("/", posixpath.dirname(name), path)
    target = posixpath.normpath(joined).lstrip("/")
    if path.endswith(("/", "/.", "/..")) or path in {".", ".."}:
        return posixpath.join(target, "index.html") if target else "index.html"
    return target
