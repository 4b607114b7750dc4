"""The only module that talks to git.

Commands run in a clean room: no inherited `GIT_*` variable (git hooks set them), no system or global configuration
except the user's identity and credentials where a push needs them, no hooks, full hashes and `-z` output. Objects are
written with plumbing and a temporary index, so the user's working tree and index are never touched.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import git as gitpython

from publisher.errors import GitError, LostRaceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SAFE = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "core.quotePath=false",
    "-c",
    "gc.auto=0",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "push.gpgSign=false",
    "-c",
    "advice.detachedHead=false",
)
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
ZERO = "0" * 40
"""What `update-ref` takes as the old value of a ref that must not exist yet."""


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


@dataclass(frozen=True, slots=True)
class _Output:
    code: int
    stdout: bytes
    stderr: str


def _execute(
    arguments: list[str], folder: Path, *, stdin: bytes | None = None, environment: Mapping[str, str] | None = None
) -> _Output:
    """Run git in `folder` through GitPython, without the variables that a surrounding git may have set."""
    inherited = sorted(name for name in os.environ if name.startswith("GIT_") and not name.startswith("GIT_SSH"))
    # GitPython merges os.environ into the child's environment, so what must be absent is removed by env(1).
    unset = [part for name in inherited for part in ("-u", name)]
    variables = [f"{key}={value}" for key, value in {**_ENVIRONMENT, **(environment or {})}.items()]
    command = ["env", *unset, *variables, "git", *_SAFE, *arguments]
    with tempfile.TemporaryFile() as stream:
        if stdin is not None:
            stream.write(stdin)
            stream.seek(0)
        code, stdout, stderr = gitpython.Git(str(folder)).execute(
            command,
            istream=stream,
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
        )
    errors = stderr if isinstance(stderr, str) else bytes(stderr).decode(errors="replace")
    return _Output(code, stdout if isinstance(stdout, bytes) else stdout.encode(), errors)


def _failure(arguments: list[str], folder: Path, output: _Output) -> str:
    """Return the failed command whole: what ran, where, its code and what it said."""
    said = "\n".join(part.strip() for part in (output.stdout[-4000:].decode(errors="replace"), output.stderr) if part)
    return f"$ git {shlex.join(arguments)}\n(in {folder}, exit code {output.code})\n{said}"


class Repository:
    """A git repository, read and written with plumbing only."""

    def __init__(self, folder: Path) -> None:
        """Open the repository that contains `folder`; UsageError when there is none."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder", hint="publisher --repo FOLDER …")
        output = _execute(["rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel"], folder)
        lines = output.stdout.decode().splitlines()
        if not lines:
            raise UsageError(
                f"{folder} is not in a git repository",
                hint="run it inside a repository, or: git init",
                detail=output.stderr.strip(),
            )
        self.git_folder = Path(lines[0])
        self.root = Path(lines[1]) if len(lines) > 1 else self.git_folder

    def run(self, *arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> bytes:
        """Run one git command and return what it printed; GitError, with the command whole, when it fails."""
        output = _execute(list(arguments), self.root, stdin=stdin, environment=environment)
        if output.code != 0:
            message = f"git {arguments[0]} failed in {self.root}"
            raise GitError(message, detail=_failure(list(arguments), self.root, output))
        return output.stdout

    def text(self, *arguments: str) -> str:
        """Run one git command and return its output as text without the final newline."""
        return self.run(*arguments).decode(errors="replace").rstrip("\n")

    # -- reading -------------------------------------------------------------------------------------------------

    def resolve(self, revision: str) -> str:
        """Return the full hash of the commit that `revision` names; UsageError when there is none here."""
        arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
        output = _execute(arguments, self.root)
        sha = output.stdout.decode().strip()
        if output.code == 0 and _OID.match(sha):
            return sha
        if self.is_shallow():
            raise UsageError(
                f"this shallow clone does not have the commit {revision!r}",
                hint="git fetch --unshallow   (in GitHub Actions: actions/checkout with fetch-depth: 0)",
            )
        raise UsageError(f"no commit is called {revision!r} in {self.root}", hint="git log --oneline")

    def is_shallow(self) -> bool:
        """Return whether history is cut off here."""
        return self.text("rev-parse", "--is-shallow-repository") == "true"

    def is_dirty(self) -> bool:
        """Return whether the working tree or the index differs from HEAD (untracked files are not counted)."""
        if self.root == self.git_folder:
            return False
        return bool(self.run("status", "--porcelain", "-z", "--untracked-files=no"))

    def commit(self, sha: str) -> Commit:
        """Return the commit object `sha`, which must be a full hash."""
        raw = self.run("cat-file", "commit", _checked(sha)).decode(errors="replace")
        header, _, message = raw.partition("\n\n")
        fields = [line.split(" ", 1) for line in header.split("\n") if " " in line and not line.startswith(" ")]
        values = dict(reversed(fields))
        author = re.match(r"(.*?) <.*> (\d+) [+-]\d{4}\Z", values.get("author", ""))
        parents = tuple(value for key, value in fields if key == "parent")
        name, time = (author[1], int(author[2])) if author else ("", 0)
        return Commit(sha, values["tree"], parents, name, time, message)

    def tree_of(self, commit: str) -> str:
        """Return the hash of the tree of a commit."""
        return self.commit(commit).tree

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of the file `path` in `commit`, or None where it has none."""
        return self.read_many([f"{_checked(commit)}:{path}"])[0]

    def read_many(self, names: Iterable[str]) -> list[bytes | None]:
        """Return the blobs that `names` (hashes, or COMMIT:PATH) stand for, in one process; None for a missing one."""
        wanted = list(names)
        if any("\n" in name for name in wanted):
            message = "a file name with a line break cannot be read"
            raise GitError(message)
        if not wanted:
            return []
        output = self.run("cat-file", "--batch", stdin="".join(f"{name}\n" for name in wanted).encode())
        blobs: list[bytes | None] = []
        position = 0
        for _ in wanted:
            end = output.index(b"\n", position)
            words = output[position:end].split(b" ")
            position = end + 1
            if words[-1] == b"missing" or len(words) < 3 or not words[-1].isdigit():
                blobs.append(None)
                continue
            size = int(words[-1])
            blobs.append(output[position : position + size] if words[-2] == b"blob" else None)
            position += size + 1
        return blobs

    def tree(self, commit: str, path: str = "") -> dict[str, str]:
        """Return {path: blob hash} of every file of `commit` below `path`; empty where there is none."""
        listing = self.run("ls-tree", "-r", "-z", "--full-tree", _checked(commit), "--", *([path] if path else []))
        entries = (entry.split(b"\t", 1) for entry in listing.split(b"\0") if entry)
        return {name.decode(errors="replace"): meta.split(b" ")[2].decode() for meta, name in entries}

    def changes(self, old: str, new: str) -> dict[str, str | None]:
        """Return {path: blob hash} of every file that differs between two commits, None for one that `new` has not."""
        words = self.run("diff-tree", "-r", "-z", "--no-renames", _checked(old), _checked(new)).split(b"\0")
        blobs = (meta.split(b" ")[3].decode() for meta in words[0:-1:2])
        return {
            path.decode(errors="replace"): blob if blob.strip("0") else None
            for path, blob in zip(words[1::2], blobs, strict=True)
        }

    def ref(self, name: str) -> str | None:
        """Return the hash that the full ref `name` points to, or None."""
        output = _execute(["rev-parse", "--verify", "--quiet", "--end-of-options", name], self.root)
        return output.stdout.decode().strip() or None

    def remotes(self) -> list[str]:
        """Return the names of the remotes."""
        return self.text("remote").splitlines()

    def setting(self, name: str) -> str:
        """Return a value of git's configuration, empty where it has none."""
        return _execute(["config", "--get", name], self.root).stdout.decode(errors="replace").strip()

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether `older` can be reached from `newer`."""
        return _execute(["merge-base", "--is-ancestor", _checked(older), _checked(newer)], self.root).code == 0

    # -- writing -------------------------------------------------------------------------------------------------

    def write_commit(
        self,
        files: Mapping[str, bytes],
        *,
        message: str,
        author: Author,
        parents: Sequence[str] = (),
        tree: str | None = None,
    ) -> str:
        """Return the hash of a new commit with `parents`; no ref moves, no file changes.

        Its tree is that of the commit `tree`, of the first parent where `tree` is None, or empty, plus `files`.
        """
        # One process, however large the tree is. The ref that fast-import insists on is deleted before it is written.
        scratch = f"refs/publisher/new-{secrets.token_hex(8)}"
        person = f"{author.name} <{author.email}> {author.time} +0000"
        parts = [
            f"commit {scratch}\nmark :1\nauthor {person}\ncommitter {person}\n".encode(),
            _data(message.encode()),
            *(f"{'merge' if number else 'from'} {_checked(sha)}\n".encode() for number, sha in enumerate(parents)),
            # An explicit tree replaces the first parent's, which fast-import would otherwise start from.
            f'M 040000 {self.tree_of(tree)} ""\n'.encode() if tree else b"",
            *(f"M 100644 inline {_quoted(path)}\n".encode() + _data(data) for path, data in files.items()),
            f"get-mark :1\nreset {scratch}\nfrom {ZERO}\n\ndone\n".encode(),
        ]
        return _checked(self.run("fast-import", "--quiet", "--done", stdin=b"".join(parts)).decode().strip())

    def move_refs(self, moves: Mapping[str, tuple[str, str | None]]) -> None:
        """Move refs, {name: (new, old)}, all or none; an `old` of None demands that the ref does not exist.

        Raises LostRaceError when one of them is not where `old` says.
        """
        lines = ["start"]
        lines += [f"update {name} {_checked(new)} {old or ZERO}" for name, (new, old) in moves.items()]
        output = _execute(["update-ref", "--stdin"], self.root, stdin="\n".join([*lines, "commit", ""]).encode())
        if output.code != 0:
            detail = _failure(["update-ref", "--stdin"], self.root, output)
            raise LostRaceError(f"{', '.join(moves)} moved meanwhile", hint="run the same command again", detail=detail)

    def delete_ref(self, name: str, old: str) -> None:
        """Delete a ref that is at `old`; LostRaceError when it is elsewhere."""
        output = _execute(["update-ref", "-d", name, _checked(old)], self.root)
        if output.code != 0:
            detail = _failure(["update-ref", "-d", name], self.root, output)
            raise LostRaceError(f"{name} moved meanwhile", detail=detail)

    def delete_remote(self, remote: str, name: str, old: str) -> None:
        """Delete a ref on `remote` that is at `old` there."""
        lease = f"--force-with-lease={name}:{_checked(old)}"
        self.run("push", "--quiet", lease, "--end-of-options", remote, f":{name}")

    def tags(self) -> dict[str, str]:
        """Return {tag: hash of the commit that it names}."""
        listing = self.text("for-each-ref", "--format=%(objectname) %(*objectname) %(refname:strip=2)", "refs/tags")
        words = [line.split(" ", 2) for line in listing.splitlines()]
        return {name: peeled or sha for sha, peeled, name in words}

    def fetch(self, remote: str, *refspecs: str) -> None:
        """Fetch `refspecs` from `remote`, without tags; patterns that match nothing are no error."""
        self.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", remote, *refspecs)

    def remote_refs(self, remote: str, *patterns: str) -> dict[str, str]:
        """Return {full ref name: hash} of the remote's refs that match `patterns`."""
        listing = self.text("ls-remote", "--quiet", "--refs", "--end-of-options", remote, *patterns)
        return {name: sha for sha, name in (line.split("\t", 1) for line in listing.splitlines())}

    def push(self, remote: str, moves: Mapping[str, tuple[str, str | None]]) -> None:
        """Push {full ref name: (new, expected old)} to `remote`, all or none, each only from its expected place.

        Raises LostRaceError when a ref is elsewhere on the remote, GitError when the push fails otherwise.
        """
        leases = [f"--force-with-lease={name}:{old or ''}" for name, (_, old) in moves.items()]
        refspecs = [f"{_checked(new)}:{name}" for name, (new, _) in moves.items()]
        arguments = ["push", "--quiet", "--atomic", "--porcelain", *leases, "--end-of-options", remote, *refspecs]
        output = _execute(arguments, self.root)
        if output.code == 0:
            return
        detail = _failure(arguments, self.root, output)
        said = output.stdout.decode(errors="replace") + output.stderr
        if re.search(r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref", said):
            message = f"{', '.join(moves)} moved on {remote} meanwhile"
            raise LostRaceError(message, hint="run the same command again", detail=detail)
        raise GitError(f"cannot push to {remote}", hint=f"git push {remote}   shows whether you may", detail=detail)


def _checked(sha: str) -> str:
    """Return `sha` where it is a full hash; GitError otherwise (it would be read as something else)."""
    if not _OID.match(sha):
        message = f"{sha!r} is not a full commit hash"
        raise GitError(message)
    return sha


def _data(content: bytes) -> bytes:
    """Return `content` as git fast-import takes it."""
    return b"data %d\n%s\n" % (len(content), content)


def _quoted(path: str) -> str:
    """Return a path as git fast-import takes it."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def is_branch_name(name: str) -> bool:
    """Return whether git and we accept `name` as a branch: plain characters, and no option or range in disguise."""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", name)) and not re.search(
        r"\.\.|//|\.lock(/|\Z)|/\.|[./]\Z|@\{", name
    )


def clone_branch(source: str, branch: str, into: Path) -> str:
    """Clone `branch` of `source` into the empty folder `into`, with full history, and return the commit checked out."""
    if not is_branch_name(branch):
        message = f"{branch!r} is not a branch name"
        raise GitError(message)
    arguments = ["clone", "--quiet", "--no-tags", "--single-branch", "--branch", branch, "--", source, str(into)]
    into.parent.mkdir(parents=True, exist_ok=True)
    output = _execute(arguments, into.parent)
    if output.code != 0:
        raise GitError(f"cannot clone the branch {branch} of {source}", detail=_failure(arguments, into.parent, output))
    return Repository(into).text("rev-parse", "HEAD")
