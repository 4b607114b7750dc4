"""A GitHub runner as far as our action needs one: its steps in order, run by bash, with artifacts and outputs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "publish"
_EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
_TERM = re.compile(r"(\S+) *(==|!=) *'([^']*)'")


def load(path: Path) -> dict[str, Any]:
    """Return a workflow or an action."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


@dataclass
class Runner:
    """One job's machine: its checkout, temporary folder and environment; `store` keeps artifacts between jobs."""

    folder: Path
    checkout: Path
    store: Path
    environment: dict[str, str] = field(default_factory=dict)
    github: dict[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    """Names of steps that are not run."""
    logs: str = ""
    values: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("temp", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.store.mkdir(exist_ok=True)

    def run(self, inputs: Mapping[str, str], action: Path = ACTION) -> int:
        """Run the action's steps with `inputs`; return the exit code of the first that fails, or 0."""
        described = load(action / "action.yml")
        self.values = {f"github.{name}": value for name, value in self.github.items()}
        self.values |= {"github.action_path": str(action), "github.run_attempt": "1"}
        self.values["runner.temp"] = str(self.folder / "temp")
        for name, about in described["inputs"].items():
            self.values[f"inputs.{name}"] = inputs.get(name, self.text(str(about.get("default", ""))))
        for step in described["runs"]["steps"]:
            if step.get("name", "") in self.skip or not self.holds(step.get("if", "")):
                continue
            code = self.step(step)
            if code != 0:
                return code
        self.outputs = {name: self.text(about["value"]) for name, about in described["outputs"].items()}
        return 0

    def text(self, template: str) -> str:
        """Return a text with its expressions replaced; of `a || b` the first that is not empty."""

        def value(match: re.Match[str]) -> str:
            parts = [part.strip() for part in match[1].split("||")]
            found = [part.strip("'") if part.startswith("'") else self.values.get(part, "") for part in parts]
            return next((one for one in found if one), "")

        return _EXPRESSION.sub(value, template)

    def holds(self, condition: str) -> bool:
        """Return whether a step's condition holds: comparisons with a text, joined by &&."""
        terms = [_TERM.fullmatch(term.strip()) for term in condition.split("&&")] if condition else []
        assert None not in terms, condition
        return all((self.values.get(term[1], "") == term[3]) is (term[2] == "==") for term in terms if term)

    def step(self, step: dict[str, Any]) -> int:
        """Run one step; return its exit code."""
        if "uses" in step:
            return self._use(step)
        output = self.folder / "output"
        output.write_text("")
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_WORKSPACE": str(self.checkout),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            **self.environment,
        }
        environment |= {name: self.text(value) for name, value in step.get("env", {}).items()}
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        command = ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(
            command, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        self.logs += f"## {step['name']}\n{done.stdout}{done.stderr}"
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.values[f"steps.{step.get('id', '')}.outputs.{name}"] = value
        return done.returncode

    def _use(self, step: dict[str, Any]) -> int:
        """Stand in for the actions of others that ours uses: artifacts and the cache."""
        options = {name: self.text(str(value)) for name, value in step["with"].items()}
        used = step["uses"].partition("@")[0]
        if used == "actions/upload-artifact":
            number = str(len(list(self.store.iterdir())) + 1)
            shutil.copyfile(options["path"], self.store / number)
            self.values[f"steps.{step['id']}.outputs.artifact-id"] = number
        elif used == "actions/download-artifact":
            folder = Path(options["path"])
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.store / options["artifact-ids"], folder / "RUN.tar")
        else:
            assert used == "actions/cache", used
        return 0


def with_installed(runner: Runner, environment: Path) -> Runner:
    """Let a runner's steps find publisher installed already, in the virtual environment of these tests."""
    (runner.folder / "temp" / "publisher").symlink_to(environment)
    runner.skip = ("Install", "Install the engine")
    return runner
