"""Git's commit-graph: a file in which git finds the shape of a history without unpacking its commits.

A push names every branch of the remote as known already, and there is one per snapshot: unpacking their commits is most
of what a push costs. The file is a cache that git also writes when it packs a repository. Without it everything works
as well, more slowly.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from publisher.git import locks
from publisher.git.process import execute

if TYPE_CHECKING:
    from publisher.git.repository import Repository

FEWEST = 500
"""With fewer snapshot branches, writing the file costs more than a publish gains by it."""
_PLACES = ("commit-graph", "commit-graphs/commit-graph-chain")
_OLDEST = 86_400.0
"""Seconds after which it is written again: what came since is missing in it."""
_LONGEST = 60.0
"""Seconds that writing it may take."""


def refresh(repository: Repository) -> None:
    """Write the commit-graph of a repository where there is none or an old one; nothing depends on whether that works.

    Git itself writes none in a shallow clone, which would not tell the truth about parents.
    """
    folder = repository.git_folder / "objects" / "info"
    times = [(folder / name).stat().st_mtime for name in _PLACES if (folder / name).exists()]
    if any(abs(time.time() - written) < _OLDEST for written in times):
        return
    # Not waited for: a lock that a living git holds means that the file is being written.
    output = execute(["commit-graph", "write", "--reachable", "--no-progress"], repository.root, timeout=_LONGEST)
    lock = locks.named_in(output)
    if output.code and lock is not None:
        removed = locks.remove_stale(lock, [repository.git_folder], repository.patience)
        if removed:
            repository.note(removed)
