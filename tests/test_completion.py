"""Shell completion: what bash, zsh and fish are offered."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.project import PUBLISHER


@pytest.mark.parametrize(
    ("typed", "offered", "absent"),
    [
        ("publisher rol", "rollback", "log"),
        ("publisher --as", "--as-fetched", "--local"),
        ("publisher log --st", "--state", "--suite"),
        ("publisher log --state gi", "given up", "live"),
    ],
)
def test_shells_complete_commands_options_and_values(typed: str, offered: str, absent: str) -> None:
    """What click offers a shell, without importing a command whose packages may be missing."""
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_PUBLISHER_COMPLETE": "bash_complete"}
    done = subprocess.run([PUBLISHER], env={**os.environ, **words}, capture_output=True, text=True, check=False)
    assert f"plain,{offered}" in done.stdout.splitlines(), done.stderr
    assert f"plain,{absent}" not in done.stdout.splitlines()


def test_bash_completes_with_the_script_that_is_printed(tmp_path: Path) -> None:
    """The script of `publisher completion bash`, read by bash itself, fills in a command."""
    script = subprocess.run([PUBLISHER, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "script").write_text(script)
    asked = (
        "source ./script; COMP_WORDS=(publisher snap); COMP_CWORD=1; _publisher_completion publisher; echo $COMPREPLY"
    )
    path = f"{PUBLISHER.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", asked],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "snapshots", done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str) -> None:
    """It asks publisher in the shell's own way."""
    done = subprocess.run([PUBLISHER, "completion", shell], capture_output=True, text=True, check=True)
    assert f"_PUBLISHER_COMPLETE={shell}_complete" in done.stdout
