r"""Reduce what people and models write in a box to one spelling: LaTeX instead of Unicode, no spacing or decoration.

Nothing here decides whether two answers are equal. A text keeps the meaning that a reader would see in it: characters
without any mark (zero width, NUL) are dropped, and bidirectional controls, which show a text in another order than it
is stored, make it unusable (`Refused`).
"""

from __future__ import annotations

import functools
import re
import unicodedata

from publisher.graders.extract import closing

_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff\ud800-\udfff]")
_SYMBOLS = {
    "−": "-",
    "‐": "-",
    "‑": "-",
    "–": "-",
    "—": "-",
    "×": r"\times ",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ",
    "÷": r"\div ",
    "⁄": "/",
    "∕": "/",
    "±": r"\pm ",
    "∓": r"\mp ",
    "∞": r"\infty ",
    "π": r"\pi ",
    "°": r"^\circ ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∅": r"\emptyset ",
    "⌀": r"\emptyset ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "≠": r"\ne ",
    "∈": r"\in ",
    "θ": r"\theta ",
    "α": r"\alpha ",
    "β": r"\beta ",
    "γ": r"\gamma ",
    "λ": r"\lambda ",
    "φ": r"\phi ",
    "ω": r"\omega ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "€": r"\$",
    "£": r"\$",
    "′": "'",
    "∛": r"\sqrt[3]",
    "√": r"\sqrt",
}
_SUPERSCRIPT = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUBSCRIPT = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_RUNS = (
    (re.compile(f"[{''.join(_SUPERSCRIPT)}]+"), "^", _SUPERSCRIPT),
    (re.compile(f"[{''.join(_SUBSCRIPT)}]+"), "_", _SUBSCRIPT),
)
_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right|middle)\s*\.", ""),
        (r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\s*", ""),
        (r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|rm|bf|it|tt|large|Large|huge)(?![A-Za-z])", " "),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (r"\\(?:varnothing|O)(?![A-Za-z])", r"\\emptyset "),
        (r"\\(?:leq|leqslant|le)(?![A-Za-z])", r"\\le "),
        (r"\\(?:geq|geqslant|ge)(?![A-Za-z])", r"\\ge "),
        (r"\\(?:neq|ne)(?![A-Za-z])", r"\\ne "),
        (r"\\(?:lt)(?![A-Za-z])", "<"),
        (r"\\(?:gt)(?![A-Za-z])", ">"),
        (r"\\(?:lbrace)(?![A-Za-z])", r"\\{"),
        (r"\\(?:rbrace)(?![A-Za-z])", r"\\}"),
        (r"\\(?:dots|ldots|cdots|dotsc)(?![A-Za-z])", "..."),
        (r"\\(?:ast|star)(?![A-Za-z])", "*"),
        (r"\\(?:degree|textdegree)(?![A-Za-z])", r"^\\circ "),
        (r"\^\s*\{\s*\\circ\s*\}", r"^\\circ "),
        (r"\\textcolor\s*\{[^{}]*\}", ""),
        (r"\\color\s*\{[^{}]*\}", ""),
        (r"\\(?:mathbf|boldsymbol|bm|underline|mathit|mathsf|hbox|mathop|emph|mathcal)(?![A-Za-z])\s*(?=\{)", ""),
        (r"\\(?:text(?:bf|rm|it|sf|tt|normal|up)|mathrm|mbox|operatorname\*?)(?![A-Za-z])", r"\\text"),
        (r"\\[()\[\]]", " "),
        (r"(?<!\\)\$", " "),
        (r"\\-", "-"),
        (r"\\\{\s*\\\}", r"\\emptyset "),
        (r"(?<!\\)\\\\(?=(?:d?frac|sqrt|pi|text)(?![A-Za-z]))", r"\\"),
        (r"\\text\s*\{\s*(\d+)\s+([A-Za-z ]+)\}", r"\1 \\text{\2}"),
        (r"\A\s*(\*\*|`|\")(.*)\1\s*\Z", r"\2"),
        (r"\\[pb]mod\s*\{[^{}]*\}\s*\Z", ""),
        (r"\{\s*,\s*\}", ","),
    )
]
_SPACING = re.compile(r"\\(?:q?quad|hspace\s*\{[^{}]*\}|hfill|(?:en|thin)space)(?![A-Za-z])|(?<!\\)\\[,;:!> ]|~|\s+")
_GROUPED_BY_SPACE = re.compile(r"(?<![\d.,])(\d{1,3})((?:(?:\\[,;!: ]|[ ~])\d{3})+)(?![\d,])")
_GROUPED_BY_COMMA = re.compile(r"([+-]?\s*(?:\\?\$)?\s*)(\d{1,3}(?:,\d{3})+)(?![\d,])(.*)", re.DOTALL)
_ARGUMENTS = {r"\frac": 2, r"\binom": 2, r"\sqrt": 1}
_COMMAND = re.compile(r"\\(?:frac|binom|sqrt)(?![A-Za-z])\s*")
_PIECE = re.compile(r"\s*(\\[A-Za-z]+|\\.|\S)")
_OVER = re.compile(r"\\(over|choose)(?![A-Za-z])")
_TRAILING = re.compile(r"(?:\\\\|\\(?=\Z)|\s)*(?:(?<!\.)[.,;:])?(?:\\\\|\\(?=\Z)|\s)*\Z")


class Refused(Exception):  # noqa: N818 - an outcome, not a failure
    """A text that may look different from what it is."""


def tidy(text: str) -> str:
    """Return `text` in one LaTeX spelling; raises Refused where it holds bidirectional controls."""
    if _BIDI.search(text):
        raise Refused("bidirectional control characters")
    text = _plain_characters(_INVISIBLE.sub("", text))
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _GROUPED_BY_SPACE.sub(lambda found: found[1] + re.sub(r"\D", "", found[2]), text)
    text = _SPACING.sub(" ", text).strip()
    text = _TRAILING.sub("", _words(text))
    return unwrapped(_arguments(_over(text)))


def ungrouped(text: str) -> str:
    """Return a number without its thousands separators; anything that is not one number is left alone."""
    found = _GROUPED_BY_COMMA.fullmatch(text)
    return found[1] + found[2].replace(",", "") + found[3] if found and "," not in found[3] else text


def unwrapped(text: str) -> str:
    """Return `text` without the braces that enclose all of it."""
    while text.startswith("{") and closing(text, 0) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _plain_characters(text: str) -> str:
    """Write the Unicode spellings of mathematics as LaTeX, then bring the rest to its compatibility form."""
    for pattern, mark, digits in _RUNS:
        text = pattern.sub(functools.partial(_raised, mark=mark, digits=digits), text)
    return unicodedata.normalize("NFKC", "".join(_latex(character) for character in text)).replace("−", "-")


def _raised(run: re.Match[str], mark: str, digits: dict[str, str]) -> str:
    return f"{mark}{{{''.join(digits[sign] for sign in run[0])}}}"


def _latex(character: str) -> str:
    if character in _SYMBOLS:
        return _SYMBOLS[character]
    parts = unicodedata.decomposition(character).split()
    if parts[:1] == ["<fraction>"]:
        above, below = "".join(chr(int(part, 16)) for part in parts[1:]).split("⁄")
        return rf"\frac{{{above}}}{{{below}}}" if below else character
    return character


def _words(text: str) -> str:
    r"""Take `\text{…}` away where it holds mathematics (a number, one letter), and keep it where it holds words."""

    def simple(found: re.Match[str]) -> str:
        inside = found[1].strip()
        is_symbol = len(inside) == 1 and not re.search(r"[\d})]\s*\Z", text[: found.start()])
        return f" {inside} " if is_symbol or not re.search(r"[A-Za-z]", inside) else found[0]

    return re.sub(r" {2,}", " ", re.sub(r"\\text\s*\{([^{}]*)\}", simple, text)).strip()


def _over(text: str) -> str:
    r"""Rewrite `a\over b` or `a\choose b`, of a whole text or a braced group, with arguments in braces."""
    found = _OVER.search(text)
    if not found:
        return text
    start, depth = found.start(), 0
    while start > 0 and depth >= 0:
        start -= 1
        depth += {"}": 1, "{": -1}.get(text[start], 0)
    opened = text[start : start + 1] == "{" and depth < 0
    end = closing(text, start) if opened else len(text)
    if end < 0:
        return text
    above, below = text[start + opened : found.start()], text[found.end() : end]
    command = r"\frac" if found[1] == "over" else r"\binom"
    return _over(text[:start] + f"{command}{{{above}}}{{{below}}}" + text[end + opened :])


def _arguments(text: str) -> str:
    r"""Put braces around the arguments of fractions, binomials and roots: `\frac12`, `\sqrt8`."""
    result, at = [], 0
    while found := _COMMAND.search(text, at):
        result.append(text[at : found.start()])
        at = found.end()
        command = found[0].strip()
        result.append(command)
        if command == r"\sqrt" and text[at : at + 1] == "[" and "]" in text[at:]:
            end = text.index("]", at) + 1
            result.append(text[at:end])
            at = end
        for _ in range(_ARGUMENTS[command]):
            argument, at = _argument(text, at, whole_number=command == r"\sqrt")
            result.append(argument)
    return "".join(result) + text[at:]


def _argument(text: str, at: int, *, whole_number: bool) -> tuple[str, int]:
    r"""Return one braced argument and where it ends; a root takes all the digits that follow (`√12`)."""
    piece = _PIECE.match(text, at)
    if not piece:
        return "", at
    if piece[1] == "{":
        start = piece.end() - 1
        end = closing(text, start)
        if end < 0:
            return text[start:], len(text)
        return f"{{{_arguments(text[start + 1 : end])}}}", end + 1
    if piece[1] in _ARGUMENTS:
        nested = _arguments(text[piece.start() :])
        return f"{{{nested}}}", len(text)
    if whole_number and piece[1] == "(":
        end = text.find(")", piece.end())
        if end >= 0:
            return f"{{{_arguments(text[piece.end() : end])}}}", end + 1
    digits = re.compile(r"\s*(\d+)").match(text, at) if whole_number else None
    piece = digits or piece
    return f"{{{piece[1]}}}", piece.end()
