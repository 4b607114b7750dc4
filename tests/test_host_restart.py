from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import requests

from publisher.errors import StorageError, UsageError
from publisher.host import HostOptions
from tests.host_fixtures import (
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


def test_state_survives_a_restart(tmp_path: Path, source: GitFolder) -> None:
    """After a restart the site has its ids, its token, its hook, its deploys and its published one."""
    with visiting(tmp_path / "state", source) as visitor:
        deploy = visitor.build("live")
    with visiting(tmp_path / "state", source) as again:
        assert (again.info.site_id, again.info.token) == (visitor.info.site_id, visitor.info.token)
        assert again.info.hook_url.rpartition("/")[2] == visitor.info.hook_url.rpartition("/")[2]
        assert again.published() == deploy["id"]
        assert again.visit("").text == "<h1>one</h1>"


def test_stopped_build_fails_and_waiting_ones_go_on(tmp_path: Path, source: GitFolder) -> None:
    """A build that a stop interrupted has failed after the restart; one that waited is built."""
    change(source, "snapshot-2", {"build.sh": "sleep 60"})
    with visiting(tmp_path / "state", source) as visitor:
        visitor.hook("snapshot-2")
        visitor.hook("snapshot-1")
        stopped, waiting = (visitor.deploys(branch=name)[0]["id"] for name in ("snapshot-2", "snapshot-1"))
        visitor.wait(stopped, "building")
    with visiting(tmp_path / "state", source) as again:
        assert again.wait(waiting)["state"] == "ready"
        assert "host stopped" in again.deploy(stopped)["error_message"]


def test_a_retention_that_fails_does_not_keep_builds_running(tmp_path: Path, source: GitFolder) -> None:
    """Where old deploys cannot be deleted, the host serves on, and its builds still end when it stops."""
    with visiting(tmp_path / "state", source) as visitor:
        old = visitor.build("snapshot-1")["id"]
        visitor.build("snapshot-1")
    log = tmp_path / "state" / "logs" / f"{old}.txt"
    log.unlink()
    (log / "in the way").mkdir(parents=True)
    site = tmp_path / "state" / "site.json"
    site.write_text(re.sub(r'"clock":[0-9.]+', '"clock":99999999.0', site.read_text()))
    waits = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    change(source, "snapshot-2", {"build.sh": f"touch {tmp_path}/begun; {waits}; touch {tmp_path}/late"})
    with visiting(tmp_path / "state", source) as again:
        again.hook("snapshot-2")
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
    (tmp_path / "go").touch()
    time.sleep(0.5)
    assert not (tmp_path / "late").exists()


def test_killed_host_comes_back(tmp_path: Path, source: GitFolder) -> None:
    """A host that was killed outright has every deploy that it had called ready, and fails what it was building."""
    program = (
        "import sys; from pathlib import Path; from publisher.host import HostOptions, serve\n"
        "serve(HostOptions(state=Path(sys.argv[1]), repository=sys.argv[2], site='bench', port=0,"
        " on_ready=lambda info: print(info.api_url, info.hook_url, info.token, flush=True)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "state"), str(source.path)]
    change(source, "snapshot-2", {"build.sh": "sleep 5"})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        api_url, hook_url, token = process.stdout.readline().split()
        headers = {"Authorization": f"Bearer {token}"}
        listing = f"{api_url}/api/v1/sites/bench/deploys"
        requests.post(hook_url, params={"trigger_branch": "snapshot-1"}, timeout=20)
        while requests.get(listing, headers=headers, timeout=20).json()[0]["state"] != "ready":
            time.sleep(0.02)
        requests.post(hook_url, params={"trigger_branch": "snapshot-2"}, timeout=20)
        while requests.get(listing, headers=headers, timeout=20).json()[0]["state"] != "building":
            time.sleep(0.02)
        process.kill()
    with visiting(tmp_path / "state", source) as again:
        assert [deploy["state"] for deploy in again.deploys()] == ["error", "ready"]
        assert again.visit("snapshot-1").text == "<h1>one</h1>"


def test_two_hosts_cannot_share_a_folder(tmp_path: Path, source: GitFolder) -> None:
    """A second host on the same state folder is refused."""
    with (
        visiting(tmp_path / "state", source),
        pytest.raises(StorageError, match="another host"),
        visiting(tmp_path / "state", source),
    ):
        pass


def test_taken_port_is_an_error_with_a_hint(tmp_path: Path, source: GitFolder) -> None:
    """A port in use is refused with what to do about it."""
    with visiting(tmp_path / "one", source) as visitor:
        with pytest.raises(UsageError) as caught, visiting(tmp_path / "two", source, port=visitor.info.port):
            pass
        assert "port" in caught.value.hint


@pytest.mark.parametrize("options", [{"site": "Bad_Name"}, {"port": -1}, {"private": "some"}])
def test_impossible_options_are_refused(tmp_path: Path, options: dict[str, str]) -> None:
    """Options that cannot work are refused before anything starts."""
    given = {"site": "bench", **options}
    with pytest.raises(UsageError):
        HostOptions(state=tmp_path, repository=".", **given).check()  # type: ignore[arg-type]


def test_damaged_and_newer_files_are_named(tmp_path: Path, source: GitFolder) -> None:
    """A state file that cannot be read, or that a newer version wrote, stops the start with its name."""
    with visiting(tmp_path / "state", source):
        pass
    path = tmp_path / "state" / "site.json"
    whole = path.read_text()
    for text, message in [
        ("{", "damaged"),
        (whole.replace('"schema":1', '"schema":2'), "newer publisher"),
        (whole.replace('"schema":1,', ""), "was not written by this host"),
    ]:
        path.write_text(text)
        with pytest.raises(StorageError, match=message), visiting(tmp_path / "state", source):
            pass
