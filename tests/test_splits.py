"""The client of split tests and forms, against the local host."""

from __future__ import annotations

import pytest
import requests

from publisher.errors import NetworkError
from publisher.netlify import forms, splits
from publisher.netlify.client import Netlify, Settings
from tests.host_fixtures import SITE, Visitor, change, memory_fixture, source_fixture, visitor_fixture
from tests.made import GitFolder

__all__ = ["memory_fixture", "source_fixture", "visitor_fixture"]


@pytest.fixture(name="netlify")
def netlify_fixture(visitor: Visitor, source: GitFolder) -> Netlify:
    """Return a client of a host with a live deploy that has a form, and a candidate's."""
    change(source, "live", {"pages/f.html": '<form name="feedback" data-netlify="true"><input name="rating"></form>'})
    change(source, "canary-1", {"pages/index.html": "<h1>candidate</h1>"})
    visitor.build("live")
    visitor.build("canary-1")
    environment = {"NETLIFY_API_URL": visitor.origin, "NETLIFY_AUTH_TOKEN": visitor.info.token}
    return Netlify(Settings.of(SITE, environment))


def test_split_is_brought_to_what_is_wanted(netlify: Netlify, visitor: Visitor) -> None:
    """The first call starts a test, the next changes it, the same again does nothing, and the end ends it."""
    splits.show(netlify, "live", "canary-1", 10)
    splits.show(netlify, "live", "canary-1", 100)
    assert visitor.visit("").text == "<h1>candidate</h1>"
    before = len(visitor.control("GET", "effects"))
    splits.show(netlify, "live", "canary-1", 100)
    assert len(visitor.control("GET", "effects")) == before
    assert splits.end(netlify, "canary-1") is True
    assert splits.end(netlify, "canary-1") is False
    assert visitor.visit("").text == "<h1>one</h1>"


def test_ended_split_is_used_again(netlify: Netlify) -> None:
    """A test of the same branches that was ended is started again instead of making another one."""
    splits.show(netlify, "live", "canary-1", 10)
    first = splits.running(netlify)
    splits.end(netlify, "canary-1")
    splits.show(netlify, "live", "canary-1", 20)
    second = splits.running(netlify)
    assert first is not None
    assert second is not None
    assert (second.id, second.shares()) == (first.id, {"live": 80, "canary-1": 20})


def test_somebody_elses_split_stays(netlify: Netlify, visitor: Visitor) -> None:
    """Another active test is neither changed nor ended."""
    visitor.build("snapshot-1")
    splits.show(netlify, "live", "snapshot-1", 50)
    with pytest.raises(NetworkError, match="another split test"):
        splits.show(netlify, "live", "canary-1", 10)
    assert splits.end(netlify, "canary-1") is False
    found = splits.running(netlify)
    assert found is not None
    assert found.shares() == {"live": 50, "snapshot-1": 50}


def test_the_newest_of_a_flood_are_read(netlify: Netlify, visitor: Visitor) -> None:
    """However many submissions there are, reading them ends, with the newest, and says that there were more."""
    form = forms.find(netlify, "feedback")
    assert form is not None
    host = {"Host": f"{SITE}.localhost:{visitor.info.port}"}
    with requests.Session() as session:
        for number in range(130):
            data = {"form-name": "feedback", "comment": str(number)}
            session.post(f"{visitor.origin}/", headers=host, data=data, timeout=20).raise_for_status()
    found, more = forms.submissions(netlify, form, most=100)
    assert ([one.data["comment"] for one in found], more) == ([str(number) for number in range(30, 130)], True)


def test_submissions_come_oldest_first(netlify: Netlify, visitor: Visitor) -> None:
    """What readers sent is read over all pages, in the order in which it came."""
    for number in range(103):
        sent = {"form-name": "feedback", "rating": str(number)}
        host = {"Host": f"{SITE}.localhost:{visitor.info.port}"}
        assert requests.post(f"{visitor.origin}/", data=sent, headers=host, timeout=20).status_code == 200
    form = forms.find(netlify, "feedback")
    assert form is not None
    found, more = forms.submissions(netlify, form)
    assert [one.data["rating"] for one in found] == [str(number) for number in range(103)]
    assert more is False
    assert forms.find(netlify, "other") is None
