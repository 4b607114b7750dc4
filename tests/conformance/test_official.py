from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from publisher.host.build.settings import read_settings
from tests.conformance.openapi import OPERATIONS, STORED, trim
from tests.host_fixtures import SITE, Visitor, change, memory_fixture, source_fixture, visitor_fixture

if TYPE_CHECKING:
    from tests.made import GitFolder

__all__ = ["memory_fixture", "source_fixture", "visitor_fixture"]
pytestmark = pytest.mark.conformance
HERE = Path(__file__).parent
NOT_HERE = ("createSite", "createSiteInTeam", "deleteSite")
"""What makes no sense on one machine: answered as Netlify answers for what a plan does not have."""
ROOT = HERE.parents[1]


def run(command: list[str], folder: Path, visitor: Visitor | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command with an empty home, and with the host in the place of Netlify."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "CI": "1", "NO_COLOR": "1"}
    if visitor is not None:
        environment |= {"NETLIFY_API_URL": visitor.origin, "NETLIFY_AUTH_TOKEN": visitor.info.token}
        environment |= {"NODE_OPTIONS": f"--import {HERE / 'reroute.mjs'}"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def cli(netlify_cli: Path, visitor: Visitor, folder: Path, *arguments: str) -> Any:
    """Run the official command line and return the JSON that it prints."""
    done = run([str(netlify_cli), *arguments], folder, visitor)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder with a site in `dist`, with headers and redirects."""
    dist = tmp_path / "site" / "dist"
    dist.mkdir(parents=True)
    (dist / "index.html").write_text("<h1>by hand</h1>")
    (dist / "_redirects").write_text("/old /new 302\n")
    (dist / "_headers").write_text("/*\n  X-Own: yes\n")
    return dist.parent


def test_stored_description_is_the_official_one(packages: Path) -> None:
    """What every host test is checked against is exactly the official document's part for our operations."""
    official = json.loads((packages / "@netlify" / "open-api" / "dist" / "swagger.json").read_text("utf-8"))
    assert json.loads(STORED.read_text("utf-8")) == trim(official)


def test_official_client_can_do_everything(packages: Path, visitor: Visitor, source: GitFolder) -> None:
    """Netlify's own API client succeeds in every operation that publishing uses."""
    change(source, "slow", {"build.sh": "sleep 60"})
    change(source, "candidate", {"a": "b"})
    change(source, "live", {"pages/f.html": '<form name="feedback" data-netlify="true"><input name="rating"></form>'})
    visitor.build("candidate")
    other, older, ready = (visitor.build(branch)["id"] for branch in ("snapshot-1", "live", "live"))
    host = visitor.origin.removeprefix("http://")
    done = run(["node", str(HERE / "client.mjs"), host, visitor.info.token, ready, older, other, "candidate"], HERE)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    failed = {name: answer for name, answer in answers.items() if isinstance(answer, dict) and "status" in answer}
    assert {name: answer["status"] for name, answer in failed.items()} == dict.fromkeys(NOT_HERE, 403)
    assert set(answers) == OPERATIONS | {"uploaded"}
    assert answers["uploaded"]["state"] == "ready"
    assert answers["restoreSiteDeploy"]["id"] == older
    assert answers["lockDeploy"]["locked"] is True
    assert visitor.published() == ready
    assert visitor.visit("canary", "/a.txt").text == "a"


def test_cli_calls_the_api(netlify_cli: Path, visitor: Visitor, site: Path) -> None:
    """`netlify api` lists, restores and locks deploys of the host."""
    first, _ = visitor.build("live"), visitor.build("live")
    query = json.dumps({"site_id": SITE, "branch": "live", "per_page": 1, "page": 2})
    listed = cli(netlify_cli, visitor, site, "api", "listSiteDeploys", "--data", query)
    assert [deploy["id"] for deploy in listed] == [first["id"]]
    target = json.dumps({"site_id": SITE, "deploy_id": first["id"]})
    assert cli(netlify_cli, visitor, site, "api", "restoreSiteDeploy", "--data", target)["id"] == first["id"]
    assert cli(netlify_cli, visitor, site, "api", "lockDeploy", "--data", target)["locked"] is True
    assert visitor.published() == first["id"]


def test_cli_uploads_by_digest(netlify_cli: Path, visitor: Visitor, site: Path) -> None:
    """`netlify deploy --dir` uploads what is new, and headers and redirects work as on Netlify."""
    arguments = (
        "deploy",
        "--no-build",
        "--dir",
        "dist",
        "--site",
        SITE,
        "--alias",
        "canary",
        "--message",
        "m",
        "--json",
    )
    first = cli(netlify_cli, visitor, site, *arguments)
    assert first["deploy_url"] == f"http://canary--{SITE}.localhost:{visitor.info.port}"
    assert visitor.visit("canary").headers["X-Own"] == "yes"
    assert visitor.visit("canary", "/old").headers["Location"] == "/new"
    (site / "dist" / "index.html").write_text("<h1>again</h1>")
    second = cli(netlify_cli, visitor, site, *arguments)
    assert visitor.visit("canary").text == "<h1>again</h1>"
    assert visitor.visit(first["deploy_id"]).text == "<h1>by hand</h1>"
    assert visitor.deploy(second["deploy_id"])["title"] == "m"
    assert visitor.published() == ""


def test_cli_respects_the_lock(netlify_cli: Path, visitor: Visitor, site: Path) -> None:
    """`netlify deploy --prod` publishes, and refuses while the published deploy is locked."""
    arguments = ("deploy", "--no-build", "--dir", "dist", "--site", SITE, "--prod", "--json")
    deploy_id = cli(netlify_cli, visitor, site, *arguments)["deploy_id"]
    assert visitor.published() == deploy_id
    visitor.api("POST", f"/deploys/{deploy_id}/lock")
    refused = run([str(netlify_cli), *arguments], site, visitor)
    assert refused.returncode == 1
    assert "locked" in refused.stdout + refused.stderr
    assert len(visitor.deploys()) == 1


def test_cli_triggers_a_build(netlify_cli: Path, visitor: Visitor, site: Path) -> None:
    """`netlify deploy --trigger` starts a build of the production branch."""
    assert run([str(netlify_cli), "deploy", "--trigger", "--site", SITE], site, visitor).returncode == 0
    deploy = visitor.wait(visitor.deploys()[0]["id"])
    assert (deploy["branch"], deploy["state"]) == ("live", "ready")


def test_our_settings_build_offline(netlify_cli: Path, source: GitFolder) -> None:
    """Netlify's own build runs our netlify.toml: the same command, folder and variables that the host finds in it."""
    shutil.copy(ROOT / "netlify.toml", source.path / "netlify.toml")
    script = 'mkdir -p dist; env > dist/env.txt; echo "$PUBLISHER_REQUIREMENT" > dist/requirement.txt\n'
    source.commit({"hooks/netlify-build": script})
    done = run([str(netlify_cli), "build", "--offline"], source.path)
    assert done.returncode == 0, done.stdout + done.stderr
    settings = read_settings((ROOT / "netlify.toml").read_text("utf-8"), "production", "live")
    assert settings.command in done.stdout
    written = (source.path / settings.publish / "requirement.txt").read_text().strip()
    assert written == settings.environment["PUBLISHER_REQUIREMENT"]


def test_cli_sets_variables(netlify_cli: Path, visitor: Visitor, site: Path) -> None:
    """`netlify env:set`, `env:list` and `env:unset` change what builds see (with `reroute.mjs`; it says why)."""
    link(site, visitor)
    assert run([str(netlify_cli), "env:set", "SHADE", "blue", "--force"], site, visitor).returncode == 0
    assert cli(netlify_cli, visitor, site, "env:list", "--json")["SHADE"] == "blue"
    assert run([str(netlify_cli), "env:get", "SHADE"], site, visitor).stdout.strip() == "blue"
    visitor.build("live")
    assert b"SHADE=blue" in visitor.visit("live", "/env.txt").content
    assert run([str(netlify_cli), "env:unset", "SHADE", "--force"], site, visitor).returncode == 0
    assert visitor.api("GET", "/accounts/local/env").json() == []


def test_cli_reads_the_log_of_a_deploy(netlify_cli: Path, visitor: Visitor, site: Path) -> None:
    """`netlify logs --source deploy` prints the output of the newest deploy's build."""
    link(site, visitor)
    visitor.build("live")
    done = run([str(netlify_cli), "logs", "--source", "deploy", "--since", "1h"], site, visitor)
    assert done.returncode == 0, done.stderr
    assert "built live" in done.stdout


def test_cli_deploys_with_its_own_build(netlify_cli: Path, visitor: Visitor, source: GitFolder) -> None:
    """`netlify deploy` runs the build of netlify.toml by itself and uploads what it made."""
    link(source.path, visitor)
    done = run([str(netlify_cli), "deploy", "--prod", "--json"], source.path, visitor)
    assert done.returncode == 0, done.stdout + done.stderr
    assert visitor.visit("").text == "<h1>one</h1>"


def test_cli_makes_and_deletes_no_site(netlify_cli: Path, visitor: Visitor, site: Path) -> None:
    """`netlify sites:create` and `sites:delete` end with an error, and the site stays."""
    made = run([str(netlify_cli), "sites:create", "--name", "other", "--account-slug", "local"], site, visitor)
    gone = run([str(netlify_cli), "sites:delete", visitor.info.site_id, "--force"], site, visitor)
    assert (made.returncode, gone.returncode) == (1, 1)
    assert "403" in made.stderr


def link(folder: Path, visitor: Visitor) -> None:
    """Tell the command line which site a folder belongs to, as `netlify link` does."""
    (folder / ".netlify").mkdir(exist_ok=True)
    (folder / ".netlify" / "state.json").write_text(json.dumps({"siteId": visitor.info.site_id}))
