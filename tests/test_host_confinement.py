from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from publisher.host.build import confinement
from tests.host_fixtures import Visitor, change, memory_fixture, source_fixture, visiting, visitor_fixture
from tests.made import GitFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["memory_fixture", "source_fixture", "visitor_fixture"]

needs_bubblewrap = pytest.mark.skipif(
    not confinement.works(), reason="needs bubblewrap that works (tests/install-system-packages)"
)
PROGRAM = """
import ctypes, sys
from pathlib import Path
from publisher.host import HostOptions, serve
def ready(info):
    print(ctypes.CDLL(None).prctl(3), info.hook_url, flush=True)
serve(HostOptions(state=Path(sys.argv[1]), repository=sys.argv[2], site="bench", port=0, on_ready=ready))
"""


def until(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def lingering(folder: Path) -> str:
    """Return a build that leaves a process in a session of its own, orphaned, which writes a file when it is told."""
    told = f"while [ ! -e {folder}/go ]; do sleep 0.05; done; touch {folder}/late"
    return f"mkdir dist; touch dist/a; (setsid bash -c 'touch {folder}/begun; {told}' &)\n"


def lives(folder: Path, name: str = "late") -> bool:
    """Tell what a build left behind to write a file, and return whether there was anybody to do so."""
    (folder / "go").touch()
    time.sleep(0.5)
    return (folder / name).exists()


# -- nothing of a build outlives it -----------------------------------------------------------------------------------


def test_a_process_that_left_its_session_ends_with_the_build(
    visitor: Visitor, source: GitFolder, tmp_path: Path
) -> None:
    """A daemon that a build leaves behind is dead before the folder is published."""
    change(source, "snapshot-2", {"build.sh": lingering(tmp_path) + f"while [ ! -e {tmp_path}/begun ]; do :; done"})
    assert visitor.build("snapshot-2")["state"] == "ready"
    assert not lives(tmp_path)


def test_a_failed_build_leaves_nothing_behind(visitor: Visitor, source: GitFolder, tmp_path: Path) -> None:
    """The exit code of a build that fails is its own, and its daemons are dead all the same."""
    script = lingering(tmp_path) + f"while [ ! -e {tmp_path}/begun ]; do :; done; exit 9"
    change(source, "snapshot-2", {"build.sh": script})
    assert "non-zero exit code: 9" in visitor.build("snapshot-2")["error_message"]
    assert not lives(tmp_path)


@pytest.fixture
def separate(tmp_path: Path, source: GitFolder) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Return a host in a process of its own, whether its memory can be read, and its hook."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "state"), str(source.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        dumpable, hook = process.stdout.readline().split()
        yield process, dumpable, hook
        process.kill()


def test_a_killed_host_takes_its_builds_with_it(
    separate: tuple[subprocess.Popen[str], str, str], source: GitFolder, tmp_path: Path
) -> None:
    """When the host is killed outright, the build and its daemons end too: nobody else would end them."""
    process, _, hook = separate
    later = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; touch {tmp_path}/later"
    change(source, "snapshot-2", {"build.sh": lingering(tmp_path) + later})
    requests.post(hook, params={"trigger_branch": "snapshot-2"}, timeout=20)
    until(tmp_path / "begun")
    process.kill()
    assert not lives(tmp_path)
    assert not lives(tmp_path, "later")


def test_the_memory_of_a_host_cannot_be_read(separate: tuple[subprocess.Popen[str], str, str]) -> None:
    """`publisher serve` is not dumpable, so a build of the same user reads neither its variables nor its token."""
    assert separate[1] == "0"


# -- what a confined build can reach ----------------------------------------------------------------------------------


@needs_bubblewrap
def test_a_confined_build_sees_its_own_folders_and_nothing_else(tmp_path: Path, source: GitFolder) -> None:
    """It writes its clone and its cache; the host's token, other files, other processes and the system stay apart."""
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "shared").write_text("shared")
    script = f"""
mkdir dist
cat {tmp_path}/secret {tmp_path}/state/token {Path.home()}/.bashrc /etc/shadow > dist/read.txt 2>/dev/null
cat {tmp_path}/shared > dist/shared.txt
echo kept > "$HOME/mark" && cat "$HOME/mark" > dist/home.txt
for place in {tmp_path} /usr /etc /opt; do touch "$place/written" 2>/dev/null; done
(echo x > {tmp_path}/shared) 2>/dev/null
touch /tmp/private && ls /proc | grep -c '^[0-9]' > dist/processes.txt
exec 3<> /dev/tcp/127.0.0.1/${{URL##*:}} && echo yes > dist/network.txt
"""
    change(source, "snapshot-2", {"build.sh": script})
    with visiting(tmp_path / "state", source, confine=True, readable=(tmp_path / "shared",)) as visitor:
        deploy = visitor.build("snapshot-2")
        assert deploy["state"] == "ready", deploy["error_message"]
        found = {
            name: visitor.visit(deploy["id"], f"/{name}.txt").text.strip()
            for name in ("read", "shared", "home", "processes", "network")
        }
    processes = int(found.pop("processes"))
    assert found == {"read": "", "shared": "shared", "home": "kept", "network": "yes"}
    assert processes < 8
    assert (tmp_path / "shared").read_text() == "shared"
    assert not any(Path(place, "written").exists() for place in (tmp_path, "/usr", "/etc", "/opt"))
    assert not Path("/tmp/private").exists()  # noqa: S108 - the build's own /tmp, not this one


@needs_bubblewrap
def test_a_confined_build_cannot_fill_the_memory_through_its_root_folder(tmp_path: Path, source: GitFolder) -> None:
    """What is not a disk is a file system in memory: those that it may write have a size, the others are read-only."""
    script = """
mkdir dist
for place in / /root /etc /dev; do touch "$place/written" 2>/dev/null && echo "$place" >> dist/wrote.txt; done
df --output=size -B1 /tmp /dev/shm | tail -2 > dist/sizes.txt
touch dist/wrote.txt
"""
    change(source, "snapshot-2", {"build.sh": script})
    with visiting(tmp_path / "state", source, confine=True) as visitor:
        deploy = visitor.build("snapshot-2")
        assert deploy["state"] == "ready", deploy["error_message"]
        assert visitor.visit(deploy["id"], "/wrote.txt").text == ""
        assert {int(size) for size in visitor.visit(deploy["id"], "/sizes.txt").text.split()} == {2 << 30}


@needs_bubblewrap
def test_a_confined_build_has_no_variable_in_an_argument_vector(tmp_path: Path, source: GitFolder) -> None:
    """Its variables, which name the hook, are what they are without confinement, and no process's arguments."""
    script = "mkdir dist; env -0 | sort -z > dist/env.txt; cat /proc/[0-9]*/cmdline > dist/arguments.txt"
    change(source, "snapshot-2", {"build.sh": script})
    with visiting(tmp_path / "state", source, confine=True, environment={"PASSWORD": "canary"}) as visitor:
        deploy = visitor.build("snapshot-2")
        seen = [visitor.visit(deploy["id"], f"/{name}.txt").text for name in ("env", "arguments")]
    assert "PASSWORD=canary" in seen[0]
    assert f"INCOMING_HOOK_URL={visitor.info.hook_url}" in seen[0]
    assert "build.sh" in seen[1]
    assert "canary" not in seen[1]
    assert "build_hooks" not in seen[1]


def test_a_build_cannot_write_to_the_objects_of_the_repository(visitor: Visitor, source: GitFolder) -> None:
    """The clone of a repository on this machine shares no file with it, so spoiling the clone spoils nothing else."""
    change(
        source,
        "snapshot-2",
        {"build.sh": "mkdir dist; find .git/objects -type f -printf '%n\\n' | sort -u > dist/links"},
    )
    deploy = visitor.build("snapshot-2")
    assert visitor.visit(deploy["id"], "/links").text == "1\n"


@needs_bubblewrap
def test_a_confined_build_can_be_cancelled(tmp_path: Path, source: GitFolder) -> None:
    """Cancelling ends everything behind the walls as well."""
    waits = 'touch "$HOME/begun"; while [ ! -e "$HOME/go" ]; do setsid sleep 0.05; done; touch "$HOME/late"'
    change(source, "snapshot-2", {"build.sh": f"({waits}) & sleep 60"})
    with visiting(tmp_path / "state", source, confine=True) as visitor:
        visitor.hook("snapshot-2")
        home = next(iter((tmp_path / "state" / "home").glob("*")), None)
        while home is None or not (home / "begun").exists():
            time.sleep(0.02)
            home = next(iter((tmp_path / "state" / "home").glob("*")), None)
        visitor.api("POST", f"/deploys/{visitor.deploys()[0]['id']}/cancel")
        assert not lives(home)
        assert visitor.build("snapshot-1")["state"] == "ready"


def test_serve_says_what_a_build_may_do(tmp_path: Path, source: GitFolder) -> None:
    """`--help` and the first line on stderr say it; `--confine` where it cannot work is a usage error."""
    program = Path(sys.executable).with_name("publisher")
    command = [str(program), "--repo", str(source.path), "serve", "--site", "bench", "--port", "0"]
    command += ["--state", str(tmp_path / "state")]
    said = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Without bubblewrap it can do whatever you can" in " ".join(said.split())
    with subprocess.Popen([*command, "--no-confine"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "builds run as you, unconfined (as --no-confine says)" in process.stderr.readline()
        process.terminate()
    (tmp_path / "bin").mkdir()
    for name in ("git", "env"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [*command, "--confine"], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path / "bin")}
    )
    assert done.returncode == 2
    assert "apt-get install bubblewrap" in done.stderr
