"""Cloning one branch, as a build does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.errors import GitError
from publisher.git.credentials import login
from publisher.git.process import PATIENCE, execute
from publisher.git.repository import Repository
from publisher.git.values import is_branch_name

if TYPE_CHECKING:
    from pathlib import Path


def clone_branch(source: str, branch: str, into: Path, *, timeout: float = PATIENCE.network) -> str:
    """Clone `branch` of `source` into the empty folder `into`, with full history, and return the commit checked out.

    A login in the address is handed to git alone: neither its arguments nor the clone's configuration have it.

    Raises GitError when the branch cannot be cloned, or not within `timeout` seconds.
    """
    if not is_branch_name(branch):
        raise GitError(f"{branch!r} is not a branch name")
    remote = login(source)
    # Of a repository on this machine git would link the objects, and a build could then write to the original's. It is
    # cloned as over a network: copied files would include those of a push that is under way, which vanish meanwhile.
    arguments = ["clone", "--quiet", "--no-tags", "--no-local", "--single-branch", "--branch", branch]
    arguments += ["--", remote.address, str(into)]
    into.parent.mkdir(parents=True, exist_ok=True)
    output = execute(arguments, into.parent, settings=remote.settings, environment=remote.environment, timeout=timeout)
    if output.code != 0:
        shown = output.shown()  # a server may say again what it was told
        detail = shown.replace(remote.secret, "***") if remote.secret else shown
        raise GitError(f"cannot clone the branch {branch} of {remote.address}", detail=detail)
    return Repository(into).text("rev-parse", "HEAD")


def fetch_branches(source: str, into: Path, *, sha256: bool = False) -> Repository:
    """Bring every branch of `source` into the repository `into`, made where it is not there; nothing is checked out.

    It can be repeated. The token for pushes is used for a private repository (see `credentials`). Raises GitError.
    """
    if source.startswith("-") or not source.isprintable():
        raise GitError("that is no address of a repository")
    into.mkdir(parents=True, exist_ok=True)
    made = execute(
        ["init", "--quiet", f"--object-format={'sha256' if sha256 else 'sha1'}", "--", str(into)], into.parent
    )
    if made.code != 0:
        raise GitError(f"cannot make a repository in {into}", detail=made.shown())
    repository = Repository(into)
    repository.run("config", "remote.origin.url", source)
    # Forced: a branch that was rewritten is fetched as it is now.
    repository.fetch("origin", "+refs/heads/*:refs/remotes/origin/*")
    return repository
