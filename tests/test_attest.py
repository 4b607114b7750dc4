from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.runner import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.made import GitFolder

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed; GitHub's runners have it")
CURL = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
cp "$SERVED" "$2"
"""
"""Stands in for curl, which reaches other machines: it copies a file to where the answer goes."""


def attested(repository: GitFolder, place: Path, statement: dict[str, Any]) -> tuple[int, str]:
    """Run the starter's step on what a site states; return its exit code and the predicate that it wrote."""
    job = yaml.safe_load((ROOT / "hooks/starter/publish.yml").read_text(encoding="utf-8"))["jobs"]["attest"]
    script = next(step["run"] for step in job["steps"] if step.get("name") == "Statement")
    (place / "bin").mkdir(exist_ok=True)
    (place / "bin" / "curl").write_text(CURL)
    (place / "bin" / "curl").chmod(0o755)
    (place / "served.json").write_text(json.dumps(statement))
    environment = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(place),
        "ADDRESS": "https://x.example",
        "SERVED": str(place / "served.json"),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=repository.path, env=environment, capture_output=True, text=True, check=False)
    written = place / "predicate.json"
    return done.returncode, written.read_text() if written.is_file() else ""


def test_only_a_statement_about_this_very_record_is_signed(repository: GitFolder, tmp_path: Path) -> None:
    """What the site serves has to name the record and the commit that the snapshot branch has in git."""
    commit = repository.git("rev-parse", "HEAD")
    repository.commit({"ledger/record.json": "{}\n"}, "Snapshot")
    record = {"name": "record.json", "digest": {"sha256": hashlib.sha256(b"{}\n").hexdigest()}}
    about = {"name": "commit", "digest": {"gitCommit": commit}}
    predicate = {"result": "PASSED", "configuration": []}
    code, said = attested(repository, tmp_path, {"subject": [record, about], "predicate": predicate})
    assert (code, json.loads(said)) == (0, predicate)
    for other in ([record], [about, record], [record, {**about, "digest": {"gitCommit": "0" * 40}}], []):
        code, said = attested(repository, tmp_path, {"subject": other, "predicate": predicate})
        assert (code, said) == (5, ""), other
