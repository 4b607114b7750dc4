"""Every page of a snapshot's site, rendered in memory with one strict environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import jinja2

from publisher.errors import ConfigError
from publisher.render import feeds, tables, text, views
from publisher.render.answers import answers_pages
from publisher.render.assets import fingerprinted
from publisher.render.markdown import content
from publisher.render.views import Link

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from publisher.render.gather import Snapshot
    from publisher.render.markdown import Content
    from publisher.render.tables import Comparison, HistoryRow
    from publisher.render.views import ChartView, SiteView
    from publisher.schema import HistoryLine

T = TypeVar("T")
ROWS_A_PAGE = 150
MOST_ROWS = 1_500
"""Runs in the tables at most, so that a build costs the same however long the history is."""
MOST_COMPARED = 100
RESERVED = frozenset({"samples", "history", "compare", "rejected", "assets", "permalink"})
"""Names that a page of prose cannot have."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page is and what it is called; `root` leads from it to the site's root."""

    path: str
    root: str
    section: str
    title: str
    description: str

    @property
    def file(self) -> str:
        """The page's file."""
        return f"{self.path}index.html" if not self.path or self.path.endswith("/") else self.path


@dataclass(frozen=True, slots=True)
class RunsView:
    """One page of a list of runs, newest first; the chart, and the way to the whole chart, only on the first."""

    rows: tuple[HistoryRow, ...]
    number: int
    pages: int
    newer: str
    older: str
    total: str
    chart: ChartView | None
    overview: str
    left_out: str


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Two older snapshots beside this one in full, and the rest by the headline score."""

    detailed: tuple[Comparison, ...]
    rest: tuple[Comparison, ...]
    omitted: int
    headline: str


class Site:
    """A snapshot's site being rendered."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Prepare the environment: the merged templates, the assets' names and what every page says."""
        self.snapshot = snapshot
        self.assets, self.files = fingerprinted(_part(snapshot, "assets/"))
        self.content = _content(snapshot)
        self.view: SiteView = views.site_view(
            snapshot, tuple(Link(page.title, f"{page.name}/", page.name) for page in self.content)
        )
        self.environment = jinja2.Environment(
            loader=jinja2.DictLoader({name: _utf8(name, data) for name, data in _part(snapshot, "templates/").items()}),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self.environment.globals |= {"site": self.view, "assets": self.assets, "policy": feeds.policy()}

    def render(self) -> dict[str, bytes]:
        """Return every file of the site but the manifest and `deploy.json`."""
        for template, page, view in self._pages():
            self.files[page.file] = self._template(template, page=page, view=view)
        self.files |= {
            "badge.svg": self._template("badge.svg", view=feeds.badge(self.snapshot)),
            "feed.xml": self._template("feed.xml", view=feeds.feed(self.snapshot)),
            "snapshot.json": feeds.snapshot_json(self.snapshot),
            "history.json": self.snapshot.history_bytes,
            "badge.json": feeds.badge_json(self.snapshot),
            "robots.txt": b"User-agent: *\nAllow: /\n",
            "_headers": feeds.headers_file(feeds.headers(self.snapshot)),
            "_redirects": feeds.redirects(self.snapshot),
        }
        return dict(sorted(self.files.items()))

    def _template(self, name: str, **values: object) -> bytes:
        """Render one template; ConfigError names the template and the line of a mistake."""
        try:
            return self.environment.get_template(name).render(**values).encode()
        except jinja2.TemplateSyntaxError as error:
            raise _mistake(error.name or name, f"line {error.lineno}: {error.message}") from error
        except jinja2.TemplateNotFound as error:
            raise _mistake(name, f"there is no template {error.name!r}") from error
        except jinja2.TemplateError as error:
            raise _mistake(name, str(error.message)) from error

    def _pages(self) -> Iterator[tuple[str, Page, object]]:
        """Yield (template, page, view) of every page."""
        home = views.home(self.snapshot)
        yield (
            "home.html",
            self._page("", "snapshot", self.view.headline, f"{home.basis}, 95 % interval {home.interval}"),
            home,
        )
        yield (
            "samples.html",
            self._page("samples/", "samples", "Answers", "Every answer of this snapshot, by suite."),
            home.suites,
        )
        for result in self.snapshot.record.results:
            for answers in answers_pages(self.snapshot, result):
                title = f"{result.suite}: answers" + (f", page {answers.number}" if answers.number > 1 else "")
                yield (
                    "answers.html",
                    self._page(answers.path, "samples", title, "Every problem with the model's answers."),
                    answers,
                )
        yield from self._runs()
        compared = compare_view(self.snapshot)
        yield "compare.html", self._page("compare/", "compare", "Compare", "This snapshot beside older ones."), compared
        for written in self.content:
            yield "content.html", self._page(f"{written.name}/", written.name, written.title, written.summary), written
        yield "404.html", Page("404.html", "/", "", "Not found", "There is no such page in this snapshot."), None

    def _runs(self) -> Iterator[tuple[str, Page, object]]:
        """Yield the pages of the history and of the runs that were not kept."""
        lines = self.snapshot.history.lines[::-1]
        refused = [line for line in lines if line.verdict != "kept"]
        total = len(tables.marks(self.snapshot))
        overview = "history/all/" if total > views.RECENT_MARKS else ""
        if overview:
            page = self._page(overview, "history", "All time", "Every run in one chart.")
            yield "overview.html", page, views.chart(self.snapshot, total, "all")
        recent = views.chart(self.snapshot)
        yield from self._listing("history", "History", lines, chart=recent, overview=overview)
        yield from self._listing("rejected", "Rejected", refused)

    def _listing(
        self, section: str, title: str, lines: Sequence[HistoryLine], chart: ChartView | None = None, overview: str = ""
    ) -> Iterator[tuple[str, Page, RunsView]]:
        """Yield the pages of one list of runs."""
        chunks = _chunks(tables.history_rows(self.snapshot, lines[:MOST_ROWS]))
        left_out = text.plural(len(lines) - MOST_ROWS, "older run") if len(lines) > MOST_ROWS else ""
        for number, chunk in enumerate(chunks, 1):
            view = RunsView(
                rows=tuple(chunk),
                number=number,
                pages=len(chunks),
                total=text.plural(len(lines), "run"),
                newer=runs_path(section, number - 1) if number > 1 else "",
                older=runs_path(section, number + 1) if number < len(chunks) else "",
                chart=chart if number == 1 else None,
                overview=overview if number == 1 else "",
                left_out=left_out if number == len(chunks) else "",
            )
            page = self._page(runs_path(section, number), section, title, f"{view.total}, newest first.")
            yield f"{section}.html", page, view

    def _page(self, path: str, section: str, title: str, description: str) -> Page:
        return Page(path, "../" * path.count("/") or "./", section, title, text.line(description, 200))


def compare_view(snapshot: Snapshot) -> ComparisonView:
    """Return this snapshot beside every older kept one that can be compared with it."""
    older = snapshot.older[::-1]
    rest = [tables.comparison(snapshot, "", line, only=snapshot.headline.suite) for line in older[:MOST_COMPARED]]
    omitted = len(older) - len(rest)
    return ComparisonView(tuple(tables.comparisons(snapshot)), tuple(rest), omitted, snapshot.headline.suite)


def runs_path(section: str, number: int) -> str:
    """Return the path of a page of runs."""
    return f"{section}/" if number == 1 else f"{section}/{number}/"


def _chunks(rows: Sequence[T]) -> list[Sequence[T]]:
    """Cut rows into pages; one empty page where there is no row."""
    return [rows[start : start + ROWS_A_PAGE] for start in range(0, len(rows), ROWS_A_PAGE)] or [[]]


def _part(snapshot: Snapshot, prefix: str) -> dict[str, bytes]:
    return {name.removeprefix(prefix): data for name, data in snapshot.site.items() if name.startswith(prefix)}


def _content(snapshot: Snapshot) -> list[Content]:
    """Return the pages of prose, by name; a nested file is not a page."""
    record = snapshot.record
    values = {
        "pin": snapshot.pin,
        "site": snapshot.main,
        "branch": snapshot.branch,
        "commit": text.line(record.commit.sha),
        "snapshot": snapshot.commit,
        "suite": snapshot.headline.suite,
        "tier": text.line(record.tier, 40),
    }
    files = _part(snapshot, "content/").items()
    names = {name.removesuffix(".md"): data for name, data in files if name.endswith(".md") and "/" not in name}
    for name in names:
        if name in RESERVED or not _NAME.match(name):
            raise ConfigError(
                f"site/content/{name}.md cannot be a page: its name is taken or is no plain name",
                hint="rename it: a-z 0-9 -",
            )
    return [content(name, data, values) for name, data in names.items()]


def _utf8(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _mistake(name, "it is not UTF-8") from error


def _mistake(template: str, what: str) -> ConfigError:
    return ConfigError(
        f"site/templates/{template} cannot be rendered: {what}", hint=f"correct site/templates/{template}"
    )
