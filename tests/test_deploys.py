from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from publisher.config import NetlifyConfig
from publisher.errors import DeployError, NetworkError
from publisher.files import canonical_json, sha256_hex
from publisher.host import HostOptions, running
from publisher.netlify import deploys
from publisher.netlify.client import Netlify, Settings
from publisher.publishing.deliver import Desk, build
from publisher.publishing.project import Project
from publisher.publishing.turns import Patience
from publisher.verify import require, verify
from publisher.web import Web
from tests.fault_proxy import FAULTS, Proxy, fault_proxy
from tests.made import GitFolder

BUILD = """
[build]
command = "mkdir -p dist && cp -r site/. dist/ && printf '{\\"deploy_id\\": \\"%s\\"}' $DEPLOY_ID > dist/deploy.json"
publish = "dist"
"""
PAGE = b"<p>hello</p>"
HURRIED = Patience(doubt=2.0, retry=0.1, settle=0.1)
SNAPSHOT = canonical_json(
    {"schema": 1, "run_id": "run-1", "branch": "b", "snapshot": "s", "commit": "c", "record_sha256": "a" * 64}
)
MANIFEST = canonical_json(
    {
        "schema": 1,
        "files": {
            name: {"sha256": sha256_hex(data), "size": len(data)}
            for name, data in (("page.html", PAGE), ("snapshot.json", SNAPSHOT))
        },
    }
)


@dataclass
class Stage:
    """A host behind a fault proxy, a client that talks to the proxy, and the deploy that is wanted."""

    netlify: Netlify
    proxy: Proxy
    folder: GitFolder
    wanted: deploys.WantedDeploy
    project: Project
    notes: list[str] = field(default_factory=list)

    def ensure(self) -> deploys.Deployed:
        """Bring the deploy about."""
        limits = NetlifyConfig(site="demo", timeout=self.wanted.timeout, builds_per_minute=0)
        desk = Desk(self.project, self.netlify, limits, self.notes.append)
        return build(desk, self.wanted, desk.turns("calls/test"))

    def ready(self) -> list[str]:
        """Return the ids of the branch's ready deploys, asked past the proxy's faults."""
        return [deploy.id for deploy in self.netlify.deploys(branch=self.wanted.branch) if deploy.ready]


@contextmanager
def stage(tmp_path: Path, build: str = BUILD, *, token: bool = True, fault: str = "") -> Iterator[Stage]:
    """Serve a repository with one snapshot branch to a client that is patient, but where answers are to hang."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit(
        {"netlify.toml": build, "site/page.html": PAGE, "site/manifest.json": MANIFEST, "site/snapshot.json": SNAPSHOT}
    )
    folder.git("branch", "snapshot-1")
    options = HostOptions(state=tmp_path / "host", site="demo", repository=str(folder.path), port=0)
    with running(options) as info, fault_proxy(info.port) as proxy:
        environment = {
            "NETLIFY_API_URL": proxy.url,
            "NETLIFY_AUTH_TOKEN": info.token if token else "",
            "NETLIFY_BUILD_HOOK": info.hook_url.replace(str(info.port), str(proxy.port)),
        }
        netlify = Netlify(Settings.of("demo", environment), Web(read_timeout=1.0 if fault == "hang" else 20.0))
        wanted = deploys.WantedDeploy("snapshot-1", folder.git("rev-parse", "HEAD"), "run-1", "title", 60.0)
        project = replace(Project.open(folder.path, environment), patience=HURRIED)
        yield Stage(netlify, proxy, folder, wanted, project)


def test_a_deploy_is_asked_for_once(tmp_path: Path) -> None:
    """The second time, the deploy is found and the hook is left alone."""
    with stage(tmp_path) as on:
        assert on.ensure() == on.ensure()
        assert len([line for line in on.proxy.asked if "build_hooks" in line]) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_hook_call_still_ends_with_one_deploy(tmp_path: Path, fault: str) -> None:
    """Whatever happens to the call or its answer, there is one ready deploy, if need be after running again."""
    with stage(tmp_path, fault=fault) as on:
        on.proxy.faults.append(("POST /build_hooks", fault))
        try:
            first = on.ensure()
        except NetworkError:
            first = on.ensure()
        assert on.ready() == [first.deploy_id]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_look_still_ends_with_one_deploy(tmp_path: Path, fault: str) -> None:
    """A list of deploys that cannot be believed never leads to a second build."""
    with stage(tmp_path, fault=fault) as on:
        first = on.ensure()
        on.proxy.faults.append(("GET /api", fault))
        try:
            again = on.ensure()
        except NetworkError:
            again = on.ensure()
        assert again == first
        assert on.ready() == [first.deploy_id]


def test_a_failing_build_shows_its_log(tmp_path: Path) -> None:
    """The build's own words reach the user."""
    with stage(tmp_path, '[build]\ncommand = "echo no such package; exit 3"\npublish = "dist"\n') as on:
        with pytest.raises(DeployError, match="ended as error") as caught:
            on.ensure()
        assert "no such package" in caught.value.detail


def test_an_old_failure_is_not_news(tmp_path: Path) -> None:
    """After a failed build the same command asks again instead of reporting the old failure."""
    command = f"test -e {tmp_path}/mended && mkdir dist && echo 1 > dist/index.html"
    build = f'[build]\ncommand = "{command}"\npublish = "dist"\n'
    with stage(tmp_path, build) as on:
        with pytest.raises(DeployError):
            on.ensure()
        (tmp_path / "mended").touch()
        assert on.ensure().deploy_id in on.ready()


def test_a_stuck_build_is_cancelled_and_tried_again(tmp_path: Path) -> None:
    """A build that hangs is cancelled after its age limit; the second try goes through."""
    build = (
        f'[build]\ncommand = "test -e {tmp_path}/tried || (touch {tmp_path}/tried && sleep 60);'
        ' mkdir dist && echo 1 > dist/index.html"\npublish = "dist"\n'
    )
    with stage(tmp_path, build) as on:
        on.wanted = replace(on.wanted, timeout=4.0)
        assert on.ensure().deploy_id in on.ready()


def test_without_a_token_the_address_is_watched(tmp_path: Path) -> None:
    """With only the hook, the branch's own address shows when the snapshot is there."""
    with stage(tmp_path, token=False) as on:
        deployed = on.ensure()
        assert deployed.via == "hook"
        assert deployed.permalink.startswith(f"http://{deployed.deploy_id}--demo.localhost")
        assert on.ensure() == deployed
        assert len([line for line in on.proxy.asked if "build_hooks" in line]) == 1


def test_the_live_site_moves_to_a_deploy(tmp_path: Path) -> None:
    """The main address shows the restored deploy."""
    with stage(tmp_path) as on:
        deployed = on.ensure()
        deploys.publish_live(on.netlify, deployed)
        assert deploys.shown_run(on.netlify, on.netlify.settings.main_address()) == "run-1"


def test_a_deploy_that_serves_its_manifest_is_verified(tmp_path: Path) -> None:
    """Every file is fetched and compared; the report has the manifest's digest."""
    with stage(tmp_path) as on:
        on.ensure()
        report = require(verify(on.netlify.settings.address_of("snapshot-1"), record_sha256="a" * 64))
        assert (report.files, report.manifest_sha256) == (2, sha256_hex(MANIFEST))


def test_another_record_is_not_accepted(tmp_path: Path) -> None:
    """A whole site that shows something else is refused."""
    with stage(tmp_path) as on:
        on.ensure()
        with pytest.raises(DeployError, match="another record"):
            verify(on.netlify.settings.address_of("snapshot-1"), record_sha256="b" * 64)


@pytest.mark.parametrize(("data", "kind"), [(b"<p>HELLO</p>", "changed"), (None, "missing")])
def test_a_site_that_differs_from_its_manifest_is_refused(tmp_path: Path, data: bytes | None, kind: str) -> None:
    """A changed file and a missing one are told apart and named."""
    with stage(tmp_path) as on:
        page = on.folder.path / "site" / "page.html"
        page.write_bytes(data) if data else page.unlink()
        on.folder.commit({})
        on.folder.git("branch", "--force", "snapshot-1", "main")
        on.wanted = replace(on.wanted, commit=on.folder.git("rev-parse", "HEAD"))
        on.ensure()
        report = verify(on.netlify.settings.address_of("snapshot-1"), record_sha256="a" * 64)
        assert getattr(report, kind) == ["page.html"]
        with pytest.raises(DeployError, match="does not serve what was rendered") as caught:
            require(report)
        assert f"{kind}: page.html" in caught.value.detail


HEADERS = "/*\n  X-Content-Type-Options: nosniff\n/assets/*\n  Cache-Control: public, max-age=60\n"


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        (HEADERS, []),
        (HEADERS.replace("public, max-age=60", "max-age=60,public"), []),
        (HEADERS.replace("60", "61"), ["assets/page.html: Cache-Control differs"]),
        (
            HEADERS.replace("/*\n", "/nowhere\n", 1),
            [f"{path}: X-Content-Type-Options is missing" for path in ("assets/page.html", "snapshot.json")],
        ),
        (HEADERS + "/assets/*\n  Content-Type: text/plain\n", ["assets/page.html: Content-Type is not text/html"]),
    ],
)
def test_the_headers_that_were_rendered_are_looked_for(tmp_path: Path, sent: str, wrong: list[str]) -> None:
    """A header that is missing or says something else is named; order and spaces of its parts make no difference."""
    manifest = canonical_json(
        {
            "schema": 1,
            "files": {
                name: {"sha256": sha256_hex(data), "size": len(data)}
                for name, data in (("assets/page.html", PAGE), ("snapshot.json", SNAPSHOT))
            },
            "headers": {
                "/*": {"X-Content-Type-Options": "nosniff"},
                "/assets/*": {"Cache-Control": "public, max-age=60"},
            },
        }
    )
    with stage(tmp_path) as on:
        on.folder.commit({"site/manifest.json": manifest, "site/assets/page.html": PAGE, "site/_headers": sent})
        on.folder.git("branch", "--force", "snapshot-1", "main")
        on.wanted = replace(on.wanted, commit=on.folder.git("rev-parse", "HEAD"))
        on.ensure()
        report = require(verify(on.netlify.settings.address_of("snapshot-1"), record_sha256="a" * 64))
        assert (report.headers, report.problems) == (wrong, len(wrong))
