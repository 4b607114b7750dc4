"""What a demo is played on: a folder with a repository, a bare one that both machines meet in, and the local host."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PUBLISHER = Path(sys.executable).with_name("publisher")


def say(text: str) -> None:
    """Print a line at once, before what a child process prints."""
    print(text, flush=True)


@dataclass(frozen=True)
class Stage:
    """The folder of a demo, and the name of its site."""

    folder: Path
    site: str

    @property
    def work(self) -> Path:
        """The repository that is published."""
        return self.folder / "repository"

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        """Run git with an identity of the demo's own and return what it prints."""
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", "-c", "init.defaultBranch=main"]
        command = ["git", "-C", str(folder or self.work), *identity, *arguments]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def make_repository(self) -> None:
        """Make the repository that is published and the bare one that both machines meet in."""
        self.folder.mkdir(exist_ok=True)
        origin = self.folder / "origin.git"
        self.git("init", "--quiet", "--bare", str(origin), folder=self.folder)
        self.git("init", "--quiet", str(self.work), folder=self.folder)
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@example.invalid")
        self.git("remote", "add", "origin", str(origin))
        command = [PUBLISHER, "--repo", self.work, "init", "--site", self.site]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def commit(self, subject: str) -> None:
        """Commit everything and push it."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", subject)
        self.git("push", "--quiet", "origin", "HEAD:main")

    def publish(self, environment: dict[str, str]) -> int:
        """Publish the newest commit and return the exit code."""
        return subprocess.run([PUBLISHER, "--repo", self.work, "publish"], env=environment, check=False).returncode

    def log(self, environment: dict[str, str]) -> None:
        """Print the table of all runs."""
        say("")
        subprocess.run([PUBLISHER, "--repo", self.work, "log"], env=environment, check=True)

    def start_host(self, port: int) -> subprocess.Popen[bytes]:
        """Start `publisher serve`; the builds install a wheel of this checkout instead of a release."""
        if _is_taken(port):
            say(f"port {port} of 127.0.0.1 is taken: the site gets another one")
            port = 0
        wheel = self._wheel()
        command = [PUBLISHER, "--repo", self.work, "serve", "--site", self.site, "--port", str(port)]
        command += ["--state", self.folder / "host", "--env", f"PUBLISHER_REQUIREMENT={wheel}"]
        with (self.folder / "host.log").open("wb") as log:
            return subprocess.Popen([*command, "--readable", wheel.parent], stdout=log, stderr=subprocess.STDOUT)

    def _wheel(self) -> Path:
        """Build the wheel that the site's builds install: the core only, as on Netlify."""
        wheels = self.folder / "wheels"
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, ROOT]
        subprocess.run(command, check=True)
        return next(wheels.glob("*.whl"))

    def connection(self, host: subprocess.Popen[bytes]) -> dict[str, str]:
        """Wait for the host and return the variables that point the publisher to it."""
        path = self.folder / "host" / "connection.json"
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
        log = (self.folder / "host.log").read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"the host did not start:\n{log}")

    def stay(self, host: subprocess.Popen[bytes]) -> None:
        """Leave the host running until Ctrl-C, and say where to look."""
        info = json.loads((self.folder / "host" / "connection.json").read_text(encoding="utf-8"))
        say(f"\nopen {info['site_url']}   (Ctrl-C stops the host)")
        say(f"the repository is in {self.work}:  git -C {self.work} log --oneline --graph --all")
        try:
            host.wait()
        except KeyboardInterrupt:
            say("")


def _is_taken(port: int) -> bool:
    """Return whether something listens on a port of this machine, such as a notebook on 8888."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def stop(host: subprocess.Popen[bytes]) -> None:
    """End the host that we started."""
    if host.poll() is None:
        host.send_signal(signal.SIGINT)
        host.wait(timeout=30)
