"""`publisher doctor`: each fault of a set-up is found, named, and comes with what to do, against a real host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher.netlify.client import BuildSettings
from publisher.publishing.checkup.examine import findings
from publisher.publishing.checkup.finding import Finding
from publisher.publishing.checkup.machine import engine_findings
from publisher.publishing.checkup.site import branches, builds, production
from tests.project import Project
from tests.shelf import Shelf, shelf


@pytest.fixture(name="on")
def shelf_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf that is still empty."""
    with shelf(tmp_path) as on:
        on.folder.git("push", "--quiet", "origin", "main")
        yield on


def of(on: Shelf, what: str) -> Finding:
    """Return what is found about one thing."""
    return next(found for found in findings(on.project) if found.what == what)


def wrong(on: Shelf) -> list[str]:
    """Return what is wrong."""
    return [found.what for found in findings(on.project) if found.state == "wrong"]


def test_a_whole_set_up_has_nothing_wrong(on: Shelf) -> None:
    """The remote, the hook, the token, the site, its deploys, its readers and its clock are all looked at."""
    on.publish()
    found = {one.what: one.state for one in findings(on.project)}
    looked = ["configuration", "git", "remote", "build hook", "token", "site", "production", "deploys", "public"]
    assert {found[what] for what in [*looked, "clock", "budget"]} == {"fine"}
    assert "wrong" not in found.values()


def test_without_a_token_what_can_be_seen_is_checked(on: Shelf) -> None:
    """The hook's form, the public pages and the clock need no token; the rest is said to be unknown."""
    on.publish()
    del on.user.environment["NETLIFY_AUTH_TOKEN"]
    found = {one.what: one.state for one in findings(on.project)}
    assert (found["token"], found["build hook"], found["public"], found["clock"]) == ("note", "fine", "fine", "fine")
    assert "deploys" not in found


def test_a_site_on_this_machine_is_not_looked_for_at_netlify(on: Shelf) -> None:
    """Without the host's variables the finding says where the snapshots are, and how to check them there."""
    on.publish()
    on.user.environment.clear()
    found = of(on, "public")
    assert (found.state, "on this machine only" in found.says, "--local doctor" in found.do) == ("note", True, True)


def test_a_hook_of_another_site_is_wrong(on: Shelf) -> None:
    """The right form is not enough where the API can be asked, and the hook itself is never shown."""
    other = f"{on.info.hook_url.rpartition('/')[0]}/{'0123456789ab' * 2}"
    on.user.environment["NETLIFY_BUILD_HOOK"] = other
    found = of(on, "build hook")
    assert (found.state, "NETLIFY_BUILD_HOOK" in found.do) == ("wrong", True)
    assert other.rpartition("/")[2] not in found.says + found.do


def test_a_hook_that_is_none_is_wrong(on: Shelf) -> None:
    """A value that secrets must not be sent to ends the look at the site, not the command."""
    on.user.environment["NETLIFY_BUILD_HOOK"] = "https://example.org/x"
    assert wrong(on) == ["secrets"]


def test_a_token_that_the_api_refuses_is_wrong(on: Shelf) -> None:
    """Each thing that needs the token says so; what does not need it is still looked at."""
    on.user.environment["NETLIFY_AUTH_TOKEN"] = "another"
    found = {one.what: one for one in findings(on.project)}
    assert (found["token"].state, "token" in found["token"].do) == ("wrong", True)
    assert found["clock"].state == "fine"


@pytest.mark.parametrize("kind", ["previews", "all"])
def test_a_private_site_is_wrong(on: Shelf, kind: str) -> None:
    """Readers have no login: their addresses must answer without one."""
    on.publish()
    on.netlify.web.request(
        "POST",
        f"{on.info.api_url}/__host__/private",
        what="access",
        headers={"Authorization": f"Bearer {on.info.token}"},
        body={"private": kind},
    )
    found = of(on, "public")
    assert (found.state, "is private" in found.says) == ("wrong", True)


def test_a_snapshot_that_may_be_deleted_for_its_age_is_wrong(on: Shelf) -> None:
    """Only the newest deploy of a branch is kept for good, so another one there is found."""
    first = on.publish()
    on.publish(right=31)
    on.netlify.delete(first.deploy_id)
    found = of(on, "deploys")
    assert (found.state, first.snapshot in found.says, found.do) == ("wrong", True, "publisher verify --all --repair")


def test_a_wrong_clock_is_found(on: Shelf) -> None:
    """The clock of the machine is compared with the host's own, whose answers are to the second."""
    on.clock = lambda: time.time() - 7200
    found = of(on, "clock")
    assert (found.state, " s behind the host" in found.says) == ("wrong", True)


def test_a_budget_that_is_used_up_is_wrong(on: Shelf) -> None:
    """Nothing can be published until it has filled up again."""
    on.publish(more="builds_per_day = 1")
    assert "budget" in wrong(on)


def test_a_remote_that_does_not_answer_is_wrong(on: Shelf) -> None:
    """One fault never hides the others: the site is looked at all the same."""
    on.folder.git("remote", "set-url", "origin", "../nowhere.git")
    found = {one.what: one.state for one in findings(on.project)}
    assert (found["remote"], found["site"]) == ("wrong", "fine")


@pytest.mark.parametrize(
    ("settings", "states"),
    [
        (BuildSettings(repo_branch="live", allowed_branches=[]), ["fine", "fine"]),
        (BuildSettings(repo_branch="live", allowed_branches=["live", "snapshot-*"]), ["fine", "fine"]),
        (BuildSettings(repo_branch="main", allowed_branches=["main"]), ["wrong", "wrong"]),
        (BuildSettings(repo_branch="live", allowed_branches=["live"], stop_builds=True), ["fine", "wrong", "wrong"]),
        (BuildSettings(), ["note"]),
    ],
)
def test_what_the_site_builds_is_judged_by_its_settings(settings: BuildSettings, states: list[str]) -> None:
    """The production branch is live, snapshot branches are deployed, and builds are not stopped."""
    found = [production(settings), branches(settings), builds(settings)]
    assert [one.state for one in found if one is not None] == states


def test_a_machine_without_llama_cpp_only_publishes() -> None:
    """That is worth knowing and no fault."""
    (found,) = engine_findings(None)
    assert (found.state, "pip install" in found.do) == ("note", True)


@pytest.mark.model
def test_doctor_ends_with_3_where_something_is_wrong(on: Shelf) -> None:
    """The command tells the same in JSON, and its exit code says whether all is well."""
    on.publish()
    done = on.user.run("doctor", "--json")
    assert (done.code, done.json["healthy"]) == (0, True), done.out
    on.folder.commit({"publisher.toml": "[modle]\n"})
    done = on.user.run("doctor")
    assert done.code == 3
    assert "✗ configuration: " in done.out


@pytest.mark.model
def test_doctor_outside_a_repository_says_so(tmp_path: Path) -> None:
    """The engine is looked at all the same."""
    (tmp_path / "empty").mkdir()
    project = Project.create(tmp_path, remote=False)
    done = project.run("--repo", str(tmp_path / "empty"), "doctor")
    assert done.code == 3
    assert "✗ repository: " in done.out
    assert "engine: " in done.out
