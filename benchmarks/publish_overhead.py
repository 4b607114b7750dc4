"""How long publishing takes beside inference and rendering, as the history grows, and how long a rollback takes.

    python benchmarks/publish_overhead.py [--runs 10,1000,10000] [--repeat 5] [--json OUT]

Every run is the whole command in a new process, with a run that was measured before and a build that takes no time; the
peer is a shell script that does the naive thing: a `git notes` entry, a push, `curl` on the build hook, and waiting for
the deploy. It looks at nothing before or after, keeps no snapshot, checks no file and moves no live site.
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
from pathlib import Path
from typing import Any

import git
from long_history import SITE, Project, make

from publisher import cli
from publisher.host import HostInfo, HostOptions, running
from publisher.web import Web

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


def count(report: Path, arguments: list[str]) -> None:
    """Run the command line and write down how many git processes and HTTP requests it made; never returns."""
    counts = {"git": 0, "http": 0}
    execute, request = git.Git.execute, Web.request

    def counted_execute(*given: Any, **options: Any) -> Any:
        counts["git"] += 1
        return execute(*given, **options)

    def counted_request(*given: Any, **options: Any) -> Any:
        counts["http"] += 1
        return request(*given, **options)

    git.Git.execute = counted_execute  # type: ignore[method-assign]
    Web.request = counted_request  # type: ignore[method-assign]
    sys.argv = ["publisher", *arguments]
    try:
        cli.main()
    finally:
        report.write_text(json.dumps(counts), "utf-8")


def timed(command: list[str], environment: dict[str, str], folder: Path) -> float:
    """Run a command that has to succeed and return its seconds."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}{done.stderr}")
    return seconds


class Bench:
    """One project with its host running."""

    def __init__(self, project: Project, info: HostInfo, scratch: Path) -> None:
        self.project = project
        self.scratch = scratch
        self.counts: dict[str, int] = {}
        self.environment = {
            **os.environ,
            **CLEAN,
            **IDENTITY,
            "NETLIFY_API_URL": info.api_url,
            "NETLIFY_AUTH_TOKEN": info.token,
            "NETLIFY_BUILD_HOOK": info.hook_url,
            "RECORD": str(scratch / "record.json"),
        }

    def command(self, *arguments: str) -> float:
        """Run `publisher` and return its seconds; its counts are kept."""
        report = self.scratch / "counts.json"
        program = [sys.executable, __file__, "--count", str(report), "--repo", str(self.project.folder.path)]
        seconds = timed([*program, *arguments], self.environment, self.scratch)
        self.counts = json.loads(report.read_text("utf-8"))
        return seconds

    def publish(self, number: int) -> float:
        """Publish a commit that was measured before."""
        self.project.pending(number)
        return self.command("publish")

    def peer(self, number: int) -> float:
        """Do the naive thing for one more commit."""
        self.project.folder.commit({"number.txt": f"peer {number}"})
        return timed(["bash", "-c", PEER], self.environment | {"BRANCH": f"peer-{number}"}, self.project.folder.path)

    def roll_back(self, number: int) -> float:
        """Go back to another old snapshot."""
        return self.command("rollback", self.project.snapshots[number])


def import_notes(project: Project, runs: int) -> None:
    """Give the peer as many notes as the ledger has runs."""
    shas = project.folder.git("rev-list", f"--max-count={runs}", "ledger").split()
    body = b"data 2\n{}\n"
    lines = [b"commit refs/notes/bench\ncommitter p <p@x.invalid> 1700000000 +0000\n" + body]
    lines += [f"N inline {sha}\n".encode() + body for sha in shas]
    subprocess.run(["git", "-C", str(project.folder.path), "fast-import", "--quiet"], input=b"".join(lines), check=True)


def measure(runs: int, repeat: int) -> dict[str, Any]:
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
            found: dict[str, Any] = {"runs": runs}
            # In turns, so that whatever else the machine does falls on both.
            pairs = [(bench.publish(number), bench.peer(number)) for number in range(1, repeat + 1)]
            bench.publish(repeat + 1)
            found |= {
                "publish": statistics.median(own for own, _ in pairs),
                "peer": statistics.median(peer for _, peer in pairs),
                **bench.counts,
            }
            found["rollback"] = statistics.median([bench.roll_back(number) for number in range(min(repeat, runs - 1))])
            found |= {f"rollback_{what}": number for what, number in bench.counts.items()}
    return found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="10,1000,10000")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(
        "| runs | publish, s | to the first | git processes | HTTP requests | peer, s | to the peer | rollback, s "
        "| git | HTTP |\n" + "| --- " * 10 + "|"
    )
    rows: list[dict[str, Any]] = []
    for runs in map(int, options.runs.split(",")):
        row = measure(runs, options.repeat)
        rows.append(row)
        print(
            f"| {runs:,} | {row['publish']:.2f} | {row['publish'] / rows[0]['publish']:.2f} | {row['git']} | "
            f"{row['http']} | {row['peer']:.2f} | {row['publish'] / row['peer']:.1f} | {row['rollback']:.2f} | "
            f"{row['rollback_git']} | {row['rollback_http']} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), "utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--count"]:
        count(Path(sys.argv[2]), sys.argv[3:])
    main()
