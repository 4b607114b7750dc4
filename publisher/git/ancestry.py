"""Questions about the commit graph that one git process answers for many commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.git.values import checked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publisher.git.repository import Repository


def newest_with_trailer(repository: Repository, commit: str, key: str, value: str) -> str:
    """Return the newest commit reachable from `commit` whose trailers hold `key: value`, whatever its case; or "".

    Only the last paragraph of a message holds trailers: a sentence that quotes one asks for nothing.
    """
    arguments = ["log", "-z", "--regexp-ignore-case", f"--grep=^{key}:[ \t]*{value}[ \t]*$"]
    shape = f"--format=%H%x09%(trailers:key={key},valueonly,separator=%x2C)"
    found = repository.run(*arguments, shape, checked(commit)).decode(errors="replace").split("\0")
    for entry in found:
        sha, _, values = entry.strip("\n").partition("\t")
        if value.lower() in {one.strip().lower() for one in values.split(",")}:
            return sha
    return ""


def containing(repository: Repository, root: str, commits: Iterable[str]) -> set[str]:
    """Return those of `commits` that are `root` or come after it; commits that are not in this clone are none."""
    wanted = {checked(commit) for commit in commits}
    names = "".join(f"{commit}\n" for commit in sorted(wanted)) + f"^{checked(root)}\n"
    arguments = ["rev-list", "--ignore-missing", "--ancestry-path", "--stdin"]
    after = repository.run(*arguments, stdin=names.encode()).decode().split()
    return wanted & {root, *after}
