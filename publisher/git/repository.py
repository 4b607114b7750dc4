"""A git repository: reading commits, files and refs, writing commits, moving refs, and talking to a remote."""

from __future__ import annotations

import os
import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from publisher.errors import GitError, LostRaceError, RemoteRejectedError, UsageError
from publisher.git import answers, importing, locks, signing
from publisher.git.objects import LARGEST, ObjectReader
from publisher.git.process import PATIENCE, Output, Patience, execute
from publisher.git.values import (
    Author,
    Commit,
    checked,
    is_full_hash,
    parsed_changes,
    parsed_commit,
    parsed_tree,
    parsed_worktrees,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\Z")


def _silent(_: str) -> None:
    """Take no notice of a note."""


class Repository:
    """A git repository, read and written with plumbing only."""

    def __init__(self, folder: Path, *, patience: Patience = PATIENCE, note: Callable[[str], None] = _silent) -> None:
        """Open the repository that contains `folder`; UsageError when there is none.

        `note` is told what was done besides the work itself, such as removing a stale lock.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder", hint="publisher --repo FOLDER …")
        wanted = ["--git-common-dir", "--show-object-format", "--show-toplevel"]
        output = execute(["rev-parse", "--path-format=absolute", *wanted], folder)
        lines = os.fsdecode(output.stdout).splitlines()
        if len(lines) < 2:
            raise UsageError(
                f"{folder} is not in a git repository",
                hint="run it inside a repository, or: git init",
                detail=output.stderr.strip(),
            )
        self.git_folder = Path(lines[0]).resolve()
        # A bare repository (a mirror clone, say) has no working tree, and commands run in its git folder.
        self.root = Path(lines[2]) if len(lines) > 2 else self.git_folder
        self.zero = "0" * (64 if lines[1] == "sha256" else 40)
        """What `update-ref` takes as the old value of a ref that must not exist yet."""
        self.patience = patience
        self.note = note
        self._objects = ObjectReader(self.root)
        self._settings: dict[str, str] | None = None

    def run(self, *arguments: str, stdin: bytes = b"", settings: Sequence[str] = ()) -> bytes:
        """Run one git command and return what it printed; GitError, with the command in full, when it fails."""
        output = self._locked(arguments, stdin=stdin, settings=settings)
        if output.code != 0:
            raise answers.local_error(output, f"git {arguments[0]} failed in {self.root}")
        return output.stdout

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run one git command and return its output as text without the final newline."""
        return self.run(*arguments, stdin=stdin).decode(errors="replace").rstrip("\n")

    def close(self) -> None:
        """End the processes that read objects; the next read starts new ones."""
        self._objects.close()

    def resolve(self, revision: str) -> str:
        """Return the full hash of the commit that `revision` names; UsageError when there is none here."""
        arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
        output = execute(arguments, self.root)
        sha = output.stdout.decode().strip()
        if output.code == 0 and is_full_hash(sha):
            return sha
        if self.is_shallow():
            raise UsageError(f"this shallow clone does not have the commit {revision!r}", hint=_UNSHALLOW)
        if revision == "HEAD":
            raise UsageError(f"{self.root} has no commit yet", hint="git add --all; git commit --message …")
        raise UsageError(f"no commit is called {revision!r} in {self.root}", hint="git log --oneline")

    def is_shallow(self) -> bool:
        """Return whether history is cut off here."""
        return self.text("rev-parse", "--is-shallow-repository") == "true"

    def is_dirty(self) -> bool:
        """Return whether the working tree or the index differs from HEAD (untracked files are not counted)."""
        if self.root == self.git_folder:
            return False
        return bool(self.run("status", "--porcelain", "-z", "--untracked-files=no"))

    def has(self, commit: str, path: str = "") -> bool:
        """Return whether the commit, or the file or folder `path` in it, is in this clone."""
        return self._objects.info([f"{checked(commit)}:{path}" if path else checked(commit)]) != [None]

    def commit(self, sha: str) -> Commit:
        """Return the commit object `sha`, which must be a full hash; GitError when it is not in this clone."""
        data = self._objects.contents(self._objects.info([checked(sha)]), LARGEST)[0]
        if data is None:
            raise self._absent(sha)
        return parsed_commit(sha, data)

    def size(self, commit: str, path: str) -> int | None:
        """Return the size in bytes of the file `path` in `commit` without reading it, None where it has none."""
        return self.sizes([f"{checked(commit)}:{path}"])[0]

    def sizes(self, names: Iterable[str]) -> list[int | None]:
        """Return the sizes of the blobs that `names` (hashes, or COMMIT:PATH) stand for; None for a missing one."""
        return [known.size if known and known.kind == "blob" else None for known in self._objects.info(names)]

    def read(self, commit: str, path: str, *, limit: int = LARGEST) -> bytes | None:
        """Return the bytes of the file `path` in `commit`, or None where it has none.

        Raises StorageError when it has more than `limit` bytes, and GitError when the commit is not in this clone.
        """
        data = self.read_many([f"{checked(commit)}:{path}"], limit=limit)[0]
        if data is None and not self.has(commit):
            raise self._absent(commit)
        return data

    def copy(self, commit: str, path: str, stream: BinaryIO) -> None:
        """Write the file `path` of `commit` to `stream`, piece by piece; GitError where there is none."""
        known = self._objects.info([f"{checked(commit)}:{path}"])[0]
        if known is None or known.kind != "blob":
            raise GitError(f"commit {commit[:12]} has no file {path!r}")
        self._objects.copy(known, stream)

    def read_many(self, names: Iterable[str], *, limit: int = LARGEST) -> list[bytes | None]:
        """Return the blobs that `names` (hashes, or COMMIT:PATH) stand for; None for a missing one.

        Raises StorageError, before anything is read, when one of them has more than `limit` bytes.
        """
        known = self._objects.info(names)
        return self._objects.contents([found if found and found.kind == "blob" else None for found in known], limit)

    def read_small(self, names: Iterable[str], limit: int) -> list[bytes | None]:
        """Return blobs as `read_many` does, but None for one of more than `limit` bytes: it is not read at all."""
        known = self._objects.info(names)
        small = [found if found and found.kind == "blob" and found.size <= limit else None for found in known]
        return self._objects.contents(small, limit)

    def tree(self, commit: str) -> dict[str, str]:
        """Return {path: blob hash} of every file of `commit`."""
        listing = self.run("ls-tree", "-r", "-z", "--full-tree", checked(commit))
        entries = (entry.split(b"\t", 1) for entry in listing.split(b"\0") if entry)
        return {name.decode(errors="replace"): meta.split(b" ")[2].decode() for meta, name in entries}

    def blob(self, commit: str, path: str) -> str | None:
        """Return the hash of the file `path` in `commit`, None where it has none."""
        found = self._objects.info([f"{checked(commit)}:{path}"])[0]
        return found.sha if found and found.kind == "blob" else None

    def below(self, commit: str, path: str) -> dict[str, str]:
        """Return {path: blob hash} of every file of `commit` below the folder `path`; for folders with few others."""
        found: dict[str, str] = {}
        for name, (is_folder, sha) in self._folder(commit, path.rstrip("/")).items():
            inside = f"{path.rstrip('/')}/{name}"
            found |= self.below(commit, inside) if is_folder else {inside: sha}
        return found

    def _folder(self, commit: str, path: str) -> dict[str, tuple[bool, str]]:
        """Return what lies directly in a folder of a commit; empty where there is none."""
        known = self._objects.info([f"{checked(commit)}:{path}"])
        data = self._objects.contents([found if found and found.kind == "tree" else None for found in known], LARGEST)
        return parsed_tree(data[0] or b"", len(self.zero) // 2)

    def changes(self, old: str, new: str) -> dict[str, str | None]:
        """Return {path: blob hash} of every file that differs between two commits, None for one that `new` has not."""
        return parsed_changes(self.run("diff-tree", "-r", "-z", "--no-renames", checked(old), checked(new)))

    def ref(self, name: str) -> str | None:
        """Return the hash that the full ref `name` points to, or None."""
        found = self._objects.info([name])[0]
        return found.sha if found else None

    def tags(self) -> dict[str, str]:
        """Return {tag: hash of the commit that it names}."""
        listing = self.text("for-each-ref", "--format=%(objectname) %(*objectname) %(refname:strip=2)", "refs/tags")
        words = [line.split(" ", 2) for line in listing.splitlines()]
        return {name: peeled or sha for sha, peeled, name in words}

    def remotes(self) -> list[str]:
        """Return the names of the remotes."""
        keys = (re.fullmatch(r"remote\.(.+)\.url", key) for key in self._configuration())
        return sorted(key[1] for key in keys if key)

    def setting(self, name: str) -> str:
        """Return a value of git's configuration, empty where it has none."""
        return self._configuration().get(name, "")

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether `older` can be reached from `newer`."""
        return execute(["merge-base", "--is-ancestor", checked(older), checked(newer)], self.root).code == 0

    def _configuration(self) -> dict[str, str]:
        """Return git's configuration as it was when it was first asked for; of several values the last counts."""
        if self._settings is None:
            entries = self.run("config", "--list", "-z").decode(errors="replace").split("\0")
            self._settings = {key: value for key, _, value in (entry.partition("\n") for entry in entries)}
        return self._settings

    def _absent(self, sha: str) -> GitError:
        return GitError(
            f"the commit {sha} is not in {self.root}", hint=_UNSHALLOW if self.is_shallow() else "git fetch"
        )

    def write_commit(
        self,
        files: Mapping[str, bytes],
        *,
        message: str,
        author: Author,
        parents: Sequence[str] = (),
        tree: str | None = None,
        blobs: Mapping[str, str] | None = None,
    ) -> str:
        """Return the hash of a new commit with `parents`; no ref moves, no file changes.

        Its tree is that of the commit `tree`, of the first parent where `tree` is None, or empty, plus `files` and
        plus `blobs`, {path: hash}, which are in the repository already and are not read.
        """
        wanted = importing.stream(
            files,
            message=message,
            author=author,
            parents=parents,
            tree=self.commit(tree).tree if tree else "",
            blobs=blobs or {},
            zero=self.zero,
        )
        # Its pack is unpacked again at once, so compressing it well would only take time.
        made = self.run("fast-import", "--quiet", "--done", stdin=wanted, settings=["pack.compression=1"])
        sha, wide = checked(made.decode().strip()), len(self.zero) == 64
        whole = signing.signed(lambda: self.run("cat-file", "commit", sha), self.setting, sha256=wide)
        return self.text("hash-object", "-t", "commit", "-w", "--stdin", stdin=whole) if whole else sha

    def move_refs(self, moves: Mapping[str, tuple[str, str | None]]) -> None:
        """Move refs, {name: (new, old)}, all or none; an `old` of None demands that the ref does not exist.

        Raises LostRaceError when one of them is not where `old` says, UsageError when one is checked out in a folder,
        which would then look edited.
        """
        self.require_movable(moves)
        lines = ["start"]
        lines += [f"update {name} {checked(new)} {old or self.zero}" for name, (new, old) in moves.items()]
        output = self._locked(["update-ref", "--stdin"], stdin="\n".join([*lines, "commit", ""]).encode())
        if output.code != 0:
            raise answers.ref_error(output, moves)

    def delete_ref(self, name: str, old: str) -> None:
        """Delete a ref that is at `old`; LostRaceError when it is elsewhere."""
        self.require_movable([name])
        output = self._locked(["update-ref", "-d", name, checked(old)])
        if output.code != 0:
            raise answers.ref_error(output, [name])

    def require_movable(self, names: Iterable[str]) -> None:
        """Raise UsageError when a folder has one of the branches checked out."""
        for name, place in self.checked_out(names).items():
            raise UsageError(
                f"the branch {name.removeprefix('refs/heads/')} is checked out in {place}; if it moved, that "
                "folder would look edited",
                hint=f"git -C {shlex.quote(place)} switch --detach   then run the same command again",
            )

    def checked_out(self, names: Iterable[str]) -> dict[str, str]:
        """Return {full ref name: folder} of those branches that a folder has checked out."""
        wanted = set(names)
        bare = self.root == self.git_folder
        head = (self.git_folder / "HEAD").read_text(encoding="utf-8", errors="replace").strip().removeprefix("ref: ")
        # Where refs are not kept as files, HEAD names an invalid branch, and only git knows the right one.
        elsewhere = head not in wanted and head != "refs/heads/.invalid"
        if not (self.git_folder / "worktrees").is_dir() and (bare or elsewhere):
            return {}
        places = parsed_worktrees(self.text("worktree", "list", "--porcelain"))
        return {name: places[name] for name in wanted if name in places}

    def fetch(self, remote: str, *refspecs: str, depth: int | None = None) -> None:
        """Fetch `refspecs` from `remote`, without tags; patterns that match nothing are no error."""
        # The refspecs and pruning of a mirror's configuration would overwrite and delete refs that only we have.
        options = ["--quiet", "--no-tags", "--no-prune", "--refmap="]
        options += ["--no-write-fetch-head", "--no-recurse-submodules", *([f"--depth={depth}"] if depth else [])]
        output = self._remotely(remote, ["fetch", *options, "--end-of-options", remote, *refspecs])
        if output.code != 0:
            raise answers.remote_error(output, remote, refspecs, self.patience.network)

    def fetch_commit(self, remote: str | None, sha: str) -> None:
        """Bring one commit that a shallow clone lacks here, without its history; GitError says how where it cannot."""
        if self.has(sha):
            return
        if remote is None:
            raise self._absent(sha)
        try:
            # A depth would make a full clone shallow, so it is only given where the clone is shallow already.
            self.fetch(remote, sha, depth=1 if self.is_shallow() else None)
        except GitError as error:
            raise GitError(self._absent(sha).message, hint=_UNSHALLOW, detail=error.detail) from error

    def remote_refs(self, remote: str, *patterns: str) -> dict[str, str]:
        """Return {full ref name: hash} of the remote's refs that match `patterns`."""
        output = self._remotely(remote, ["ls-remote", "--quiet", "--refs", "--end-of-options", remote, *patterns])
        if output.code != 0:
            raise answers.remote_error(output, remote, patterns, self.patience.network)
        lines = (line.split("\t", 1) for line in output.stdout.decode(errors="replace").splitlines())
        return {name: sha for sha, name in lines}

    def push(self, remote: str, moves: Mapping[str, tuple[str, str | None]]) -> None:
        """Push {full ref name: (new, expected old)} to `remote`, all or none, each only from its expected place.

        Raises LostRaceError when a ref is elsewhere on the remote, RemoteRejectedError when a rule of the remote is
        against it, GitError when the push fails otherwise. A push whose answer was lost, or that took too long, is
        followed by a look: where all refs have arrived, it counts as done.
        """
        leases = [f"--force-with-lease={name}:{old or ''}" for name, (_, old) in moves.items()]
        refspecs = [f"{checked(new)}:{name}" for name, (new, _) in moves.items()]
        self._push(
            remote, ["--atomic", "--porcelain", *leases], refspecs, {name: new for name, (new, _) in moves.items()}
        )

    def delete_remote(self, remote: str, name: str, old: str) -> None:
        """Delete a ref on `remote` that is at `old` there, or gone by now; LostRaceError when it is elsewhere."""
        wanted: dict[str, str | None] = {name: None}
        try:
            self._push(remote, ["--porcelain", f"--force-with-lease={name}:{checked(old)}"], [f":{name}"], wanted)
        except LostRaceError:
            if not self._arrived(remote, wanted):
                raise

    def _push(self, remote: str, options: list[str], refspecs: list[str], wanted: Mapping[str, str | None]) -> None:
        always = ["--quiet", "--no-follow-tags", "--recurse-submodules=no"]
        output = self._remotely(remote, ["push", *always, *options, "--end-of-options", remote, *refspecs])
        if output.code == 0:
            return
        error = answers.remote_error(output, remote, wanted, self.patience.network)
        certain = isinstance(error, LostRaceError | RemoteRejectedError)
        if certain or not self._arrived(remote, wanted):
            raise error

    def _arrived(self, remote: str, wanted: Mapping[str, str | None]) -> bool:
        """Return whether the remote's refs are as wanted; false where it does not answer."""
        try:
            there = self.remote_refs(remote, *wanted)
        except GitError:
            return False
        return all(there.get(name) == sha for name, sha in wanted.items())

    def _remotely(self, remote: str, arguments: Sequence[str]) -> Output:
        """Run a command that talks to a remote."""
        # A mirror's setting forbids to name what is pushed.
        mirror = [f"remote.{remote}.mirror=false"] if _REMOTE.match(remote) else []
        return self._locked(arguments, settings=mirror, remote=remote, timeout=self.patience.network)

    def _locked(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        settings: Sequence[str] = (),
        remote: str = "",
        timeout: float | None = None,
    ) -> Output:
        """Run a command, and again while it fails on a lock that is released meanwhile or that a killed git left.

        A lock that only keeps a push that succeeded from its last, unimportant entry would stop the user's next fetch.

        Raises GitError, which names the lock, its age and its holder, when a lock stays.
        """
        deadline, pause = time.monotonic() + self.patience.lock, 0.02
        while True:
            output = execute(arguments, self.root, stdin=stdin, settings=settings, timeout=timeout)
            lock = locks.named_in(output)
            if lock is None:
                return output
            homes = [self.git_folder, *locks.folder_of_remote(self.root, remote)]
            removed = (locks.remove_stale if output.code else locks.outwait)(lock, homes, self.patience)
            if removed:
                self.note(removed)
            if not output.code:
                return output
            if not removed and time.monotonic() > deadline:
                raise locks.held(remote, lock, homes, output)
            time.sleep(0 if removed else pause)
            pause = min(1.0, 1.5 * pause)


_UNSHALLOW = "git fetch --unshallow   (in GitHub Actions: actions/checkout with fetch-depth: 0)"
