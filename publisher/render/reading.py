"""Answers as people read them: the thinking apart, repetition folded, Markdown and formulas typeset.

All of it is model output, hence hostile: HTML in it stays text, links and pictures are inert, and the number of
characters that are typeset is bounded, per answer and per site. What is beyond the bounds is shown as plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

from publisher.render.language import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.render.formulas import Formulas

LONGEST, SHORTEST = 3_000, 160
"""Characters at the end of an answer that are typeset: of each where answers are few, and where they are many."""
MOST = 400_000
"""Characters that are typeset in one site, shared among its answers."""
FORMULAS, FEWEST = 2_500, 3
"""Formulas of one site that are typeset, shared among its answers, and what each may have at least."""
ANSWERS = 500
"""Answers of one site that are typeset: the first ones of each problem."""
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>")
_THOUGHT_ENDS = "</think>"
_NEEDLE, _LOOKED_AT, _TIMES, _COVER = 24, 6_000, 4, 200
_BALANCED = r"\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\}"
_BOX = re.compile(rf"\$?\\(?:boxed|fbox)\s*{_BALANCED}\$?")
_PLACES = re.compile(
    r"(?P<code>(?P<fence>```|~~~)(?s:.*?)(?:(?P=fence)|\Z)|`[^`\n]+`)"
    r"|\$\$(?P<dollars>(?s:.+?))\$\$"
    r"|\\\[(?P<block>(?s:.+?))\\\]"
    r"|(?P<environment>\\begin\{(?P<name>(?:align|gather|equation|cases|[bpvBV]?matrix)(?:ed)?\*?)\}(?s:.+?)\\end\{(?P=name)\})"
    r"|\\\((?P<inline>(?s:.+?))\\\)"
    # As pandoc has it: no blank inside of either sign, no digit after the second, so that prices are none.
    r"|(?<![\\$\w])\$(?=[^\s$])(?P<dollar>[^$\n]{1,400}?)(?<=[^\s\\])\$(?![\d$])"
    rf"|(?P<boxed>\\(?:boxed|fbox)\s*{_BALANCED})"
)
# visible() spells out private-use characters, so none of them is in a text.
_OPEN, _CLOSE = "\ue000", "\ue001"
_HELD = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_SOURCES = ("dollars", "block", "environment", "inline", "dollar", "boxed")
_TAGS = frozenset(
    [
        "p",
        "br",
        "hr",
        "em",
        "strong",
        "s",
        "ol",
        "ul",
        "li",
        "blockquote",
        "pre",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ]
)


@dataclass(frozen=True, slots=True)
class Parts:
    """An answer in parts: what is folded away, the end that is read, and what the end repeats."""

    thought: str
    """What the model wrote to itself, without the tags, a repetition at its end once."""
    thought_size: int
    """Its characters, as often as they were there."""
    thought_times: int
    """How often it has the passage that it ends in."""
    rest: str
    loop: str
    """The passage that the text ends in again and again; it stands in the text once. Empty for none."""
    times: int


def parts(shown: str) -> Parts:
    """Return a visible text in parts."""
    shown, loop, times = _without_loop(shown)
    thought, closed, rest = shown.rpartition(_THOUGHT_ENDS)
    if not closed and _THOUGHT.match(shown):
        thought, rest = shown, ""  # it never came to an end
    thought = _THOUGHT.sub("", thought).strip("\n")
    once, _, often = _without_loop(thought)
    if thought and not rest and loop:
        # All of it is thought, so the repetition is the thought's own.
        return Parts(once, len(thought) + len(loop) * (times - 1), times, "", "", 1)
    return Parts(once, len(thought), often, rest.strip("\n"), loop, times)


def _without_loop(shown: str) -> tuple[str, str, int]:
    """Return the text with a repetition at its end only once, the passage that is repeated, and how often it was there.

    The last characters are looked for before themselves: each distance at which they stand is a possible period. The
    first one that holds four times, over 200 characters at least, is taken.
    """
    end = len(shown)
    needle = shown[-_NEEDLE:]
    place = shown.rfind(needle, max(0, end - _LOOKED_AT), end - 1)
    if len(needle) < _NEEDLE or place < 0:
        return shown, "", 1
    period = end - _NEEDLE - place
    passage = shown[-period:]
    if not any(char.isalnum() for char in passage):
        return shown, "", 1
    start, times = end - period, 1
    while start >= period and shown.startswith(passage, start - period):
        start, times = start - period, times + 1
    if times < _TIMES or period * times < _COVER:
        return shown, "", 1
    return shown[: start + period], passage, times


class Reader:
    """Typesets the answers of one site, within its bounds."""

    def __init__(self, formulas: Formulas, answers: int) -> None:
        """Take what typesets formulas, and among how many answers the bound is shared."""
        self.limit = max(SHORTEST, min(LONGEST, MOST // max(1, answers)))
        """Characters at the end of each answer that are typeset."""
        self._share = max(FEWEST, FORMULAS // max(1, answers))
        self._left = 4 * MOST
        self._formulas = formulas
        self._known: dict[tuple[str, ...], Markup] = {}
        self._markdown = _markdown()

    def split(self, rest: str, *, typeset: bool = True) -> tuple[str, str]:
        """Return what comes before the part that is read at once, and that part: whole lines or sentences.

        It has at most `limit` characters and, where it is typeset, its share of the site's formulas, the last ones.
        """
        cut = 0
        if len(rest) > self.limit:
            cut = len(rest) - self.limit
            cut = _next_end(rest, cut, cut + self.limit // 3)
        formulas = [match.span() for match in _PLACES.finditer(rest, cut) if not match["code"]] if typeset else []
        if len(formulas) > self._share:
            (_, after), (until, _) = formulas[-self._share - 1], formulas[-self._share]
            cut = _next_end(rest, after, until)
        before, end = rest[:cut], rest[cut:]
        return before, f"```\n{end}" if typeset and before.count("```") % 2 else end

    def statement(self, shown: str) -> Markup:
        """Return a problem's statement with its formulas typeset; the rest as it was written, spaces included."""
        return self._typeset(shown, ("", ""), escape)

    def answer(self, shown: str, outcome: str = "", expected: str = "") -> Markup:
        """Return an answer's end from Markdown, its last box marked with the outcome and what was expected."""
        return self._typeset(shown, (outcome, expected), self._html)

    def plain(self, shown: str, outcome: str, expected: str) -> Markup:
        """Return an answer's end as it was written, its last box marked as in one that is typeset."""
        place = max(shown.rfind("\\boxed"), shown.rfind("\\fbox"))
        found = _BOX.match(shown, place - (shown[place - 1 : place] == "$")) if place >= 0 else None
        if not found:
            return Markup('<span class="plain">{}</span>').format(shown)
        box = _mark(outcome, expected).format(f"<code>{escape(found[0])}</code>")
        made = f'<span class="plain">{escape(shown[: found.start()])}{box}{escape(shown[found.end() :])}</span>'
        return Markup(made)  # noqa: S704 - every part of it is escaped

    def _typeset(self, shown: str, marked: tuple[str, str], write: Callable[[str], str]) -> Markup:
        key = (shown, *marked)
        if key not in self._known:
            if len(shown) > 2 * LONGEST or len(shown) > self._left:
                return Markup('<span class="plain">{}</span>').format(shown)
            self._left -= len(shown)
            made = _with_formulas(shown, self._formulas, write, _mark(*marked))
            self._known[key] = Markup(made)  # noqa: S704 - every part of it is escaped or rebuilt from a list
        return self._known[key]

    def _html(self, written: str) -> str:
        """Return Markdown as HTML of the few elements above, without a link, a picture or an attribute but `start`."""
        tokens = self._markdown.parse(written)
        for token in tokens:
            if token.tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
                token.tag = "p"  # a model's headings are not the page's
                token.attrs = {"class": "heading"}
            else:
                token.attrs = {name: value for name, value in token.attrs.items() if name == "start"}
            token.info = ""
        html = self._markdown.renderer.render(tokens, self._markdown.options, {})
        return nh3.clean(html, tags=set(_TAGS), attributes={"ol": {"start"}, "p": {"class"}})


def _markdown() -> MarkdownIt:
    """Return a parser for strangers' text: no HTML, no links, and no entity that could be an invisible character."""
    settings = {"html": False, "linkify": False, "breaks": True, "xhtmlOut": False, "maxNesting": 20}
    parser = MarkdownIt("commonmark", settings).enable(["table", "strikethrough"])
    off = [
        "link",
        "image",
        "autolink",
        "html_inline",
        "entity",
        "escape",
        "html_block",
        "reference",
        "code",
        "lheading",
    ]
    return parser.disable(off)


def _next_end(written: str, start: int, stop: int) -> int:
    """Return the first place after the end of a line, a sentence or a word between two places; else `start`."""
    ends = ((written.find(end, start, stop), len(end)) for end in ("\n", ". ", " "))
    return next((place + length for place, length in ends if place >= 0), start)


def _mark(outcome: str, expected: str) -> str:
    """Return what stands around an answer's last box, with `{}` in its place."""
    if not outcome:
        return "{}"
    wanted = say("expected %(answer)s", answer=f"<code>{escape(expected)}</code>")
    beside = f'<span class="wanted">{wanted}</span>' if expected else ""
    return f'<span class="boxed {escape(outcome)}">{{}}</span>{beside.replace("{", "&#123;").replace("}", "&#125;")}'


def _with_formulas(shown: str, formulas: Formulas, write: Callable[[str], str], mark: str) -> str:
    """Return the text as `write` makes it, with formulas as MathML or as their source, and the last box marked."""
    held: list[str] = []
    boxes: list[int] = []

    def hold(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        source = next(value for name in _SOURCES if (value := match[name]))
        block = bool(match["dollars"] or match["block"] or match["environment"])
        if "\\boxed" in source or "\\fbox" in source:
            boxes.append(len(held))
        held.append(formulas.mathml(source, block=block) or f"<code>{escape(match[0])}</code>")
        return f"{_OPEN}{len(held) - 1}{_CLOSE}"

    html = write(_PLACES.sub(hold, shown))
    if boxes:
        held[boxes[-1]] = mark.format(held[boxes[-1]])
    return _HELD.sub(lambda match: held[int(match[1])], html)
