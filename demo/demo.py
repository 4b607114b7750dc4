"""The demo: a real repository, published commit by commit to a Netlify-compatible host on this machine.

Everything goes through the `publisher` command, as a user or a GitHub Action would call it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from commits import COMMITS, write_commit

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".demo"
WORK = FOLDER / "repository"
PUBLISHER = Path(sys.executable).with_name("publisher")
SITE = "abacus-demo"


def main() -> int:
    """Run the demo and return its exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--no-serve", action="store_true", help="end after the table")
    arguments.add_argument("--port", type=int, default=8888)
    options = arguments.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    make_repository()
    host = start_host(build_wheel(), options.port)
    try:
        environment = {**os.environ, **connection(host)}
        for number, commit in enumerate(COMMITS, 1):
            say(f"\n[{number}/{len(COMMITS)}] {commit.subject}")
            write_commit(commit, WORK, SITE, git)
            code = subprocess.run([PUBLISHER, "--repo", WORK, "publish"], env=environment, check=False).returncode
            if code not in {0, 1}:
                say(f"publisher publish ended with exit code {code}")
                return code
        print()
        sys.stdout.flush()
        subprocess.run([PUBLISHER, "--repo", WORK, "log"], env=environment, check=True)
        if not options.no_serve:
            stay(host)
    finally:
        stop(host)
    return 0


def say(text: str) -> None:
    """Print a line at once, before what a child process prints."""
    print(text, flush=True)


def git(*arguments: str, folder: Path = WORK) -> str:
    """Run git with an identity of the demo's own and return what it prints."""
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", "-c", "init.defaultBranch=main"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def make_repository() -> None:
    """Make the repository that is published and the bare one that both machines meet in."""
    FOLDER.mkdir()
    origin = FOLDER / "origin.git"
    git("init", "--quiet", "--bare", str(origin), folder=FOLDER)
    git("init", "--quiet", str(WORK), folder=FOLDER)
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.invalid")
    git("remote", "add", "origin", str(origin))
    subprocess.run([PUBLISHER, "--repo", WORK, "init", "--site", SITE], check=True, stdout=subprocess.DEVNULL)


def build_wheel() -> Path:
    """Build the wheel that the site's builds install: the core only, as on Netlify."""
    wheels = FOLDER / "wheels"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, ROOT]
    subprocess.run(command, check=True)
    return next(wheels.glob("*.whl"))


def start_host(wheel: Path, port: int) -> subprocess.Popen[bytes]:
    """Start `publisher serve`; the builds install the wheel instead of a release."""
    command = [
        PUBLISHER,
        "--repo",
        WORK,
        "serve",
        "--site",
        SITE,
        "--port",
        str(port),
        "--state",
        FOLDER / "host",
        "--env",
        f"PUBLISHER_REQUIREMENT={wheel}",
        "--readable",
        wheel.parent,
    ]
    with (FOLDER / "host.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def connection(host: subprocess.Popen[bytes]) -> dict[str, str]:
    """Wait for the host and return the variables that point the publisher to it."""
    path = FOLDER / "host" / "connection.json"
    for _ in range(300):
        if path.exists():
            info = json.loads(path.read_text(encoding="utf-8"))
            return {
                "NETLIFY_API_URL": info["api_url"],
                "NETLIFY_AUTH_TOKEN": info["token"],
                "NETLIFY_BUILD_HOOK": info["hook_url"],
            }
        if host.poll() is not None:
            break
        time.sleep(0.1)
    log = (FOLDER / "host.log").read_text(encoding="utf-8", errors="replace")
    raise SystemExit(f"the host did not start:\n{log}\nhint: make demo SERVE=0 after freeing the port")


def stay(host: subprocess.Popen[bytes]) -> None:
    """Leave the host running until Ctrl-C, and say where to look."""
    info = json.loads((FOLDER / "host" / "connection.json").read_text(encoding="utf-8"))
    say(f"\nopen {info['site_url']}   (Ctrl-C stops the host)")
    say(f"the repository is in {WORK}:  git -C {WORK} log --oneline --graph --all")
    try:
        host.wait()
    except KeyboardInterrupt:
        say("")


def stop(host: subprocess.Popen[bytes]) -> None:
    """End the host that we started."""
    if host.poll() is None:
        host.send_signal(signal.SIGINT)
        host.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
