"""What git's objects and names are here: commits and their authors, full hashes, branch names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from publisher.errors import GitError

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_AUTHOR = re.compile(r"(.*?) <.*> (\d{1,12}) [+-]\d{4}\Z")


@dataclass(frozen=True, slots=True)
class Author:
    """A name, an address and a time (seconds since the epoch, UTC) for a commit that we make."""

    name: str
    email: str
    time: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What we read of a commit: its tree and parents, who wrote it, when, and its message (hostile text)."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: str
    time: int
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.strip().split("\n", 1)[0]


def parsed_commit(sha: str, data: bytes) -> Commit:
    """Return the commit whose object holds `data`; an author line that cannot be read leaves the author empty."""
    header, _, message = data.decode(errors="replace").partition("\n\n")
    fields = [line.split(" ", 1) for line in header.split("\n") if " " in line and not line.startswith(" ")]
    values = dict(reversed(fields))
    author = _AUTHOR.match(values.get("author", ""))
    parents = tuple(value for key, value in fields if key == "parent")
    name, time = (author[1], int(author[2])) if author else ("", 0)
    return Commit(sha, values["tree"], parents, name, time, message)


def parsed_tree(data: bytes, width: int) -> dict[str, tuple[bool, str]]:
    """Return {name: (whether it is a folder, hash)} of a tree object, whose hashes have `width` bytes."""
    found = {}
    position = 0
    while position < len(data):
        space, end = data.index(b" ", position), data.index(b"\0", position)
        is_folder = data[position:space] == b"40000"
        position = end + 1 + width
        found[data[space + 1 : end].decode(errors="replace")] = is_folder, data[end + 1 : position].hex()
    return found


def parsed_changes(data: bytes) -> dict[str, str | None]:
    """Return {path: new blob hash} of what `diff-tree -r -z` wrote, None for a file that is gone."""
    words = data.split(b"\0")
    blobs = (meta.split(b" ")[3].decode() for meta in words[0:-1:2])
    return {
        path.decode(errors="replace"): blob if blob.strip("0") else None
        for path, blob in zip(words[1::2], blobs, strict=True)
    }


def parsed_worktrees(text: str) -> dict[str, str]:
    """Return {full ref name: folder} of what `worktree list --porcelain` wrote."""
    place, found = "", {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        place = value if key == "worktree" else place
        if key == "branch":
            found[value] = place
    return found


def is_full_hash(text: str) -> bool:
    """Return whether `text` is a full object name, SHA-1 or SHA-256."""
    return bool(_OID.match(text))


def checked(sha: str) -> str:
    """Return `sha` where it is a full hash; GitError otherwise (it would be read as something else)."""
    if not _OID.match(sha):
        raise GitError(f"{sha!r} is not a full commit hash")
    return sha


def is_branch_name(name: str) -> bool:
    """Return whether git and we accept `name` as a branch: plain characters, and no option or range in disguise."""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", name)) and not re.search(
        r"\.\.|//|\.lock(/|\Z)|/\.|[./]\Z|@\{", name
    )
