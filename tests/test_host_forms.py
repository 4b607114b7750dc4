"""Forms of the host: which ones it finds in pages, what it keeps of what readers send, and what it turns away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from publisher.host.rules.forms import declare
from tests.host_fixtures import SITE, Visitor, change, memory_fixture, source_fixture, visiting, visitor_fixture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.made import GitFolder

__all__ = ["memory_fixture", "source_fixture", "visitor_fixture"]
PAGE = """<form name="feedback" method="POST" data-netlify="true" netlify-honeypot="bot" action="/thanks/">
<input name="bot"><select name="rating"><option>1</select><textarea name="comment"></textarea>
<input type="submit" name="send"></form>"""


@pytest.fixture(name="site")
def site_fixture(visitor: Visitor, source: GitFolder) -> Visitor:
    """Return a visitor of a published site with a form."""
    change(source, "live", {"pages/feedback/index.html": PAGE, "pages/thanks/index.html": "thanks"})
    visitor.build("live")
    return visitor


def send(visitor: Visitor, path: str = "/thanks/", *, json: Any = None, **data: str) -> requests.Response:
    """Send a form to the main address."""
    headers = {"Host": f"{SITE}.localhost:{visitor.info.port}"}
    return requests.post(f"{visitor.origin}{path}", headers=headers, data=data or None, json=json, timeout=20)


def submissions(visitor: Visitor) -> list[dict[str, Any]]:
    """List what was kept."""
    found: list[dict[str, Any]] = visitor.api("GET", f"/sites/{SITE}/submissions").json()
    return found


def test_marked_form_is_listed_and_rewritten(site: Visitor) -> None:
    """A marked form is known to the API with its fields; the page loses the mark and gains the hidden name."""
    (form,) = site.api("GET", f"/sites/{SITE}/forms").json()
    assert (form["name"], form["paths"], form["submission_count"]) == ("feedback", ["/feedback/"], 0)
    assert form["fields"] == [
        {"name": "bot", "type": "text"},
        {"name": "rating", "type": "select"},
        {"name": "comment", "type": "textarea"},
    ]
    page = site.visit("", "/feedback/").text
    assert "netlify" not in page
    assert '<form name="feedback" method="POST" action="/thanks/"><input type="hidden" name="form-name"' in page


def test_submission_is_kept_and_the_action_is_shown(site: Visitor) -> None:
    """What a reader sends arrives at the API, and the reader sees the page that the form names."""
    answer = send(site, **{"form-name": "feedback", "rating": "4", "comment": "<b>good</b>\nindeed", "bot": ""})
    assert (answer.status_code, answer.text) == (200, "thanks")
    (kept,) = submissions(site)
    assert kept["data"]["rating"] == "4"
    assert kept["data"]["comment"] == "<b>good</b>\nindeed"
    (form,) = site.api("GET", f"/sites/{SITE}/forms").json()
    listed = site.api("GET", f"/forms/{form['id']}/submissions").json()
    assert [one["id"] for one in listed] == [kept["id"]]


def test_unmarked_page_sends_by_the_hidden_name(site: Visitor) -> None:
    """Any path takes a submission whose form is known; without a page at the path there are thanks of the host."""
    answer = send(site, "/nowhere/", **{"form-name": "feedback", "rating": "1"})
    assert answer.status_code == 200
    assert "received" in answer.text
    assert len(submissions(site)) == 1


@pytest.mark.parametrize("name", ["other", "", "feedback\x00"])
def test_unknown_form_is_turned_away(site: Visitor, name: str) -> None:
    """A form that no page declares takes nothing."""
    assert send(site, **{"form-name": name, "rating": "1"}).status_code == 404
    assert submissions(site) == []


def test_json_is_no_submission(site: Visitor) -> None:
    """Only URL-encoded bodies are taken."""
    assert send(site, json={"form-name": "feedback", "rating": 1}).status_code == 405
    assert submissions(site) == []


def test_filled_honeypot_is_thanked_and_dropped(site: Visitor) -> None:
    """A filled honeypot looks like a success to whoever filled it."""
    assert send(site, **{"form-name": "feedback", "bot": "x", "rating": "5"}).status_code == 200
    assert submissions(site) == []


def test_large_form_is_turned_away(site: Visitor) -> None:
    """A body or a number of fields beyond the bounds is refused."""
    assert send(site, **{"form-name": "feedback", "comment": "x" * 300_000}).status_code == 413
    assert send(site, **{"form-name": "feedback", **{f"f{n}": "x" for n in range(300)}}).status_code == 413
    assert submissions(site) == []


def test_submissions_are_paged_and_deleted(site: Visitor) -> None:
    """Pages hold the newest first, and one can be deleted."""
    for rating in "12345":
        send(site, **{"form-name": "feedback", "rating": rating})
    page = site.api("GET", f"/sites/{SITE}/submissions", params={"page": "2", "per_page": "2"}).json()
    assert [one["data"]["rating"] for one in page] == ["3", "2"]
    assert site.api("DELETE", f"/submissions/{page[0]['id']}").status_code == 204
    assert site.api("GET", f"/submissions/{page[0]['id']}").status_code == 404
    assert [one["data"]["rating"] for one in submissions(site)] == ["5", "4", "2", "1"]


def test_submissions_survive_a_restart(tmp_path: Path, source: GitFolder) -> None:
    """What was sent is there again after a restart, and numbers continue."""
    change(source, "live", {"pages/feedback/index.html": PAGE})
    with visiting(tmp_path / "state", source) as visitor:
        visitor.build("live")
        send(visitor, **{"form-name": "feedback", "rating": "1"})
    with visiting(tmp_path / "state", source) as visitor:
        send(visitor, **{"form-name": "feedback", "rating": "2"})
        assert [one["number"] for one in submissions(visitor)] == [2, 1]


def test_site_without_forms(tmp_path: Path, source: GitFolder) -> None:
    """Where detection is off, pages stay as they were built and nothing is taken."""
    change(source, "live", {"pages/feedback/index.html": PAGE})
    with visiting(tmp_path / "state", source, forms=False) as visitor:
        visitor.build("live")
        assert visitor.visit("", "/feedback/").text == PAGE
        assert send(visitor, **{"form-name": "feedback", "rating": "1"}).status_code == 404


def test_page_that_is_not_utf8_declares_its_forms(visitor: Visitor, source: GitFolder) -> None:
    """Names are told as a submission of the page would spell them, and the page keeps its own bytes."""
    page = b'<form netlify name="r\xe9ponse"><input name="pr\xe9nom"></form>'
    files = {"pages/form.html": "", "make.py": f"open('dist/form.html', 'wb').write({page!r})\n"}
    toml = '[build]\ncommand = "bash build.sh && python3 make.py"\npublish = "dist"\n'
    change(source, "live", {**files, "netlify.toml": toml})
    visitor.build("live")
    (form,) = visitor.api("GET", f"/sites/{SITE}/forms").json()
    assert (form["name"], form["fields"][0]["name"]) == ("r\ufffdponse", "pr\ufffdnom")
    assert b'name="r\xe9ponse"><input type="hidden"' in visitor.visit("live", "/form.html").content


def test_page_with_too_many_forms_declares_the_first() -> None:
    """So a page cannot keep the host busy for longer than reading it takes."""
    _, found = declare("".join(f'<form netlify name="f{number}"></form>' for number in range(150)), "/")
    assert [form.name for form in found] == [f"f{number}" for number in range(100)]


def test_only_marked_and_named_forms_are_declared() -> None:
    """A form without the mark or without a name stays as it is, and the rest of the page too."""
    page = '<p>é\n<FORM name=a></FORM><form data-netlify="true"></form><form netlify name="b&amp;c" x>\n</form>é'
    changed, found = declare(page, "/")
    assert [form.name for form in found] == ["b&c"]
    hidden = '<form name="b&amp;c" x><input type="hidden" name="form-name" value="b&amp;c">'
    assert changed == page.replace('<form netlify name="b&amp;c" x>', hidden)
