"""The live site with and without a token, and where Netlify refuses what it usually allows."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher.files import sha256_hex
from publisher.host import HostOptions, running
from publisher.netlify.client import Netlify, Settings
from publisher.netlify.deploys import shown_run
from publisher.publishing import decisions, pipeline
from publisher.publishing.deliver import Desk, deliver
from publisher.publishing.give_up import give_up
from publisher.publishing.live import show_live
from publisher.publishing.project import Project as Opened
from publisher.schema import Decision, GivenUp
from tests.fault_proxy import Proxy, fault_proxy
from tests.measuring import Notes
from tests.project import QUICK, Project, config

pytestmark = pytest.mark.model


@contextmanager
def published(
    path: Path, *, token: bool = True, commits: bool = True, more: str = ""
) -> Iterator[tuple[Project, Proxy]]:
    """Give a project and the proxy before its host; `commits` is whether the host says what a hook built."""
    project = Project.create(path)
    project.folder.commit({"netlify.toml": QUICK, "publisher.toml": config(more=more)}, "Ready")
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    options = HostOptions(
        state=path / "host",
        site="demo",
        repository=str(path / "origin.git"),
        port=0,
        environment=environment,
        hook_commits=commits,
    )
    with running(options) as info, fault_proxy(info.port) as proxy:
        hook = info.hook_url.replace(str(info.port), str(proxy.port))
        project.environment = {
            "NETLIFY_API_URL": proxy.url,
            "NETLIFY_BUILD_HOOK": hook,
            "NETLIFY_AUTH_TOKEN": info.token if token else "",
        }
        yield project, proxy


def live(project: Project) -> str:
    """Return the run that the site's main address shows."""
    netlify = Netlify(Settings.of("demo", project.environment))
    return shown_run(netlify, netlify.settings.main_address())


def calls(proxy: Proxy) -> int:
    """Return how often the build hook was called."""
    return len([line for line in proxy.asked if "build_hooks" in line])


def test_with_only_the_hook_a_snapshot_is_published_and_live(tmp_path: Path) -> None:
    """Without a token the addresses are watched; the live site is a second build, and both are said aloud."""
    with published(tmp_path, token=False) as (project, proxy):
        done = project.run("publish")
        assert done.code == 0, done.err
        assert "no NETLIFY_AUTH_TOKEN" in done.err
        assert "second deploy of the same snapshot" in done.err
        (run,) = project.log()
        assert (run["receipt"]["via"], live(project)) == ("hook", run["run_id"])
        assert calls(proxy) == 2
        assert project.run("publish").code == 0
        assert calls(proxy) == 2


def test_where_restoring_is_refused_the_live_branch_is_built(tmp_path: Path) -> None:
    """A refused restore is said aloud, and the live site still moves."""
    with published(tmp_path) as (project, proxy):
        proxy.faults.append(("/restore", "422"))
        done = project.run("publish")
        assert done.code == 0, done.err
        assert "refused to restore" in done.err
        assert live(project) == project.log()[0]["run_id"]


def test_a_host_that_does_not_say_what_it_built_is_checked_by_its_pages(tmp_path: Path) -> None:
    """Netlify often leaves `commit_ref` out for hook builds: the snapshot is then known by what is served."""
    with published(tmp_path, commits=False) as (project, proxy):
        done = project.run("publish")
        assert done.code == 0, done.err
        assert live(project) == project.log()[0]["run_id"]
        assert calls(proxy) == 1


def test_production_deploys_keep_to_the_months_budget(tmp_path: Path) -> None:
    """The second live move by a build is refused; the snapshot itself is published, and nothing is lost."""
    with published(tmp_path, token=False, more="production_per_month = 1") as (project, _):
        assert project.run("publish").code == 0
        project.folder.commit({"n": "2"})
        done = project.run("publish")
        assert (done.code, "the budget is 1" in done.err) == (3, True)
        first, second = project.log()
        assert second["receipt"] is not None
        assert live(project) == first["run_id"]


def test_a_live_move_that_was_missed_is_made_up_for(tmp_path: Path) -> None:
    """When publishing broke off just before the live move, the next publish makes it, even of a rejected commit."""
    with published(tmp_path) as (project, proxy):
        proxy.faults += [("/restore", "500")] * 3
        assert project.run("publish").code == 3
        assert live(project) == ""
        project.folder.commit({"publisher.toml": config("builtin:abacus@early")}, "Worse")
        done = project.run("publish")
        assert done.code == 1, done.err
        assert live(project) == project.log()[0]["run_id"]


@pytest.mark.parametrize("end", [decisions.withdraw, give_up])
def test_a_run_that_is_ended_while_it_is_built_does_not_go_live(
    tmp_path: Path, end: Callable[..., Decision | GivenUp]
) -> None:
    """Neither by its own publisher nor by the next; one that is ended later stays where it is."""
    with published(tmp_path) as (project, _):
        opened = Opened.open(project.folder.path, os.environ | project.environment)
        entry = pipeline.enter(opened, pipeline.bench(opened, "HEAD", "full", Notes()))
        run = next(iter(opened.runs()))
        notes: list[str] = []
        desk = Desk.of_run(opened, run, notes.append)
        receipt = deliver(desk, entry.record)
        end(opened, run, reason="a wrong model file")
        assert show_live(desk, receipt, why="newest kept run") is None
        assert "does not go live" in notes[-1]
        assert project.run("reconcile").code == 0
        assert live(project) == ""
        assert project.run("rollback", receipt.snapshot, "--why", "look at it").code == 0
        assert live(project) == run.run_id


def test_without_a_token_a_snapshot_goes_live_on_a_remote_that_accepts_fast_forwards_only(tmp_path: Path) -> None:
    """A commit of `live` with the snapshot's tree is built, and renders to the snapshot's own bytes."""
    with published(tmp_path, token=False) as (project, _):
        project.folder.git("-C", str(tmp_path / "origin.git"), "config", "receive.denyNonFastForwards", "true")
        assert project.run("publish").code == 0
        project.folder.commit({"n": "2"})
        done = project.run("publish")
        assert done.code == 0, done.err
        receipt = project.log()[1]["receipt"]
        shown = project.folder.git("-C", str(tmp_path / "origin.git"), "rev-parse", "live", "live^2").split()
        assert shown[1] == receipt["commit"] != shown[0]
        netlify = Netlify(Settings.of("demo", project.environment))
        body = netlify.web.request("GET", netlify.settings.main_address() + "/manifest.json", what="live").body
        assert sha256_hex(body) == receipt["manifest_sha256"]
