"""A security check by somebody else's program: checkov knows no Tekton, so each step is also wrapped as a Pod."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from publisher.tekton import rendering, serving
from tests.tekton import ROOT, pod_defaults, wrap
from tests.test_tekton_manifests import settings
from tests.test_tekton_service import SERVICE

pytestmark = pytest.mark.audit
CHECKOV = "checkov==3.3.30"
SKIPPED = {
    "CKV_K8S_8": "a step ends, so nothing asks whether it lives",
    "CKV_K8S_9": "the same for whether it is ready",
    "CKV_K8S_11": "a limit of processor time would slow down what is timed",
    "CKV_K8S_21": "the overlay of a team names its namespace",
    "CKV_DOCKER_7": "base images are arguments, and each has to be pinned by its digest",
    "CKV2_K8S_6": "checkov does not read the expressions by which our policies choose pods",
}


def test_checkov_finds_nothing(tmp_path: Path) -> None:
    """In the base, the service, the Containerfile, and in each step as the Pod that Tekton would make of it."""
    chosen = replace(settings(), serve_to=("team-a", "team-b"))
    for name, data in rendering.files(chosen).items():
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    pods = pod_defaults(tmp_path / "made" / "base")
    wrap(tmp_path / "made" / "base", tmp_path / "made", pods)
    wrap(tmp_path / "made" / "service", tmp_path / "made", pods | {"serviceAccountName": "publisher-serve"})
    for number, one in enumerate(serving.own(SERVICE)):
        (tmp_path / "made" / f"served-{number}.yaml").write_text(yaml.safe_dump(one))
    shutil.copy(ROOT / "hooks" / "tekton" / "Containerfile", tmp_path / "made" / "Dockerfile")
    program = _checkov(tmp_path / "venv")
    command = [program, "-d", str(tmp_path / "made"), "--framework", "kubernetes", "dockerfile", "--skip-download"]
    command += ["--skip-check", ",".join(SKIPPED), "--output", "json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    reports = found if isinstance(found, list) else [found]
    failed = [
        f"{one['check_id']} {one['check_name']}: {one['resource']}"
        for report in reports
        for one in report["results"]["failed_checks"]
    ]
    assert failed == []
    assert sum(report["summary"]["passed"] for report in reports) > 500


def _checkov(folder: Path) -> str:
    """Return the program, in an environment of its own: its dependencies do not go with ours."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", CHECKOV]
    subprocess.run(command, check=True, capture_output=True)
    return str(folder / "bin" / "checkov")
