"""Formulas to MathML while the site is rendered: Temml in an embedded JavaScript engine, its output rebuilt.

A formula is written by a model, so it is hostile. Every limit counts characters, braces or expansions and never
seconds: the same formula gives the same bytes on every machine. What cannot be typeset is shown as its source.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html import escape
from typing import TYPE_CHECKING

import quickjs

from publisher.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 1_500
"""Characters of one formula."""
DEEPEST = 40
"""Braces within braces, and the depth of the MathML."""
GROWTH, LEAST = 60, 4_000
"""Characters of MathML per character of source, and what a short formula may always have."""
_EXPANSIONS = 100
_MEMORY, _STACK = 64 << 20, 1 << 20
# Macros could grow without a bound that counts expansions: \edef\a{\a\a} doubles at each.
_DEFINES = re.compile(
    r"\\(?:[egx]?def|let|futurelet|global|long|csname|expandafter|noexpand|char|"
    r"(?:re)?newcommand|providecommand|newenvironment|renewenvironment|DeclareMathOperator|"
    r"html\w*|class|id|style|href|url|includegraphics)\b"
)
_TAGS = frozenset(
    [
        "math",
        "mrow",
        "mi",
        "mn",
        "mo",
        "mtext",
        "mspace",
        "mfrac",
        "msup",
        "msub",
        "msubsup",
        "msqrt",
        "mroot",
        "munder",
        "mover",
        "munderover",
        "mmultiscripts",
        "none",
        "mprescripts",
        "mtable",
        "mtr",
        "mtd",
        "mpadded",
        "mphantom",
        "menclose",
        "mstyle",
    ]
)
_FLAG = re.compile(r"true|false")
_LENGTH = re.compile(r"[+-]?(?:\d(?:\.\d{1,5})?|0?\.\d{1,5})(?:em|ex)|[+-]?\d{1,2}(?:\.\d{1,5})?(?:pt|px|%)|0")
_ATTRIBUTES = {
    "display": re.compile(r"block"),
    "form": re.compile(r"prefix|infix|postfix"),
    "scriptlevel": re.compile(r"[0-2]"),
    "mathvariant": re.compile(r"normal"),
    **dict.fromkeys(
        (
            "displaystyle",
            "fence",
            "stretchy",
            "symmetric",
            "separator",
            "largeop",
            "movablelimits",
            "accent",
            "accentunder",
        ),
        _FLAG,
    ),
    **dict.fromkeys(("width", "height", "depth", "lspace", "rspace", "linethickness", "minsize", "maxsize"), _LENGTH),
}
# What Temml draws with a style or a notation, which the site's policy would block or browsers do not know.
_DRAWN = (
    (re.compile(r";(?:.*;)?border:"), "boxed"),
    (re.compile(r";(?:.*;)?border-bottom:"), "ruled-below"),
    (re.compile(r";(?:.*;)?border-right:"), "ruled-right"),
    (re.compile(r"^top;"), "over"),
    (re.compile(r"^bottom;"), "under"),
    (re.compile(r"^\w+strike"), "struck"),
)
_CLASSES = frozenset(("tml-left", "tml-right", "mathcal", "mathscr"))
_CALL = """(function (source, block, most) {
  try {
    return JSON.stringify(temml.renderToString(source, {
      displayMode: block, throwOnError: true, trust: false, strict: false, maxExpand: most, maxSize: [5, 5]
    }));
  } catch (error) { return "null"; }
})"""


class Formulas:
    """Typesets formulas; one engine, started with the first formula."""

    def __init__(self, script: Path) -> None:
        """Take the path of Temml's script."""
        self._script = script
        self._call: quickjs.Object | None = None
        self._known: dict[tuple[str, bool], str] = {}

    def mathml(self, source: str, *, block: bool) -> str:
        """Return a formula's MathML, safe to put into a page; "" where it cannot be typeset."""
        key = source.strip(), block
        if key not in self._known:
            self._known[key] = self._typeset(*key)
        return self._known[key]

    def _typeset(self, source: str, block: bool) -> str:
        if not source or len(source) > LONGEST or _depth(source) > DEEPEST or _DEFINES.search(source):
            return ""
        call = self._call = self._call or self._start()
        try:
            made = json.loads(call(source, block, _EXPANSIONS))
        except quickjs.JSException:
            # Its memory or its stack was full: a fresh engine, so that the next formula finds it as this one did.
            self._call = None
            return ""
        if not made or len(made) > LEAST + GROWTH * len(source):
            return ""
        try:
            # No document type can be in it: Temml writes every "<" of a source as an entity.
            return _rebuilt(ET.fromstring(made), 0)  # noqa: S314 - bounded above
        except (ET.ParseError, _ForeignError):
            return ""

    def _start(self) -> quickjs.Object:
        try:
            script = self._script.read_text(encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"cannot read {self._script}", hint="pip install --force-reinstall snapshot-publisher"
            ) from error
        engine = quickjs.Context()
        engine.set_memory_limit(_MEMORY)
        engine.set_max_stack_size(_STACK)
        engine.eval(script)
        return engine.eval(_CALL)


class _ForeignError(Exception):
    """An element that no formula needs."""


def _depth(source: str) -> int:
    """Return how deep braces and environments are nested."""
    deepest = depth = 0
    for mark in re.finditer(r"[{}]|\\(?:left|right|begin|end)\b", source):
        opens = mark[0] in {"{", "\\left", "\\begin"}
        closes = mark[0] in {"}", "\\right", "\\end"}
        depth = max(0, depth + opens - closes)
        deepest = max(deepest, depth)
    return deepest


def _rebuilt(node: ET.Element, depth: int) -> str:
    """Return an element written anew with what is on the lists; other attributes go, other elements are an error."""
    if node.tag not in _TAGS or depth > 4 * DEEPEST:
        raise _ForeignError
    kept = {name: value for name, value in node.attrib.items() if _fits(name, value)}
    classes = [name for name in node.get("class", "").split() if name in _CLASSES]
    style = node.get("style", "")
    drawn = f"{node.get('notation', '')};{style if 'border' in style else ''}"
    if drawn != ";":
        classes += [name for mark, name in _DRAWN if mark.search(drawn)]
    if classes:
        kept["class"] = " ".join(classes)
    # HTML's own checker takes these two on mstyle only, and MathML Core has no menclose.
    tag = "mrow" if node.tag == "menclose" else node.tag
    tag = "mstyle" if tag == "mrow" and {"displaystyle", "scriptlevel"} & kept.keys() else tag
    inside = escape(node.text or "") + "".join(_rebuilt(child, depth + 1) + escape(child.tail or "") for child in node)
    written = "".join(f' {name}="{escape(value)}"' for name, value in kept.items())
    return f"<{tag}{written}>{inside}</{tag}>"


def _fits(name: str, value: str) -> bool:
    form = _ATTRIBUTES.get(name)
    return form is not None and form.fullmatch(value) is not None
