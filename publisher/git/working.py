"""A commit in the user's own working tree, made as they would make it: with their hooks, settings and signature."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from publisher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def commit_files(root: Path, names: Sequence[str], message: str) -> bool:
    """Commit just these files, whatever else is in the index; return whether there was anything to commit.

    Raises UsageError with what git says.
    """
    _run(root, "add", "--", *names)
    command = ["git", "diff", "--cached", "--quiet", "--", *names]
    if subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0:
        return False
    _run(root, "commit", "--quiet", "-m", message, "--", *names)
    return True


def _run(root: Path, *arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        unknown = "user.email" in done.stderr
        hint = "git config user.name NAME; git config user.email ADDRESS; then the same command continues"
        raise UsageError(
            "git could not commit what was written",
            detail=(done.stderr or done.stdout)[-2000:],
            hint=hint if unknown else "",
        )
