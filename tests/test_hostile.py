from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.render import render
from tests.chromium import Browser, chromium
from tests.hostile import EVERY, PLAIN, PROBE, effects, hostile_tree
from tests.served import served
from tests.trees import source

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)"),
]
CHOSEN = (0, 20, 36, 43, 52, 65, 76)
"""A few of each sort; `make site-check` takes all of them."""


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Browser]:
    """Return a browser that counts what scripts call."""
    with chromium() as running:
        running.call("Page.addScriptToEvaluateOnNewDocument", source=PROBE)
        yield running


@pytest.mark.parametrize("number", CHOSEN)
def test_text_in_every_field_stays_inert(browser: Browser, tmp_path: Path, number: int) -> None:
    """No page calls, requests, navigates, is blocked or gets an element because of what a field says."""
    render(source(hostile_tree(tmp_path / "tree", PLAIN[number])), tmp_path / "dist")
    pages = sorted(path.relative_to(tmp_path / "dist") for path in (tmp_path / "dist").rglob("*.html"))
    with served(tmp_path / "dist") as site:
        for page in pages:
            address = page.as_posix().removesuffix("index.html")
            assert effects(browser, site, address) == [], f"{page}: {PLAIN[number]}"


@pytest.mark.parametrize("number", [0, 12, 16, 34, 35, 36, 38, 42, 43, 44, 45, 53])
def test_what_works_would_be_seen(browser: Browser, tmp_path: Path, number: int) -> None:
    """On a page that trusts them and has no policy, the same texts are found out."""
    text = PLAIN[number]
    raw = f"<!doctype html><title>x</title><main><p title='{text}'>x</p><p title=\"{text}\">{text}</p></main>"
    (tmp_path / "index.html").write_text(raw, "utf-8")
    (tmp_path / "_headers").write_text("/*\n  X-Content-Type-Options: nosniff\n", "utf-8")
    with served(tmp_path) as site:
        assert set(effects(browser, site, "")) - {"0 policies in the page"}


def test_there_are_enough_of_them() -> None:
    """At least 60 different texts for every field, and formulas and Markdown besides."""
    assert len(set(PLAIN)) >= 60
    assert len(set(EVERY)) >= 120
