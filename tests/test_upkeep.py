from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from publisher.errors import UsageError
from publisher.host import HostInfo, HostOptions, running
from publisher.netlify.client import Netlify, Settings
from publisher.publishing import project as opened
from publisher.publishing.audit import Progress, audit
from publisher.publishing.failures import Failures
from publisher.publishing.pins import check_name
from publisher.web import Web
from tests.project import QUICK, Done, Project, config

KEEP = "keep = { last = 1, labels = ['release*'] }\n"


@dataclass
class Site:
    """Three published snapshots, oldest first, on a host of their own."""

    project: Project
    info: HostInfo

    def run(self, *arguments: str) -> Done:
        """Run publisher."""
        return self.project.run(*arguments)

    @property
    def netlify(self) -> Netlify:
        """A client of the host."""
        return Netlify(Settings.of("demo", self.project.environment))

    @property
    def names(self) -> list[str]:
        """The snapshots' branches."""
        return [run["snapshot"] for run in self.run("snapshots", "--json").json]

    def shown(self, address: str) -> str:
        """Return the snapshot that an address shows."""
        answer = Web(attempts=1).request("GET", f"{address}/snapshot.json", what="the site")
        return str(answer.json("the site")["branch"]) if answer.status == 200 else ""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Publish three equal commits; builds use this checkout's own environment, so they take a second."""
    project = Project.create(tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    options = HostOptions(
        state=tmp_path / "host",
        site="demo",
        repository=str(tmp_path / "origin.git"),
        port=0,
        environment={"PATH": path},
    )
    with running(options) as info:
        project.connect(info)
        for number in range(3):
            project.folder.commit({"netlify.toml": QUICK, "publisher.toml": config(more=KEEP), "n": str(number)})
            done = project.run("publish")
            assert done.code == 0, done.err
        yield Site(project, info)


@pytest.mark.model
def test_snapshots_can_be_pinned_repaired_rolled_back_and_pruned(site: Site) -> None:
    """One published history goes through everything that a maintainer does to it."""
    oldest, middle, newest = site.names
    pins(site, oldest, middle)
    repairs(site, middle)
    verifies(site, oldest, middle)
    rolls_back_to_what_is_gone(site, middle, newest)
    prunes(site, oldest, middle, newest)


def pins(site: Site, oldest: str, middle: str) -> None:
    """Check that a pin shows its snapshot, does not move by itself, and moves when told to."""
    assert site.run("pin", oldest, "math-v3").code == 0
    address = site.netlify.settings.address_of("math-v3")
    assert site.shown(address) == oldest
    refused = site.run("pin", middle, "math-v3")
    assert (refused.code, "--move" in refused.err) == (2, True)
    assert site.shown(address) == oldest
    assert site.run("pin", middle, "math-v3", "--move").code == 0
    assert site.shown(address) == middle
    assert site.run("pin", oldest, "math-v3", "--move").code == 0
    assert oldest in site.run("pin").out


def repairs(site: Site, middle: str) -> None:
    """Check that a deleted deploy is missed, and comes back byte for byte without touching the live site."""
    before = site.netlify.site().published_deploy
    (deploy,) = site.netlify.deploys(branch=middle)
    site.netlify.delete(deploy.id)
    assert site.run("verify", middle).code == 3
    done = site.run("verify", middle, "--repair")
    assert done.code == 0, done.err
    assert site.shown(site.netlify.settings.address_of(middle)) == middle
    assert site.netlify.site().published_deploy == before


def verifies(site: Site, oldest: str, middle: str) -> None:
    """Check that a verification of all that was interrupted goes on: what was whole is not fetched again."""
    project = opened.Project.open(site.project.folder.path, site.project.environment)
    runs = [run for run in project.runs() if run.receipt]
    first = audit(project, runs, Progress.of(project), mend=False, failures=Failures(lambda _: None))
    assert (next(first)[0].problems, next(first)[0].problems) == (0, 0)
    (deploy,) = site.netlify.deploys(branch=oldest)
    site.netlify.delete(deploy.id)
    done = site.run("verify", "--all")
    assert (done.code, done.out.count("✓"), done.out.count("before the interruption")) == (0, 3, 2)
    assert site.run("verify", "--all").code == 3, "the one above came to its end, so this one starts over"
    assert site.run("verify", middle).code == 0
    assert site.run("verify", oldest, "--repair").code == 0


def rolls_back_to_what_is_gone(site: Site, middle: str, newest: str) -> None:
    """Check that rolling back to a deleted deploy brings it back first; a dry run only says what it would do."""
    (deploy,) = [deploy for deploy in site.netlify.deploys(branch=middle) if deploy.ready]
    site.netlify.delete(deploy.id)
    assert middle in site.run("rollback", "-1", "--dry-run").out
    assert site.shown(site.info.site_url) == newest
    assert site.run("rollback", "-1", "--why", "newest is wrong", "--lock").code == 0
    assert site.shown(site.info.site_url) == middle
    assert "newest is wrong" in site.run("live").out
    kept = site.run("publish")
    assert (kept.code, "locked" in kept.err) == (0, True)
    assert site.shown(site.info.site_url) == middle
    assert site.run("live", "--unlock").code == 0
    assert site.run("rollback", newest, "--why", "back").code == 0


def prunes(site: Site, oldest: str, middle: str, newest: str) -> None:
    """Check that pinned, tagged, best and newest stay; the rest goes with --delete, and its record stays."""
    site.project.folder.git("tag", "release-1", f"{middle}^")
    assert "nothing to prune" in site.run("prune").out
    site.project.folder.git("tag", "--delete", "release-1")
    listed = site.run("prune")
    assert middle[-12:] in listed.out
    assert site.names == [oldest, middle, newest]
    done = site.run("prune", "--delete")
    assert done.code == 0, done.err
    assert site.names == [oldest, newest]
    assert site.shown(site.netlify.settings.address_of(middle)) == ""
    assert site.project.folder.git("ls-remote", "origin", middle) == ""
    assert [run["snapshot"] for run in site.project.log()] == [oldest, middle, newest]
    assert site.run("rollback", middle, "--reason", "back").code == 0
    assert site.shown(site.info.site_url) == middle


@pytest.mark.parametrize(
    "name", ["Math", "a--b", "-a", "a-", "a.b", "", "x" * 38, "live", "snapshot-1", "0" * 24, "deploy-preview-3", "é"]
)
def test_names_that_cannot_be_addresses_are_refused(name: str) -> None:
    """What DNS, Netlify or we read as something else is no pin."""
    with pytest.raises(UsageError):
        check_name(name, "demo")


def test_a_long_site_leaves_less_for_the_name() -> None:
    """Name and site share the 63 characters of a label."""
    check_name("a" * 30, "s" * 31)
    with pytest.raises(UsageError, match="at most 30"):
        check_name("a" * 31, "s" * 31)
