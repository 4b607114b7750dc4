from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from publisher.render import render
from tests.beside import add_report
from tests.chromium import Browser
from tests.served import served
from tests.shelved import add_outlines
from tests.trees import snapshot_tree, source

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)"),
]
PATHS = (
    "",
    "samples/",
    "samples/words/",
    "samples/hard/",
    "history/",
    "samples/words/find/",
    "compare/",
    "compare/any/",
    "rejected/",
    "method/",
    "pin/",
    "rollback/",
    "about/",
    "cite/",
    "card/",
)

DEPLOY = "5f" * 12
# The elements that may come of a model's text.
_PROSE = "p,br,hr,em,strong,s,ol,ul,li,blockquote,pre,code,span,table,thead,tbody,tr,th,td"
_MATHS = (
    "math,mrow,mi,mn,mo,mtext,mspace,mfrac,msup,msub,msubsup,msqrt,mroot,munder,mover,munderover,mtable,mtr,mtd,"
    "mpadded,mphantom,mstyle"
)
INERT = {*_PROSE.split(","), *_MATHS.split(",")}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a believable site."""
    folder = tmp_path_factory.mktemp("site")
    render(source(add_outlines(add_report(snapshot_tree(folder / "tree"))), deploy_id=DEPLOY), folder / "dist")
    with served(folder / "dist") as url:
        yield url


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a site whose every text was written by a stranger."""
    folder = tmp_path_factory.mktemp("hostile")
    render(source(add_report(snapshot_tree(folder / "tree", hostile=True))), folder / "dist")
    with served(folder / "dist") as url:
        yield url


@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits_and_the_console_is_silent(browser: Browser, address: str, width: int) -> None:
    """No page scrolls sideways, is blocked by its own policy, or has an error, in light or dark."""
    for path in PATHS:
        browser.complaints.clear()
        browser.open(address + path, width=width, dark=path == "")
        assert browser.value("document.documentElement.scrollWidth") <= width, path
        assert browser.complaints == [], path
        assert browser.value("document.querySelectorAll('*').length") < 8_000, path
    assert browser.value("getComputedStyle(document.body).marginTop") == "0px"


@pytest.mark.parametrize("width", [390, 1280])
def test_hostile_text_does_nothing(browser: Browser, hostile: str, width: int) -> None:
    """No dialog, no blocked script, no request elsewhere and no sideways scrolling with text of the worst kind."""
    for path in ("", "samples/words/", "history/", "compare/", "rejected/"):
        browser.complaints.clear()
        browser.open(hostile + path, width=width)
        assert browser.complaints == [], path
        assert browser.value("document.documentElement.scrollWidth") <= width, path


def test_hostile_formulas_and_markdown_stay_inert(browser: Browser, hostile: str) -> None:
    """Every payload, in statements and opened answers: no dialog, request, link, picture or wide page comes of it."""
    for path in ("samples/words/", "samples/words/2/"):
        browser.complaints.clear()
        browser.open(hostile + path, width=390)
        browser.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert browser.complaints == [], path
        assert browser.value("document.documentElement.scrollWidth") <= 390, path
        foreign = ".problem :is(img, script, style, iframe, form, base, meta, svg:not(.glyph), [style], [onclick])"
        assert browser.value(f"document.querySelectorAll('{foreign}').length") == 0, path
        links = "[...document.querySelectorAll('.read a, .statement a')].length"
        assert browser.value(links) == 0, path
        elements = "[...new Set([...document.querySelectorAll('.read *, .statement *')].map(one => one.localName))]"
        assert set(browser.value(elements)) <= INERT, path


def test_the_whole_text_of_an_answer_opens_in_its_place(browser: Browser, address: str) -> None:
    """The link of an answer is replaced by exactly what the model wrote; without scripts it leads to the file."""
    browser.open(address + "samples/words/", width=1280)
    link = "document.querySelectorAll('#p2 a[data-whole]')[0]"
    browser.value("document.querySelectorAll('#p2 details').forEach(one => { one.open = true; })")
    browser.value(f"{link}.click()")
    browser.value("fetch('answers.txt').then(answer => answer.text())")  # it comes behind the page's own
    shown = browser.value("document.activeElement.textContent")
    assert shown.startswith("Mia starts with 19 shells.\n")
    assert shown.endswith("}.")
    browser.open(address + "samples/words/", width=1280, scripts=False)
    assert browser.value(f"{link}.href") == f"{address}samples/words/answers.txt"


def test_the_phone_has_its_own_chart_and_cards_instead_of_a_table(browser: Browser, address: str) -> None:
    """At 390 pixels the narrow chart replaces the wide one, and a row of the history is a block."""
    shown = "getComputedStyle(document.querySelector('{}')).display"
    browser.open(address, width=390)
    assert [browser.value(shown.format(name)) for name in (".chart-wide", ".chart-narrow", ".runs tr.own")] == [
        "none",
        "block",
        "flex",
    ]
    browser.open(address, width=1280)
    assert [browser.value(shown.format(name)) for name in (".chart-wide", ".chart-narrow", ".runs tr.own")] == [
        "block",
        "none",
        "table-row",
    ]


def test_the_navigation_of_a_phone_is_one_row_and_shows_where_one_is(browser: Browser, address: str) -> None:
    """At 390 pixels all entries stand in one row that scrolls by itself, and the current one is in view."""
    browser.open(address + "pin/", width=390)
    tops = "[...new Set([...document.querySelectorAll('.top nav li')].map(item => item.offsetTop))].length"
    place = "document.querySelector('.top nav [aria-current]').getBoundingClientRect()"
    assert browser.value(tops) == 1
    assert browser.value(f"{place}.left") >= 0
    assert browser.value(f"{place}.right") <= 390


def test_without_javascript_everything_is_there(browser: Browser, address: str) -> None:
    """Links, answers and addresses need no script; the copy buttons are only there with one."""
    browser.open(address, width=1280, scripts=False)
    assert browser.value("document.querySelectorAll('.copyable button').length") == 0
    assert browser.value("document.querySelectorAll('.chart-wide a').length") == 18
    assert browser.value("getComputedStyle(document.querySelector('.pin code')).userSelect") == "all"
    browser.open(address, width=1280)
    assert browser.value("document.querySelectorAll('.copyable button').length") > 2


@pytest.mark.parametrize("path", ["", "pin/"])
def test_both_addresses_can_be_copied(browser: Browser, address: str, path: str) -> None:
    """The branch's address and the deploy's stand beside a button; without scripts a link leads to the latter."""
    shown = "[...document.querySelectorAll('.copyable')].map(box => [box.querySelector('code').textContent.trim()"
    browser.open(address + path, width=1280)
    browser.value("fetch('/deploy.json').then(answer => answer.text())")  # it comes behind the page's own
    boxes = browser.value(shown + ", box.querySelectorAll('button').length])")
    pin = browser.value("document.querySelector('link[rel=canonical]').href").removesuffix("/").removesuffix("/pin")
    deploy = f"https://{DEPLOY}--{pin.partition('--')[2]}"
    assert [pin, 1] in boxes
    assert [deploy, 1] in boxes
    browser.open(address + path, width=1280, scripts=False)
    assert pin in browser.value("[...document.querySelectorAll('main code')].map(code => code.textContent.trim())")
    assert browser.value("document.querySelector('[data-deploy] a').href") == f"{address}deploy.json"


def test_the_chart_can_be_read_with_the_keyboard(browser: Browser, address: str) -> None:
    """A focused mark shows its figures; arrow keys, Home and End go from mark to mark."""
    browser.open(address, width=1280)
    browser.value("document.querySelector('.chart-wide a').focus()")
    first = browser.value("document.querySelector('.readout').textContent")
    assert "33.7" in first
    for key in ("ArrowRight", "End"):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=key)
    assert "80.0 ± 3.7" in browser.value("document.querySelector('.readout').textContent")


@pytest.mark.parametrize(("path", "box"), [("samples/words/", ".tiles"), ("", ".chart-wide")])
def test_a_map_or_chart_is_one_tab_stop(browser: Browser, address: str, path: str, box: str) -> None:
    """The tab key enters it once; arrow keys go through it, and the last mark is where the tab key comes back to."""
    browser.open(address + path, width=1280)
    stops = f"[...document.querySelectorAll('{box} a')].filter(one => one.tabIndex === 0)"
    assert browser.value(f"{stops}.length") == 1
    browser.value(f"document.querySelector('{box} a').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="End")
    assert browser.value(f"{stops}.length") == 1
    assert browser.value(f"document.activeElement === {stops}[0]")
    assert browser.value(f"document.activeElement === [...document.querySelectorAll('{box} a')].at(-1)")


def test_the_map_goes_by_rows(browser: Browser, address: str) -> None:
    """In a map of problems the down key goes to the square below."""
    browser.open(address + "samples/words/", width=390)
    browser.value("document.querySelector('.tiles a').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowDown")
    places = "[document.activeElement, document.querySelector('.tiles a')].map(one => one.getBoundingClientRect())"
    below, first = browser.value(f"{places}.map(one => [one.left, one.top])")
    assert below[0] == first[0]
    assert below[1] > first[1]


def test_paper_shows_everything(browser: Browser, address: str) -> None:
    """Printed, folded answers are open, squares are drawn by borders, nothing scrolls, and colours are those of day."""
    browser.open(address + "samples/words/", width=718, dark=True)
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=features)
    style = "getComputedStyle(document.querySelector('{}')).{}"
    assert browser.value(style.format(".tile.right", "borderTopWidth")) == "12px"
    assert browser.value(style.format(".problem", "display")) == "block"
    assert browser.value(style.format("body", "backgroundColor")) == "rgb(253, 253, 251)"
    closed = "document.querySelectorAll('details').forEach(one => { one.open = false; })"
    browser.value(closed)
    assert browser.value("document.querySelector('details .read').getBoundingClientRect().height") > 40
    scrolled = "[...document.querySelectorAll('main *')].filter(one => one.scrollHeight > one.clientHeight + 40"
    clipped = " && one.clientHeight && getComputedStyle(one).overflowY !== 'visible').length"
    assert browser.value(scrolled + clipped) == 0
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def test_the_card_alone_can_be_shown_in_a_frame_of_another_site(browser: Browser, address: str) -> None:
    """Under the headers of the site a page of another origin frames the card, and no other page."""
    other = address.replace("127.0.0.1", "localhost")
    browser.open(f"{other}nothing", width=800)  # the host's own page, without a policy
    for path, shown in (("card/", True), ("cite/", False)):
        browser.complaints.clear()
        browser.value(
            "new Promise(done => { const frame = document.createElement('iframe'); frame.onload = done;"
            f" frame.src = '{address}{path}'; document.body.replaceChildren(frame) }})"
        )
        assert any("frame-ancestors" in said for said in browser.complaints) is not shown, browser.complaints
    browser.complaints.clear()


BROKEN_WORDS = """[...document.querySelectorAll('th, dt, .verdict, .tag, nav a, summary, h2, h3, .legend li')]
  .filter(one => one.checkVisibility() && !one.closest('details:not([open]) > :not(summary)'))
  .flatMap(one => {
    const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT), broken = [];
    while (texts.nextNode()) {
      for (const word of texts.currentNode.data.matchAll(/[a-z]{3,20}/gi)) {
        const range = document.createRange();
        range.setStart(texts.currentNode, word.index);
        range.setEnd(texts.currentNode, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
    return broken;
  })"""


@pytest.mark.parametrize("width", [320, 375, 794, 1280])
def test_no_label_breaks_inside_a_word(browser: Browser, address: str, width: int) -> None:
    """Headings, names of figures and marks wrap between words, on phones, on paper and on desktops."""
    for path in ("", "history/", "rejected/", "compare/", "compare/any/", "samples/words/", "samples/words/find/"):
        browser.open(address + path, width=width)
        assert browser.value(BROKEN_WORDS) == [], path


def test_the_first_screens_of_a_phone_hold_the_verdict_and_the_chart(browser: Browser, address: str) -> None:
    """The verdict stands beside the score on the first, the chart begins on the second, the address is one line."""
    browser.open(address, width=375)

    def end(query: str) -> float:
        return float(browser.value(f"document.querySelector('{query}').getBoundingClientRect().bottom + scrollY"))

    assert end(".outcome") < 667
    assert end(".chart-narrow") < 2 * 667
    assert browser.value("document.querySelector('.pin .copyable').getBoundingClientRect().height") < 48
    assert browser.value("document.querySelector('.top nav ul').getBoundingClientRect().height") < 48


def test_a_column_of_the_chart_leads_to_its_run(browser: Browser, address: str) -> None:
    """Wherever in the plot a run's column is hit, its link is; below the chart its figures are read."""
    browser.open(address, width=1280)
    browser.value("document.querySelector('.chart-wide').scrollIntoView({behavior: 'instant', block: 'center'})")
    found = browser.value(
        """[...document.querySelectorAll('.chart-wide a')].every(link => {
          const box = link.querySelector('.hit').getBoundingClientRect();
          return [0.1, 0.5, 0.9].filter(share =>
            document.elementFromPoint(box.left + box.width / 2, box.top + box.height * share).closest('a') === link
          ).length >= 2;
        })"""
    )
    assert found is True
    browser.value(
        "document.querySelector('.chart-wide a .hit').dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
    )
    shown = browser.value("document.querySelector('.readout').textContent")
    assert shown == browser.value("document.querySelector('.chart-wide a title').textContent")
