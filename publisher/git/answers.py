"""Why git failed: told apart by what it wrote, because its exit code says nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher.errors import GitError, LostRaceError, RemoteRejectedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publisher.git.process import Output

_NO_SPACE = re.compile(
    r"No space left on device|Out of diskspace|Disk quota exceeded|File too large|SIGXFSZ|signal 25\b|disk is full",
    re.IGNORECASE,
)
_MOVED = re.compile(
    r"but expected [0-9a-f]{40,64}|reference already exists|unable to resolve reference|"
    r"reference is missing|stale info|\(fetch first\)|\[rejected\].*\(non-fast-forward\)|\(already exists\)"
)
_REJECTED = re.compile(r"\[remote rejected\]\s*(?:[^()\n]*)\(([^\n]*)\)")
_SETTINGS = {
    "deletion prohibited": "receive.denyDeletes",
    "deletion of the current branch prohibited": "receive.denyDeleteCurrent",
    "non-fast-forward": "receive.denyNonFastForwards",
}
"""The setting of the remote's git that is behind a reason which git itself gives; hosting services have their own."""
_SXFSZ = {-25, 153}
"""Exit codes of a process that a limit on file sizes ended."""


def no_space(output: Output) -> bool:
    """Return whether a command failed because a disk, a quota or a limit on file sizes was full."""
    return bool(output.code) and (output.code in _SXFSZ or bool(_NO_SPACE.search(output.said)))


def lost_race(output: Output) -> bool:
    """Return whether a command failed because a ref was not where it was expected."""
    return bool(output.code) and bool(_MOVED.search(output.said))


def local_error(output: Output, message: str) -> GitError | StorageError:
    """Return the error for a failed command that works on this machine only."""
    if no_space(output):
        return StorageError(
            f"no space left on the disk that holds {output.folder}",
            hint="free some space; nothing was lost, and the same command then continues",
            detail=output.shown(),
        )
    return GitError(message, detail=output.shown())


def ref_error(output: Output, names: Iterable[str]) -> GitError | StorageError:
    """Return the error for refs that could not be moved here."""
    listed = ", ".join(names)
    if lost_race(output):
        return LostRaceError(f"{listed} moved meanwhile", hint="run the same command again", detail=output.shown())
    return local_error(output, f"cannot move {listed}")


def remote_error(output: Output, remote: str, names: Iterable[str], patience: float) -> GitError | StorageError:
    """Return the error for a command that talked to a remote, by what went wrong there."""
    listed = ", ".join(names)
    detail = output.shown()
    if output.timed_out:
        return GitError(
            f"git {output.arguments[0]} to {remote} took more than {patience:.0f} s and was stopped",
            hint="look at the network, then run the same command again: it first looks what has arrived",
            detail=detail,
        )
    if no_space(output):
        there = "remote:" in output.said and "No space" in output.said.partition("remote:")[2]
        where = remote if there else f"this machine or of {remote}"
        return GitError(f"no space left on the disk of {where}", hint="free some space there", detail=detail)
    if lost_race(output):
        hint = "run the same command again"
        return LostRaceError(f"{listed} moved on {remote} meanwhile", hint=hint, detail=detail)
    rejected = _REJECTED.search(output.said)
    if rejected:
        reason = rejected[1][:200]
        hint = f"what {remote} lets you push is decided there: its hooks, protected branches and receive.* settings"
        if reason in _SETTINGS:
            hint = f"git config {_SETTINGS[reason]} false   in the repository of {remote} allows it"
        return RemoteRejectedError(f"{remote} rejects {listed}: {reason}", hint=hint, detail=detail, reason=reason)
    if output.arguments[0] == "push":
        return GitError(f"cannot push to {remote}", hint=f"git push {remote}   shows whether you may", detail=detail)
    return GitError(f"cannot reach {remote}", hint=f"git ls-remote {remote}", detail=detail)
