from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALONE = ["unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$0" "$@"']


@pytest.mark.model
@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (tests/install-system-packages)")
def test_from_commit_to_opened_page_without_a_network(tmp_path: Path) -> None:
    """In a namespace with no route, a commit is measured, kept, published, built, verified and opened in Chromium."""
    if not shutil.which("ip") or subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    command = [*ALONE, sys.executable, "-m", "tests.offline", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["route"], seen["code"]) == (False, 0), seen["said"]
    assert seen["subject"].startswith("Answer in steps")
    assert float(seen["score"]) > 40
    assert seen["complaints"] == []
