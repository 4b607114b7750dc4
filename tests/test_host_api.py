from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.host_fixtures import (
    SITE,
    Visitor,
    change,
    idle_fixture,
    memory_fixture,
    source_fixture,
    visiting,
    visitor_fixture,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.made import GitFolder

__all__ = ["idle_fixture", "memory_fixture", "source_fixture", "visitor_fixture"]
DAY = 86_400


def effects(visitor: Visitor) -> list[str]:
    """Return the names of the effects so far."""
    return [effect["effect"] for effect in visitor.control("GET", "effects")]


@pytest.mark.parametrize("token", ["", "wrong", "ä"])
def test_token_is_required(idle: Visitor, token: str) -> None:
    """Without the right token every operation answers Netlify's 401 and does nothing."""
    headers = {"Authorization": f"Bearer {token}".encode()}
    answer = requests.get(f"{idle.origin}/api/v1/sites/{SITE}", headers=headers, timeout=20)
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "Access Denied"})


def test_control_needs_the_token(idle: Visitor) -> None:
    """Nobody advances the clock or reads the effects without the token."""
    assert requests.post(f"{idle.origin}/__host__/clock", json={"seconds": 1}, timeout=20).status_code == 401
    assert requests.get(f"{idle.origin}/__host__/effects", timeout=20).status_code == 401


def test_unknown_operation_is_an_error_object(idle: Visitor) -> None:
    """What the host does not have answers 404 as Netlify's API does."""
    assert idle.api("GET", "/nothing").json() == {"code": 404, "message": "Not Found"}
    assert idle.api("PATCH", f"/sites/{SITE}/deploys").status_code == 405


def test_site_is_known_by_id_name_and_domain(idle: Visitor) -> None:
    """A site is found by its id, its name and its domain, and by no other."""
    names = [idle.info.site_id, SITE, f"{SITE}.localhost", f"{SITE}.netlify.app"]
    assert {idle.api("GET", f"/sites/{name}").json()["id"] for name in names} == {idle.info.site_id}
    assert idle.api("GET", "/sites/other").status_code == 404


def test_production_is_published_by_itself(visitor: Visitor) -> None:
    """A successful build of the production branch is published at once, one of another branch never."""
    visitor.build("snapshot-1")
    assert visitor.published() == ""
    assert visitor.visit("").status_code == 404
    live = visitor.build("live")
    assert visitor.published() == live["id"]
    assert live["context"] == "production"
    assert visitor.visit("").text == "<h1>one</h1>"


def test_locked_site_is_not_published(visitor: Visitor, source: GitFolder) -> None:
    """While the published deploy is locked, production builds become ready but are not published."""
    first = visitor.build("live")
    assert visitor.api("POST", f"/deploys/{first['id']}/lock").json()["locked"] is True
    change(source, "live", {"pages/index.html": "<h1>two</h1>"})
    assert visitor.build("live")["state"] == "ready"
    assert visitor.published() == first["id"]
    assert visitor.api("POST", f"/deploys/{first['id']}/unlock").json()["locked"] is None
    third = visitor.build("live")
    assert visitor.published() == third["id"]


def test_only_the_published_deploy_is_locked(visitor: Visitor) -> None:
    """A deploy that is not published cannot be locked."""
    deploy = visitor.build("snapshot-1")
    assert visitor.api("POST", f"/deploys/{deploy['id']}/lock").status_code == 422


def test_restore_publishes_any_kept_deploy(visitor: Visitor, source: GitFolder) -> None:
    """Restoring moves the main address and nothing else, and is known to the site at once."""
    snapshot = visitor.build("snapshot-1")
    change(source, "live", {"pages/index.html": "<h1>live</h1>"})
    visitor.build("live")
    answer = visitor.api("POST", f"/sites/{SITE}/deploys/{snapshot['id']}/restore")
    assert (answer.status_code, answer.json()["id"]) == (201, snapshot["id"])
    assert visitor.published() == snapshot["id"]
    assert visitor.visit("").text == "<h1>one</h1>"
    assert visitor.visit("live").text == "<h1>live</h1>"


def test_restore_does_not_carry_the_lock_over(visitor: Visitor) -> None:
    """A lock belongs to the deploy that was locked: after a restore it has to be set again."""
    first, second = visitor.build("live"), visitor.build("snapshot-1")
    visitor.api("POST", f"/deploys/{first['id']}/lock")
    visitor.api("POST", f"/sites/{SITE}/deploys/{second['id']}/restore")
    third = visitor.build("live")
    assert visitor.published() == third["id"]


def test_failed_deploy_cannot_be_restored(visitor: Visitor) -> None:
    """A deploy that failed is never published."""
    deploy = visitor.build("nowhere")
    assert visitor.api("POST", f"/sites/{SITE}/deploys/{deploy['id']}/restore").status_code == 422


def test_rollback_goes_to_the_one_before(visitor: Visitor) -> None:
    """`rollback` publishes what was published before, without saying what that is."""
    assert visitor.api("PUT", f"/sites/{SITE}/rollback").status_code == 422
    first = visitor.build("live")
    visitor.build("live")
    answer = visitor.api("PUT", f"/sites/{SITE}/rollback")
    assert (answer.status_code, answer.content) == (204, b"")
    assert visitor.published() == first["id"]


def test_delete_is_for_good(visitor: Visitor) -> None:
    """A deleted deploy is gone from the list and from its addresses, and the branch shows the one before."""
    older, newer = visitor.build("snapshot-1"), visitor.build("snapshot-1")
    assert visitor.api("DELETE", f"/deploys/{newer['id']}").status_code == 204
    assert visitor.api("GET", f"/deploys/{newer['id']}").status_code == 404
    assert visitor.visit(newer["id"]).status_code == 404
    assert visitor.visit("snapshot-1").status_code == 200
    assert [deploy["id"] for deploy in visitor.deploys()] == [older["id"]]


def test_published_and_unfinished_are_not_deleted(visitor: Visitor, source: GitFolder) -> None:
    """The published deploy and one in progress cannot be deleted."""
    live = visitor.build("live")
    change(source, "snapshot-2", {"build.sh": "sleep 60"})
    visitor.hook("snapshot-2")
    running = visitor.deploys()[0]
    for deploy in (live, running):
        assert visitor.api("DELETE", f"/sites/{SITE}/deploys/{deploy['id']}").status_code == 422


def test_finished_deploy_cannot_be_cancelled(visitor: Visitor) -> None:
    """There is nothing to cancel about a deploy that is ready."""
    assert visitor.api("POST", f"/deploys/{visitor.build('snapshot-1')['id']}/cancel").status_code == 422


def test_deleted_files_go_at_the_next_start(tmp_path: Path, source: GitFolder) -> None:
    """Bytes that no deploy needs any more are removed when the host starts; shared ones stay."""
    change(source, "snapshot-2", {"pages/own.txt": "only here"})
    with visiting(tmp_path / "state", source) as visitor:
        visitor.build("snapshot-1")
        deploy = visitor.build("snapshot-2")
        digest = visitor.visit(deploy["id"], "/own.txt").headers["etag"].strip('"')
        visitor.api("DELETE", f"/deploys/{deploy['id']}")
    blob = tmp_path / "state" / "blobs" / "sha256" / digest[:2] / digest[2:]
    assert blob.exists()
    with visiting(tmp_path / "state", source) as again:
        assert not blob.exists()
        assert again.visit("snapshot-1").text == "<h1>one</h1>"


def test_create_build_names_the_deploy(visitor: Visitor) -> None:
    """`createSiteBuild` answers with the deploy that will be, and `getSiteBuild` says when it is done."""
    answer = visitor.api("POST", f"/sites/{SITE}/builds", params={"branch": "snapshot-1", "title": "again"})
    build = answer.json()
    deploy = visitor.wait(build["deploy_id"])
    assert (answer.status_code, deploy["title"], deploy["build_id"]) == (200, "again", build["id"])
    done = visitor.api("GET", f"/builds/{build['id']}").json()
    assert (done["done"], done["error"], done["sha"]) == (True, None, deploy["commit_ref"])
    assert visitor.api("GET", f"/sites/{SITE}/builds").json() == [done]


def test_hooks_are_listed_and_made(visitor: Visitor, source: GitFolder) -> None:
    """A hook that the API makes builds its own branch by default."""
    made = visitor.api("POST", f"/sites/{SITE}/build_hooks", json={"title": "mine", "branch": "snapshot-1"})
    assert made.status_code == 201
    assert made.json() in visitor.api("GET", f"/sites/{SITE}/build_hooks").json()
    assert visitor.api("GET", f"/sites/{SITE}/build_hooks/{made.json()['id']}").json() == made.json()
    requests.post(made.json()["url"], timeout=20)
    deploy = visitor.deploys()[0]
    assert (deploy["branch"], deploy["title"]) == ("snapshot-1", "Deploy triggered by hook: mine")


def test_list_has_filters(visitor: Visitor) -> None:
    """Deploys are listed by branch, by state, by context and by what is published."""
    one, live, bad = visitor.build("snapshot-1"), visitor.build("live"), visitor.build("nowhere")
    cases: list[tuple[dict[str, str], list[dict[str, Any]]]] = [
        ({}, [bad, live, one]),
        ({"branch": "snapshot-1"}, [one]),
        ({"state": "ready"}, [live, one]),
        ({"production": "true"}, [live]),
        ({"latest-published": "true"}, [live]),
        ({"state": "error"}, [bad]),
        ({"deploy-previews": "true"}, []),
        ({"branch": "snapshot-1", "state": "error"}, []),
    ]
    for query, expected in cases:
        assert [deploy["id"] for deploy in visitor.deploys(**query)] == [deploy["id"] for deploy in expected], query


def test_list_has_pages(visitor: Visitor, source: GitFolder) -> None:
    """A list comes in pages, the newest first, with links to the next, the previous and the last one."""
    for name in "abcde":
        visitor.hook(name)
    seen = []
    url = f"{visitor.origin}/api/v1/sites/{SITE}/deploys?per_page=2&state=error"
    while len([deploy for deploy in visitor.deploys() if deploy["state"] == "error"]) < 5:
        time.sleep(0.02)
    while url:
        answer = requests.get(url, headers={"Authorization": f"Bearer {visitor.info.token}"}, timeout=20)
        seen += [deploy["branch"] for deploy in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    assert seen == list("edcba")
    assert answer.links["prev"]["url"].endswith("state=error&page=2&per_page=2")


@pytest.mark.parametrize("page", ["0", "-1", "x", "1e9", "٣", "9999999999"])
def test_impossible_page_is_refused(idle: Visitor, page: str) -> None:
    """A page that is no positive number is refused."""
    assert idle.api("GET", f"/sites/{SITE}/deploys", params={"page": page}).status_code == 422


def test_page_beyond_the_end_is_empty(idle: Visitor) -> None:
    """A page after the last one is an empty list."""
    assert idle.deploys(page="7") == []


def test_hook_commits_can_be_hidden(tmp_path: Path, source: GitFolder) -> None:
    """The host can leave out the commit of hook builds, as Netlify often does; the build itself knows it."""
    with visiting(tmp_path / "state", source, hook_commits=False) as visitor:
        deploy = visitor.build("snapshot-1")
        assert deploy["commit_ref"] is None
        assert source.git("rev-parse", "HEAD") in visitor.visit(deploy["id"], "/env.txt").text


def test_retention_deletes_what_netlify_deletes(visitor: Visitor) -> None:
    """After 30 days old deploys go; the published one and the newest success of each branch stay."""
    old, kept, bad = visitor.build("snapshot-1"), visitor.build("snapshot-1"), visitor.build("nowhere")
    old_live, live = visitor.build("live"), visitor.build("live")
    visitor.api("POST", f"/sites/{SITE}/deploys/{old_live['id']}/restore")
    older_live = visitor.build("live")
    visitor.api("POST", f"/sites/{SITE}/deploys/{old_live['id']}/restore")
    assert visitor.control("POST", "clock", json={"seconds": 29 * DAY})["deleted"] == []
    deleted = visitor.control("POST", "clock", json={"seconds": 2 * DAY})["deleted"]
    assert set(deleted) == {old["id"], bad["id"], live["id"]}
    assert {deploy["id"] for deploy in visitor.deploys()} == {kept["id"], old_live["id"], older_live["id"]}
    assert visitor.visit(old["id"]).status_code == 404


def test_clock_stays_advanced(tmp_path: Path, source: GitFolder) -> None:
    """The clock that was advanced stays so after a restart."""
    with visiting(tmp_path / "state", source) as visitor:
        before = visitor.control("POST", "clock", json={"seconds": 400 * DAY})["now"]
    with visiting(tmp_path / "state", source) as again:
        assert again.control("POST", "clock", json={"seconds": 1})["now"] > before


@pytest.mark.parametrize("seconds", [0, -1, "1", None, True, 1e12])
def test_clock_goes_forward_only(idle: Visitor, seconds: object) -> None:
    """The clock takes a positive number of seconds and nothing else."""
    headers = {"Authorization": f"Bearer {idle.info.token}"}
    answer = requests.post(f"{idle.origin}/__host__/clock", json={"seconds": seconds}, headers=headers, timeout=20)
    assert answer.status_code == 422


def test_effects_tell_what_happened(visitor: Visitor) -> None:
    """Every effect is written down in order, with its time and its ids, and without secrets."""
    deploy = visitor.build("live")
    visitor.api("POST", f"/sites/{SITE}/deploys/{deploy['id']}/restore")
    expected = [
        "hook accepted",
        "deploy enqueued",
        "deploy building",
        "deploy building",
        "deploy uploading",
        "deploy ready",
        "published",
        "restored",
    ]
    assert effects(visitor) == expected
    text = (visitor.folder / "effects.jsonl").read_text()
    assert deploy["id"] in text
    assert visitor.info.hook_url.rpartition("/")[2] not in text
    assert len(visitor.control("GET", "effects?after=6")) == 2


def test_rate_limit_of_requests(tmp_path: Path, source: GitFolder) -> None:
    """The 501st request of a minute is refused with 429 and a reset time; a minute later requests pass again."""
    with visiting(tmp_path / "state", source, rate_limits=True) as visitor, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {visitor.info.token}"
        answers = [session.get(f"{visitor.origin}/api/v1/user", timeout=20) for _ in range(501)]
        assert [answer.status_code for answer in answers] == [200] * 500 + [429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers[-3:]] == ["1", "0", "0"]
        assert int(answers[-1].headers["X-RateLimit-Reset"]) > time.time()
        assert answers[-1].json()["code"] == 429
        visitor.control("POST", "clock", json={"seconds": 61})
        assert session.get(f"{visitor.origin}/api/v1/user", timeout=20).status_code == 200


def test_rate_limit_of_deploys(tmp_path: Path, source: GitFolder) -> None:
    """The API starts 3 deploys a minute and 100 a day; the clock's advance frees them; hooks are not counted."""
    with visiting(tmp_path / "state", source, rate_limits=True) as visitor:

        def start() -> int:
            return visitor.api("POST", f"/sites/{SITE}/deploys", json={"draft": True}).status_code

        assert [start() for _ in range(4)] == [200, 200, 200, 429]
        assert visitor.hook("snapshot-1").status_code == 200
        visitor.control("POST", "clock", json={"seconds": 61})
        assert start() == 200


def test_without_limits_there_are_no_limit_headers(idle: Visitor) -> None:
    """With rate limits off no answer speaks of them, and the first page says that they are off."""
    assert "x-ratelimit-limit" not in idle.api("GET", "/user").headers
    assert "Rate limits are off" in requests.get(idle.origin, timeout=20).text


def test_first_page_has_no_secrets(idle: Visitor) -> None:
    """The page that everybody can read names neither the token nor the hook."""
    text = requests.get(idle.origin, timeout=20).text
    assert idle.info.token not in text
    assert idle.info.hook_url.rpartition("/")[2] not in text


def test_log_has_no_secrets(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    """The access log has one line a request, without queries, tokens and hook ids."""
    with caplog.at_level(logging.INFO, "publisher.host.access"):
        visitor.hook("snapshot-1", trigger_title="private title")
        visitor.api("GET", "/user")
        while len(caplog.messages) < 2:
            time.sleep(0.01)
    assert "POST 127.0.0.1/build_hooks/**** 200" in caplog.messages[0]
    assert "private" not in caplog.text
    assert visitor.info.token not in caplog.text


def test_connection_file_lasts_as_long_as_the_host(tmp_path: Path, source: GitFolder) -> None:
    """`connection.json` tells other programs how to reach the host, only to its owner, while it runs."""
    path = tmp_path / "state" / "connection.json"
    with visiting(tmp_path / "state", source) as visitor:
        assert visitor.info.token in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_binds_to_loopback_only(idle: Visitor) -> None:
    """Nothing listens on another address of this machine."""
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.2", idle.info.port)) != 0


def test_other_host_names_are_sent_away(idle: Visitor) -> None:
    """A name that somebody pointed at this machine reaches neither the API nor the sites."""
    answer = requests.get(idle.origin, headers={"Host": "evil.example"}, timeout=20)
    assert answer.status_code == 421


@pytest.mark.parametrize(("private", "main", "branch"), [("", 200, 200), ("previews", 200, 401), ("all", 401, 401)])
def test_private_sites(visitor: Visitor, private: str, main: int, branch: int) -> None:
    """A private site, or private previews, answer 401 to everybody who only has the address."""
    visitor.build("live")
    visitor.control("POST", "private", json={"private": private})
    assert visitor.visit("").status_code == main
    assert visitor.visit("live").status_code == branch


def test_title_is_bounded(visitor: Visitor) -> None:
    """A title of more than 1,000 characters is refused; line breaks in one become spaces."""
    assert visitor.hook("snapshot-1", trigger_title="x" * 1001).status_code == 422
    assert visitor.build("snapshot-1", trigger_title="a\nb")["title"] == "a b"
