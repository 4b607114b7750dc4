"""The script that splits a canary's readers, in a real browser and on the local host: cohorts, choices, no scripts."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from publisher.files import canonical_json
from publisher.render import render, site_folder
from publisher.schema import CanaryPage, SplitPage
from tests.chromium import Browser, chromium
from tests.host_fixtures import SITE, Visitor, make_repository, visiting
from tests.trees import snapshot_tree, source

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)"),
]
BRANCH = "canary-0123456789ab"
BUILD = "mkdir dist; cp -r pages/. dist/\n"
READERS = 2_000
# One reader after the other, each with a browser of their own as far as the script can see; what it does is counted.
READ = """
(() => {
  const READERS = 2000;
  const run = (document, location, history, localStorage, navigator) => { %s };
  const visit = (options) => {
    let moved = "", shown = options.href || "http://main/";
    const store = options.store || new Map();
    const storage = options.blocked ? null : {
      getItem: (key) => store.has(key) ? store.get(key) : null,
      setItem: (key, value) => { store.set(key, String(value)); },
      removeItem: (key) => { store.delete(key); },
    };
    run({ currentScript: { dataset: { number: options.number || "1", percent: String(options.percent || 10),
                                      main: "http://main", candidate: "http://candidate" } } },
        { href: shown, origin: new URL(shown).origin, replace: (to) => { moved = to; } },
        { state: null, replaceState: (_, __, to) => { shown = String(to); } },
        storage, options.navigator || {});
    return { moved, shown, stored: Object.fromEntries(store), store };
  };
  return (%s)(visit);
})()
"""


@dataclass(frozen=True)
class Stage:
    """A host whose live site splits its readers, its candidate, and a browser."""

    browser: Browser
    visitor: Visitor

    def address(self, branch: str = "") -> str:
        """Return a branch's address, or the main one."""
        name = f"{branch}--{SITE}" if branch else SITE
        return f"http://{name}.localhost:{self.visitor.info.port}"

    def read(self, what: str) -> Any:
        """Return what a function of `visit` comes to, which reads the site as so many readers as it likes."""
        script = (site_folder() / "assets/canary.js").read_text("utf-8")
        return self.browser.value(READ.replace("%s", script, 1).replace("%s", what, 1))

    def open(self, path: str, mark: str | None = None, *, scripts: bool = True) -> str:
        """Open a page of the main address, as a reader with this stored mark, and return where the reader ends up."""
        if mark is not None:
            self.browser.open(f"{self.address()}/canary/", width=800)
            self.browser.value(f"localStorage.clear(); {mark}")
        self.browser.open(f"{self.address()}{path}", width=800, scripts=scripts)
        while not self.browser.value("document.readyState === 'complete'"):
            pass
        return str(self.browser.value("location.href"))


@pytest.fixture(name="stage", scope="module")
def stage_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Publish a rendered site as live, which splits its readers, and its candidate's pages as a branch."""
    folder = tmp_path_factory.mktemp("split")
    repository = make_repository(folder / "source")
    tree = snapshot_tree(folder / "tree", runs=3, problems=8)
    with visiting(folder / "state", repository) as visitor, chromium() as browser:
        stage = Stage(browser, visitor)
        split = SplitPage(number=1, percent=10, main=stage.address(), candidate=stage.address(BRANCH))
        page = CanaryPage(number=1, other=stage.address(), script=True)
        for branch, name, value in (("live", "split", split), (BRANCH, "canary", page)):
            for other in ("split", "canary"):
                (tree / f"ledger/{other}.json").unlink(missing_ok=True)
            (tree / f"ledger/{name}.json").write_bytes(canonical_json(value))
            repository.git("checkout", "--quiet", "-B", branch)
            shutil.rmtree(repository.path / "pages")
            render(source(tree), repository.path / "pages")
            repository.commit({"build.sh": BUILD}, branch)
            repository.git("checkout", "--quiet", "--force", "main")
            assert visitor.build(branch)["state"] == "ready"
        yield stage


def near(count: int, share: float) -> bool:
    """Return whether a count of READERS is within four standard deviations of a share."""
    return abs(count - READERS * share) < 4 * math.sqrt(READERS * share * (1 - share))


def test_a_share_of_fresh_readers_is_moved_and_stays(stage: Stage) -> None:
    """Of 2,000 fresh readers 10 % are moved; each stays where they are, and a larger share keeps who was in."""
    found = stage.read(
        """(visit) => {
          const readers = Array.from({ length: READERS }, () => visit({}));
          const later = (percent, number) => readers.map((one) =>
            visit({ store: new Map(Object.entries(one.stored)), percent, number, href: "http://main/history/" }));
          const count = (all) => all.filter((one) => one.moved).length;
          return {
            first: count(readers),
            same: later(10, "1").every((one, place) => !one.moved === !readers[place].moved),
            kept: later(50, "1").every((one, place) => one.moved || !readers[place].moved),
            half: count(later(50, "1")),
            all: count(later(100, "1")),
            both: later(10, "2").filter((one, place) => one.moved && readers[place].moved).length,
            to: later(100, "1")[0].moved,
          };
        }"""
    )
    assert near(found["first"], 0.1)
    assert near(found["half"], 0.5)
    assert (found["same"], found["kept"], found["all"]) == (True, True, READERS)
    assert near(found["both"], 0.01)
    assert found["to"] == "http://candidate/history/?from=live"


def test_an_identifier_of_the_teams_own_decides_and_is_not_kept(stage: Stage) -> None:
    """`?reader=` gives 10 % of any names, the same for one name in every browser; only its hash stays, nowhere else."""
    found = stage.read(
        """(visit) => {
          const named = (_, n) => visit({ href: `http://main/?reader=student-${n}&a=1` });
          const [all, again] = [1, 2].map(() => Array.from({ length: READERS }, named));
          const by = visit({ href: "http://main/?reader=eva%40example.org" });
          return {
            moved: all.filter((one) => one.moved).length,
            same: all.every((one, place) => one.moved === again[place].moved),
            shown: all[0].shown, stored: by.stored, next: visit({ store: by.store }).moved === by.moved,
            to: all.find((one) => one.moved).moved,
          };
        }"""
    )
    assert near(found["moved"], 0.1)
    assert (found["same"], found["next"], found["shown"]) == (True, True, "http://main/?a=1")
    assert found["to"] == "http://candidate/?a=1&from=live"
    assert list(found["stored"]) == ["canary-reader"]
    assert len(found["stored"]["canary-reader"]) <= 8


def test_a_reader_chooses(stage: Stage) -> None:
    """`?canary=on` and `off` are remembered, `forget` forgets; a wish counts where nothing can be stored, too."""
    found = stage.read(
        """(visit) => {
          const on = visit({ href: "http://main/?canary=on#end" }), off = visit({ href: "http://main/?canary=off" });
          const again = (one, more) => visit({ store: one.store, percent: 100, ...more }).moved;
          return {
            on: on.moved, later: again(on, { percent: 1 }), off: off.moved, stays: again(off, {}),
            both: again(visit({ store: off.store, href: "http://main/?canary=forget" }), {}),
            wished: visit({ href: "http://main/?canary=on", blocked: true }).moved,
          };
        }"""
    )
    assert found["on"] == "http://candidate/?from=live#end"
    assert found["later"] == found["both"] == found["wished"] == "http://candidate/?from=live"
    assert (found["off"], found["stays"]) == ("", "")


@pytest.mark.parametrize(
    "options",
    [
        "blocked: true",
        "navigator: { doNotTrack: '1' }",
        "navigator: { globalPrivacyControl: true }",
        "navigator: { globalPrivacyControl: true }, href: 'http://main/?reader=eva'",
        "href: 'http://snapshot-0123456789ab--main/'",
    ],
)
def test_who_stays_with_what_is_live(stage: Stage, options: str) -> None:
    """No storage, a wish not to be tracked, or another address than the main one: nobody is moved, nothing is kept."""
    moved, stored = stage.read(
        f"(visit) => {{ const one = visit({{ percent: 100, {options} }}); return [one.moved, one.stored] }}"
    )
    assert (moved, stored) == ("", {})


def test_the_script_moves_a_real_reader(stage: Stage) -> None:
    """In the browser itself: to the same page, or home where the candidate has none; back by the banner, and stays."""
    stage.browser.complaints.clear()
    there = stage.address(BRANCH)
    assert stage.open("/?canary=on", "") == f"{there}/"
    assert stage.open("/history/#runs") == f"{there}/history/#runs"
    assert stage.open("/nowhere/") == f"{there}/"
    stage.browser.loaded = False
    stage.browser.value("document.querySelector('.candidate a').click()")
    while not (stage.browser.loaded and stage.browser.value("document.readyState === 'complete'")):
        stage.browser.call("Runtime.evaluate", expression="1")
    assert stage.browser.value("location.href") == f"{stage.address()}/"
    assert stage.open("/history/") == f"{stage.address()}/history/"
    assert [one for one in stage.browser.complaints if "404" not in one] == []


def test_nothing_is_sent_anywhere(stage: Stage) -> None:
    """A reader who stays asks for the site's own files and nothing else; one with an identifier sends it on to none."""
    stage.open("/", "localStorage.setItem('canary-wish', 'off')")
    stage.browser.requests.clear()
    stage.open("/?reader=eva")
    assert {one.split("/")[2] for one in stage.browser.requests} == {stage.address().removeprefix("http://")}
    assert [one for one in stage.browser.requests if "eva" in one] == [f"{stage.address()}/?reader=eva"]


def test_without_javascript_a_quiet_line_leads_to_the_candidate(stage: Stage) -> None:
    """With scripts off nobody is moved; a line on each page leads to one that says what is tried, with the link."""
    for path in ("/", "/history/"):
        assert stage.open(path, scripts=False) == f"{stage.address()}{path}"
        assert "A candidate is being tried" in stage.browser.value("document.querySelector('noscript').textContent")
    stage.browser.open(f"{stage.address()}/canary/", width=375, scripts=False)
    assert stage.browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert stage.browser.value("document.querySelector('main a').href") == f"{stage.address(BRANCH)}/"
    assert "10 %" in stage.browser.value("document.querySelector('main').textContent")
