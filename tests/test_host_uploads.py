from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from publisher.host import Bounds
from tests.host_fixtures import (
    SITE,
    Visitor,
    idle_fixture,
    memory_fixture,
    source_fixture,
    visiting,
    visitor_fixture,
)

if TYPE_CHECKING:
    from pathlib import Path

    import requests

    from tests.made import GitFolder

__all__ = ["idle_fixture", "memory_fixture", "source_fixture", "visitor_fixture"]


def sha1(text: str) -> str:
    """Return the digest by which an upload names a file."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def declare(visitor: Visitor, files: dict[str, str], **more: Any) -> requests.Response:
    """Start an uploaded deploy of files with this text."""
    body = {"files": {name: sha1(text) for name, text in files.items()}, **more}
    return visitor.api("POST", f"/sites/{SITE}/deploys", params={"title": "by hand"}, json=body)


def send(visitor: Visitor, deploy_id: str, name: str, text: str) -> requests.Response:
    """Upload one file."""
    return visitor.api("PUT", f"/deploys/{deploy_id}/files/{name}", data=text.encode())


def upload(visitor: Visitor, files: dict[str, str], **more: Any) -> dict[str, Any]:
    """Upload a whole deploy."""
    deploy = declare(visitor, files, **more).json()
    for name, text in files.items():
        if sha1(text) in deploy["required"]:
            assert send(visitor, deploy["id"], name, text).status_code == 200
    return visitor.deploy(deploy["id"])


def test_digest_upload(visitor: Visitor) -> None:
    """A deploy whose files were declared and then sent is ready with the last one, and never before."""
    files = {"/index.html": "<h1>up</h1>", "/a.txt": "a"}
    deploy = declare(visitor, files, branch="canary").json()
    assert (deploy["state"], set(deploy["required"])) == ("uploading", {sha1(text) for text in files.values()})
    send(visitor, deploy["id"], "index.html", files["/index.html"])
    assert visitor.visit("canary").status_code == 404
    answer = send(visitor, deploy["id"], "a.txt", "a").json()
    assert (answer["path"], answer["sha"], answer["size"]) == ("/a.txt", sha1("a"), 1)
    assert visitor.deploy(deploy["id"])["state"] == "ready"
    assert visitor.visit("canary").text == "<h1>up</h1>"


def test_only_new_files_are_required(visitor: Visitor) -> None:
    """A second deploy needs only the files that the host does not have yet, none where it has them all."""
    upload(visitor, {"index.html": "one", "a.txt": "a"}, branch="canary")
    second = declare(visitor, {"index.html": "two", "a.txt": "a"}, branch="canary").json()
    assert second["required"] == [sha1("two")]
    third = declare(visitor, {"index.html": "one", "b.txt": "a"}, draft=True).json()
    assert (third["required"], third["state"]) == ([], "ready")


def test_upload_goes_on_after_a_restart(tmp_path: Path, source: GitFolder) -> None:
    """A half-sent deploy takes the rest of its files after a restart."""
    files = {"index.html": "one", "a.txt": "a"}
    with visiting(tmp_path / "state", source) as visitor:
        deploy = declare(visitor, files, branch="canary").json()
        send(visitor, deploy["id"], "index.html", "one")
    with visiting(tmp_path / "state", source) as again:
        send(again, deploy["id"], "a.txt", "a")
        assert again.visit("canary").text == "one"


def test_rules_come_with_the_generated_toml(visitor: Visitor) -> None:
    """The official client sends headers and redirects in a `netlify.toml`, which is honoured and not served."""
    toml = '[[redirects]]\nfrom = "/old"\nto = "/new"\n[[headers]]\nfor = "/*"\n[headers.values]\nX-One = "1"\n'
    upload(visitor, {"index.html": "one", "netlify.toml": toml}, branch="canary")
    assert visitor.visit("canary").headers["X-One"] == "1"
    assert visitor.visit("canary", "/old").headers["Location"] == "/new"
    assert visitor.visit("canary", "/netlify.toml").status_code == 404


@pytest.mark.parametrize(
    "toml",
    ["x = " + "[" * 5000, f"x = {'9' * 5000}", f"{'.'.join('a' * 2000)} = 1", "headers = 1\nredirects = {a = 1}", "[x"],
)
def test_rules_that_make_no_sense_leave_the_deploy_whole(visitor: Visitor, toml: str) -> None:
    """They are left out; the host neither fails nor thinks about them for minutes."""
    assert upload(visitor, {"index.html": "one", "netlify.toml": toml}, branch="canary")["state"] == "ready"
    assert visitor.visit("canary").text == "one"


def test_contexts_of_uploads(visitor: Visitor) -> None:
    """A draft is a preview, one with a branch a branch deploy, and one with neither is published."""
    preview = upload(visitor, {"index.html": "1"}, draft=True)
    branch = upload(visitor, {"index.html": "2"}, branch="canary")
    assert visitor.published() == ""
    production = upload(visitor, {"index.html": "3"})
    contexts = [deploy["context"] for deploy in (preview, branch, production)]
    assert contexts == ["deploy-preview", "branch-deploy", "production"]
    assert visitor.published() == production["id"]


def test_locked_site_takes_no_uploaded_production(visitor: Visitor) -> None:
    """An uploaded production deploy is not published while the site is locked."""
    first = upload(visitor, {"index.html": "1"})
    visitor.api("POST", f"/deploys/{first['id']}/lock")
    upload(visitor, {"index.html": "2"})
    assert visitor.published() == first["id"]


def test_wrong_bytes_are_refused(visitor: Visitor) -> None:
    """A file that is not what was declared is refused, and so is one that was not declared."""
    deploy = declare(visitor, {"index.html": "one"}).json()
    assert send(visitor, deploy["id"], "index.html", "other").status_code == 422
    assert send(visitor, deploy["id"], "b.txt", "b").status_code == 404
    assert visitor.deploy(deploy["id"])["state"] == "uploading"


@pytest.mark.parametrize("name", ["a#b", "a?b", "../a", "a//b", "a\nb", "x" * 1001])
def test_bad_names_are_refused(idle: Visitor, name: str) -> None:
    """A path that Netlify would not serve is refused when it is declared."""
    assert declare(idle, {name: "x"}).status_code == 422


@pytest.mark.parametrize("files", [{}, [], {"a": "no digest"}, {"a": 3}])
def test_bad_declarations_are_refused(idle: Visitor, files: object) -> None:
    """A declaration that is not paths and SHA-1 digests is refused."""
    assert idle.api("POST", f"/sites/{SITE}/deploys", json={"files": files}).status_code == 422


def test_bounds_of_uploads(tmp_path: Path, source: GitFolder) -> None:
    """Too many files, a file too large and a declaration too long are refused."""
    with visiting(tmp_path / "state", source, bounds=Bounds(files=2, file=10, json_body=500)) as visitor:
        assert declare(visitor, {"a": "1", "b": "2", "c": "3"}).status_code == 422
        deploy = declare(visitor, {"a": "x" * 11}).json()
        assert send(visitor, deploy["id"], "a", "x" * 11).status_code == 413
        assert declare(visitor, {"a" * 600: "1"}).status_code == 413


def test_zip_is_refused(idle: Visitor) -> None:
    """A zip file is refused with what to do instead."""
    answer = idle.api("POST", f"/sites/{SITE}/deploys", data=b"PK", headers={"Content-Type": "application/zip"})
    assert (answer.status_code, "by digest" in answer.json()["message"]) == (415, True)


def test_body_has_to_be_json(idle: Visitor) -> None:
    """A body that is not a JSON object is refused."""
    for body in (b"{", b"[]", b"\xff"):
        assert idle.api("POST", f"/sites/{SITE}/deploys", data=body).status_code == 400


def test_built_deploy_takes_no_files(visitor: Visitor) -> None:
    """Nothing can be uploaded into a deploy that was built."""
    deploy = visitor.build("snapshot-1")
    body = {"files": {"index.html": sha1("evil")}}
    assert visitor.api("PUT", f"/sites/{SITE}/deploys/{deploy['id']}", json=body).status_code == 422
    assert send(visitor, deploy["id"], "index.html", "evil").status_code == 404
    assert visitor.visit(deploy["id"]).text == "<h1>one</h1>"


def test_cancelled_upload_takes_no_files(visitor: Visitor) -> None:
    """A cancelled upload never becomes ready."""
    deploy = declare(visitor, {"index.html": "one"}).json()
    assert visitor.api("POST", f"/deploys/{deploy['id']}/cancel").status_code == 201
    send(visitor, deploy["id"], "index.html", "one")
    assert visitor.deploy(deploy["id"])["state"] == "error"


def test_uploaded_alias_is_not_kept_for_ever(visitor: Visitor) -> None:
    """Retention deletes an uploaded alias, which Netlify does not count as a branch deploy."""
    deploy = upload(visitor, {"index.html": "one"}, branch="canary")
    assert visitor.control("POST", "clock", json={"seconds": 31 * 86_400})["deleted"] == [deploy["id"]]
    assert visitor.visit("canary").status_code == 404
