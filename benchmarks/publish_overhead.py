"""What publishing costs beside inference and rendering, as the history grows, and what a rollback costs.

    python benchmarks/publish_overhead.py [--runs 10,1000,10000] [--repeat 5] [--json OUT]

Every run is the whole command in a new process, with a run that was measured before and a build that takes no time.
The figure is the processor time of that process and everything it started (git here and on the remote, not the host's
build), so that other work on the machine and waiting do not count; wall-clock time stands beside it. The peer is a
shell script that does the naive thing: a `git notes` entry, a push, `curl` on the build hook, and waiting for the
deploy. It looks at nothing before or after, keeps no snapshot, checks no file and moves no live site.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from long_history import SITE, Project, make

from publisher.host import HostInfo, HostOptions, running

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTED = Path(__file__).with_name("counted.py")
PEER = """set -e
git notes --ref=bench add -F "$RECORD" HEAD
git push --quiet origin refs/notes/bench "HEAD:refs/heads/$BRANCH"
curl --silent --fail --request POST --data '{}' "$NETLIFY_BUILD_HOOK?trigger_branch=$BRANCH"
until curl --silent --fail --output /dev/null "http://$BRANCH--demo.localhost:${NETLIFY_API_URL##*:}/snapshot.json"; do
  sleep 0.2
done
"""
CLEAN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
IDENTITY = {f"GIT_{role}_{part}": "p@x.invalid" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Cost:
    """What one command cost: seconds of processor time, with all that it started, and seconds on the clock."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Counts:
    """How many git processes and HTTP requests a command starts by itself."""

    git: int
    http: int


def timed(command: list[str], environment: dict[str, str], folder: Path) -> Cost:
    """Run a command that has to succeed and return what it cost."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=output)
        # Of this child alone: the host in this process starts builds meanwhile, which are no cost of publishing.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{command}\n{output.read().decode(errors='replace')}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - began)


class Bench:
    """One project with its host running."""

    def __init__(self, project: Project, info: HostInfo, scratch: Path) -> None:
        self.project = project
        self.scratch = scratch
        # As pip installs it: compiled once. The first command, which is not counted, compiles an editable install.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {
            **inherited,
            **CLEAN,
            **IDENTITY,
            "NETLIFY_API_URL": info.api_url,
            "NETLIFY_AUTH_TOKEN": info.token,
            "NETLIFY_BUILD_HOOK": info.hook_url,
            "RECORD": str(scratch / "record.json"),
        }

    def publish(self, number: int) -> Cost:
        """Publish a commit that was measured before."""
        self.project.pending(number)
        return self._run("publish")

    def peer(self, number: int) -> Cost:
        """Do the naive thing for one more commit."""
        self.project.folder.commit({"number.txt": f"peer {number}"})
        return timed(["bash", "-c", PEER], self.environment | {"BRANCH": f"peer-{number}"}, self.project.folder.path)

    def roll_back(self, number: int) -> Cost:
        """Go back to another old snapshot."""
        return self._run("rollback", self.project.snapshots[number], "--why", "a benchmark")

    def counted(self, *arguments: str) -> Counts:
        """Run `publisher` once more and return how many processes and requests it made."""
        report = self.scratch / "counts.json"
        command = [sys.executable, str(COUNTED), str(report), "--repo", str(self.project.folder.path), *arguments]
        timed(command, self.environment, self.scratch)
        return Counts(**json.loads(report.read_text("utf-8")))

    def _run(self, *arguments: str) -> Cost:
        program = str(Path(sys.executable).with_name("publisher"))
        return timed([program, "--repo", str(self.project.folder.path), *arguments], self.environment, self.scratch)


def import_notes(project: Project, runs: int) -> None:
    """Give the peer as many notes as the ledger has runs."""
    shas = project.folder.git("rev-list", f"--max-count={runs}", "ledger").split()
    body = b"data 2\n{}\n"
    lines = [b"commit refs/notes/bench\ncommitter p <p@x.invalid> 1700000000 +0000\n" + body]
    lines += [f"N inline {sha}\n".encode() + body for sha in shas]
    subprocess.run(["git", "-C", str(project.folder.path), "fast-import", "--quiet"], input=b"".join(lines), check=True)


@dataclass(frozen=True)
class Row:
    """The medians for one length of history."""

    runs: int
    publish: Cost
    publish_counts: Counts
    peer: Cost
    rollback: Cost
    rollback_counts: Counts


def median(costs: list[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(statistics.median(cost.cpu for cost in costs), statistics.median(cost.wall for cost in costs))


def measure(runs: int, repeat: int) -> Row:
    """Return the medians for a history of `runs` published runs."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        path = Path(name)
        project = make(path, runs)
        import_notes(project, runs)
        (path / "record.json").write_text("{}\n" * 400, "utf-8")
        options = HostOptions(state=project.host, site=SITE, repository=str(project.origin), port=0)
        with running(options) as info:
            bench = Bench(project, info, path)
            bench.publish(0)
            # In turns, so that whatever else the machine does falls on both.
            pairs = [(bench.publish(number), bench.peer(number)) for number in range(1, repeat + 1)]
            project.pending(repeat + 1)
            publish_counts = bench.counted("publish")
            rollbacks = [bench.roll_back(number) for number in range(min(repeat, runs - 1))]
            rollback_counts = bench.counted("rollback", project.snapshots[runs - 1], "--why", "a benchmark")
    publish, peer = ([pair[side] for pair in pairs] for side in (0, 1))
    return Row(runs, median(publish), publish_counts, median(peer), median(rollbacks), rollback_counts)


HEADINGS: dict[str, Callable[[Row], str]] = {
    "runs": lambda row: f"{row.runs:,}",
    "publish, CPU s": lambda row: f"{row.publish.cpu:.2f}",
    "wall s": lambda row: f"{row.publish.wall:.2f}",
    "git": lambda row: str(row.publish_counts.git),
    "HTTP": lambda row: str(row.publish_counts.http),
    "rollback, CPU s": lambda row: f"{row.rollback.cpu:.2f}",
    "wall s ": lambda row: f"{row.rollback.wall:.2f}",
    "git ": lambda row: str(row.rollback_counts.git),
    "HTTP ": lambda row: str(row.rollback_counts.http),
    "peer, CPU s": lambda row: f"{row.peer.cpu:.2f}",
    "wall s  ": lambda row: f"{row.peer.wall:.2f}",
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="10,1000,10000")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print("| " + " | ".join(heading.strip() for heading in HEADINGS) + " |\n" + "| --- " * len(HEADINGS) + "|")
    rows = []
    for runs in map(int, options.runs.split(",")):
        rows.append(measure(runs, options.repeat))
        print("| " + " | ".join(shown(rows[-1]) for shown in HEADINGS.values()) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2), "utf-8")


if __name__ == "__main__":
    main()
