"""The whole chain on a machine without a network: `python -m tests.offline FOLDER` in a namespace that has no route.

A commit is measured by llama.cpp, decided on, published to `publisher serve`, built, verified, and opened in Chromium.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chromium import chromium
from tests.project import PUBLISHER, QUICK, SITE, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = ("192.0.2.1", 443)


def main(folder: Path) -> None:
    """Publish a commit and open its page; print what was seen as JSON."""
    project = Project.create(folder)
    project.folder.commit({"netlify.toml": QUICK}, "Answer in steps")
    with _serving(project, folder / "host") as info:
        project.environment = {
            "NETLIFY_API_URL": info["api_url"],
            "NETLIFY_AUTH_TOKEN": info["token"],
            "NETLIFY_BUILD_HOOK": info["hook_url"],
        }
        done = project.run("publish")
        with chromium() as browser:
            browser.open(info["site_url"], width=1280)
            seen = {
                "route": _reachable(),
                "code": done.code,
                "said": done.err,
                "subject": browser.value("document.querySelector('.subject').textContent"),
                "score": browser.value("document.querySelector('.score b').textContent"),
                "complaints": browser.complaints,
            }
    print(json.dumps(seen))  # noqa: T201 - what the test reads


def _reachable() -> bool:
    """Return whether anything but this machine can be reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return False
    return True


@contextmanager
def _serving(project: Project, state: Path) -> Iterator[dict[str, Any]]:
    """Run `publisher serve` for the project's site, whose builds use the publisher that is installed here."""
    command = [str(PUBLISHER), "--repo", str(project.folder.path), "serve", "--site", SITE, "--port", "0"]
    command += ["--state", str(state), "--no-confine", "--env", f"PATH={PUBLISHER.parent}:{os.environ['PATH']}"]
    with (state.parent / "host.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not (state / "connection.json").exists():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit((state.parent / "host.log").read_text("utf-8"))
            time.sleep(0.1)
        yield json.loads((state / "connection.json").read_text("utf-8"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
