"""The only package that talks to git.

Commands run in a clean room: no inherited `GIT_*` variable (git hooks set them, and trace variables would copy what is
sent into files), no hooks, full hashes and `-z` output. Of the user's configuration the identity, the credentials and
the remotes count. Objects are written with plumbing, so the user's working tree and index are never touched.

`process` starts git, `credentials` says who gets the remote's token, `objects` reads through one long-lived process,
`importing` spells what makes a commit, `locks` deals with the locks that a killed git leaves behind, `answers` tells
apart why a push failed, `repository` is what the other parts use, `clone` what a build needs, `elsewhere` fetches from
other repositories and from Git LFS, and `values` holds the words of all of them.
"""

from __future__ import annotations

from publisher.git.clone import clone_branch
from publisher.git.credentials import login
from publisher.git.elsewhere import Pointer, fetch_object, fetched_commit, own_object, pointer_of
from publisher.git.objects import LARGEST
from publisher.git.process import Patience
from publisher.git.repository import Repository
from publisher.git.values import Author, Commit, is_branch_name, is_full_hash

__all__ = [
    "LARGEST",
    "Author",
    "Commit",
    "Patience",
    "Pointer",
    "Repository",
    "clone_branch",
    "fetch_object",
    "fetched_commit",
    "is_branch_name",
    "is_full_hash",
    "login",
    "own_object",
    "pointer_of",
]
