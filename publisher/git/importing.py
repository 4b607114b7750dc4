"""A commit as `git fast-import` reads it, which makes it in one process, however large its tree is."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from publisher.git.values import Author, checked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def stream(
    files: Mapping[str, bytes],
    *,
    message: str,
    author: Author,
    parents: Sequence[str],
    tree: str,
    blobs: Mapping[str, str],
    zero: str,
) -> bytes:
    """Return what makes fast-import write one commit and print its hash; no ref is left.

    Its tree is the tree object `tree`, of the first parent where `tree` is empty, plus `files` and `blobs`, {path: hash
    of a blob that is there}. `zero` is the hash of nothing in the repository's object format.
    """
    # The ref that fast-import insists on is deleted before it is written.
    scratch = f"refs/publisher/new-{secrets.token_hex(8)}"
    person = f"{author.name} <{author.email}> {author.time} +0000"
    parts = [
        f"commit {scratch}\nmark :1\nauthor {person}\ncommitter {person}\n".encode(),
        _data(message.encode()),
        *(f"{'merge' if number else 'from'} {checked(sha)}\n".encode() for number, sha in enumerate(parents)),
        # An explicit tree replaces the first parent's, which fast-import would otherwise start from.
        f'M 040000 {tree} ""\n'.encode() if tree else b"",
        *(f"M 100644 {checked(blob)} {_path(path)}\n".encode() for path, blob in blobs.items()),
        *(f"M 100644 inline {_path(path)}\n".encode() + _data(data) for path, data in files.items()),
        f"get-mark :1\nreset {scratch}\nfrom {zero}\n\ndone\n".encode(),
    ]
    return b"".join(parts)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _path(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
