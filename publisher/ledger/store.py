"""The ledger branch: append files, never change one, and bring the branch together with the remote's.

A run's files live in `runs/<run_id>/`. The remote decides who was first: an entry is pushed from exactly the state that
it was made for, and a lost race is fetched, looked at again and tried again. Nothing that the remote has is rewritten.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import LostRaceError, StorageError
from publisher.git import Author, Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BRANCH = "refs/heads/ledger"
ATTEMPTS = 40
AUTHOR_NAME = "publisher"
AUTHOR_EMAIL = "publisher@snapshot.invalid"
_README = b"""# Ledger

The append-only history of this repository's benchmark runs, written by `publisher`. One folder a run in `runs/`:
`record.json` (what was measured), `verdict.json` (what the gate said), `summary.json` (one line of history),
`samples.jsonl.gz` (every answer) and, for a published snapshot, `snapshot.json`, `request-N.json` and `receipt-N.json`.
`live/` says where the live site was moved, when, by whom and why. Do not edit this branch.
"""


def _never() -> bool:
    """Say no: the entry is made whatever else is in the ledger."""
    return False


def author(moment: int) -> Author:
    """Return the identity that ledger and snapshot commits carry: fixed, so that equal contents make equal commits."""
    return Author(AUTHOR_NAME, AUTHOR_EMAIL, moment)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one repository and, where there is one, of its remote."""

    repository: Repository
    remote: str | None = None

    @property
    def head(self) -> str | None:
        """The local branch's commit, None before the first entry."""
        return self.repository.ref(BRANCH)

    def paths(self, below: str = "") -> dict[str, str]:
        """Return {path: blob hash} of everything in the ledger, or in one folder of it."""
        head = self.head
        return self.repository.tree(head, below) if head else {}

    def read(self, path: str) -> bytes | None:
        """Return one file of the ledger, or None."""
        head = self.head
        return self.repository.read(head, path) if head else None

    def append(self, files: Mapping[str, bytes], message: str, *, unless: Callable[[], bool] = _never) -> bool:
        """Add `files` in one commit, here and on the remote at once; return whether they are in the ledger now.

        `unless` is asked after the newest state has been fetched, each time: when it says true, nothing is added. The
        push goes through only if nobody else has added anything since, so two writers cannot both find a place free.
        Adding what is there already makes no commit. Raises StorageError when a path exists with other contents (the
        ledger is append-only), LostRaceError when other writers win every attempt.
        """
        for attempt in range(ATTEMPTS):
            self.sync()
            if unless():
                return False
            head = self.head
            wanted = self._missing(files, head)
            if not wanted and head:
                return True
            try:
                self._advance(self._commit(wanted, head, message), head)
            except LostRaceError:
                _pause(attempt)
                continue
            return True
        raise LostRaceError(f"other writers won {ATTEMPTS} times", hint="run the same command again")

    def _advance(self, commit: str, head: str | None) -> None:
        """Move the branch from `head` to `commit`: first on the remote, which decides who was first, then here."""
        if self.remote:
            self.repository.push(self.remote, {BRANCH: (commit, head)})
        self.repository.move_refs({BRANCH: (commit, head)})

    def sync(self) -> None:
        """Make the local branch and the remote's the same, keeping every file of both.

        Raises LostRaceError when other writers win every attempt, GitError when the remote cannot be reached.
        """
        if self.remote is None:
            return
        for attempt in range(ATTEMPTS):
            ours = self.head
            theirs = self._fetch(ours)
            if ours == theirs:
                return
            try:
                self._join(self.remote, ours, theirs)
            except LostRaceError:
                _pause(attempt)
                continue
            return
        raise LostRaceError(f"other writers on {self.remote} won {ATTEMPTS} times", hint="run the same command again")

    def _fetch(self, ours: str | None) -> str | None:
        """Bring the remote's ledger here, unless it is `ours`, and return its commit, None where it has none."""
        remote = self.remote or ""
        theirs = self.repository.remote_refs(remote, BRANCH).get(BRANCH)
        tracking = f"refs/publisher/{remote}/ledger"
        if theirs and theirs not in {ours, self.repository.ref(tracking)}:
            self.repository.fetch(remote, f"+{BRANCH}:{tracking}")
            theirs = self.repository.ref(tracking)
        return theirs

    def _join(self, remote: str, ours: str | None, theirs: str | None) -> None:
        """Fast-forward one side to the other, or commit our own files again on top of theirs."""
        repository = self.repository
        if theirs and (ours is None or repository.is_ancestor(ours, theirs)):
            repository.move_refs({BRANCH: (theirs, ours)})
        elif ours and (theirs is None or repository.is_ancestor(theirs, ours)):
            repository.push(remote, {BRANCH: (ours, theirs)})
        elif ours and theirs:
            mine = repository.tree(ours)
            blobs = repository.read_many(mine.values())
            files = {path: blob for path, blob in zip(mine, blobs, strict=True) if blob is not None}
            replayed = self._commit(self._missing(files, theirs), theirs, "Entries made meanwhile on another machine\n")
            repository.push(remote, {BRANCH: (replayed, theirs)})
            repository.move_refs({BRANCH: (replayed, ours)})

    def _missing(self, files: Mapping[str, bytes], head: str | None) -> dict[str, bytes]:
        """Return the files that `head` does not hold yet; StorageError when it holds another version of one."""
        held = self.repository.read_many([f"{head}:{path}" for path in files]) if head else [None] * len(files)
        for (path, data), old in zip(files.items(), held, strict=True):
            if old is not None and old != data:
                raise StorageError(f"the ledger already holds another {path}; it is append-only")
        return {path: data for (path, data), old in zip(files.items(), held, strict=True) if old is None}

    def _commit(self, files: Mapping[str, bytes], head: str | None, message: str) -> str:
        """Return a new ledger commit on top of `head`."""
        first = {} if head else {"README.md": _README}
        return self.repository.write_commit(
            {**first, **files}, message=message, author=author(int(time.time())), parents=[head] if head else []
        )


def _pause(attempt: int) -> None:
    """Wait a little, at random, so that racing writers come apart."""
    time.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter, not a secret
