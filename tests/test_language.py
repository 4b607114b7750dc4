"""The site's language: every sentence in one catalogue, Simplified Chinese beside the English source."""

from __future__ import annotations

import gettext
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from publisher.errors import ConfigError
from publisher.render import build, links, site_folder, text
from publisher.render.language import WORDS, catalogue, say, speaking
from tests import strings
from tests.beside import add_lessons, add_report
from tests.site_fixtures import Tags, own_fixture, pages
from tests.test_theme import put
from tests.trees import SUBJECTS, snapshot_tree, source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["own_fixture"]
TRANSLATIONS = ("zh-CN",)
# What a Chinese page says in Latin letters: names of programs, formats, units, metrics, settings, and the test's data.
NAMES = frozenset(
    """
    AMD Ada Example Abacus Atom BibTeX CITATION cff CPU Chrome Edge Firefox Cookie EPYC
    GGUF GPU JSON JavaScript Linux Landlock MIT McNemar NVIDIA Netlify Python SHA UTC WebAssembly
    DecompressionStream Wilson git publisher wllama llama cpp deploy json manifest permalink https snapshot netlify
    app shields io sha all expected answer kB MB GB ms min top pass
    words hard problems math abacus full word problem add subtract multiply two step system
    memory allocated cores reproducible seed
    quantization error rate length tokens per second truncated unanswered temperature latency
    """.split()  # noqa: SIM905 - a list of this length is not easier to read
)


def chinese(tree: Path) -> dict[str, bytes]:
    """Return the site of a tree in Chinese."""
    (tree / "publisher.toml").write_text('[site]\nlang = "zh-CN"\ntry = "yes"\n')
    return build(source(tree))


# -- completeness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", TRANSLATIONS)
def test_every_sentence_is_translated(lang: str) -> None:
    """Each sentence of a template or a module of render/ is in the catalogue: add what is missing to the file."""
    known = strings.catalogue(lang)
    said = [*strings.of_templates(), *strings.of_sources(), *strings.of_metrics()]
    missing = sorted({f"{file}: {message[1]!r}" for file, message in said if message not in known})
    assert not missing, f"add to site/strings/{lang}.po:\n" + "\n".join(missing)


@pytest.mark.parametrize("lang", TRANSLATIONS)
def test_no_translation_is_left_over(lang: str) -> None:
    """What no page says any more is not in the catalogue."""
    said = {message for _, message in [*strings.of_templates(), *strings.of_sources(), *strings.of_metrics()]}
    left = [message for message in strings.catalogue(lang) if message not in said and message[0] != "month"]
    assert not left, f"remove from site/strings/{lang}.po: {left}"


@pytest.mark.parametrize("lang", TRANSLATIONS)
def test_a_translation_has_the_placeholders_of_its_source(lang: str) -> None:
    """None is lost or misspelled, the markup is the same, and the braces that scripts fill in are there."""
    for (context, source_text), entry in strings.catalogue(lang).items():
        written = entry.msgstr or entry.msgstr_plural[0]
        for pattern in (r"%\(\w+\)s", r"\{\w+\}", r"</?[a-z]+"):
            if not context:
                assert set(re.findall(pattern, written)) == set(re.findall(pattern, source_text)), source_text
        assert not re.search(r"%(?![%(])", written.replace("%%", "")), source_text


def test_no_words_stand_in_a_template_outside_the_catalogue() -> None:
    """Every word of a template that a reader sees or hears goes through `_()`, so that it can be translated."""
    for path in sorted((site_folder() / "templates").glob("*.html")):
        found = strings.Unsaid(path.read_text()).found
        assert not found, f"{path.name}: wrap in _(): {found}"


def test_no_script_has_sentences_of_its_own() -> None:
    """A script takes its sentences from the page: none is put into a page from a literal."""
    for path in sorted((site_folder() / "assets").glob("*.js")):
        found = re.findall(r'(?:textContent|innerText|title|ariaLabel) = "[^"]*[A-Za-z]', path.read_text())
        assert not found, f"{path.name}: {found}"


# -- pages ------------------------------------------------------------------------------------------------------------


class Shown(HTMLParser):
    """The Latin words of a page that are neither code nor what the model, a commit or the gate's record says."""

    DATA = frozenset(["code", "pre", "style", "script", "math"])
    CLASSES = frozenset(["subject", "statement", "read", "why", "brand", "expected", "words", "old", "now", "tag-data"])
    VOID = frozenset(["meta", "link", "br", "input", "hr", "img"])

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.open: list[tuple[str, set[str]]] = []
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and what its attributes say to readers."""
        given = {name: value or "" for name, value in attrs}
        if tag not in self.VOID:
            self.open.append((tag, set(given.get("class", "").split())))
        for name in ("title", "aria-label", "data-label", "placeholder"):
            self.keep(given.get(name, ""))

    def handle_endtag(self, tag: str) -> None:
        """Forget an element."""
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Keep what is no data."""
        if not any(tag in self.DATA or classes & self.CLASSES for tag, classes in self.open):
            self.keep(data)

    def keep(self, said: str) -> None:
        """Keep the words of a sentence, without the subjects of this test's commits and the braces of scripts."""
        for subject in ("Take the final checkpoint at Q8_0", *SUBJECTS, "Answers were too terse"):
            said = said.replace(subject, "")
        said = re.sub(r"\{\w+\}|[0-9a-f]{7,40}|\b[0-9a-f]*\d[0-9a-f]*\b", "", said)
        self.found |= set(re.findall(r"[A-Za-z]{2,}", said)) - NAMES


def test_a_chinese_site_has_no_english_left(tmp_path: Path) -> None:
    """Beside names, code, answers and what the record itself says, every page of a Chinese site is Chinese."""
    tree = add_lessons(add_report(snapshot_tree(tmp_path / "tree", runs=12, problems=30)))
    site = chinese(tree)
    for name, page in pages(site).items():
        assert '<html lang="zh-CN"' in page, name
        assert not Shown(page).found, name
    assert links.check(site) == []


def test_a_chinese_site_says_the_same(own: Path) -> None:
    """The same pages, files, figures and links as in English; what programs read keeps its bytes."""
    english = build(source(own))
    translated = chinese(own)
    assert set(english) - set(translated) == {name for name in english if name.startswith("assets/")} - set(translated)
    for name in ("snapshot.json", "history.json", "metrics.txt", "every_eval_ever.json", "preview.png", "badge.json"):
        assert english[name] == translated[name], name
    for name, page in pages(english).items():
        here, there = (
            sorted(given["href"] or "" for tag, given in Tags(one).all if tag == "a" and "href" in given)
            for one in (page.encode(), translated[name])
        )
        assert here == there, name


def test_a_language_without_a_catalogue(own: Path) -> None:
    """The message names the file that is missing and the languages that there are."""
    (own / "publisher.toml").write_text('[site]\nlang = "tlh"\n')
    with pytest.raises(ConfigError, match=r"there is no site/strings/tlh\.po") as caught:
        build(source(own))
    assert caught.value.hint == "languages: en, zh-CN"


@pytest.mark.parametrize("lang", ["../../etc", "EN", "zh_CN", "x" * 90, ""])
def test_a_language_that_is_none(own: Path, lang: str) -> None:
    """A value that is no language's name is a mistake in publisher.toml, and never a path."""
    (own / "publisher.toml").write_text(f'[site]\nlang = "{lang}"\n')
    with pytest.raises(ConfigError, match=r"site\.lang"):
        build(source(own))


# -- a team's own catalogue -------------------------------------------------------------------------------------------

GERMAN = r"""
msgid ""
msgstr ""
"Language: de\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

msgid "History"
msgstr "Verlauf"

msgid "%(count)s problem"
msgid_plural "%(count)s problems"
msgstr[0] "%(count)s Aufgabe"
msgstr[1] "%(count)s Aufgaben"

msgctxt "decimal sign"
msgid "."
msgstr ","
"""


def test_a_team_brings_a_language_of_its_own(own: Path) -> None:
    """Plurals and the decimal sign are the language's; what is not translated stays English."""
    put(own, "strings/de.po", GERMAN)
    put(own, "content/de/pin.md", "# Anheften\n\nDie Adresse: {{ pin }}\n")
    (own / "publisher.toml").write_text('[site]\nlang = "de"\n')
    site = build(source(own))
    home = site["index.html"].decode()
    for said in ('<html lang="de">', ">Verlauf</a>", "8 Aufgaben", ">Anheften</a>", "This snapshot never changes."):
        assert said in home, said
    assert re.search(r"<b>\d+,\d</b>", home)
    assert b"Die Adresse" in site["pin/index.html"]


def test_a_team_words_our_english_anew(own: Path) -> None:
    """An `en.po` replaces single sentences; a `zh-CN.po` goes before ours, entry by entry."""
    put(own, "strings/en.po", 'msgid "History"\nmsgstr "Past runs"\n')
    assert ">Past runs</a>" in build(source(own))["index.html"].decode()
    put(own, "strings/zh-CN.po", 'msgid "History"\nmsgstr "往事"\n')
    home = chinese(own)["index.html"].decode()
    assert ">往事</a>" in home
    assert ">回答</a>" in home


@pytest.mark.parametrize(
    ("catalogue_file", "said"),
    [
        ('msgid "History"\nmsgstr "%(gone)s"\n', "%(gone)s is not in the source"),
        ('msgid "History"\nmsgstr "100 % sure"\n', "is not in the source"),
        ("<html>\n", "is no catalogue"),
        ('msgid "History"\nmsgstr "a"\n\nmsgid "History"\nmsgstr "b"\n', "is no catalogue"),
        ('msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=9; plural=__import__(1);\\n"\n', "is no catalogue"),
    ],
)
def test_a_mistake_in_a_catalogue_names_the_file(own: Path, catalogue_file: str, said: str) -> None:
    """A lost placeholder, a lone per cent sign, broken syntax, doubles and a plural rule that is none."""
    put(own, "strings/en.po", catalogue_file)
    with pytest.raises(ConfigError, match=r"site/strings/en\.po") as caught:
        build(source(own))
    assert said in caught.value.message


def test_the_language_of_a_team_is_not_kept_for_the_next_site(own: Path) -> None:
    """Two sites rendered by one process do not mix their languages."""
    before = build(source(own))
    chinese(own)
    (own / "publisher.toml").unlink()
    assert build(source(own)) == before


def test_words_numbers_and_dates_follow_the_language() -> None:
    """Dates, thousands and plurals are the catalogue's; the words of verdicts are all known."""
    shipped = {"publisher/zh-CN.po": (site_folder() / "strings/zh-CN.po").read_bytes()}
    with speaking(catalogue("zh-CN", shipped)):
        assert text.date("2026-11-20T20:11:00Z") == "2026-11-20"
        assert text.count(20_000) == "20,000"
        assert text.plural(1, "problem") == "1 道题"
        assert {say(word) for word in WORDS}.isdisjoint(WORDS)
    assert text.count(20_000) == "20\u202f000"
    assert isinstance(catalogue("en", {}), gettext.NullTranslations)
