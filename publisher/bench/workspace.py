"""What the bench machine keeps beside the repository's objects, and nowhere else: paths below the workspace folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def whole_samples(workspace: Path, run_id: str) -> Path:
    """Return where the samples of a run with a private suite are kept whole, on the machine that measured it."""
    return workspace / "samples" / f"{run_id}.jsonl.gz"


def key_path(workspace: Path) -> Path:
    """Return where this machine keeps its key of proofs."""
    return workspace / "samples" / "key"
