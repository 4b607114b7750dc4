"""Forms in published pages: which ones are marked for Netlify, and what the page looks like afterwards.

Source: Netlify's documentation of forms. A form with the attribute `data-netlify="true"` (or `netlify`) and a name is
declared; the attributes are taken away and a hidden field `form-name` is put in, so a page with such a form is not
served byte for byte as it was built.
"""

from __future__ import annotations

import html
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from publisher.host.store.records import DeclaredForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.host.store.blobs import Blobs
    from publisher.host.store.records import Entry

_MARKS = ("data-netlify", "netlify")
_HONEYPOTS = ("data-netlify-honeypot", "netlify-honeypot")
_FIELDS = frozenset({"input", "select", "textarea"})
_NO_FIELDS = frozenset({"submit", "button", "reset", "image"})
_MOST_FORMS = 100
"""Forms of one page that are declared; the others stay as they are."""
_MOST_FIELDS = 100
_PAGE_BYTES = 4 * 1024 * 1024


def process_forms(files: Mapping[str, Entry], blobs: Blobs) -> tuple[dict[str, Entry], tuple[DeclaredForm, ...]]:
    """Return the files as they are served, and the forms that they declare."""
    served, forms = dict(files), []
    for name, entry in files.items():
        if not name.endswith(".html") or entry.size > _PAGE_BYTES:
            continue
        page = blobs.path(entry.sha256).read_bytes()
        if b"netlify" not in page:
            continue
        changed, found = declare(page.decode("utf-8", "surrogateescape"), "/" + name.removesuffix("index.html"))
        forms += found
        if found:
            served[name] = blobs.add(changed.encode("utf-8", "surrogateescape"))
    return served, tuple(forms)


def declare(page: str, path: str) -> tuple[str, list[DeclaredForm]]:
    """Return a page as it is served, and the forms that it declares."""
    reader = _Reader(page, path)
    reader.feed(page)
    reader.close()
    for start, end, tag in reversed(reader.tags):
        page = page[:start] + tag + page[end:]
    return page, reader.forms()


def _written(text: str) -> str:
    """Return text of a page as a form's submission is read: bytes that are not UTF-8 are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Reader(HTMLParser):
    """Collects the marked forms of a page and where their opening tags stand."""

    def __init__(self, page: str, path: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[int, int, str]] = []
        """Start and end of an opening tag, and what takes its place."""
        self._path = path
        self._starts = [0]
        for line in page.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._forms: list[tuple[str, str, dict[str, str]]] = []
        self._open = False

    def forms(self) -> list[DeclaredForm]:
        """Return what was found; two forms with one name are one."""
        return [
            DeclaredForm(
                _written(name),
                self._path,
                tuple((_written(field), _written(kind)) for field, kind in fields.items()),
                _written(honeypot),
            )
            for name, honeypot, fields in self._forms
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in reversed(attrs)}
        if tag == "form":
            marked = any(name in values and values[name] in {"", "true"} for name in _MARKS) and "name" in values
            self._open = marked and len(self._forms) < _MOST_FORMS
            if self._open:
                honeypot = next((values[name] for name in _HONEYPOTS if name in values), "")
                self._forms.append((values["name"], honeypot, {}))
                self._replace(attrs, values["name"])
        elif self._open and tag in _FIELDS and values.get("name"):
            kind = values.get("type", "text") if tag == "input" else tag
            fields = self._forms[-1][2]
            if kind not in _NO_FIELDS and len(fields) < _MOST_FIELDS:
                fields[values["name"]] = kind

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False

    def _replace(self, attrs: list[tuple[str, str | None]], name: str) -> None:
        line, column = self.getpos()
        start = self._starts[line - 1] + column
        kept = [
            f' {key}="{html.escape(value)}"' if value is not None else f" {key}"
            for key, value in attrs
            if key not in {*_MARKS, *_HONEYPOTS}
        ]
        hidden = f'<input type="hidden" name="form-name" value="{html.escape(name)}">'
        self.tags.append((start, start + len(self.get_starttag_text() or ""), f"<form{''.join(kept)}>{hidden}"))
