"""The site's own prose: `content/*.md` to sanitised HTML. Model output never comes here.

The files are trusted, but a table of allowed tags costs nothing and keeps a pasted tracking image or style out. A
`{{ name }}` in a file is replaced by a value of the snapshot; an unknown name is an error.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING

import markdown
import nh3
from markupsafe import Markup

from publisher.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_TITLE = re.compile(r"\A# +(.+)\n")
_TAGS = frozenset(
    (
        "a",
        "abbr",
        "blockquote",
        "br",
        "code",
        "dd",
        "del",
        "dl",
        "dt",
        "em",
        "h2",
        "h3",
        "h4",
        "hr",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    )
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "h2": {"id"},
    "h3": {"id"},
    "h4": {"id"},
    "ol": {"start"},
    "p": {"data-deploy"},
    "th": {"scope"},
}
_EXTENSIONS = ("tables", "fenced_code", "sane_lists", "def_list", "toc")


@dataclass(frozen=True, slots=True)
class Content:
    """One page of prose: its name (the file's), its title, its HTML and its first paragraph as plain text."""

    name: str
    title: str
    body: Markup
    summary: str


def content(name: str, source: bytes, values: Mapping[str, str]) -> Content:
    """Render `content/<name>.md`, which starts with `# Title`; ConfigError names the file and what is wrong."""
    where = f"site/content/{name}.md"
    try:
        written = source.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} is not UTF-8", hint=f"save {where} as UTF-8") from error
    title = _TITLE.match(written)
    if title is None:
        raise ConfigError(f"{where} has no title", hint="its first line has to be: # Title")
    filled = _fill(written[title.end() :], values, where)
    try:
        html = _parser(_EXTENSIONS).reset().convert(filled)
    except RecursionError as error:
        _parser.cache_clear()  # it stopped halfway, and would not begin anew
        raise ConfigError(
            f"{where} is nested too deeply", hint=f"make the lists and quotations of {where} flatter"
        ) from error
    clean = nh3.clean(
        html, tags=set(_TAGS), attributes=_ATTRIBUTES, url_schemes={"http", "https"}, link_rel="noopener noreferrer"
    )
    paragraph = next((part for part in filled.split("\n\n") if part.strip() and part.strip()[0] not in "#|`-"), "")
    plain = unescape(nh3.clean(_parser(()).reset().convert(paragraph), tags=set()))
    summary = " ".join(plain.split())
    return Content(name, title[1].strip(), Markup(clean), summary)  # noqa: S704 - sanitised on the line above


@functools.cache
def _parser(extensions: tuple[str, ...]) -> markdown.Markdown:
    """Return a parser, which takes longer to make than to parse a page."""
    return markdown.Markdown(extensions=list(extensions), output_format="html")


def _fill(written: str, values: Mapping[str, str], where: str) -> str:
    """Put the snapshot's values into the text."""
    unknown = sorted({name for name in _PLACEHOLDER.findall(written) if name not in values})
    if unknown:
        known = ", ".join(sorted(values))
        raise ConfigError(f"{where} uses unknown names: {', '.join(unknown)}", hint=f"the known ones are: {known}")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], written)
