"""Git hooks: a commit is measured in the background, and a push waits for the gate.

One measurement runs at a time, of the newest commit that was asked for: what was committed meanwhile and is not the
newest any more is never measured. The scripts in `hooks/` only call this.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.errors import StorageError, UsageError
from publisher.files import atomic_write, storage_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from publisher.publishing.project import Project

NAMES = ("post-commit", "pre-push")
MARK = "publisher hooks"
"""What a script contains that calls us."""
_OURS = re.compile(
    r"#!/bin/sh\n# git calls this [^\n]*\n(?:command -v publisher [^\n]*\n)?exec publisher hooks [a-z-]+\n"
)
"""A whole script that `install` wrote: a file with another line is somebody's own, which must not be lost."""
LARGEST = 1 << 16
QUICK = "quick"
OWN_REFS = re.compile(r"refs/heads/(ledger|live|snapshot-.*)|refs/tags/.*")
NOTHING = re.compile(r"0{40}|0{64}")


@dataclass(frozen=True, slots=True)
class HookState:
    """One hook as it is: `installed`, `absent`, `foreign` (somebody else's script), or `shared`: that calls us."""

    name: str
    path: Path
    state: str


def states(project: Project) -> list[HookState]:
    """Return both hooks as they are."""
    return [_state(name, hooks_folder(project) / name) for name in NAMES]


def hooks_folder(project: Project) -> Path:
    """Return where git looks for hooks here: `core.hooksPath`, or the repository's own folder."""
    # Our own git runs no hooks: of these values the one of its command line is not the user's.
    lines = project.repository.text("config", "--show-scope", "--type=path", "--get-all", "core.hooksPath").splitlines()
    own = [value for scope, _, value in (line.partition("\t") for line in lines) if scope != "command"]
    told = own[-1] if own else ""
    return (project.repository.root / told if told else project.repository.git_folder / "hooks").resolve()


def install(project: Project, source: Path) -> list[HookState]:
    """Put our scripts from `source` into git's folder; UsageError, with what to add, where another script is there."""
    folder = hooks_folder(project)
    manager = _manager(project, folder)
    if manager:
        raise UsageError(f"the hooks of this repository belong to {manager[0]}", hint=manager[1])
    for name in NAMES:
        path = folder / name
        if _state(name, path).state == "foreign":
            raise UsageError(
                f"{path} is somebody else's script, so nothing was installed",
                hint=f"add to it: publisher hooks {'after-commit' if name == 'post-commit' else 'before-push'}",
            )
    for name in NAMES:
        if _state(name, folder / name).state == "shared":
            continue
        atomic_write(folder / name, (source / name).read_bytes(), mode=0o755)
    return states(project)


def remove(project: Project) -> list[HookState]:
    """Remove our scripts, and nobody else's."""
    for hook in states(project):
        if hook.state == "installed":
            hook.path.unlink()
    return states(project)


def _state(name: str, path: Path) -> HookState:
    try:
        with path.open("rb") as stream:
            text = stream.read(LARGEST).decode(errors="replace")
    except FileNotFoundError:
        return HookState(name, path, "absent")
    except OSError as error:
        raise storage_error(error, path) from error
    if _OURS.fullmatch(text):
        return HookState(name, path, "installed")
    return HookState(name, path, "shared" if MARK in text else "foreign")


def _manager(project: Project, folder: Path) -> tuple[str, str] | None:
    """Return the tool that manages this repository's hooks and what to do there, or None."""
    root = project.repository.root
    if ".husky" in folder.parts:
        lines = "echo 'publisher hooks after-commit' >> .husky/post-commit"
        return "husky", f"{lines} && echo 'publisher hooks before-push' >> .husky/pre-push"
    if (root / ".pre-commit-config.yaml").is_file():
        return "pre-commit", "add the hooks publisher-bench and publisher-gate to .pre-commit-config.yaml"
    return None


def tier_of(project: Project, commit: str) -> str:
    """Return the tier that hooks run: `quick`, where the configuration has one."""
    config, _ = project.config(commit)
    return QUICK if QUICK in config.tiers else config.publishing_tier


def after_commit(project: Project, environment: Mapping[str, str]) -> Path:
    """Ask for HEAD to be measured in the background; return the log that says how it went."""
    folder = project.workspace / "hooks"
    atomic_write(folder / "wanted", f"{project.repository.resolve('HEAD')}\n".encode())
    log = folder / "log"
    with log.open("ab") as stream:
        subprocess.Popen(
            [sys.executable, "-m", "publisher", "--repo", str(project.repository.root), "hooks", "work"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            cwd="/",
            # Such as GIT_INDEX_FILE: they belong to the commit that is being made, not to what is started here.
            env={name: value for name, value in environment.items() if not name.startswith("GIT_")},
        )
    return log


@contextlib.contextmanager
def next_wanted(project: Project) -> Iterator[str]:
    """Wait for the measurement that is under way, then give the commit to measure: the newest, or nothing."""
    folder = project.workspace / "hooks"
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context((folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            commit = (folder / "wanted").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"cannot read {folder}: {error}", hint="publisher hooks after-commit") from error
        yield "" if project.measured(commit, tier_of(project, commit)) else commit


def pushed(lines: str, environment: Mapping[str, str]) -> list[str]:
    """Return the commits of branches that a push sends, from what git says on stdin or pre-commit in variables."""
    if environment.get("PRE_COMMIT_TO_REF"):
        lines = f"x {environment['PRE_COMMIT_TO_REF']} {environment.get('PRE_COMMIT_REMOTE_BRANCH', 'x')} x"
    found = []
    for line in lines.splitlines():
        local, sha, remote, _ = [*line.split(), "", "", "", ""][:4]
        if sha and not NOTHING.fullmatch(sha) and not OWN_REFS.fullmatch(remote) and not OWN_REFS.fullmatch(local):
            found.append(sha)
    return list(dict.fromkeys(found))
