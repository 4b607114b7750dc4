"""Every sentence that the site can say, read from the templates, the sources and the scripts themselves."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import jinja2
import polib
from jinja2.ext import extract_from_ast

from publisher.render import site_folder
from publisher.schema.metrics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Message = tuple[str, str]
"""A context, or nothing, and a sentence."""
_SCRIPTED = re.compile(r"""\bsay\("((?:[^"\\]|\\.)*)\"""")
_SAID = {"title", "alt", "aria-label", "placeholder"}
# Names of formats and files, and signs of units: the same in every language.
_NAMES = frozenset({"publisher", "JSON", "Atom", "UTC"})


def of_templates() -> Iterator[tuple[str, Message]]:
    """Yield (file, message) of each template."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    for path in sorted((site_folder() / "templates").iterdir()):
        tree = environment.parse(path.read_text())
        for _, function, found in extract_from_ast(tree, ("_", "gettext", "ngettext")):
            texts = [one for one in (found if isinstance(found, tuple) else (found,)) if one is not None]
            assert texts or function == "_", f"{path.name}: {function} without a sentence of its own"
            for one in texts[:1]:
                yield path.name, ("", one)


def of_sources() -> Iterator[tuple[str, Message]]:
    """Yield (file, message) of each module of `render/`."""
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield from ((path.name, message) for message in _of_call(node))


def _modules() -> list[Path]:
    import publisher.render as package  # noqa: PLC0415 - the folder, not the names

    folder = site_folder().parent / "publisher/render"
    assert folder.is_dir(), package.__file__
    return sorted(folder.glob("*.py"))


def _of_call(node: ast.Call) -> Iterator[Message]:
    function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    texts = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
    if function in {"say", "say_of", "phrase"} and texts and isinstance(texts[0], str):
        yield "", texts[0]
    elif function == "plural" and len(texts) == 2 and isinstance(texts[1], str):
        yield "", f"%(count)s {texts[1]}"
    elif function == "form" and isinstance(texts[1], str):
        yield str(texts[0]), texts[1]


def of_metrics() -> Iterator[tuple[str, Message]]:
    """Yield (file, message) of each metric's meaning."""
    for kind in CATALOGUE.values():
        yield "metrics.py", ("", kind.means)


def of_scripts() -> Iterator[tuple[str, Message]]:
    """Yield (file, message) of each script."""
    for path in sorted((site_folder() / "assets").glob("*.js")):
        for found in _SCRIPTED.findall(path.read_text()):
            yield path.name, ("", ast.literal_eval(f'"{found}"'))


def catalogue(lang: str) -> dict[Message, polib.POEntry]:
    """Return the translated entries of a shipped catalogue."""
    file = polib.pofile(str(site_folder() / f"strings/{lang}.po"))
    return {(entry.msgctxt or "", entry.msgid): entry for entry in file if entry.translated()}


class Unsaid(HTMLParser):
    """The words of a template that stand in it as they are, so that no catalogue can translate them."""

    def __init__(self, source: str) -> None:
        """Read a template's markup, without its expressions and statements."""
        super().__init__()
        self.found: list[str] = []
        environment = jinja2.Environment(autoescape=True)
        tokens = list(environment.lex(source))
        self.feed("".join(value if kind == "data" else "" for _, kind, value in tokens))

    def handle_data(self, data: str) -> None:
        """Keep words."""
        self._keep(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base class's
        """Keep the words of attributes that readers see or hear."""
        for name, value in attrs:
            if name in _SAID or name.startswith("data-label"):
                self._keep(value or "")

    def _keep(self, text: str) -> None:
        self.found += [word for word in re.findall(r"[A-Za-z_]{2,}", text) if word not in _NAMES]
