"""Snapshot branches: one per kept run, made of the benchmarked commit plus `ledger/`, and the `live` branch.

A snapshot commit is a pure function of the benchmarked commit and of the ledger commit that added the run, so two
publishers on two machines make the same commit and cannot publish a run twice.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher import shards
from publisher.errors import GitError, LostRaceError, RemoteRejectedError, StorageError, UsageError
from publisher.files import sha256_hex
from publisher.ledger import outlines
from publisher.ledger.drift import checks
from publisher.ledger.history import REPORT, folder, read_part, read_runs, rollbacks, snapshot_file
from publisher.ledger.index import index_of
from publisher.ledger.lessons import lessons
from publisher.ledger.store import Ledger, author
from publisher.samples import FILE as SAMPLES
from publisher.schema import History, HistoryLine, Record, Report, SnapshotName, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from publisher.git import Repository

LIVE = "refs/heads/live"
FOLDER = "ledger"
SPLIT = f"{FOLDER}/split.json"
"""What the live deploy has besides the snapshot's files while its script splits the readers of a canary."""
COMPARED = "compared"
"""The folder below it with the answers of the runs that stand beside the snapshot's in its report."""
LESSONS = "lessons"
"""The folder below it with what the rejected runs since the last kept one teach."""
MOST = 99
"""How many kept runs of one commit can have a snapshot each."""


@dataclass(frozen=True, slots=True)
class SnapshotBranch:
    """A snapshot branch and its commit, and the digest of the record that it shows."""

    branch: str
    commit: str
    record_sha256: str


def branch_name(commit: str, number: int = 1) -> str:
    """Return the name of the `number`-th snapshot branch of a commit."""
    return f"snapshot-{commit[:12]}" + (f"-{number}" if number > 1 else "")


def ensure_snapshot(ledger: Ledger, run_id: str, *, site: str, address: Callable[[str], str]) -> SnapshotBranch:
    """Return the snapshot branch of a kept run, made and pushed, together with its name, if it is not there yet.

    `site` is the site's main address and `address` turns a branch name into its permanent address. Raises GitError
    when the remote rejects the branch, StorageError when the run's files cannot be read.
    """
    record = read_part(ledger, run_id, "record.json", Record)
    for number in range(1, MOST):
        branch = branch_name(record.commit.sha, number)
        ref = f"refs/heads/{branch}"
        there = _existing(ledger, ref)
        if there is None:
            made = _build(ledger, record, branch, site, address)
            there = _claim(ledger, SnapshotName(run_id=run_id, branch=branch, commit=made, address=address(branch)))
        shown = trailers(ledger.repository.commit(there).message)
        if shown.get("Run") == run_id:
            return SnapshotBranch(branch, there, shown.get("Record-digest", "").removeprefix("sha256:"))
    raise GitError(f"{record.commit.sha} already has {MOST} snapshots")


def _existing(ledger: Ledger, ref: str) -> str | None:
    """Return the commit of a branch as the remote has it (fetched here), or as it is here without a remote."""
    repository = ledger.repository
    if ledger.remote is None:
        return repository.ref(ref)
    theirs = repository.remote_refs(ledger.remote, ref).get(ref)
    if theirs and theirs != repository.ref(ref):
        # Git does not fetch into a branch that is checked out in a worktree, and that is left as it is here, too.
        stays = ref in repository.checked_out([ref]) or _is_foreign(repository, repository.ref(ref))
        target = f"refs/publisher/{ledger.remote}/{ref.rsplit('/', 1)[-1]}" if stays else ref
        repository.fetch(ledger.remote, f"+{ref}:{target}")
        # Somebody may have moved it since it was listed: what was fetched is here, what was listed perhaps is not.
        theirs = repository.ref(target) or theirs
    return theirs


def _claim(ledger: Ledger, name: SnapshotName) -> str:
    """Create a branch, here and on the remote, unless somebody else was first; return the commit that it has.

    The remote takes the branch and its name in the ledger in one push: both or neither.
    """
    repository, ref = ledger.repository, f"refs/heads/{name.branch}"
    try:
        if ledger.remote and not _push_named(ledger, name, ref):
            return _existing(ledger, ref) or name.commit
        here = repository.ref(ref)
        if here != name.commit:
            repository.move_refs({ref: (name.commit, here)})
    except LostRaceError:
        there = _existing(ledger, ref)
        if there is None:
            raise
        return there
    return name.commit


def _push_named(ledger: Ledger, name: SnapshotName, ref: str) -> bool:
    """Push a new branch and its name; return whether that created the branch, False where it is there already."""
    files, attempts = snapshot_file(name), itertools.count()
    if any(map(ledger.has, files)):
        # A branch that was deleted and comes back has its name already.
        ledger.repository.push(ledger.remote or "", {ref: (name.commit, None)})
        return True

    def taken() -> bool:
        # The first push tells by itself whether the branch is there; after a lost race it has to be looked for.
        return next(attempts) > 0 and _existing(ledger, ref) is not None

    return ledger.append(files, f"Name {name.branch}\n", unless=taken, beside={ref: name.commit})


def trailers(message: str) -> dict[str, str]:
    """Return the `Key: value` lines of a message's last paragraph."""
    last = message.rstrip("\n").rsplit("\n\n", 1)[-1]
    return dict(line.split(": ", 1) for line in last.splitlines() if ": " in line)


def _build(ledger: Ledger, record: Record, branch: str, site: str, address: Callable[[str], str]) -> str:
    """Write the snapshot commit of a run, to which nothing points yet, and return it."""
    repository = ledger.repository
    repository.fetch_commit(ledger.remote, record.commit.sha)
    place = folder(record.run_id)
    # A run that a maintainer accepted entered the history of kept runs with that decision.
    decided = next((run.line.decision for run in read_runs(ledger) if run.run_id == record.run_id), None)
    entered = _entered(ledger, f"{place}/{f'decision-{decided.number}' if decided else 'verdict'}.json")
    # Taken over by their hashes: samples can be large, and nothing of them needs to be read here.
    there = repository.below(entered, place)
    names = ("record.json", "verdict.json", REPORT, SAMPLES)
    parts = {name: there[f"{place}/{name}"] for name in names if f"{place}/{name}" in there}
    index = index_of(ledger, entered)
    lines = [run.line for run in index.ordered()]
    report = _report(ledger, record.run_id)
    if report is None:
        parts.pop(REPORT, None)  # a page could not be made of it
    for run_id in _beside(report, lines) if report else ():
        blob = repository.blob(entered, f"{folder(run_id)}/{SAMPLES}")
        parts |= {f"{COMPARED}/{run_id}/{SAMPLES}": blob} if blob else {}
    verdict = read_part(ledger, record.run_id, "verdict.json", Verdict)
    digest = sha256_hex(repository.read(entered, f"{place}/record.json") or b"")
    own = SnapshotName(run_id=record.run_id, branch=branch, commit="", address=address(branch))
    named = _named(lines, own)
    history = History(
        site=site,
        headline=verdict.headline,
        lines=named,
        drift=checks(ledger, entered),
        rollbacks=rollbacks(index),
    )
    taught = lessons(repository, entered, lines, record, verdict.headline)
    made = shards.split(history) | {f"{LESSONS}/{name}.json": taught[name] for name in taught}
    made |= outlines.file_of(repository, entered, record, named, verdict.headline)
    moment = int(dt.datetime.fromisoformat(record.finished).timestamp())
    return repository.write_commit(
        {f"{FOLDER}/{name}": data for name, data in made.items()},
        blobs={f"{FOLDER}/{name}": blob for name, blob in parts.items()},
        message=_message(record, verdict, entered, digest),
        author=author(moment),
        parents=[record.commit.sha],
    )


def _report(ledger: Ledger, run_id: str) -> Report | None:
    """Return the report of a run; None where there is none, or one that cannot be read."""
    try:
        return read_part(ledger, run_id, REPORT, Report)
    except StorageError:
        return None


def _beside(report: Report, lines: Sequence[HistoryLine]) -> list[str]:
    """Return the runs that a report compares its run with, and whose pages were not taken down by then."""
    found = [one.base.run_id for one in (report.previous, report.best) if one is not None]
    shown = {line.run_id for line in lines if not line.taken_down}
    return [name for name in found if name in shown]


def _entered(ledger: Ledger, path: str) -> str:
    """Return the ledger commit that added `path`; StorageError when the ledger does not have it."""
    head = ledger.head
    found = ledger.repository.text("log", "-1", "--diff-filter=A", "--format=%H", head, "--", path) if head else ""
    if not found:
        raise StorageError(f"the ledger has no {path}", hint="git fetch origin ledger:ledger")
    return found


def _named(lines: Sequence[HistoryLine], own: SnapshotName) -> list[HistoryLine]:
    """Return the history with the snapshot that is being made filled in."""
    return [
        msgspec.structs.replace(line, snapshot=own.branch, address=own.address) if line.run_id == own.run_id else line
        for line in lines
    ]


def _message(record: Record, verdict: Verdict, entered: str, digest: str) -> str:
    """Return a snapshot commit's message: a readable subject and the trailers that link everything together."""
    scores = {result.suite: f"{result.score:.1f} ± {result.stderr:.1f}" for result in record.results}
    headline = scores.get(verdict.headline, "not measured")
    return (
        f"Snapshot of {record.commit.sha[:12]}: {verdict.headline} {headline}\n\n"
        f"Benchmarked-commit: {record.commit.sha}\n"
        f"Run: {record.run_id}\n"
        f"Verdict: {verdict.verdict}\n"
        f"Score: {verdict.headline} {headline}\n"
        f"Ledger-commit: {entered}\n"
        f"Record-digest: sha256:{digest}\n"
    )


def _is_foreign(repository: Repository, commit: str | None) -> bool:
    """Return whether a commit is none that publisher makes: neither a snapshot nor one that `live` shows it by."""
    return commit is not None and not {"Run", "Snapshot-commit"} & trailers(repository.commit(commit).message).keys()


def require_own_live(ledger: Ledger, commit: str, before: str | None) -> None:
    """Raise UsageError where moving `live` from `before` to a snapshot commit would lose somebody else's commits.

    A branch that was made for us, from any commit that the snapshot comes after, loses nothing.
    """
    repository = ledger.repository
    if before and _is_foreign(repository, before) and not repository.is_ancestor(before, commit):
        where = ledger.remote or "this repository"
        raise UsageError(
            f"the branch live of {where} is at {before[:12]}, which publisher did not make: moving it would lose "
            "commits",
            hint="give that branch another name, then run the same command again",
        )


def move_live(ledger: Ledger, commit: str, before: str | None) -> None:
    """Move the `live` branch from `before` to a snapshot commit, here and on the remote, by compare-and-swap.

    `before` is where the branch is, which is not always a snapshot commit: a remote that accepts fast-forwards only
    gets a commit on top of `before` that has the snapshot's tree. Raises LostRaceError when somebody else has moved it.
    """
    if before == commit:
        return
    if ledger.remote:
        commit = push_over(ledger, LIVE, commit, before)
    repository = ledger.repository
    here = repository.ref(LIVE)
    stays = ledger.remote and (LIVE in repository.checked_out([LIVE]) or _is_foreign(repository, here))
    if here != commit and not stays:
        repository.move_refs({LIVE: (commit, here)})


def push_over(ledger: Ledger, ref: str, commit: str, before: str | None) -> str:
    """Push a branch from `before` to a snapshot commit, and return the commit that it is at now.

    A remote that accepts fast-forwards only gets a commit on top of `before` that shows the snapshot.
    """
    repository, remote = ledger.repository, ledger.remote or ""
    # Somebody else may have published it since this clone was last brought up to date.
    repository.fetch_commit(remote, commit)
    try:
        # Between unrelated commits: `live` and pins are the only branches whose pushes need not be fast-forwards.
        repository.push(remote, {ref: (commit, before)})
    except RemoteRejectedError:
        if before is None:
            raise
        # `receive.denyNonFastForwards`, the default of shared repositories, or a protected branch.
        on_top = _on_top(ledger, ref, commit, before)
        repository.push(remote, {ref: (on_top, before)})
        return on_top
    return commit


def _on_top(ledger: Ledger, ref: str, commit: str, before: str) -> str:
    """Write a commit with the tree of a snapshot and the parents `before` and the snapshot; return it."""
    repository = ledger.repository
    shown = repository.commit(commit)
    what = "Live" if ref == LIVE else "Pin"
    message = f"{what}: {shown.subject}\n\nSnapshot-commit: {commit}\n"
    return repository.write_commit(
        {}, message=message, author=author(shown.time), parents=[before, commit], tree=commit
    )


def shown_by(repository: Repository, commit: str) -> str:
    """Return the snapshot commit that a commit shows: itself, or what a commit on `live` or a pin was made to show.

    Such a commit has two parents, the second of which is the snapshot and has the same tree; a snapshot has one parent.
    """
    made = repository.commit(commit)
    if len(made.parents) != 2:
        return commit
    try:
        shown = repository.commit(made.parents[1])
    except GitError:
        return commit  # a shallow clone does not have it
    return shown.sha if shown.tree == made.tree else commit


def snapshot_of(repository: Repository, commit: str) -> str:
    """Return the snapshot commit that a commit on `live` shows, also where that splits the readers of a canary.

    Such a commit has the snapshot as its one parent, and the same tree but for one file.
    """
    shown = shown_by(repository, commit)
    made = repository.commit(shown)
    named = trailers(made.message).get("Snapshot-commit")
    if named is None or made.parents != (named,):
        return shown
    try:
        return named if set(repository.changes(named, shown)) == {SPLIT} else shown
    except GitError:
        return shown  # a shallow clone does not have it


def remaining(ledger: Ledger, branches: Iterable[str]) -> set[str]:
    """Return those of some snapshot branches that are still there: on the remote, or here if there is none."""
    if ledger.remote:
        found = ledger.repository.remote_refs(ledger.remote, "refs/heads/snapshot-*")
        return {branch for branch in branches if f"refs/heads/{branch}" in found}
    return {branch for branch in branches if ledger.repository.ref(f"refs/heads/{branch}")}


def delete_branch(ledger: Ledger, branch: str, commit: str, *, run_id: str) -> bool:
    """Delete a branch that shows a run's snapshot `commit`, here and on the remote; return whether it was there.

    Raises StorageError when the commit does not say that it was made for that run: the ledger, which names branches
    and commits, can be written by everybody who can push. Raises RemoteRejectedError where the remote keeps it.
    """
    ref = f"refs/heads/{branch}"
    repository = ledger.repository
    there = repository.remote_refs(ledger.remote, ref).get(ref) if ledger.remote else None
    here = repository.ref(ref)
    if there:
        repository.fetch_commit(ledger.remote, there)
    tips = {tip for tip in (there, here) if tip and shown_by(repository, tip) == commit}
    if tips and trailers(repository.commit(commit).message).get("Run") != run_id:
        raise StorageError(f"the branch {branch} at {commit} was not made for {run_id}", hint="nothing was deleted")
    if ledger.remote and there in tips:
        repository.delete_remote(ledger.remote, ref, there)
    if here in tips:
        repository.delete_ref(ref, here)
    return bool(tips)


def branch_commit(ledger: Ledger, branch: str) -> str | None:
    """Return the commit of a snapshot branch, fetched from the remote where there is one; None where it is gone."""
    return _existing(ledger, f"refs/heads/{branch}")


def live_at(ledger: Ledger) -> str | None:
    """Return where `live` is, on the remote if there is one; None before the first move."""
    return _existing(ledger, LIVE)


def live_commit(ledger: Ledger) -> str | None:
    """Return the snapshot commit that `live` shows, None before the first."""
    there = live_at(ledger)
    return snapshot_of(ledger.repository, there) if there else None
