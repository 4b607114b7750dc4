"""Somebody who does not believe the publisher: reads git with git and the host's log of effects, and complains.

Nothing of the product is imported here.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from publisher.host import HostInfo


@dataclass
class Oracle:
    """The remote repository and the host, looked at from outside; `before` is the ledger at the last look."""

    origin: Path
    info: HostInfo
    before: dict[str, str] = field(default_factory=dict)
    head: str = ""

    def git(self, *arguments: str) -> str:
        """Run git on the remote."""
        done = subprocess.run(
            ["git", "--git-dir", str(self.origin), *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def effects(self) -> list[dict[str, Any]]:
        """Return everything that the host did."""
        found: list[dict[str, Any]] = self._ask("/__host__/effects")
        return found

    def _ask(self, path: str, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {self.info.token}"}
        answer = requests.get(self.info.api_url + path, headers=headers, params=query, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def state(self) -> tuple[str, int]:
        """Return what a command that has nothing to do must not change: all refs, and the number of effects."""
        return self.git("for-each-ref"), len(self.effects())

    def check(self, expected: dict[str, str], live: str | None, *, maybe: Collection[str] = ()) -> None:
        """Assert that each commit in `expected` has its verdict and what follows from it, and that `live` is shown.

        The commits in `maybe` crashed: they may be in any state, but have at most one run and one deploy.
        """
        runs = self._ledger()
        branches = {commit: self._check_run(commit, word, runs) for commit, word in expected.items()}
        assert set(runs) - set(maybe) == set(expected), f"the ledger has runs of {set(runs) ^ set(expected)}"
        assert all(len(found) == 1 for found in runs.values()), "a commit has two runs"
        self._check_host({branch for branch in branches.values() if branch}, {f"snapshot-{sha[:12]}" for sha in maybe})
        if live:
            self._check_live(live, runs)

    def _ledger(self) -> dict[str, list[dict[str, Any]]]:
        """Return {benchmarked commit: its runs, each as {file name: its JSON}}; nothing may have gone or changed."""
        head = self.git("rev-parse", "refs/heads/ledger")
        listing = [entry.split("\t") for entry in self.git("ls-tree", "-r", head).splitlines()]
        tree = {path: meta.split(" ")[2] for meta, path in listing}
        if self.head:
            self.git("merge-base", "--is-ancestor", self.head, head)
        gone = {path for path, blob in self.before.items() if tree.get(path) != blob}
        assert not gone, f"the ledger lost or changed {sorted(gone)}"
        self.before, self.head = tree, head
        folders: dict[str, dict[str, Any]] = {}
        for path, blob in tree.items():
            if path.startswith("runs/"):
                _, run_id, name = path.split("/")
                folders.setdefault(run_id, {"run_id": run_id})[name] = blob
        for run in folders.values():
            self._read(run)
        runs: dict[str, list[dict[str, Any]]] = {}
        for run in folders.values():
            runs.setdefault(run["summary.json"]["commit"], []).append(run)
        return runs

    def _read(self, run: dict[str, Any]) -> None:
        """Replace the blob hashes of a run's small files by their contents."""
        assert {"record.json", "verdict.json", "summary.json", "samples.jsonl.gz"} <= set(run), run
        for name, blob in run.items():
            if name.endswith(".json") and name != "record.json":
                run[name] = json.loads(self.git("cat-file", "blob", blob))

    def _check_run(self, commit: str, word: str, runs: dict[str, list[dict[str, Any]]]) -> str:
        """Check what the ledger and git have of one commit; return its snapshot branch, empty where it has none."""
        assert len(runs.get(commit, [])) == 1, f"{commit} has {len(runs.get(commit, []))} runs"
        run = runs[commit][0]
        assert run["verdict.json"]["verdict"] == word, run["verdict.json"]
        branch = f"snapshot-{commit[:12]}"
        found = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}*").split()
        steps = [name for name in run if name.startswith(("snapshot", "request", "receipt"))]
        if word != "kept":
            assert (found, steps) == ([], []), f"{commit} was rejected and still has {found} {steps}"
            return ""
        assert found == [run["snapshot.json"]["commit"]], f"{branch} is {found}"
        assert self.git("rev-parse", f"{branch}^") == commit
        changed = self.git("diff", "--name-only", commit, branch).splitlines()
        assert {path.split("/")[0] for path in changed} == {"ledger"}
        assert [name for name in steps if name.startswith("receipt")] == ["receipt-1.json"], steps
        receipt = run["receipt-1.json"]
        assert (receipt["commit"], receipt["snapshot"]) == (found[0], branch)
        return branch

    def _check_host(self, kept: set[str], maybe: set[str]) -> None:
        """Check that the host was asked for, and made, one deploy of each kept snapshot, and of nothing else."""
        effects = self.effects()
        ready = Counter(effect["branch"] for effect in effects if effect["effect"] == "deploy ready")
        asked = Counter(effect["branch"] for effect in effects if effect["effect"] == "hook accepted")
        for what, found in (("ready deploys", ready), ("calls of the hook", asked)):
            sure = Counter({branch: count for branch, count in found.items() if branch not in maybe})
            assert sure == Counter(kept), f"{what}: {dict(sure)}; kept: {sorted(kept)}"
            assert max(found.values(), default=0) <= 1, f"{what}: {dict(found)}"
        for effect in effects:
            assert effect["effect"] not in {"deploy error", "deleted", "cut"}, effect

    def _check_live(self, live: str, runs: dict[str, list[dict[str, Any]]]) -> None:
        """Check that git, the host and the ledger all say that the snapshot of commit `live` is live."""
        receipt = runs[live][0]["receipt-1.json"]
        assert self.git("rev-parse", "refs/heads/live") == receipt["commit"]
        shown = self._ask(f"/api/v1/sites/{self.info.site_name}")["published_deploy"]
        assert shown["id"] == receipt["deploy_id"], f"the site shows {shown['branch']}, not {receipt['snapshot']}"
        moves = sorted(path for path in self.before if path.startswith("live/"))
        last = json.loads(self.git("cat-file", "blob", self.before[moves[-1]]))
        assert last["commit"] == receipt["commit"], f"the last recorded move is to {last['snapshot']}"

    def newest(self) -> str:
        """Return the published commit whose run came into the ledger last: the ledger's own order, not its names."""
        listing = self.git("log", "--reverse", "--diff-filter=A", "--name-only", "--format=", "refs/heads/ledger")
        entered = [path.split("/")[1] for path in listing.splitlines() if path.endswith("/verdict.json")]
        commits = {run_id: commit for commit, run_id in self.published().items()}
        return [commits[run_id] for run_id in entered if run_id in commits][-1]

    def published(self) -> dict[str, str]:
        """Return {commit: run id} of the runs that have a receipt."""
        runs = [(commit, run) for commit, found in self._ledger().items() for run in found]
        return {commit: run["run_id"] for commit, run in runs if "receipt-1.json" in run}
