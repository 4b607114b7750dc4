"""The GitHub Action's steps, run by bash in a checkout that tries to be imported or executed by them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "publish" / "action.yml"
CANARY = {"build-hook": "canary-hook-5f0c", "token": "canary-token-5f0c", "github-token": "canary-git-5f0c"}
MODULES = ["json", "re", "os", "venv", "ensurepip", "pip", "sitecustomize", "usercustomize", "publisher", "encodings"]
PROGRAMS = ["python3", "python", "pip", "publisher", "git", "bash"]
OUTCOME = {"news": "published", "verdict": {"verdict": "kept"}, "receipt": {"address": "https://s--demo.netlify.app"}}
BACKEND = """
import json, os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "snapshot_publisher-1-py3-none-any.whl"
    info = "snapshot_publisher-1.dist-info"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("publisher/__init__.py", "")
        wheel.write("main.py", "publisher/__main__.py")
        metadata = "Metadata-Version: 2.1\\nName: snapshot-publisher\\nVersion: 1\\nProvides-Extra: bench\\n"
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
STAND_IN = """
import json, os, pathlib, sys
seen = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}
pathlib.Path(os.environ["RUNNER_TEMP"], "seen.json").write_text(json.dumps(seen))
print(os.environ["OUTCOME"])
"""


@dataclass
class Runner:
    """A GitHub runner as far as composite steps need one: a hostile checkout, folders, and the steps in order."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("checkout", "temp", "action/.github/actions/publish", "home"):
            (self.folder / name).mkdir(parents=True)
        self.captured = self.folder / "captured"
        theft = f"import os\nopen({str(self.captured)!r}, 'a').write(__file__ + repr(dict(os.environ)))\n"
        for name in MODULES:
            (self.folder / "checkout" / f"{name}.py").write_text(theft)
        for name in PROGRAMS:
            program = self.folder / "checkout" / name
            program.write_text(f"#!/bin/sh\necho {name} >>{self.captured}; env >>{self.captured}\n")
            program.chmod(0o755)
        package = self.folder / "action"
        (package / "backend.py").write_text(BACKEND)
        (package / "main.py").write_text(STAND_IN)
        system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        (package / "pyproject.toml").write_text(system)

    def run(self, outcome: str) -> None:
        """Run every step; the stand-in for publisher prints `outcome`."""
        for step in steps():
            self.step(step, outcome)

    def step(self, step: dict[str, Any], outcome: str) -> None:
        """Run one step with bash as GitHub does."""
        values = {f"inputs.{name}": value for name, value in CANARY.items()}
        values |= {"inputs.tier": "", "inputs.revision": "HEAD", "inputs.cmake-args": ""}
        values["github.action_path"] = str(self.folder / "action/.github/actions/publish")
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(self.folder / "home"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_WORKSPACE": str(self.folder / "checkout"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "PIP_NO_INDEX": "1",
            "OUTCOME": outcome,
        }
        for name, value in step.get("env", {}).items():
            environment[name] = re.sub(r"\$\{\{ *(.*?) *\}\}", lambda match: values[match[1]], value)
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        command = ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(
            command, cwd=self.folder / "checkout", env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def output(self) -> str:
        """Return what the steps wrote to the action's outputs."""
        return (self.folder / "output").read_text()


def steps() -> list[dict[str, Any]]:
    """Return the action's steps."""
    found: list[dict[str, Any]] = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    return found


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Return a runner on which the action has run once."""
    runner = Runner(tmp_path_factory.mktemp("runner"))
    runner.run(json.dumps(OUTCOME))
    return runner


def test_nothing_of_the_checkout_is_run(runner: Runner) -> None:
    """Modules and programs that the commit brings along are neither imported nor executed, with or without secrets."""
    assert not runner.captured.exists(), runner.captured.read_text()[:2000]


def test_the_publishing_step_gets_the_secrets(runner: Runner) -> None:
    """The one call of publisher has the secrets in its environment, not in its arguments."""
    seen = json.loads((runner.folder / "temp" / "seen.json").read_text())
    assert seen["env"]["NETLIFY_BUILD_HOOK"] == CANARY["build-hook"]
    assert seen["env"]["NETLIFY_AUTH_TOKEN"] == CANARY["token"]
    assert seen["env"]["PUBLISHER_GIT_TOKEN"] == CANARY["github-token"]
    assert "canary" not in " ".join(seen["argv"])
    assert seen["argv"][:2] == ["--repo", str(runner.folder / "checkout")]


def test_the_outputs_are_words_of_fixed_form(runner: Runner) -> None:
    """The verdict and the address arrive as outputs."""
    assert runner.output() == "verdict=kept\naddress=https://s--demo.netlify.app\n"


@pytest.mark.parametrize(
    "outcome",
    [
        "not JSON",
        "",
        '{"verdict": {"verdict": "kept\\naddress=https://evil.example"}, "receipt": null}',
        '{"verdict": {"verdict": "::error::"}, "receipt": {"address": "https://evil.example/\\nverdict=kept"}}',
    ],
)
def test_a_strange_outcome_sets_no_output(tmp_path: Path, runner: Runner, outcome: str) -> None:
    """What is no JSON, no known verdict or no plain address never reaches the outputs."""
    (runner.folder / "temp" / "outcome.json").write_text(outcome)
    (runner.folder / "output").write_text("")
    runner.step(steps()[-1], outcome)
    assert runner.output() == ""


def test_one_step_alone_has_secrets() -> None:
    """No step but the one that publishes names a secret input, and none puts an expression into its script."""
    secret = re.compile(r"inputs\.(build-hook|token|github-token)|secrets\.|github\.token")
    holders = [step["name"] for step in steps() if secret.search(json.dumps(step))]
    assert holders == ["Publish"]
    assert not [step["name"] for step in steps() if "${{" in step["run"]]


@pytest.mark.parametrize("name", ["publish.yml", "verify.yml"])
def test_a_starter_keeps_its_secrets_to_one_step(name: str) -> None:
    """The workflows that `publisher init` writes keep no credentials on disk and give secrets to one step."""
    workflow = yaml.safe_load((ROOT / "hooks" / "starter" / name).read_text())
    (job,) = workflow["jobs"].values()
    checkout, *others = job["steps"]
    assert checkout["with"]["persist-credentials"] is False
    assert sum("secrets." in json.dumps(step) for step in others) == 1
    assert "secrets." not in json.dumps(job.get("env", {})) + json.dumps(workflow.get("env", {}))
    assert not [step for step in others if re.search(r"python3? (?!-I )", step.get("run", ""))]
