from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.render import build, links, site_folder
from publisher.render.formulas import DEEPEST, LONGEST, Formulas
from publisher.render.reading import Reader, parts
from publisher.samples import pack_samples, unpack_samples
from publisher.visible import visible
from tests.site_fixtures import Tags, own_fixture
from tests.trees import PAYLOADS, source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["own_fixture"]


@pytest.fixture(name="formulas", scope="module")
def formulas_fixture() -> Formulas:
    """Return what typesets formulas."""
    return Formulas(site_folder() / "vendor/temml/temml.min.js")


@pytest.fixture(name="reader")
def reader_fixture(formulas: Formulas) -> Reader:
    """Return what typesets the answers of a small site."""
    return Reader(formulas, 10)


# -- formulas ---------------------------------------------------------------------------------------------------------


def test_a_formula_becomes_mathml(formulas: Formulas) -> None:
    """Fractions, sums, alignments and boxes are elements that a browser draws without a style."""
    assert formulas.mathml(r"\frac{1}{2}", block=False) == "<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>"
    assert "<munderover>" in formulas.mathml(r"\sum_{i=1}^n i", block=True)
    assert 'class="tml-right"' in formulas.mathml(r"\begin{aligned} a &= b \end{aligned}", block=True)
    assert 'class="boxed"' in formulas.mathml(r"\boxed{18}", block=False)
    assert 'class="over"' in formulas.mathml(r"\overline{AB}", block=False)
    assert " style=" not in formulas.mathml(r"\begin{pmatrix}1&2\end{pmatrix}\tag{1}\color{red}x", block=True)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x" * (LONGEST + 1),
        "{" * (DEEPEST + 1) + "x" + "}" * (DEEPEST + 1),
        r"\left( \frac12",
        r"\unknown{x}",
        r"\def\a{x}\a",
        r"\edef\a{xx}\edef\a{\a\a}\a",
        r"\href{javascript:alert(1)}{x}",
        r"\includegraphics{x.png}",
        r"\frac" * 300,
    ],
)
def test_a_formula_that_cannot_be_typeset_is_left_as_it_is(formulas: Formulas, source: str) -> None:
    """Too long, too deep, unknown or defining macros: no MathML and no error, and the next formula works."""
    assert not formulas.mathml(source, block=True)
    assert formulas.mathml("x", block=False) == "<math><mi>x</mi></math>"


def test_what_a_formula_gives_does_not_depend_on_the_ones_before(formulas: Formulas) -> None:
    """A fresh engine and one that has seen every payload give the same bytes."""
    fresh = Formulas(site_folder() / "vendor/temml/temml.min.js")
    for payload in PAYLOADS:
        formulas.mathml(payload.strip("$"), block=True)
    for formula in (r"\frac{a}{b}", r"\a", r"\boxed{\mathbb{R}}", r"x^2"):
        assert formulas.mathml(formula, block=True) == fresh.mathml(formula, block=True)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_markdown_is_typeset_and_its_links_are_not(reader: Reader) -> None:
    """Lists, tables and code are elements; links, pictures, HTML and entities stay the text that they were."""
    shown = reader.answer(
        "# Title\n**bold** [a](https://b.example) ![c](d.png) <b>e</b> &amp; \n\n- one\n\n"
        "|x|\n|:-:|\n|y|\n\n```py\n$1$\n```"
    )
    for part in (
        '<p class="heading">Title</p>',
        "<strong>bold</strong> [a](https://b.example) ![c](d.png) &lt;b&gt;e&lt;/b&gt; &amp;amp;",
        "<li>one</li>",
        "<td>y</td>",
        "<pre><code>$1$\n</code></pre>",
    ):
        assert part in shown


def test_lines_of_a_formula_are_no_markdown(reader: Reader) -> None:
    """A line of a displayed formula that starts like a list or a heading belongs to the formula."""
    shown = reader.answer("So\n\\[\nx\n= y\n+ z\n- w\n\\]\nand $a_1 * b_1 * c$.")
    assert "<li>" not in shown
    assert "<em>" not in shown
    assert shown.count("<math") == 2


def test_prices_are_no_formulas(reader: Reader) -> None:
    """Dollar signs with blanks inside or digits behind stand for money."""
    assert "<math" not in reader.answer("It costs $5 and $7, or $5/$6 each; then \\$3 and US$4$.")


def test_a_broken_formula_is_shown_as_its_source(reader: Reader) -> None:
    """What Temml cannot take is there as it was written, escaped."""
    assert r"<code>$\left( &lt;b&gt;$</code>" in reader.answer(r"see $\left( <b>$")


def test_the_last_box_is_marked_with_the_outcome_and_the_expected_answer(reader: Reader) -> None:
    """Only the last one counts; a wrong one has the expected answer beside it, whatever characters that has."""
    shown = reader.answer(r"First \boxed{1}, then $\boxed{\frac{1}{2}}$.", "wrong", "{0}<b>")
    assert shown.count('<span class="boxed wrong">') == 1
    assert shown.index('class="boxed"') < shown.index('<span class="boxed wrong">')
    assert "expected <code>&#123;0&#125;&lt;b&gt;</code>" in shown


def test_thinking_is_apart() -> None:
    """Up to the last closing tag, also where the opening one was in the prompt; unclosed, all of it is thinking."""
    assert parts("<think>\nhm\n</think>\n\nSo 3.").thought == "hm"
    assert parts("hm</think>So 3.").rest == "So 3."
    open_ended = parts("<think>hm")
    assert (open_ended.thought, open_ended.rest) == ("hm", "")
    assert parts("So 3.").thought == ""


def test_a_repetition_at_the_end_is_folded() -> None:
    """The passage stands there once with its count; short or lively endings, and rows of dashes, are left alone."""
    looping = parts("Let me see. " + "Wait, no. " * 50)
    assert (looping.times, looping.loop.count("Wait"), looping.rest.count("Wait")) == (50, 1, 1)
    assert parts("<think>" + "Hmm, again? " * 40 + "</think>3").thought_times == 40
    assert parts("<think>a " + "Hmm, again? " * 40).thought_times == 40
    assert parts("ha " * 8).loop == ""
    assert parts("-" * 500).loop == ""
    assert parts("The quick brown fox jumps over the lazy dog, and that is that.").loop == ""


def test_what_is_typeset_is_bounded(formulas: Formulas) -> None:
    """Of many answers a short end is typeset; the rest comes before it, and code that is cut open stays code."""
    reader = Reader(formulas, 100_000)
    before, end = reader.split("```\n" + "let x = $1$\n" * 100 + "```\ndone")
    assert len(end) < 320
    assert before.startswith("```")
    assert "<math" not in reader.answer(end)


def test_an_answer_has_its_share_of_the_formulas_of_a_site(formulas: Formulas) -> None:
    """Where answers are many, the part that is typeset begins after a sentence and has the last few formulas."""
    reader = Reader(formulas, 500)
    before, end = reader.split("".join(f"Step {number}: $x_{number}$. " for number in range(40)))
    assert end.startswith("Step 35")
    assert before.count("$") == 70
    assert reader.answer(end).count("<math") == 5


def test_an_answer_that_is_not_typeset_has_its_last_box_marked(formulas: Formulas) -> None:
    """The text is as the model wrote it, escaped; the box says whether it is right, and what was expected."""
    shown = Reader(formulas, 500).plain(r"<b> $x$ \boxed{1} and $\boxed{\frac{1}{2}}$.", "wrong", "{0}<b>")
    assert "<math" not in shown
    assert shown.startswith(r'<span class="plain">&lt;b&gt; $x$ \boxed{1} and <span class="boxed wrong"><code>$\boxed')
    assert "expected <code>&#123;0&#125;&lt;b&gt;</code></span>.</span>" in shown


def test_the_first_answers_of_each_problem_are_typeset(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a number of answers per site the later ones are shown as they were written, and the page says so."""
    path = own / "ledger/samples.jsonl.gz"
    samples = list(unpack_samples(path.read_bytes()))
    more = [msgspec.structs.replace(one, text="So $x_1$.", sample=place) for one in samples for place in range(2)]
    path.write_bytes(pack_samples(more))
    record = own / "ledger/record.json"
    monkeypatch.setattr("publisher.render.reading.ANSWERS", 8)
    record.write_bytes(record.read_bytes().replace(b'"samples": 1,', b'"samples": 2,'))
    page = build(source(own))["samples/words/index.html"].decode()
    assert page.count("So $x_1$.") == page.count("So <math") > 0
    assert "typeset in 1 answer per problem, starting with answer 1" in page


def test_hostile_text_gives_only_the_elements_on_the_list(reader: Reader) -> None:
    """No payload gives a tag with an attribute that does anything."""
    for payload in PAYLOADS:
        shown = reader.answer(visible(payload)) + reader.statement(visible(payload))
        tags = Tags(shown.encode()).all
        assert not {tag for tag, _ in tags} & {"script", "img", "a", "svg", "iframe", "style", "form", "base", "meta"}
        assert not {name for _, given in tags for name in given if name in {"style", "href", "src"} or name[:2] == "on"}
        assert not re.search("[\u202a-\u202e\u2066-\u2069\ue000-\uf8ff]", shown), payload


# -- files ------------------------------------------------------------------------------------------------------------


def test_every_word_of_an_answer_is_in_the_site(own: Path) -> None:
    """A file beside the page has what the model wrote, byte for byte, at the place that the page names."""
    path = own / "ledger/samples.jsonl.gz"
    text = "<think>" + "ä$x$" * 20_000 + "</think>\x1b[31m\u202e The end."
    samples = [
        msgspec.structs.replace(one, text=text) if one.problem == "words-0001" else one
        for one in unpack_samples(path.read_bytes())
    ]
    path.write_bytes(pack_samples(samples))
    site = build(source(own))
    page = site["samples/words/index.html"].decode()
    assert links.check(site) == []
    start, end = map(int, page.split('id="p2"')[1].split('data-whole="')[1].split('"')[0].split("-"))
    assert site["samples/words/answers.txt"][start:end] == text.encode()
    assert not any(name.startswith("samples/hard/answers") for name in site)
