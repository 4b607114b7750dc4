"""The check of rendered pages: every internal link leads somewhere, and nothing needs an inline script or style."""

from __future__ import annotations

import posixpath
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINKS = {"href", "src", "action", "poster", "data"}
_SCHEMES = {"http", "https"}


class _Page(HTMLParser):
    """What the check needs to know of one page: its anchors, its links, and what its policy would block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: set[str] = set()
        self.doubled: set[str] = set()
        self.links: set[str] = set()
        self.blocked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if anchor := given.get("id"):
            (self.doubled if anchor in self.anchors else self.anchors).add(anchor)
        self.links |= {value for name, value in given.items() if name in _LINKS}
        if "style" in given or tag == "style":
            self.blocked.append(f"an inline style (<{tag}>)")
        if tag == "script" and "src" not in given:
            self.blocked.append("an inline script")
        self.blocked += [f"an inline handler ({name})" for name in given if name.startswith("on")]
        if tag in {"base", "iframe", "object", "embed"}:
            self.blocked.append(f"<{tag}>")


def check(files: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with the pages among `files`, sorted; nothing when all is well."""
    pages = {name: _parse(files[name]) for name in files if name.endswith(".html")}
    problems = []
    for name, page in pages.items():
        problems += [f"{name} has {what}, which the site's policy blocks" for what in page.blocked]
        problems += [f"{name} has the anchor {anchor!r} twice" for anchor in page.doubled]
        problems += [
            f"{name} links to {link!r}: {why}" for link in page.links if (why := _fault(name, link, files, pages))
        ]
    return sorted(problems)


def _parse(data: bytes) -> _Page:
    page = _Page()
    page.feed(data.decode())
    page.close()
    return page


def _fault(name: str, link: str, files: Mapping[str, bytes], pages: Mapping[str, _Page]) -> str:
    """Return why a link leads nowhere, or nothing; other sites are not looked at."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return "" if parts.scheme in _SCHEMES else "not a web address"
    target = _resolve(name, unquote(parts.path))
    if target not in files and parts.path not in _redirected(files):
        return "there is no such file"
    if parts.fragment and target in pages and parts.fragment not in pages[target].anchors:
        return "there is no such anchor on that page"
    return ""


def _redirected(files: Mapping[str, bytes]) -> set[str]:
    """Return the paths that the host leads elsewhere."""
    return {row.split()[0] for row in files.get("_redirects", b"").decode().splitlines() if row.strip()}


def _resolve(name: str, path: str) -> str:
    """Return the file that `path` names as seen from the page `name`."""
    if not path:
        return name
    joined = posixpath.join("/", posixpath.dirname(name), path)
    target = posixpath.normpath(joined).lstrip("/")
    if path.endswith(("/", "/.", "/..")) or path in {".", ".."}:
        return posixpath.join(target, "index.html") if target else "index.html"
    return target
