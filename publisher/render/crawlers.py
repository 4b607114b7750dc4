"""What search engines and language models read first: `robots.txt`, `sitemap.xml` and `llms.txt`.

Sources: sitemaps.org, protocol 0.9; llmstxt.org. Both name permanent addresses, so what is found stays true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from publisher.render import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publisher.render.gather import Snapshot
    from publisher.render.parts import Draft

SITEMAP = "sitemap.xml"
MOST_ADDRESSES = 50_000
"""The most that one sitemap may name."""
_PROGRAMS = {
    "snapshot.json": "the record, the verdict and the addresses of this snapshot",
    "history.json": "one line per run, as of this snapshot",
    "manifest.json": "SHA-256 and size of every file",
    "metrics.txt": "score, interval, latency and tokens in OpenMetrics' form",
    "every_eval_ever.json": "the result in the schema that evaluation tools share",
}


def files(snapshot: Snapshot, drafts: Iterable[Draft]) -> dict[str, bytes]:
    """Return the files by path, about the pages in `drafts`."""
    pages = [draft for draft in drafts if not draft.path.endswith(".html")]
    return {
        "robots.txt": f"User-agent: *\nAllow: /\nSitemap: {snapshot.pin}/{SITEMAP}\n".encode(),
        SITEMAP: _sitemap(snapshot, pages),
        "llms.txt": _llms(snapshot, pages),
    }


def _sitemap(snapshot: Snapshot, pages: Iterable[Draft]) -> bytes:
    day = text.machine_time(snapshot.record.finished)[:10]
    entries = "".join(
        f"<url><loc>{escape(f'{snapshot.pin}/{page.path}')}</loc><lastmod>{day}</lastmod></url>\n"
        for page in list(pages)[:MOST_ADDRESSES]
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{entries}</urlset>\n".encode()


def _llms(snapshot: Snapshot, pages: Iterable[Draft]) -> bytes:
    """Return `llms.txt`: a title, a summary and links. Titles hold names from outside: one line, without brackets."""
    record, result = snapshot.record, snapshot.headline
    summary = (
        f"{_plain(record.model.name)} at commit {record.commit.sha[:12]}: {_plain(result.suite)} "
        f"{text.points(result.score)} ± {text.points(result.stderr)} points, {snapshot.word}. It never changes."
    )
    # Pages of a map that goes on are reached from its first.
    listed = [page for page in pages if page.path.count("/") < 3]
    lines = [f"# {_plain(record.model.name)}", "", f"> {summary}", "", "## Pages", ""]
    lines += [f"- [{_plain(page.title)}]({snapshot.pin}/{page.path}): {_plain(page.description)}" for page in listed]
    lines += ["", "## Data", ""]
    lines += [f"- [{name}]({snapshot.pin}/{name}): {what}" for name, what in _PROGRAMS.items()]
    return ("\n".join(lines) + "\n").encode()


def _plain(words: str) -> str:
    """Return text from outside as a line of Markdown that is text alone."""
    return "".join(" " if character in "[]()<>`*_#|\\" else character for character in text.line(words, 200)).strip()
