"""What the signatures of commits are worth, by git's status letters, and which commit added which files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.git.values import checked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from publisher.git.repository import Repository
    from publisher.git.signing import State

_STATES: dict[str, State] = {"G": "good", "U": "unknown", "N": "unsigned"}
"""Every other letter is a signature that does not hold: bad, expired, revoked, or not to be checked."""


def states(repository: Repository, commits: Iterable[str], signers: Path) -> dict[str, State]:
    """Return {commit: what its signature is worth} by a list of allowed signers; only git's SSH form counts."""
    wanted = "".join(f"{checked(sha)}\n" for sha in commits)
    if not wanted:
        return {}
    # A commit that claims an OpenPGP or X.509 signature starts no program of that kind.
    settings = [f"gpg.ssh.allowedSignersFile={signers}", "gpg.program=false", "gpg.x509.program=false"]
    settings += ["gpg.ssh.program=ssh-keygen", "gpg.ssh.revocationFile="]
    arguments = ["log", "--no-walk=unsorted", "--stdin", "--format=%H %G?"]
    said = repository.run(*arguments, stdin=wanted.encode(), settings=settings).decode()
    found = (line.split(" ") for line in said.splitlines())
    return {sha: _STATES.get(letter, "bad") for sha, letter in found}


def entries(repository: Repository, head: str) -> list[tuple[str, list[str]]]:
    """Return each commit below `head`, oldest first, with the paths that it added."""
    form = ["--reverse", "--topo-order", "--no-renames", "--root", "--diff-filter=A", "--format=%x01%H%x00"]
    said = repository.run("log", *form, "--name-only", "-z", checked(head)).decode(errors="replace")
    found = []
    for entry in said.split("\x01")[1:]:
        sha, *paths = (word.strip("\n") for word in entry.split("\0"))
        found.append((sha, [path for path in paths if path]))
    return found
