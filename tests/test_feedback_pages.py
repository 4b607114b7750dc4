"""`[site] feedback`: a snapshot's own pages ask for a rating, and say nothing of a candidate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from publisher.config import parse
from publisher.errors import ConfigError
from publisher.files import canonical_json
from publisher.render import build, links
from publisher.schema import CanaryPage
from tests.trees import CONFIG, snapshot_tree, source

if TYPE_CHECKING:
    from pathlib import Path

FORM = "feedback/index.html"


def site(folder: Path, config: bytes = b"", *, canary: bool = False) -> dict[str, bytes]:
    """Render a snapshot whose configuration ends with `config`."""
    tree = snapshot_tree(folder, runs=2, problems=4)
    (tree / "publisher.toml").write_bytes(CONFIG + config)
    if canary:
        (tree / "ledger/canary.json").write_bytes(canonical_json(CanaryPage(number=1, other="http://live.localhost")))
    return build(source(tree))


@pytest.fixture(name="asking", scope="module")
def asking_fixture(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a site that asks its readers."""
    return site(tmp_path_factory.mktemp("asking"), b"[site]\nfeedback = true\n")


def test_every_page_leads_to_the_form_and_none_speaks_of_a_candidate(asking: dict[str, bytes]) -> None:
    """The line is on every page of the site but the card that others embed; no dead link comes with it."""
    pages = {name: data.decode() for name, data in asking.items() if name.endswith(".html")}
    without = [name for name, page in pages.items() if "Rate this snapshot</a>" not in page]
    assert without == ["card/index.html"]
    assert [name for name, page in pages.items() if "a candidate" in page.lower()] == []
    assert links.check(asking) == []


def test_the_form_names_the_run_and_may_be_sent(asking: dict[str, bytes]) -> None:
    """It is the same static form as a candidate's, with this run; the policy lets it be sent to the site itself."""
    page, run = asking[FORM].decode(), json.loads(asking["snapshot.json"])["run_id"]
    assert 'name="feedback" method="POST" action="/feedback/thanks/" data-netlify="true"' in page
    assert f'<input type="hidden" name="run" value="{run}">' in page
    assert "form-action &#39;self&#39;" in page
    assert "This answer is wrong" in asking["samples/words/index.html"].decode()
    assert "feedback/thanks/index.html" in asking


def test_the_page_that_the_host_rewrites_is_in_no_manifest(asking: dict[str, bytes]) -> None:
    """Everything else is, so that a site with a form is verified as any other."""
    listed = set(json.loads(asking["manifest.json"])["files"])
    assert set(asking) - listed == {FORM, "manifest.json", "deploy.json", "_headers", "_redirects"}


def test_without_the_option_nothing_is_asked(tmp_path: Path) -> None:
    """A site that does not want it has no form, allows none, and is the same to the byte as with `feedback = false`."""
    plain, off = site(tmp_path / "plain"), site(tmp_path / "off", b"[site]\nfeedback = false\n")
    assert plain == off
    assert FORM not in plain
    assert "form-action &#39;none&#39;" in plain["index.html"].decode()


def test_a_candidate_keeps_its_banner(tmp_path: Path) -> None:
    """On the pages of a gray release the option changes nothing: they are a candidate's."""
    asked = site(tmp_path / "asked", b"[site]\nfeedback = true\n", canary=True)
    assert asked == site(tmp_path / "plain", canary=True)
    assert "You are seeing a candidate" in asked["index.html"].decode()


def test_a_mistake_in_the_option_is_told() -> None:
    """Only true and false are answers."""
    with pytest.raises(ConfigError) as caught:
        parse(CONFIG + b'[site]\nfeedback = "yes"\n')
    assert "site.feedback" in f"{caught.value} {caught.value.detail}"
