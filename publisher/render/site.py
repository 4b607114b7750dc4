"""Every file of a snapshot's site, rendered in memory with one strict environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import ConfigError
from publisher.render import answers, card, crawlers, feeds, find, machines, pairs, split, text, trying
from publisher.render.assets import fingerprinted
from publisher.render.frame import site_view
from publisher.render.language import speaking
from publisher.render.markdown import content
from publisher.render.outputs import Outputs
from publisher.render.pages import PAGES, PROSE, RESERVED, navigation
from publisher.render.parts import Draft, Link
from publisher.render.templates import Assets, Templates
from publisher.render.whole import Files
from publisher.render.write import DEPLOY, HEADERS, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from publisher.render.gather import Snapshot
    from publisher.render.markdown import Content

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z")
_MARKS = re.compile(r"[^\w .,:()/+±-]")


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


class Site:
    """A snapshot's site being rendered."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Prepare the environment: the merged templates, the assets' names and what every page says."""
        self.snapshot = snapshot
        self.assets, self.files = fingerprinted(_assets(snapshot))
        self.content = _content(snapshot)
        top, bottom = navigation(snapshot, (Link(page.title, f"{page.name}/", page.name) for page in self.content))
        own = (name.removeprefix("templates/") for name in snapshot.own_site if name.startswith("templates/"))
        self.templates = Templates(_part(snapshot, "templates/"), set(own))
        self.templates.globals |= {
            "site": site_view(snapshot, top, bottom),
            "assets": Assets(self.assets),
            "policy": feeds.policy(snapshot),
        }

    def render(self) -> Files:
        """Return every file of the site but the manifest and `deploy.json`; no two have one path."""
        outputs = Outputs((MANIFEST, DEPLOY, HEADERS))
        outputs.add(self.files, "a file of site/assets/")
        drafts = list(self._drafts())
        for template, section, draft in drafts:
            page = _page(section, draft)
            made = self.templates.page(template, page=page, view=draft.view)
            outputs.add({page.file: made}, f"the page of site/templates/{template}")
        outputs.add(self._for_programs(), "a file for programs")
        outputs.add(crawlers.files(self.snapshot, (draft for _, _, draft in drafts)), "a file for programs")
        outputs.add(find.files(self.snapshot), "what a search reads")
        outputs.add(pairs.files(self.snapshot), "the outcomes of older runs")
        outputs.add(answers.texts(self.snapshot), "the answers")
        outputs.add(split.files(self.snapshot), "what a split is")
        outputs.add(trying.files(self.snapshot), "a file of the page /try/")
        for path, data in _part(self.snapshot, "static/").items():
            outputs.add({path: data}, f"site/static/{path}")
        headers = feeds.headers_file(feeds.headers(self.snapshot, outputs.files))
        return Files({HEADERS: headers}, outputs.files)

    def _for_programs(self) -> dict[str, bytes]:
        """Return the files that no reader opens by themselves, by path."""
        # What other programs read is in English in every language, and so is the picture, whose letters are Latin.
        with speaking():
            plain = machines.files(self.snapshot) | {
                card.PREVIEW: card.picture(self.templates.page("preview.svg", view=card.card(self.snapshot)))
            }
        return {
            "badge.svg": self.templates.page("badge.svg", view=feeds.badge(self.snapshot)),
            "feed.xml": self.templates.page("feed.xml", view=feeds.feed(self.snapshot)),
            "snapshot.json": feeds.snapshot_json(self.snapshot),
            **self.snapshot.history_files,
            "badge.json": feeds.badge_json(self.snapshot),
            "_redirects": feeds.redirects(self.snapshot),
        } | plain

    def _drafts(self) -> Iterator[tuple[str, str, Draft]]:
        """Yield (template, section, draft) of every page."""
        for kind in PAGES:
            for draft in kind.drafts(self.snapshot):
                yield kind.template, kind.section, draft
        for written in self.content:
            yield PROSE, written.name, Draft(f"{written.name}/", written.title, written.summary, written)


def _page(section: str, draft: Draft) -> Page:
    """Return where a draft's page is. The host shows the page of a missing address at any depth, so its root is `/`."""
    root = "/" if draft.path.endswith(".html") else "../" * draft.path.count("/") or "./"
    return Page(draft.path, root, section, draft.title, text.line(draft.description, 200))


def _part(snapshot: Snapshot, prefix: str) -> dict[str, bytes]:
    return {name.removeprefix(prefix): data for name, data in snapshot.site.items() if name.startswith(prefix)}


def _assets(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the style, scripts and pictures of the site, without scripts of a page that it does not have."""
    unused = set() if trying.offered(snapshot) else set(trying.SCRIPTS)
    unused |= set() if split.offered(snapshot) or snapshot.canary else set(split.SCRIPTS)
    return {name: data for name, data in _part(snapshot, "assets/").items() if name not in unused}


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
        # What BibTeX, YAML and Markdown give a meaning to is not part of a name in a citation.
        "cited": _MARKS.sub("", text.line(record.model.name, 80)).strip() or "Model",
        "score": _MARKS.sub("", site_view(snapshot, (), ()).headline),
        "record_digest": snapshot.record_sha256,
        "date": text.machine_time(record.finished)[:10],
        "year": text.machine_time(record.finished)[:4],
    }
    names = _pages_of_prose(_part(snapshot, "content/"), snapshot.lang)
    return [content(name, data, values) for name, data in names.items()]


def _pages_of_prose(files: Mapping[str, bytes], lang: str) -> dict[str, bytes]:
    """Return {name: source} of the pages of prose; ConfigError for a file that cannot be one.

    `lang/name.md` is the page `name` in that language, and takes its place on a site in it.
    """
    pages, translations = dict[str, bytes](), dict[str, bytes]()
    for path, data in files.items():
        folder, _, file = path.rpartition("/")
        name = file.removesuffix(".md")
        if name in RESERVED:
            taken = ", ".join(sorted(RESERVED - {""}))
            raise ConfigError(f"site/content/{path} cannot be a page: these names are taken: {taken}", hint="rename it")
        if name == file or not _NAME.match(name) or (folder and not _LANGUAGE.match(folder)):
            raise ConfigError(
                f"site/content/{text.line(path, 80)} cannot be a page: its name stands in an address",
                hint="rename it to NAME.md, or LANGUAGE/NAME.md; use only a-z, 0-9 and - in NAME",
            )
        if not folder:
            pages[name] = data
        elif folder == lang:
            translations[name] = data
    return pages | translations
