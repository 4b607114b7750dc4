"""Things that tests make: git repositories, records and lines of history."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from publisher import schema
from publisher.files import canonical_json
from publisher.git import Repository

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SAMPLE = schema.Sample(
    suite="s",
    problem="p-1",
    sample=0,
    seed=7,
    outcome="right",
    answer="42",
    finish="stop",
    prompt_tokens=9,
    tokens=5,
    latency=0.25,
    text="so \u2028 \\boxed{42}\r\n",
)
RECEIPT = schema.Receipt(
    run_id="20261120T201133Z-0123456789ab-full",
    snapshot="snapshot-0123456789ab",
    commit="a" * 40,
    deploy_id="d" * 24,
    permalink="https://x.netlify.app",
    address="https://snapshot-0123456789ab--a-site-with-a-long-name-on-netlify.netlify.app",
    manifest_sha256="e" * 64,
    files=3,
    via="api",
    requested="2026-11-20T20:11:33Z",
    ready="2026-11-20T20:11:33Z",
    verified="2026-11-20T20:11:33Z",
)


@dataclass(frozen=True)
class GitFolder:
    """A real git repository, driven by the git command with an identity of its own."""

    path: Path

    @classmethod
    def create(cls, path: Path, *, bare: bool = False) -> GitFolder:
        """Make a repository whose branch is `main`."""
        path.mkdir(parents=True)
        folder = cls(path)
        folder.git("init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))
        return folder

    def git(self, *arguments: str) -> str:
        """Run git here and return what it printed."""
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-C", str(self.path), *identity, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes], message: str = "Change") -> str:
        """Write files, commit them and return the commit."""
        for name, data in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data.encode() if isinstance(data, str) else data)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def with_remote(self, path: Path) -> GitFolder:
        """Make a bare repository, call it `origin`, push `main` to it and return it."""
        bare = GitFolder.create(path, bare=True)
        self.git("remote", "add", "origin", str(path))
        self.git("push", "--quiet", "origin", "main")
        return bare

    @property
    def opened(self) -> Repository:
        """The repository as the product opens it."""
        return Repository(self.path)


def line(run_id: str, score: float, verdict: str = "kept", **more: Any) -> schema.HistoryLine:
    """Return a line of history with one suite `s` of 400 problems."""
    value = {
        "run_id": run_id,
        "commit": COMMIT,
        "subject": "Change",
        "tier": "full",
        "started": "2026-11-20T20:11:33Z",
        "verdict": verdict,
        "fingerprint": "f" * 64,
        "scores": {
            "s": {
                "score": score,
                "low": score - 4,
                "high": score + 4,
                "stderr": 2.0,
                "n": 400,
                "k": 1,
                "suite": "d" * 64,
            }
        },
        **more,
    }
    return msgspec.convert(value, schema.HistoryLine)


def record(
    commit: str = COMMIT, *, started: str = "20261120T201133Z", right: int = 30, tier: str = "full"
) -> schema.Record:
    """Return a record of one suite `s` of 40 problems, `right` of them answered rightly."""
    interval = {"low": 100 * right / 40 - 12, "high": 100 * right / 40 + 12}
    value = {
        "run_id": f"{started}-{commit[:12]}-{tier}",
        "tier": tier,
        "commit": {
            "sha": commit,
            "subject": "Change",
            "author": "Test",
            "time": "2026-11-20T20:00:00Z",
            "dirty": False,
        },
        "model": {
            "name": "m",
            "source": "builtin:abacus",
            "sha256": "a" * 64,
            "size": 2_000_000,
            "architecture": "llama",
            "parameters": 1_900_000,
            "quantization": "Q8_0",
            "context_trained": 1024,
            "chat_template_sha256": "b" * 64,
        },
        "prompt": {"system": "", "template": "{problem}", "sha256": "c" * 64},
        "sampling_given": {"temperature": 0.0},
        "sampling": {},
        "suites": [
            {
                "name": "s",
                "source": "s.jsonl",
                "sha256": "d" * 64,
                "problems": 40,
                "samples": 1,
                "grader": "math",
                "grader_version": "1",
                "public": True,
            }
        ],
        "engine": {
            "name": "llama.cpp",
            "version": "0.3.36",
            "build": "0c1e570",
            "backend": "CPU",
            "devices": ["CPU"],
            "gpu_layers_wanted": "all",
            "gpu_layers_offloaded": 0,
            "layers": 3,
            "mode": "reproducible",
            "context": 1024,
            "slots": 8,
            "threads": 1,
            "batch": 512,
            "system_info": "AVX2",
        },
        "machine": {
            "cpu": "CPU",
            "cores": 2,
            "gpu": "",
            "memory": 1 << 34,
            "system": "Linux",
            "python": "3.11",
            "publisher": "0.1.0",
        },
        "versions": {},
        "salt": "",
        "generation": "e" * 64,
        "fingerprint": "f" * 64,
        "config_sha256": "0" * 64,
        "samples_sha256": "1" * 64,
        "started": "2026-11-20T20:11:33Z",
        "finished": "2026-11-20T20:12:33Z",
        "duration": 60.0,
        "results": [
            {
                "suite": "s",
                "score": 100 * right / 40,
                "stderr": 6.0,
                "interval": interval,
                "direction": "higher",
                "pass_at": {"1": 100 * right / 40},
                "kinds": {},
                "counts": {"right": right, "wrong": 40 - right},
                "right_by_problem": {str(n): int(n < right) for n in range(40)},
                "prompt_tokens": 900,
                "tokens": 800,
                "latency": {"p50": 0.1, "p90": 0.2, "p99": 0.3},
                "tokens_per_second": 900.0,
            }
        ],
    }
    return msgspec.json.decode(canonical_json(value | {"schema": schema.RECORD_SCHEMA}), type=schema.Record)


def verdict(of: schema.Record, word: str = "kept") -> schema.Verdict:
    """Return a verdict of a record, with one rule that says so."""
    outcome = {"kept": "pass", "passed": "pass", "rejected": "fail", "inconclusive": "inconclusive"}[word]
    return msgspec.convert(
        {
            "run_id": of.run_id,
            "verdict": word,
            "headline": "s",
            "policy_sha256": "2" * 64,
            "decided": "2026-11-20T20:12:34Z",
            "rules": [{"rule": "threshold", "suite": "s", "outcome": outcome, "reason": f"s is {word}"}],
        },
        schema.Verdict,
    )
