"""The programs from npm: installed once into this folder, from its lock file."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.site_check.finding import Finding, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
LEAST = 98
"""What Lighthouse has to give in each category."""
MOST_BYTES = 60_000
MOST_REQUESTS = 6


def install() -> None:
    """Install what `package-lock.json` names, where it is not there yet."""
    if not (MODULES / ".package-lock.json").exists():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=HERE, check=True, timeout=900)


def axe() -> str:
    """Return axe-core's script."""
    return (MODULES / "axe-core" / "axe.min.js").read_text("utf-8")


def validated(pages: Mapping[str, str]) -> Row:
    """Hold every page against the HTML standard with html-validate."""
    with tempfile.TemporaryDirectory() as name:
        names = {}
        for number, (address, text) in enumerate(pages.items()):
            path = Path(name, f"{number}.html")
            path.write_text(text, "utf-8")
            names[str(path)] = address
        shutil.copy(HERE / "htmlvalidate.json", Path(name, ".htmlvalidate.json"))
        command = [str(MODULES / ".bin" / "html-validate"), "--formatter", "json", name]
        # Into a file: it ends before a pipe has taken all that it wrote.
        with Path(name, "found.json").open("w") as found_file:
            done = subprocess.run(
                command, cwd=name, stdout=found_file, stderr=subprocess.PIPE, check=False, timeout=600
            )
        said = Path(name, "found.json").read_text("utf-8")
    if not said:
        raise SystemExit(f"html-validate failed:\n{done.stderr.decode()}")
    found = json.loads(said)
    findings = [
        Finding(f"{names[one['filePath']]}:{fault['line']}", f"{fault['ruleId']}: {fault['message']}")
        for one in found
        for fault in one["messages"]
    ]
    return Row("html-validate", f"{len(pages)} pages", findings)


def lighthouse(addresses: list[str], runs: int) -> list[Row]:
    """Measure addresses and return a row for each, from the medians of `runs` runs."""
    command = ["node", str(HERE / "lighthouse.mjs"), str(runs), *addresses]
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or ""
    done = subprocess.run(
        command, env={**os.environ, "CHROME_PATH": chromium}, capture_output=True, text=True, check=False, timeout=3600
    )
    if done.returncode:
        raise SystemExit(f"Lighthouse failed:\n{done.stderr[-3000:]}")
    measured: dict[str, list[dict[str, Any]]] = {}
    for line in done.stdout.splitlines():
        value = json.loads(line)
        measured.setdefault(value["address"], []).append(value)
    return [_row(address, values) for address, values in measured.items()]


def _row(address: str, values: list[dict[str, Any]]) -> Row:
    # A busy machine may keep a page from being drawn in time: such a run says nothing about the page.
    measured = [value for value in values if value["shift"] is not None and not value["error"]]
    if not measured:
        why = "; ".join(sorted({value["error"] or "the page was not drawn in time" for value in values}))
        return Row(f"lighthouse {address}", "not measured", [Finding(address, why)])
    values = measured
    scores = {name: round(statistics.median(value["scores"][name] for value in values)) for name in values[0]["scores"]}
    size, requests, shift, paint = (
        statistics.median(value[name] for value in values) for name in ("bytes", "requests", "shift", "paint")
    )
    failed = sorted({name for value in values for name in value["failed"]})
    findings = [
        Finding(address, f"{name} {score}, below {LEAST}: {', '.join(failed)}")
        for name, score in scores.items()
        if score < LEAST
    ]
    findings += [Finding(address, f"the layout shifts by {shift:.3f}")] if shift > 0 else []
    if address.count("/") == 3 and (size > MOST_BYTES or requests > MOST_REQUESTS):
        findings.append(Finding(address, f"{size:.0f} bytes in {requests:.0f} requests"))
    seen = "/".join(map(str, scores.values()))
    return Row(f"lighthouse {address}", f"{seen}, {size / 1000:.0f} kB, {requests:.0f} requests, {paint} ms", findings)
