"""The site's language: every sentence of the templates, of `render/` and of the scripts, in one catalogue per language.

English is the source: a sentence is its own key, as gettext has it. `site/strings/<lang>.po` has the translations, in
the format that translators' tools read, and nothing has to be compiled. A team's own file of that name goes before
ours, entry by entry, and may be for `en`, too: then it words our English anew.

What is data stays as it was written: names of models, suites, kinds and metrics, commit subjects, the gate's reasons,
what a person decided, and files for programs.
"""

from __future__ import annotations

import gettext
import io
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import polib

from publisher.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE = "en"
_ENGLISH = gettext.NullTranslations()
_spoken: ContextVar[gettext.NullTranslations] = ContextVar("spoken", default=_ENGLISH)
_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)s|%|(.))", re.DOTALL)


@contextmanager
def speaking(catalogue: gettext.NullTranslations = _ENGLISH) -> Iterator[None]:
    """Say everything in the catalogue's language meanwhile; without one, in English."""
    token = _spoken.set(catalogue)
    try:
        yield
    finally:
        _spoken.reset(token)


def say(message: str, /, **values: object) -> str:
    """Return a sentence in the site's language, with its values put in: `%(name)s`, and `%%` for a per cent sign."""
    return _spoken.get().gettext(message) % values


def say_of(one: str, many: str, number: int, /, **values: object) -> str:
    """Return a sentence in the form that the language has for a count."""
    return _spoken.get().ngettext(one, many, number) % values


def phrase(message: str) -> str:
    """Return a sentence that is said later as it is; the mark by which it is found for the catalogue."""
    return message


WORDS = frozenset(
    {
        phrase("kept"),
        phrase("rejected"),
        phrase("inconclusive"),
        phrase("unreadable"),
        phrase("passed"),
        phrase("unchanged"),
        phrase("held"),
        phrase("pass"),
        phrase("fail"),
        phrase("alert"),
        phrase("note"),
        phrase("right"),
        phrase("wrong"),
        phrase("unanswered"),
        phrase("truncated"),
        phrase("error"),
        phrase("better"),
        phrase("worse"),
        phrase("model"),
        phrase("prompt"),
        phrase("sampling"),
        phrase("suite"),
        phrase("engine"),
        phrase("machine"),
    }
)
"""The words of verdicts, rules, outcomes and parts of a configuration: a record has them in English,
a page says them in its language."""


def named(word: str) -> str:
    """Return one of these words in the site's language; any other word as it is."""
    return translated(word) if word in WORDS else word


def form(kind: str, source: str) -> str:
    """Return how the language writes something, such as the decimal sign: `kind` tells two equal sources apart."""
    spoken = _spoken.get()
    # Asked for each number of each page.
    return source if spoken is _ENGLISH else spoken.pgettext(kind, source)


def translated(message: str) -> str:
    """Return a sentence in the site's language as it is in the catalogue, which is what the templates ask for."""
    return _spoken.get().gettext(message)


def translated_of(one: str, many: str, count: int) -> str:
    """Return the same in the form for a count."""
    return _spoken.get().ngettext(one, many, count)


def catalogue(lang: str, strings: Mapping[str, bytes]) -> gettext.NullTranslations:
    """Return the catalogue of a language from `strings`, {name: bytes} of `site/strings/`.

    Raises ConfigError where there is none, or where a team's own has a mistake: file and line are named.
    """
    names = [f"publisher/{lang}.po", f"{lang}.po"]
    found = [name for name in names if name in strings]
    if not found:
        if lang == SOURCE:
            return _ENGLISH
        known = {name.removesuffix(".po") for name in strings if name.endswith(".po") and "/" not in name}
        raise ConfigError(
            f"publisher.toml: site.lang: there is no site/strings/{lang}.po",
            hint=f"languages: {', '.join(sorted({SOURCE, *known}))}",
        )
    entries: dict[tuple[str | None, str], polib.POEntry] = {}
    for name in found:
        entries |= {(entry.msgctxt, entry.msgid): entry for entry in _entries(name, strings[name])}
    merged = polib.POFile()
    merged.metadata = {"Content-Type": "text/plain; charset=UTF-8", **_plural_forms(strings[found[-1]])}
    merged.extend(entries.values())
    try:
        made = gettext.GNUTranslations(io.BytesIO(merged.to_binary()))
        for number in range(200):
            made.ngettext("", "", number)
    except (ValueError, ArithmeticError, RecursionError) as error:
        where = f"site/strings/{found[-1]}"
        raise ConfigError(f"{where} is no catalogue: its Plural-Forms: {error}", hint=f"correct {where}") from error
    return made


def _parsed(name: str, data: bytes) -> polib.POFile:
    where = f"site/strings/{name}"
    try:
        return polib.pofile(f"\n{data.decode()}", check_for_duplicates=True)
    except (UnicodeDecodeError, OSError, ValueError) as error:
        raise ConfigError(f"{where} is no catalogue: {error}", hint=f"correct {where}") from error


def _entries(name: str, data: bytes) -> list[polib.POEntry]:
    """Return the translated entries of a file, each with the placeholders of its source and no others."""
    entries = [entry for entry in _parsed(name, data) if entry.translated()]
    for entry in entries:
        texts = [*entry.msgstr_plural.values(), entry.msgstr] if entry.msgid_plural else [entry.msgstr]
        known = _placeholders(entry.msgid) | _placeholders(entry.msgid_plural or "")
        for written in filter(None, texts):
            wrong = sorted(_placeholders(written) - known)
            # The forms of numbers and dates are no sentences: what stands in them is not filled in.
            if wrong and entry.msgctxt is None:
                raise ConfigError(
                    f"site/strings/{name}: {', '.join(wrong)} is not in the source of this sentence",
                    detail=entry.msgid,
                    hint="a per cent sign is written %%",
                )
    return entries


def _placeholders(message: str) -> set[str]:
    """Return the placeholders of a sentence; a lone per cent sign, which would be the start of one, is among them."""
    return {match[0] for match in _PLACEHOLDER.finditer(f"{message} ") if match[0] != "%%"}


def _plural_forms(data: bytes) -> dict[str, str]:
    """Return the rule of a catalogue's plurals, as its header has it."""
    rule = polib.pofile(f"\n{data.decode()}").metadata.get("Plural-Forms")
    return {"Plural-Forms": rule} if rule else {}
