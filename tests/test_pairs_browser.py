from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher.gate.stratified import Stratum, difference, gain_p, loss_p, score_interval
from publisher.render import render, site_folder
from tests.beside import add_report
from tests.chromium import Browser
from tests.served import served
from tests.shelved import add_outlines
from tests.test_render_compare import with_forge
from tests.trees import sha, snapshot_tree, source

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)"),
]
OWN = sha("this")[:12]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a believable site."""
    folder = tmp_path_factory.mktemp("site")
    render(source(add_outlines(add_report(snapshot_tree(folder / "tree", runs=8)))), folder / "dist")
    with served(folder / "dist") as url:
        yield url


def ready(browser: Browser) -> None:
    """Wait until the page has read its file."""
    settled = "document.getElementById('shown').hidden && !document.getElementById('said').textContent"
    browser.value(f"new Promise(done => {{ (function look() {{ {settled} ? setTimeout(look, 20) : done(); }})(); }})")


def text(browser: Browser, selector: str) -> str:
    """Return the text of an element."""
    return str(browser.value(f"document.querySelector({json.dumps(selector)}).textContent"))


def cases() -> list[list[Stratum]]:
    """Return random tables: single samples and many, few problems and hundreds, alike and far apart."""
    draw = random.Random(7)  # noqa: S311 - tables, not a secret
    found = []
    for number in range(60):
        k, before = draw.choice([(1, 1), (4, 4), (16, 16), (8, 64), (3, 1)])
        problems = draw.choice([1, 2, 15, 30, 200])
        shift = draw.choice([0.0, 0.02, -0.1, 0.3])
        rates = [draw.choice([0.0, 1.0, draw.random()]) if number % 3 else draw.random() for _ in range(problems)]
        found.append(
            [
                Stratum(
                    sum(draw.random() < rate + shift for _ in range(k)),
                    k,
                    sum(draw.random() < rate for _ in range(before)),
                    before,
                )
                for rate in rates
            ]
        )
    return found


def test_the_browser_computes_what_the_gate_computes(browser: Browser) -> None:
    """On random tables p-value, difference and interval of both languages agree to nine digits."""
    browser.open("about:blank", width=800)
    browser.value((site_folder() / "assets/paired.js").read_text())
    for strata in cases():
        given = json.dumps(strata)
        p_value, seen, (low, high) = browser.value(
            f"[paired.pValue({given}), paired.difference({given}), paired.interval({given})]"
        )
        assert p_value == pytest.approx(min(1.0, 2 * min(loss_p(strata), gain_p(strata))), rel=1e-9, abs=1e-15)
        assert seen == pytest.approx(difference(strata), rel=1e-9, abs=1e-12)
        assert (low, high) == pytest.approx(score_interval(strata), abs=2e-7)


def test_any_two_runs_stand_side_by_side(browser: Browser, address: str) -> None:
    """Scores with the test, what was changed, the problems that turned, and the figures, from one file of the site."""
    browser.open(address + "compare/any/", width=1280)
    ready(browser)
    assert "exact McNemar test over 120 problems" in text(browser, "#scores tbody tr:first-child")
    assert "quantizationQ2_K → Q8_0" in text(browser, "#changed")
    assert "Think for" in text(browser, "#changed del")
    assert browser.value("document.querySelectorAll('#turned tbody tr').length") > 5
    assert "tokens per answer · words" in text(browser, "#figures")
    first = text(browser, "#scores tbody tr:first-child .right:nth-of-type(3)")
    browser.value("document.getElementById('swap').click()")
    assert text(browser, "#scores tbody tr:first-child .right:nth-of-type(3)")[0] != first[0]
    assert browser.value("location.search").startswith(f"?a=snapshot-{OWN}&b=snapshot-")


def test_the_page_and_the_static_one_say_the_same(browser: Browser, tmp_path: Path) -> None:
    """Of the same two runs both pages show the same change, interval and p-value, to the last digit."""
    tree = add_outlines(add_report(snapshot_tree(tmp_path / "tree", runs=8)))
    path = tree / "ledger/outlines.json"
    found = json.loads(path.read_bytes())
    record = json.loads((tree / "ledger/report.json").read_bytes())["previous"]
    # The run before, as the report has it: the problems that turned tell its counts.
    own, before = (found["runs"][place]["suites"]["words"] for place in (0, 1))
    turned = {
        one["problem"]: one
        for suite in record["suites"]
        for key in ("turned_wrong", "turned_right")
        for one in suite[key]
    }
    before["right"] = [
        turned[name]["base_right"] if name in turned else right
        for name, right in zip(found["problems"][own["version"]], own["right"], strict=True)
    ]
    before["drawn"] = own["drawn"]
    path.write_text(json.dumps(found))
    render(source(tree), tmp_path / "dist")
    with served(tmp_path / "dist") as url:
        browser.open(url + "compare/", width=1280)
        row = "[...document.querySelectorAll('.compare tbody tr')].find(one => one.textContent.includes('words'))"
        words = (
            f"({row}).querySelector('[data-label=change]').textContent + ({row}).querySelector('.small').textContent"
        )
        static = browser.value(words)
        browser.open(url + "compare/any/", width=1280)
        ready(browser)
        assert browser.value(words) == static


def test_ties_are_rounded_as_the_pages_round_them(browser: Browser, address: str) -> None:
    """Scores of 62.25 and p-values of 0.625 are ties, which Python rounds to the even digit."""
    script = (site_folder() / "assets/compare.js").read_text()
    function = script[script.index("  function fixed(") : script.index("  function points(")]
    browser.open(address, width=800)
    values = [place / 16 for place in range(400)] + [place / 1000 for place in range(400)]
    for places in (1, 2, 3):
        shown = browser.value(f"(function () {{ {function} return {values}.map(one => fixed(one, {places})); }})()")
        assert shown == [f"{value:.{places}f}" for value in values]


def test_problems_lead_to_answers_and_commits_to_the_forge(browser: Browser, tmp_path: Path) -> None:
    """A problem that turned links to the page that finds it, and the two commits to their difference."""
    tree = snapshot_tree(tmp_path / "tree", runs=4)
    with_forge(tree, "https://github.com/a/b")
    render(source(add_outlines(add_report(tree))), tmp_path / "dist")
    with served(tmp_path / "dist") as url:
        browser.open(url + "compare/any/", width=1280)
        ready(browser)
        difference = browser.value("document.getElementById('diff').href")
        assert re.fullmatch(rf"https://github.com/a/b/compare/[0-9a-f]{{40}}\.\.\.{sha('this')}", difference)
        name = text(browser, "#turned tbody a")
        browser.open(browser.value("document.querySelector('#turned tbody a').href"), width=1280)
        found = "document.querySelectorAll('#results a').length"
        browser.value(f"new Promise(done => {{ (function look() {{ {found} ? done() : setTimeout(look, 20); }})(); }})")
        assert name in text(browser, "#results")


@pytest.mark.parametrize("form", ["{}", "{:.7}", "snapshot-{}"])
def test_the_address_says_which_two(browser: Browser, address: str, form: str) -> None:
    """A commit of 7 to 40 digits or a snapshot's name chooses a run, and the link of a row does so."""
    browser.open(address + "compare/any/", width=1280)
    ready(browser)
    runs = browser.value("[...document.querySelectorAll('#a option')].map(one => one.textContent)")
    browser.open(f"{address}compare/any/?b={form.format(runs[3][:12])}&a={form.format(OWN)}", width=1280)
    ready(browser)
    assert browser.value("['a', 'b'].map(id => document.getElementById(id).selectedIndex)") == [0, 3]
    browser.open(browser.value("document.querySelectorAll('main section a.small')[1].href"), width=1280)
    ready(browser)
    assert browser.value("['a', 'b'].map(id => document.getElementById(id).selectedIndex)") == [2, 0]


@pytest.mark.parametrize(
    "word", ["abc", "0" * 40, "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", "snapshot-zz", "__proto__"]
)
def test_a_name_that_is_none_is_said(browser: Browser, address: str, word: str) -> None:
    """What the address names and no run has is repeated as text; both can still be chosen."""
    browser.complaints.clear()
    browser.open(f"{address}compare/any/?a={word}", width=1280)
    ready(browser)
    assert "No run in this snapshot has this name" in text(browser, "#said")
    assert browser.value("document.querySelectorAll('#pair img, #pair script').length") == 0
    assert browser.complaints == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_hostile_names_do_nothing(browser: Browser, tmp_path: Path, width: int) -> None:
    """No dialog, blocked script, element or sideways scrolling with texts of the worst kind."""
    tree = add_outlines(snapshot_tree(tmp_path / "tree", runs=6, problems=40, hostile=True), hostile=True)
    render(source(tree), tmp_path / "dist")
    with served(tmp_path / "dist") as url:
        browser.complaints.clear()
        browser.open(url + "compare/any/", width=width)
        ready(browser)
        assert browser.complaints == []
        assert browser.value("document.documentElement.scrollWidth") <= width
        link = 'a:not([href^="../../samples/"])'
        foreign = f"#pair :is(img, script, style, iframe, form, {link}, [style], [onclick], [onerror])"
        assert browser.value(f"document.querySelectorAll('{foreign}').length") == 0
        assert "<script>alert(1)</script>" in text(browser, "#pair")


def test_without_javascript_a_table_links_to_every_run(browser: Browser, address: str) -> None:
    """Scores, models and permanent addresses stand in a plain table; nothing that needs a script is shown."""
    browser.open(address + "compare/any/", width=390, scripts=False)
    assert browser.value("document.getElementById('pair').hidden")
    assert browser.value("document.querySelectorAll('main section tbody a[href^=https]').length") == 6
    assert browser.value("document.documentElement.scrollWidth") <= 390
