"""What the host's API tells about its site: variables, files, branches, metadata, and what one machine has not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.host_fixtures import SITE, Visitor, change, memory_fixture, source_fixture, visitor_fixture

if TYPE_CHECKING:
    from tests.made import GitFolder

__all__ = ["memory_fixture", "source_fixture", "visitor_fixture"]
ENV = "/accounts/local/env"


def variable(key: str, *values: tuple[str, str], secret: bool = False) -> dict[str, Any]:
    """Return a variable as the API takes it; a context that Netlify does not know is a branch."""
    known = {"all", "production", "branch-deploy", "dev"}
    shaped = [
        {"value": value, "context": context}
        if context in known
        else {"value": value, "context": "branch", "context_parameter": context}
        for context, value in values
    ]
    return {"key": key, "scopes": ["builds"], "values": shaped, "is_secret": secret}


def built_with(visitor: Visitor, branch: str) -> dict[str, str]:
    """Return the environment of a build of a branch."""
    visitor.build(branch)
    lines = visitor.visit(branch, "/env.txt").content.split(b"\0")
    return dict(line.decode().split("=", 1) for line in lines if b"=" in line)


def test_variable_is_seen_by_builds_of_its_context(visitor: Visitor, source: GitFolder) -> None:
    """A build sees the value of its branch, else of its context, else that of all contexts."""
    change(source, "snapshot-1", {"a": "1"})
    change(source, "snapshot-2", {"a": "2"})
    given = [variable("SHADE", ("all", "grey"), ("branch-deploy", "green"), ("snapshot-2", "blue"))]
    assert visitor.api("POST", ENV, json=given).status_code == 201
    shades = [built_with(visitor, branch)["SHADE"] for branch in ("live", "snapshot-1", "snapshot-2")]
    assert shades == ["grey", "green", "blue"]


def test_variable_is_changed_and_removed(visitor: Visitor) -> None:
    """A value per context can be set, read, replaced and removed."""
    visitor.api("POST", ENV, json=[variable("A", ("all", "1"))])
    made = visitor.api("PATCH", f"{ENV}/A", json={"value": "2", "context": "production"}).json()
    assert [(one["context"], one["value"]) for one in made["values"]] == [("all", "1"), ("production", "2")]
    assert visitor.api("DELETE", f"{ENV}/A/value/{made['values'][0]['id']}").status_code == 204
    assert [one["value"] for one in visitor.api("GET", f"{ENV}/A").json()["values"]] == ["2"]
    replaced = visitor.api("PUT", f"{ENV}/A", json=variable("A", ("all", "3"))).json()
    assert [one["value"] for one in replaced["values"]] == ["3"]
    assert visitor.api("DELETE", f"{ENV}/A").status_code == 204
    assert visitor.api("GET", ENV).json() == []


def test_secret_variable_is_not_told(visitor: Visitor) -> None:
    """A secret's value reaches builds and no answer."""
    visitor.api("POST", ENV, json=[variable("HIDDEN", ("all", "s3cret-value"), secret=True)])
    assert "s3cret-value" not in visitor.api("GET", ENV).text
    assert built_with(visitor, "live")["HIDDEN"] == "s3cret-value"


@pytest.mark.parametrize(
    "body",
    [
        [{"key": "A B", "values": [{"value": "1"}]}],
        [{"key": "A", "values": []}],
        [{"key": "A", "values": [{"value": 1}]}],
        [{"key": "A", "values": [{"value": "1", "context": "branch"}]}],
        [{"key": "A", "values": [{"value": "1", "context": ["all"]}]}],
        [{"key": "A", "values": [{"value": "1", "context": {}}]}],
        [{"key": "A", "values": [{"value": "1"}], "scopes": ["moon"]}],
        [variable("A", ("all", "1")), variable("A", ("all", "2"))],
        [variable("A", ("all", "x" * 6000))],
        [variable("B", ("all", "1")), {"key": "", "values": [{"value": "1"}]}],
        {},
        [],
    ],
)
def test_variable_that_makes_no_sense_is_refused(visitor: Visitor, body: object) -> None:
    """A bad variable sets nothing, nor do the good ones beside it."""
    assert visitor.api("POST", ENV, json=body).status_code in {400, 422}
    assert visitor.api("GET", ENV).json() == []


def test_variable_holds_no_more_values_than_it_may_be_given(visitor: Visitor) -> None:
    """Values that are added one by one are bounded as those that come together are."""
    visitor.api("POST", ENV, json=[variable("A", *((f"branch-{number}", "1") for number in range(50)))])
    one_more = {"value": "1", "context": "branch", "context_parameter": "another"}
    assert visitor.api("PATCH", f"{ENV}/A", json=one_more).status_code == 422
    known = {**one_more, "value": "2", "context_parameter": "branch-7"}
    assert visitor.api("PATCH", f"{ENV}/A", json=known).status_code == 201


def test_variable_cannot_take_netlifys_place(visitor: Visitor) -> None:
    """What Netlify sets itself, and what belongs to whoever runs the host, no variable changes."""
    visitor.api("POST", ENV, json=[variable("BRANCH", ("all", "x")), variable("NETLIFY_AUTH_TOKEN", ("all", "y"))])
    environment = built_with(visitor, "live")
    assert environment["BRANCH"] == "live"
    assert "NETLIFY_AUTH_TOKEN" not in environment


def test_files_of_the_published_deploy(visitor: Visitor) -> None:
    """Files are listed with size and SHA-1, and one can be asked for by its path."""
    assert visitor.api("GET", f"/sites/{SITE}/files").json() == []
    visitor.build("live")
    listed = {one["path"]: one for one in visitor.api("GET", f"/sites/{SITE}/files").json()}
    assert set(listed) == {"/index.html", "/env.txt"}
    one = visitor.api("GET", f"/sites/{SITE}/files/index.html").json()
    assert one == listed["/index.html"]
    assert one["sha"] == hashlib.sha1(b"<h1>one</h1>").hexdigest()  # noqa: S324 - the API's own digest
    assert visitor.api("GET", f"/sites/{SITE}/files/nothing.html").status_code == 404


def test_deployed_branches(visitor: Visitor) -> None:
    """Each branch with a deploy is listed once, with its newest."""
    visitor.build("live")
    newest = visitor.build("live")["id"]
    visitor.build("snapshot-1")
    found = {one["name"]: one["deploy_id"] for one in visitor.api("GET", f"/sites/{SITE}/deployed-branches").json()}
    assert set(found) == {"live", "snapshot-1"}
    assert found["live"] == newest


def test_metadata_is_kept(visitor: Visitor) -> None:
    """What a client keeps at the site it finds again; nested values are refused."""
    assert visitor.api("PUT", f"/sites/{SITE}/metadata", json={"team": "a"}).status_code == 204
    assert visitor.api("PUT", f"/sites/{SITE}/metadata", json={"team": {}}).status_code == 422
    assert visitor.api("GET", f"/sites/{SITE}/metadata").json() == {"team": "a"}


def test_account_and_hooks(visitor: Visitor) -> None:
    """The one account is known by slug and id, others are not; the host notifies nobody."""
    account = visitor.api("GET", "/accounts/local").json()
    assert visitor.api("GET", f"/accounts/{account['id']}").json() == account
    assert visitor.api("GET", "/accounts/other").status_code == 404
    assert visitor.api("GET", "/hooks", params={"site_id": SITE}).json() == []
    assert visitor.api("GET", "/hooks", params={"site_id": "other"}).status_code == 404


def test_there_is_one_site(visitor: Visitor) -> None:
    """Sites are neither made nor deleted nor renamed, and each refusal says why."""
    assert visitor.api("POST", "/local/sites", json={"name": "other"}).status_code == 403
    assert "publisher serve" in visitor.api("DELETE", f"/sites/{SITE}").json()["message"]
    assert visitor.api("PATCH", f"/sites/{SITE}", json={"name": "other"}).status_code == 422
    assert visitor.api("PATCH", f"/sites/{SITE}", json={"name": SITE}).json()["name"] == SITE
