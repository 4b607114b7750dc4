"""Every page of a site as a visitor reaches it: by links from the start, over HTTP."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

import requests

from tests.site_check.finding import Finding

_LINKS = {"href", "src", "srcset", "poster", "data", "action"}
_NUMBER = re.compile(r"\d+|[0-9a-f]{12,}")


class _Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag != "link" or given.get("rel") != "canonical":
            self.links |= {value for name, value in given.items() if name in _LINKS}
        self.anchors |= {given["id"]} if "id" in given else set()


@dataclass(slots=True)
class Crawled:
    """A site's pages by address, and the links that lead nowhere."""

    start: str
    pages: dict[str, str] = field(default_factory=dict)
    dead: list[Finding] = field(default_factory=list)
    links: int = 0

    def kinds(self) -> list[str]:
        """Return the addresses of one page of each kind: pages whose paths differ in numbers only are one kind."""
        found: dict[str, str] = {}
        for address in self.pages:
            parts = urlsplit(address).path.strip("/").split("/")
            shape = "/".join([parts[0], *("#" if _NUMBER.fullmatch(part) else "*" for part in parts[1:])])
            found.setdefault(shape, address)
        return list(found.values())


def crawl(start: str, *, others: bool) -> Crawled:
    """Visit every page that links lead to from `start`, and every file; with `others`, hosts beside it as well.

    A link to a place outside this machine is not followed. The card is what other sites show: nothing here links to it.
    """
    site, session = Crawled(start), requests.Session()
    first = [start, f"{start}card/"]
    waiting, seen, anchors = deque((start, one) for one in first), set(first), dict[str, set[str]]()
    wanted: list[tuple[str, str, str]] = []
    while waiting:
        source, address = waiting.popleft()
        own = urlsplit(address).netloc == urlsplit(start).netloc
        there, answer = _get(session, address)
        site.links += 1
        if answer.status_code != 200:
            site.dead.append(Finding(source, f"{address} answers {answer.status_code}"))
            continue
        if not own or there != address or not answer.headers.get("Content-Type", "").startswith("text/html"):
            continue
        answer.encoding = "utf-8"
        site.pages[address] = answer.text
        page = _Page(answer.text)
        anchors[address] = page.anchors
        for link in sorted(page.links):
            target, fragment = urldefrag(urljoin(address, link))
            if fragment:
                wanted.append((address, target, fragment))
            if target not in seen and _followed(target, start, others=others):
                seen.add(target)
                waiting.append((address, target))
    site.dead += [
        Finding(page, f"{target} has no anchor {fragment!r}")
        for page, target, fragment in wanted
        if target in anchors and fragment not in anchors[target]
    ]
    return site


def _followed(target: str, start: str, *, others: bool) -> bool:
    there, here = urlsplit(target), urlsplit(start)
    if there.netloc == here.netloc:
        return True
    return others and there.scheme == "http" and (there.hostname or "").endswith(".localhost")


def _get(session: requests.Session, address: str) -> tuple[str, requests.Response]:
    """Return an address after its redirects and what it answers.

    This machine is asked, since its host name ends in .localhost, which not every resolver knows.
    """
    for _ in range(5):
        parts = urlsplit(address)
        there = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
        answer = session.get(there, headers={"Host": parts.netloc}, timeout=60, allow_redirects=False)
        if "Location" not in answer.headers:
            break
        address = urljoin(address, answer.headers["Location"])
    return address, answer
