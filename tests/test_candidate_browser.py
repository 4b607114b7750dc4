"""A gray release as readers meet it, in a real browser and on the local host: banner, form, reports, and the split."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from publisher.files import canonical_json
from publisher.publishing.canary.listen import is_answer
from publisher.render import render
from publisher.schema import CanaryPage
from publisher.verify import verify
from tests.chromium import Browser, chromium
from tests.host_fixtures import SITE, Visitor, make_repository, visiting
from tests.trees import CONFIG, snapshot_tree, source

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)"),
]
BRANCH = "canary-0123456789ab"
ASKING = "snapshot-0123456789ab"
"""The branch of a snapshot whose own pages ask for a rating."""
BUILD = "mkdir dist; cp -r pages/. dist/; printf '%s' \"$BRANCH\" > dist/which.txt\n"


@dataclass(frozen=True)
class Stage:
    """A host that shows a live site and a candidate, and a browser."""

    browser: Browser
    visitor: Visitor

    @property
    def candidate(self) -> str:
        """The candidate's address."""
        return f"http://{BRANCH}--{SITE}.localhost:{self.visitor.info.port}"

    def sent(self) -> list[dict[str, Any]]:
        """Return what readers sent, the newest first."""
        found: list[dict[str, Any]] = self.visitor.api("GET", f"/sites/{SITE}/submissions").json()
        return [one["data"] for one in found]


@pytest.fixture(name="stage", scope="module")
def stage_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Publish a rendered site as live, and its candidate's pages as a branch."""
    folder = tmp_path_factory.mktemp("gray")
    repository = make_repository(folder / "source")
    tree = snapshot_tree(folder / "tree", runs=3, problems=8)
    for branch in ("live", ASKING, BRANCH):
        repository.git("checkout", "--quiet", "-B", branch)
        (tree / "publisher.toml").write_bytes(CONFIG + (b"[site]\nfeedback = true\n" if branch == ASKING else b""))
        if branch == BRANCH:
            page = CanaryPage(number=1, other="http://bench.localhost")
            (tree / "ledger/canary.json").write_bytes(canonical_json(page))
        shutil.rmtree(repository.path / "pages")
        render(source(tree), repository.path / "pages")
        repository.commit({"build.sh": BUILD}, branch)
        repository.git("checkout", "--quiet", "--force", "main")
    with visiting(folder / "state", repository) as visitor, chromium() as browser:
        for branch in ("live", ASKING, BRANCH):
            assert visitor.build(branch)["state"] == "ready"
        yield Stage(browser, visitor)


def test_the_banner_says_so_and_the_live_site_does_not(stage: Stage) -> None:
    """Each page of the candidate says what it is and where the live one is, without JavaScript; live says nothing."""
    for path in ("/", "/samples/words/", "/history/", "/feedback/"):
        stage.browser.open(f"{stage.candidate}{path}", width=375, scripts=False)
        assert "You are seeing a candidate" in stage.browser.value("document.querySelector('.candidate').textContent")
    stage.browser.open(f"http://{SITE}.localhost:{stage.visitor.info.port}/", width=375, scripts=False)
    assert stage.browser.value("document.querySelector('.candidate')") is None
    assert stage.visitor.visit("", "/feedback/").status_code == 404


def test_the_form_works_without_javascript(stage: Stage) -> None:
    """A reader rates and comments with scripts off; what was sent arrives, and thanks are shown."""
    stage.browser.complaints.clear()
    stage.browser.open(f"{stage.candidate}/feedback/", width=375, scripts=False)
    assert stage.browser.value("document.documentElement.scrollWidth <= innerWidth")
    stage.browser.loaded = False
    stage.browser.value(
        "document.querySelector('input[name=rating][value=\"4\"]').checked = true;"
        "document.getElementById('comment').value = 'clear, but <b>long</b>';"
        "document.querySelector('form.feedback button').click()"
    )
    wait(stage.browser)
    assert "Thank you" in stage.browser.value("document.querySelector('h1').textContent")
    data = stage.sent()[0]
    assert (data["rating"], data["comment"]) == ("4", "clear, but <b>long</b>")
    assert data["run"].endswith("-full")
    assert stage.browser.complaints == []


def test_a_snapshots_own_form_works_without_javascript(stage: Stage) -> None:
    """With `[site] feedback` a reader of a snapshot's own address rates it, and the site is verified as any other."""
    address = f"http://{ASKING}--{SITE}.localhost:{stage.visitor.info.port}"
    stage.browser.complaints.clear()
    stage.browser.open(f"{address}/samples/words/", width=375, scripts=False)
    assert stage.browser.value("document.querySelector('.candidate').textContent.trim()") == "Rate this snapshot"
    stage.browser.loaded = False
    stage.browser.value("document.querySelector('.candidate a').click()")
    wait(stage.browser)
    stage.browser.loaded = False
    stage.browser.value(
        "document.querySelector('input[name=rating][value=\"2\"]').checked = true;"
        "document.querySelector('form.feedback button').click()"
    )
    wait(stage.browser)
    assert "Back to the snapshot" in stage.browser.value("document.querySelector('main').textContent")
    data = stage.sent()[0]
    assert (data["rating"], data["run"]) == ("2", stage.visitor.visit(ASKING, "/snapshot.json").json()["run_id"])
    assert stage.browser.complaints == []
    assert verify(address, record_sha256=record_digest(stage, ASKING), commit="").damaged == 0


def test_an_answer_is_reported_where_it_stands(stage: Stage) -> None:
    """Beside each answer a button reports it as wrong, with an address that leads back to it."""
    stage.browser.open(f"{stage.candidate}/samples/words/", width=1280, scripts=False)
    stage.browser.loaded = False
    stage.browser.value("document.querySelector('form.report button').click()")
    wait(stage.browser)
    answer = stage.sent()[0]["answer"]
    assert is_answer(answer)
    stage.browser.open(f"{stage.candidate}{answer}", width=1280)
    assert stage.browser.value("document.querySelector(':target') !== null")


@pytest.mark.parametrize("query", ["?from=live", "?utm=mail&from=live"])
def test_a_page_that_the_candidate_does_not_have_leads_home(stage: Stage, query: str) -> None:
    """A reader whom the live site moved to a missing page sees the candidate's first one, whatever the query says."""
    stage.browser.open(f"{stage.candidate}/gone/{query}", width=800)
    until = time.monotonic() + 20
    while stage.browser.value("location.href") != f"{stage.candidate}/" and time.monotonic() < until:
        time.sleep(0.05)
    assert stage.browser.value("location.href") == f"{stage.candidate}/"


def test_a_share_of_fresh_readers_sees_the_candidate(stage: Stage) -> None:
    """Of 2,000 fresh readers in the browser about 10 % see the candidate; one who stays keeps to one side."""
    splits = f"/sites/{SITE}/traffic_splits"
    made = stage.visitor.api("POST", splits, json={"branch_tests": {"live": 90, BRANCH: 10}}).json()
    stage.visitor.api("POST", f"{splits}/{made['id']}/publish")
    main = f"http://{SITE}.localhost:{stage.visitor.info.port}"
    stage.browser.open(f"{main}/", width=800)
    seen = stage.browser.value(
        "(async () => { const seen = {}; for (let n = 0; n < 2000; n++) {"
        " const answer = await fetch('/which.txt', { credentials: 'omit', cache: 'no-store' });"
        " const text = await answer.text(); seen[text] = (seen[text] || 0) + 1 } return seen })()"
    )
    # Four standard deviations of a binomial of 2,000 and 0.1.
    assert abs(seen[BRANCH] - 200) < 54
    stays = stage.browser.value(
        "(async () => { const seen = new Set(); for (let n = 0; n < 60; n++)"
        " seen.add(await (await fetch('/which.txt', { cache: 'no-store' })).text()); return [...seen] })()"
    )
    assert len(stays) == 1
    stage.visitor.api("POST", f"{splits}/{made['id']}/unpublish")


def test_what_the_host_changes_is_not_in_the_manifest(stage: Stage) -> None:
    """Every listed file of the candidate is served as it was rendered, though the host rewrote the form's page."""
    found = verify(stage.candidate, record_sha256=record_digest(stage), commit="")
    assert (found.damaged, found.files > 10) == (0, True)
    page = stage.visitor.visit(BRANCH, "/feedback/").text
    assert "data-netlify" not in page
    assert 'name="form-name" value="feedback"' in page


def record_digest(stage: Stage, branch: str = BRANCH) -> str:
    """Return the digest of the record that a branch's pages name."""
    found: str = stage.visitor.visit(branch, "/snapshot.json").json()["record_sha256"]
    return found


def wait(browser: Browser) -> None:
    """Wait until the page that a form leads to is there."""
    while not browser.loaded:
        browser.call("Runtime.evaluate", expression="1")
