"""Every file of a snapshot's site, rendered in memory with one strict environment."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from publisher.errors import ConfigError
from publisher.render import answers, card, feeds, machines, text
from publisher.render.assets import fingerprinted
from publisher.render.frame import site_view
from publisher.render.markdown import content
from publisher.render.pages import PAGES, PROSE, RESERVED, navigation
from publisher.render.parts import Draft, Link
from publisher.render.whole import Files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.render.gather import Snapshot
    from publisher.render.markdown import Content

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_TEMPLATES = "site/templates/"
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
        self.assets, self.files = fingerprinted(_part(snapshot, "assets/"))
        self.content = _content(snapshot)
        top, bottom = navigation(Link(page.title, f"{page.name}/", page.name) for page in self.content)
        self.environment = _environment(snapshot)
        self.environment.globals |= {
            "site": site_view(snapshot, top, bottom),
            "assets": self.assets,
            "policy": feeds.policy(),
        }

    def render(self) -> Files:
        """Return every file of the site but the manifest and `deploy.json`."""
        for template, section, draft in self._drafts():
            page = _page(section, draft)
            self.files[page.file] = self._template(template, page=page, view=draft.view)
        self.files |= {
            "badge.svg": self._template("badge.svg", view=feeds.badge(self.snapshot)),
            card.PREVIEW: card.picture(self._template("preview.svg", view=card.card(self.snapshot))),
            "feed.xml": self._template("feed.xml", view=feeds.feed(self.snapshot)),
            "snapshot.json": feeds.snapshot_json(self.snapshot),
            "history.json": self.snapshot.history_bytes,
            "badge.json": feeds.badge_json(self.snapshot),
            "robots.txt": b"User-agent: *\nAllow: /\n",
            "_redirects": feeds.redirects(self.snapshot),
        } | machines.files(self.snapshot)
        files = Files(self.files, answers.texts(self.snapshot))
        return files.with_files({"_headers": feeds.headers_file(feeds.headers(self.snapshot, files))})

    def _drafts(self) -> Iterator[tuple[str, str, Draft]]:
        """Yield (template, section, draft) of every page."""
        for kind in PAGES:
            for draft in kind.drafts(self.snapshot):
                yield kind.template, kind.section, draft
        for written in self.content:
            yield PROSE, written.name, Draft(f"{written.name}/", written.title, written.summary, written)

    def _template(self, name: str, **values: object) -> bytes:
        """Render one template; ConfigError names the template and the line of a mistake."""
        try:
            return self.environment.get_template(name).render(**values).encode()
        except jinja2.TemplateSyntaxError as error:
            raise _mistake(error.name or name, error.lineno, str(error.message)) from error
        except jinja2.TemplateNotFound as error:
            raise _mistake(*_place(error, name), f"there is no template {error.name!r}") from error
        except RecursionError as error:
            raise _mistake(*_place(error, name), "it includes or calls itself without end") from error
        # A template is a program of the team's own: any exception at all may come out of it.
        except Exception as error:
            said = text.line(str(error), 300) or "it failed"
            known = isinstance(error, jinja2.TemplateError)
            raise _mistake(*_place(error, name), said if known else f"{type(error).__name__}: {said}") from error


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, which decides about an attribute of a view by its name alone.

    A view is frozen and holds values only: nothing of it but names with an underscore leads out of the sandbox.
    """

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Return whether a template may read `attr` of `obj`."""
        if type(obj).__module__.startswith("publisher.render."):
            return not attr.startswith("_")
        return super().is_safe_attribute(obj, attr, value)


def _environment(snapshot: Snapshot) -> jinja2.Environment:
    """Return the environment of the templates: a team's own ones are a commit's code, so they run in a sandbox."""
    sources = {name: _utf8(name, data) for name, data in _part(snapshot, "templates/").items()}

    def load(name: str) -> tuple[str, str, None] | None:
        return (sources[name], f"{_TEMPLATES}{name}", None) if name in sources else None

    return _Sandbox(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _page(section: str, draft: Draft) -> Page:
    """Return where a draft's page is. The host shows the page of a missing address at any depth, so its root is `/`."""
    root = "/" if draft.path.endswith(".html") else "../" * draft.path.count("/") or "./"
    return Page(draft.path, root, section, draft.title, text.line(draft.description, 200))


def _place(error: BaseException, name: str) -> tuple[str, int]:
    """Return the template and the line that an exception came from, as far as its traceback tells."""
    found = name, 0
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(_TEMPLATES):
            found = frame.f_code.co_filename.removeprefix(_TEMPLATES), line
    return found


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
        # What BibTeX, YAML and Markdown give a meaning to is not part of a name in a citation.
        "cited": _MARKS.sub("", text.line(record.model.name, 80)).strip() or "Model",
        "score": _MARKS.sub("", site_view(snapshot, (), ()).headline),
        "record_digest": snapshot.record_sha256,
        "date": text.machine_time(record.finished)[:10],
        "year": text.machine_time(record.finished)[:4],
    }
    files = _part(snapshot, "content/").items()
    names = {name.removesuffix(".md"): data for name, data in files if name.endswith(".md") and "/" not in name}
    for name in names:
        if name in RESERVED:
            taken = ", ".join(sorted(RESERVED - {""}))
            raise ConfigError(
                f"site/content/{name}.md cannot be a page: these names are taken: {taken}", hint="rename it"
            )
        if not _NAME.match(name):
            raise ConfigError(
                f"site/content/{text.line(name, 80)}.md cannot be a page: its name stands in an address",
                hint="rename it; use only a-z, 0-9 and -",
            )
    return [content(name, data, values) for name, data in names.items()]


def _utf8(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _mistake(name, 0, "it is not UTF-8") from error


def _mistake(template: str, line: int, what: str) -> ConfigError:
    where = f"{_TEMPLATES}{template}" + (f", line {line}" if line else "")
    return ConfigError(f"{where}: {what}", hint=f"correct {_TEMPLATES}{template}")
