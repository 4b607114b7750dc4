from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from publisher.files import canonical_json
from publisher.render import render
from publisher.samples import pack_samples, unpack_samples
from tests.beside import add_report
from tests.chromium import Browser
from tests.served import served
from tests.trees import snapshot_tree, source

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)"),
]
WORD = "zeugma"


def tagged(tree: Path) -> Path:
    """Give the problems of the public suite a tag, and one answer a word that is nowhere else."""
    path = tree / "ledger/record.json"
    record = msgspec.json.decode(path.read_bytes())
    names = list(record["results"][0]["right_by_problem"])
    record["results"][0]["tagged"] = {"topic": {"even": names[::2], "odd": names[1::2]}}
    path.write_bytes(canonical_json(record))
    stored = tree / "ledger/samples.jsonl.gz"
    samples = [
        msgspec.structs.replace(one, text=f"<b>{WORD.upper()}</b> words-0000, answer 1\n=====\n{one.text}")
        if one.problem == "words-0070"
        else one
        for one in unpack_samples(stored.read_bytes())
    ]
    stored.write_bytes(pack_samples(samples))
    return tree


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a believable site."""
    folder = tmp_path_factory.mktemp("site")
    render(source(tagged(add_report(snapshot_tree(folder / "tree", runs=8)))), folder / "dist")
    with served(folder / "dist") as url:
        yield url


def ask(browser: Browser, **fields: str) -> list[str]:
    """Fill in the form and return the names of what is found."""
    for name, value in fields.items():
        field = f"document.getElementById({json.dumps(name)})"
        browser.value(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('input'))")
    found = "document.querySelector('#results').hidden || !document.getElementById('said').textContent"
    browser.value(f"new Promise(done => {{ (function look() {{ {found} ? setTimeout(look, 20) : done(); }})(); }})")
    return names(browser, "#results")


def names(browser: Browser, box: str) -> list[str]:
    """Return the names of the problems in a list."""
    return list(
        browser.value(f"[...document.querySelectorAll('{box} li > a:first-child')].map(one => one.textContent)")
    )


def test_problems_are_filtered_and_sorted_at_once(browser: Browser, address: str) -> None:
    """Outcome, change, kind, tag and words narrow the list together, in the order that was chosen."""
    browser.complaints.clear()
    browser.open(address + "samples/words/find/", width=1280)
    wrong = ask(browser, outcome="none")
    assert wrong == names(browser, "#none + ul")
    assert 0 < len(ask(browser, turned="w")) < len(wrong)
    changed = ask(browser, outcome="")
    assert changed == ask(browser, order="suite")
    assert all(int(name[-4:]) % 7 == 3 for name in changed)
    assert all(int(name[-4:]) % 2 == 0 for name in ask(browser, turned="", tag="0"))
    assert all(int(name[-4:]) % 4 == 0 for name in ask(browser, kind="0"))
    assert ask(browser, tag="", kind="", words="WORDS-0007") == ["words-0007"]
    assert len(ask(browser, words="on the beach")) == 120
    assert browser.complaints == []


def test_whole_answers_are_searched_when_asked(browser: Browser, address: str) -> None:
    """A word of one answer is found, whatever the text pretends to be, with a link that opens that answer."""
    browser.open(address + "samples/words/find/", width=1280)
    assert ask(browser, words=WORD) == []
    assert not browser.value("document.getElementById('deep').hidden")
    browser.value("document.getElementById('deep').click()")
    there = "document.querySelectorAll('#results a').length"
    browser.value(f"new Promise(done => {{ (function look() {{ {there} ? done() : setTimeout(look, 20); }})(); }})")
    assert names(browser, "#results") == ["words-0070"]
    assert browser.value("document.querySelectorAll('#results b').length") == 0
    browser.open(browser.value("[...document.querySelectorAll('#results a')].at(-1).href"), width=1280)
    opened = browser.value("document.querySelector('details:target').textContent")
    assert WORD.upper() in opened
    assert browser.value("document.querySelector('details:target').open")


@pytest.mark.parametrize("width", [320, 1280])
def test_without_javascript_links_lead_by_outcome_change_kind_and_tag(
    browser: Browser, address: str, width: int
) -> None:
    """Every problem stands in a list by its outcome, and again below its change, kind and tag."""
    browser.open(address + "samples/words/find/", width=width, scripts=False)
    assert browser.value("document.getElementById('find').hidden")
    assert browser.value("document.querySelectorAll('#static .found li').length") == 120
    headings = browser.value("[...document.querySelectorAll('#static h2')].map(one => one.textContent.trim())")
    assert {"No answer right", "Turned wrong since the snapshot before", "add", "topic: even"} <= set(headings)
    assert browser.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_strangers_names_and_words_do_nothing(browser: Browser, tmp_path: Path, width: int) -> None:
    """No element, dialog, request elsewhere or sideways scrolling comes of names, kinds and statements."""
    render(source(snapshot_tree(tmp_path / "tree", runs=3, problems=12, hostile=True)), tmp_path / "dist")
    with served(tmp_path / "dist") as url:
        browser.complaints.clear()
        browser.open(url + "samples/words/find/", width=width)
        assert ask(browser, words="<script>")
        assert browser.value("document.querySelectorAll('#find :is(script, img, [onerror], [style])').length") == 0
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.complaints == []
