"""The ledger branch: append files, never change one, and bring the branch together with the remote's.

A run's files are in `runs/<run_id>/`. The remote decides which of two writers was first: an entry is pushed only from
the state that it was made for. After a lost race the newest state is fetched and the entry is made again on top of it.
Nothing that the remote has is ever rewritten.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import GitError, LostRaceError, StorageError, UsageError
from publisher.git import LARGEST, Author, Repository
from publisher.ledger import order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BRANCH = "refs/heads/ledger"
ATTEMPTS = 40
AUTHOR_NAME = "publisher"
AUTHOR_EMAIL = "publisher@snapshot.invalid"
README = "README.md"
README_TEXT = b"""# Ledger

The append-only history of this repository's benchmark runs, written by `publisher`. One folder per run in `runs/`:
`record.json` (what was measured), `verdict.json` (what the gate said), `summary.json` (one line of history),
`samples.jsonl.gz` (every answer), `report.json` (what the run was compared with) and, for a published snapshot,
`snapshot.json`, `request-N.json` and `receipt-N.json`.
`live/` says where the live site was moved, when, by whom and why. Do not edit this branch.
"""
_LARGEST_README = 64 << 10
"""Bytes of a README that can be the ledger's own."""


def _never() -> bool:
    """Return False: the entry is made whatever else is in the ledger."""
    return False


def author(moment: int) -> Author:
    """Return the identity that ledger and snapshot commits carry: fixed, so that equal contents make equal commits."""
    return Author(AUTHOR_NAME, AUTHOR_EMAIL, moment)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one repository and, where there is one, of its remote."""

    repository: Repository
    remote: str | None = None
    as_fetched: bool = False
    """Whether the remote is not asked: its ledger is where it was when this clone last fetched."""

    @property
    def head(self) -> str | None:
        """The local branch's commit, None before the first entry."""
        return self.repository.ref(BRANCH)

    def paths(self, below: str = "") -> dict[str, str]:
        """Return {path: blob hash} of everything in the ledger, or in one folder of it."""
        head = self.head
        if head is None:
            return {}
        return self.repository.below(head, below) if below else self.repository.tree(head)

    def read(self, path: str, *, limit: int = LARGEST) -> bytes | None:
        """Return one file of the ledger, or None; StorageError when it has more than `limit` bytes."""
        head = self.head
        return self.repository.read(head, path, limit=limit) if head else None

    def has(self, path: str) -> bool:
        """Return whether the local branch holds a file."""
        return self.read(path) is not None

    def append(
        self,
        files: Mapping[str, bytes],
        message: str,
        *,
        unless: Callable[[], bool] = _never,
        beside: Mapping[str, str] | None = None,
    ) -> bool:
        """Add `files` in one commit, here and on the remote at once; return whether they are in the ledger now.

        `unless` is asked each time before the files are added, and what it sees is the newest state: the push goes
        through only from exactly that state, and otherwise the remote is fetched and `unless` is asked again. So two
        writers cannot both find a place free. When it says true, nothing is added, and the answer is False.

        `beside` are branches, {full ref name: commit}, that the remote creates together with the entry, or neither:
        where one of them exists there already, that is a lost race.

        Files that are there already, byte for byte, make no commit and are never somebody else's: an entry that
        carries a writer's own word is that writer's, whatever became of the command that pushed it. Raises
        StorageError when a path exists with other contents (the ledger is append-only), LostRaceError when other
        writers win every attempt, GitError when the remote cannot be reached or rejects the push.
        """
        for attempt in range(ATTEMPTS):
            head = self.head
            self._require_own(head)
            held = self._held(files, head)
            if head and len(held) == len(files) and all(held.values()):
                if beside and self.remote:
                    # Whoever brought the files may have lost the branches since.
                    self.repository.push(self.remote, {ref: (sha, None) for ref, sha in beside.items()})
                self.sync()
                return True
            if unless():
                self.sync()
                return False
            missing = self._missing(files, head)
            signed = order.message(message, order.brought(self.repository, head, missing))
            try:
                self._advance(self._commit(missing, head, signed), head, beside or {})
            except LostRaceError:
                _pause(attempt)
                self.sync()
                continue
            return True
        raise LostRaceError(f"other writers won {ATTEMPTS} times", hint="run the same command again")

    def _advance(self, commit: str, head: str | None, beside: Mapping[str, str]) -> None:
        """Move the branch from `head` to `commit`: first on the remote, which decides who was first, then here.

        Once the remote has the commit, the entry is made, whatever happens to the local branch: another process on
        this machine may have fetched the commit and moved the branch before we did.
        """
        self.repository.require_movable([BRANCH])
        if self.remote is None:
            self.repository.move_refs({BRANCH: (commit, head)})
            return
        try:
            created = {ref: (sha, None) for ref, sha in beside.items()}
            self.repository.push(self.remote, {BRANCH: (commit, head), **created})
        except GitError:
            # The answer may have been lost after the push took effect, and others may have built on it since.
            if not self._has_arrived(commit):
                raise
        try:
            self.repository.move_refs({BRANCH: (commit, head)})
        except LostRaceError:
            # The entry is in the ledger, so failing to follow it here is for the next sync to report.
            with contextlib.suppress(GitError):
                self.sync()

    def _has_arrived(self, commit: str) -> bool:
        """Return whether the remote's ledger contains a commit; false where the remote does not answer."""
        try:
            theirs = self._fetch(None)
        except GitError:
            return False
        return theirs is not None and self.repository.is_ancestor(commit, theirs)

    def sync(self) -> None:
        """Make the local branch and the remote's the same, keeping every file of both.

        Raises LostRaceError when other writers win every attempt, GitError when the remote cannot be reached.
        """
        if self.remote is None:
            return
        if self.as_fetched:
            self._take_fetched(self.remote)
            return
        for attempt in range(ATTEMPTS):
            ours = self.head
            try:
                # Another process of this clone may be fetching at the same moment: then git finds the ref moved.
                theirs = self._fetch(ours)
                if ours == theirs:
                    return
                self._join(self.remote, ours, theirs)
            except LostRaceError:
                _pause(attempt)
                continue
            return
        raise LostRaceError(f"other writers on {self.remote} won {ATTEMPTS} times", hint="run the same command again")

    def _take_fetched(self, remote: str) -> None:
        """Move the local branch to where the remote's was when this clone last fetched, where that is ahead."""
        ours, theirs = self.head, self.repository.ref(f"refs/remotes/{remote}/ledger")
        if theirs and theirs != ours and (ours is None or self.repository.is_ancestor(ours, theirs)):
            self.repository.move_refs({BRANCH: (theirs, ours)})

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
        repository.require_movable([BRANCH])
        self._require_own(ours, theirs)
        if theirs and (ours is None or repository.is_ancestor(ours, theirs)):
            repository.move_refs({BRANCH: (theirs, ours)})
        elif ours and (theirs is None or repository.is_ancestor(theirs, ours)):
            repository.push(remote, {BRANCH: (ours, theirs)})
        elif ours and theirs:
            there = repository.tree(theirs)
            own = {path: blob for path, blob in repository.tree(ours).items() if there.get(path, "") != blob}
            other = next((path for path in own if path in there and path != README), None)
            if other is not None:
                raise StorageError(f"{remote} already holds another {other}; the ledger is append-only")
            news = {path: blob for path, blob in own.items() if path not in there}
            # Our runs keep their order, after those of the remote.
            runs = order.ordered(repository, ours, order.brought(repository, theirs, news))
            message = order.message("Entries made meanwhile on another machine\n", runs)
            replayed = self._commit({}, theirs, message, blobs=news)
            repository.push(remote, {BRANCH: (replayed, theirs)})
            repository.move_refs({BRANCH: (replayed, ours)})

    def _require_own(self, *commits: str | None) -> None:
        """Raise UsageError when a branch `ledger`, here or on the remote, was not made by publisher.

        Nothing is added to such a branch, and none of its files are taken over.
        """
        for commit in filter(None, commits):
            size = self.repository.sizes([f"{commit}:{README}"])[0] or 0
            about = (self.repository.read(commit, README) or b"") if size < _LARGEST_README else b""
            if not about.startswith(README_TEXT.partition(b"\n")[0]):
                raise UsageError(
                    f"the branch ledger at {commit[:12]} is none that publisher made",
                    hint="give it another name, here and on the remote, then run the same command again",
                )

    def _missing(self, files: Mapping[str, bytes], head: str | None) -> dict[str, bytes]:
        """Return the files that `head` does not hold yet; StorageError when it holds another version of one."""
        held = self._held(files, head)
        other = next((path for path, same in held.items() if not same), None)
        if other is not None:
            raise StorageError(f"the ledger already holds another {other}; it is append-only")
        return {path: data for path, data in files.items() if path not in held}

    def _held(self, files: Mapping[str, bytes], head: str | None) -> dict[str, bool]:
        """Return {path: whether its contents are the same} of those files whose paths exist in `head`."""
        if head is None:
            return {}
        names = {path: f"{head}:{path}" for path in files}
        sizes = dict(zip(files, self.repository.sizes(names.values()), strict=True))
        # Only a file of the same size can be the same, so nothing larger than ours is ever read.
        alike = [path for path, data in files.items() if sizes[path] == len(data)]
        read = self.repository.read_many(
            (names[path] for path in alike), limit=max(map(len, files.values()), default=0)
        )
        same = {path for path, data in zip(alike, read, strict=True) if data == files[path]}
        return {path: path in same for path, size in sizes.items() if size is not None}

    def _commit(
        self, files: Mapping[str, bytes], head: str | None, message: str, blobs: Mapping[str, str] | None = None
    ) -> str:
        """Return a new ledger commit on top of `head`."""
        first = {} if head else {README: README_TEXT}
        return self.repository.write_commit(
            {**first, **files},
            message=message,
            author=author(int(time.time())),
            parents=[head] if head else [],
            blobs=blobs or {},
        )


def _pause(attempt: int) -> None:
    """Wait for a short random time, so that racing writers do not collide again."""
    time.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter, not a secret
