"""Check the demo's site and one after 1,000 runs as readers, browsers and attackers meet them, and print a table.

python -m tests.site_check              # builds the demo first; takes minutes
python -m tests.site_check --again      # the demo's site as the last run left it
python -m tests.site_check --only axe --again
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chromium import chromium
from tests.site_check import sites, tools
from tests.site_check.attacks import attacked
from tests.site_check.crawl import Crawled, crawl
from tests.site_check.finding import Row, table
from tests.site_check.looks import Looker
from tests.site_check.packing import given_port, packed
from tests.site_check.trying import tried
from tests.trees import BRANCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEASURED = ("", "samples/", "history/", "compare/")
CHECKS = (
    "links",
    "html",
    "axe",
    "steady",
    "narrow",
    "keyboard",
    "noscript",
    "try",
    "attacks",
    "lighthouse",
    "pictures",
)


def main() -> int:
    """Run the checks and return 0 where nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", action="store_true", help="use the demo's site as the last run left it")
    parser.add_argument("--only", action="append", choices=CHECKS, help="run this check only")
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--runs", type=int, default=3, help="runs of Lighthouse whose medians count")
    parser.add_argument("--pictures", type=Path, default=sites.ROOT / ".site-check", help="where pictures go")
    given = parser.parse_args()
    tools.install()
    shutil.rmtree(given.pictures, ignore_errors=True)
    given.pictures.mkdir(parents=True)
    if not given.again:
        sites.make_demo(given.port)
    rows = []
    with sites.serving(given.port) as host:
        for row in _rows(host, set(given.only or CHECKS), given.pictures, given.runs):
            print(table([row]).rsplit("\n", 1)[0], flush=True)
            rows.append(row)
    print(f"\n{table(rows)}")
    return 1 if any(row.findings for row in rows) else 0


def _rows(host: sites.Host, wanted: set[str], pictures: Path, runs: int) -> Iterator[Row]:
    """Yield the row of each check that is wanted."""
    with tempfile.TemporaryDirectory() as folder:
        long = host.upload(BRANCH, sites.long_history(Path(folder), host.site))
    crawled = [crawl(f"{host.site}/", others=True), crawl(long, others=False)]
    kinds = [page for site in crawled for page in site.kinds()]
    everything = {address: text for site in crawled for address, text in site.pages.items()}
    if "links" in wanted:
        yield _links(crawled)
    if "html" in wanted:
        yield tools.validated(everything)
    with chromium() as browser:
        looker = Looker(browser, pictures, tools.axe())
        looks: dict[str, Callable[[list[str]], Row]] = {
            "axe": looker.accessible,
            "steady": looker.steady,
            "narrow": looker.narrow,
            "keyboard": looker.keyboard,
            "noscript": looker.without_scripts,
        }
        for name, look in looks.items():
            if name in wanted:
                yield look(kinds)
        if "try" in wanted:
            yield tried(browser, f"{host.site}/try/")
        if "attacks" in wanted:
            yield attacked(browser)
    if "lighthouse" in wanted:
        with packed(given_port(host.site)) as port:
            starts = [site.start.replace(f":{given_port(host.site)}/", f":{port}/") for site in crawled]
            yield from tools.lighthouse([start + path for start in starts for path in MEASURED], runs)
    if "pictures" in wanted:
        with chromium() as browser:
            yield Looker(browser, pictures, tools.axe()).pictures(kinds)


def _links(crawled: list[Crawled]) -> Row:
    count, pages = sum(site.links for site in crawled), sum(len(site.pages) for site in crawled)
    return Row("no dead link", f"{count} addresses, {pages} pages", [one for site in crawled for one in site.dead])


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(code)
