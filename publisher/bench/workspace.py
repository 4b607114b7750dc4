"""Files that the bench machine keeps in its workspace, beside the repository's objects, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, Annotated

import msgspec

from publisher.errors import StorageError
from publisher.files import atomic_write, compact_json, sha256_hex, storage_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEY = 32
"""Bytes of the key of proofs."""


def whole_samples(workspace: Path, run_id: str) -> Path:
    """Return the path of the whole samples of a run with a private suite, on the machine that measured it."""
    return workspace / "samples" / f"{run_id}.jsonl.gz"


def proof_key(workspace: Path) -> bytes:
    """Return this machine's key of proofs, which is made on first use and never leaves it; StorageError."""
    path = workspace / "samples" / "key"
    mine = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        if not path.exists():
            atomic_write(mine, secrets.token_bytes(_KEY), mode=0o600)
            # A link fails where another process was faster, so that both go on with the same key.
            with contextlib.suppress(FileExistsError):
                os.link(mine, path)
            mine.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise storage_error(error, path) from error
    if len(key) != _KEY:
        raise StorageError(f"{path} is not a key of {_KEY} bytes", hint=f"rm {path}   and the next run makes a new one")
    return key


def fresh_salt(workspace: Path, commit: str, tier: str, new: str) -> str:
    """Return the salt of the fresh measurement of a commit and tier that is under way, or begin one with `new`.

    Without this an interrupted `--fresh` would draw other seeds when it is repeated, and start over.
    """
    path = _fresh(workspace, commit, tier)
    try:
        return path.read_text(encoding="utf-8")[:100]
    except FileNotFoundError:
        atomic_write(path, new.encode(), mode=0o600)
        return new
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read {path}: {error}", hint=f"rm {path}   begins anew") from error


def end_fresh(workspace: Path, commit: str, tier: str) -> None:
    """Forget the salt of a fresh measurement; call it once the command that asked for it has done its work."""
    _fresh(workspace, commit, tier).unlink(missing_ok=True)


def _fresh(workspace: Path, commit: str, tier: str) -> Path:
    return workspace / "fresh" / f"{commit}-{tier}"


def trimmed_samples(
    workspace: Path, commit: str, tier: str, salt: str, *, new: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return the samples per problem of the trimmed run that is under way, or begin one with `new`; none is empty.

    Without this an interrupted run would be trimmed anew when it is repeated, by another forecast, and start over.
    """
    path = _trimmed(workspace, commit, tier, salt)
    if new is not None:
        atomic_write(path, compact_json(dict(new)), mode=0o600)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Annotated[int, msgspec.Meta(ge=1, le=1024)]])
    except (OSError, msgspec.MsgspecError):
        return {}  # nothing is lost without it but time


def end_trimmed(workspace: Path, commit: str, tier: str, salt: str) -> None:
    """Forget how a run was trimmed; call it once the run is stored."""
    _trimmed(workspace, commit, tier, salt).unlink(missing_ok=True)


def _trimmed(workspace: Path, commit: str, tier: str, salt: str) -> Path:
    return workspace / "trimmed" / f"{commit}-{tier}-{sha256_hex(salt.encode())[:12]}"
