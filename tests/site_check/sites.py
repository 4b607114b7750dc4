"""The sites that are checked, served by our own host: the demo's, and one after 1,000 runs."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from publisher.render import build
from tests.beside import add_lessons, add_report
from tests.shelved import add_outlines
from tests.trees import BRANCH, snapshot_tree, source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
DEMO = ROOT / ".demo"
SITE = "abacus-demo"
RUNS = 1_000


@dataclass(frozen=True, slots=True)
class Host:
    """A running host: its API, the token for it, and the address of its site."""

    api: str
    token: str
    site: str

    def upload(self, branch: str, files: Mapping[str, bytes]) -> str:
        """Deploy files under a branch's name, as Netlify's command line does, and return their address."""
        digests = {f"/{name}": hashlib.sha1(data, usedforsecurity=False).hexdigest() for name, data in files.items()}
        headers = {"Authorization": f"Bearer {self.token}"}
        deploys = f"{self.api}/api/v1/sites/{SITE}/deploys"
        deploy = requests.post(deploys, json={"files": digests, "branch": branch}, headers=headers, timeout=60).json()
        wanted = set(deploy["required"])
        for name, data in files.items():
            if digests[f"/{name}"] in wanted:
                there = f"{self.api}/api/v1/deploys/{deploy['id']}/files/{name}"
                requests.put(there, data=data, headers=headers, timeout=60).raise_for_status()
        return self.site.replace("://", f"://{branch}--") + "/"


def make_demo(port: int) -> None:
    """Publish the demo's repository commit by commit: bench, gate, ledger, build hook, build, deploy."""
    command = [sys.executable, str(ROOT / "demo" / "demo.py"), "--no-serve", "--port", str(port)]
    subprocess.run(command, check=True, timeout=3600)


@contextmanager
def serving(port: int) -> Iterator[Host]:
    """Serve what the demo published, at the addresses that its pages name."""
    state = DEMO / "host"
    publisher = Path(sys.executable).with_name("publisher")
    command = [str(publisher), "--repo", str(DEMO / "repository"), "serve", "--site", SITE, "--port", str(port)]
    (state / "connection.json").unlink(missing_ok=True)
    with (DEMO / "check.log").open("wb") as log:
        process = subprocess.Popen([*command, "--state", str(state)], stdout=log, stderr=log, env=dict(os.environ))
    try:
        yield _connection(state / "connection.json", process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _connection(path: Path, process: subprocess.Popen[bytes]) -> Host:
    for _ in range(600):
        if path.exists():
            info = json.loads(path.read_text("utf-8"))
            return Host(info["api_url"], info["token"], info["site_url"].rstrip("/"))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the host did not start: {(DEMO / 'check.log').read_text('utf-8', 'replace')}")


def long_history(folder: Path, address: str) -> dict[str, bytes]:
    """Return the site of a snapshot after 1,000 runs, with its report and what a rejected run teaches."""
    return build(
        source(add_outlines(add_lessons(add_report(snapshot_tree(folder, runs=RUNS)))), address=address, branch=BRANCH)
    )
