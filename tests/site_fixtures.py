"""Rendered sites for tests: a believable one, one of strangers' texts, and a small tree that a test may change."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from publisher.render import build
from tests.trees import snapshot_tree, source


@pytest.fixture(name="tree", scope="module")
def tree_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a believable snapshot tree; tests do not change it."""
    return snapshot_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(name="files", scope="module")
def files_fixture(tree: Path) -> dict[str, bytes]:
    """Return the site of that tree."""
    return build(source(tree))


@pytest.fixture(name="hostile", scope="module")
def hostile_fixture(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the site of a tree whose every text was written by a stranger."""
    return build(source(snapshot_tree(tmp_path_factory.mktemp("hostile"), hostile=True)))


@pytest.fixture(name="own")
def own_fixture(tmp_path: Path) -> Path:
    """Return a small snapshot tree that a test may change."""
    return snapshot_tree(tmp_path / "tree", runs=3, problems=8)


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, page: bytes) -> None:
        """Parse a page."""
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.all.append((tag, dict(attrs)))


def pages(site: dict[str, bytes]) -> dict[str, str]:
    """Return the HTML pages of a site as text."""
    return {name: data.decode() for name, data in site.items() if name.endswith(".html")}
