"""Every hostile text in every field, on every page that shows fields, in a real browser."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.render import render
from tests.hostile import PLAIN, PROBE, effects, hostile_tree
from tests.served import served
from tests.site_check.finding import Finding, Row
from tests.trees import PAYLOADS, source

if TYPE_CHECKING:
    from tests.chromium import Browser

TEXTS = (*PLAIN, *PAYLOADS[::4])
PROSE = frozenset({"about/", "method/", "rollback/"})
"""Pages that say the same whatever was measured."""


def attacked(browser: Browser) -> Row:
    """Render a site for each text and open its pages."""
    probe = browser.call("Page.addScriptToEvaluateOnNewDocument", source=PROBE)
    row, count = Row("hostile text", ""), 0
    for number, payload in enumerate(TEXTS):
        with tempfile.TemporaryDirectory() as name:
            dist = Path(name, "dist")
            render(source(hostile_tree(Path(name, "tree"), payload)), dist)
            pages = sorted(
                path.relative_to(dist).as_posix().removesuffix("index.html") for path in dist.rglob("*.html")
            )
            with served(dist) as site:
                for page in (page for page in pages if page not in PROSE):
                    seen = effects(browser, site, page, width=390 if number % 2 else 1280)
                    row.findings += [Finding(f"{page} with {payload[:60]!r}", what) for what in seen]
                    count += 1
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=probe["identifier"])
    row.seen = f"{len(TEXTS)} texts in every field, {count} pages"
    return row
