from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.git import Repository
from publisher.ledger import cache, history, index, snapshots
from publisher.ledger.store import Ledger
from publisher.schema import BuildRequest, LiveMove, Pin, Pruned, Receipt, SnapshotName
from tests.made import GitFolder, record, verdict

WHEN = "2026-11-20T20:11:33Z"
DEEP = b'{"schema": 1, "run_id": ' + b"[" * 100_000
HOSTILE = [DEEP, b"[]", b"\xff", b"", b'{"schema": 1, "number": ' + b"9" * 5000 + b"}", b"x" * (2 << 20)]


def entered(ledger: Ledger, commit: str, number: int = 0) -> str:
    """Put a run into the ledger and return its id."""
    run = record(commit, started=f"20261120T20{number // 60:02d}{number % 60:02d}Z")
    ledger.append(history.run_files(run, verdict(run), b"samples"), "run\n")
    return run.run_id


def published(run_id: str, **changes: Any) -> dict[str, bytes]:
    """Return the files of a published run, with changes to each that has such a field."""
    branch = f"snapshot-{run_id.split('-')[1]}"
    common: dict[str, Any] = {
        "run_id": run_id,
        "commit": "a" * 40,
        "address": "http://x",
        "time": WHEN,
        "branch": branch,
    }
    common |= {"snapshot": branch, "deploy_id": "d" * 24, "permalink": "http://y", "manifest_sha256": "a" * 64}
    common |= {"requested": WHEN, "ready": WHEN, "verified": WHEN, "via": "api", "by": "b", "who": "p"}
    common |= {"files": 1, "number": 1, "attempt": 1, "previous": "", "why": "w", "name": "math"} | changes

    def made(kind: type[Any]) -> Any:
        fields = {field.name for field in msgspec.structs.fields(kind)}
        return kind(**{name: value for name, value in common.items() if name in fields})

    return {
        **history.snapshot_file(made(SnapshotName)),
        **history.request_file(made(BuildRequest)),
        **history.receipt_file(made(Receipt)),
        **history.pin_file(made(Pin)),
        **history.live_file(made(LiveMove), 1),
    }


@pytest.fixture
def ledger(repository: GitFolder) -> Ledger:
    """Return the ledger of a new repository, without a remote."""
    return Ledger(repository.opened)


@pytest.fixture
def commit(repository: GitFolder) -> str:
    """Return the commit that the runs measure."""
    return repository.git("rev-parse", "HEAD")


def test_a_published_run_is_read_with_all_that_it_left(ledger: Ledger, commit: str) -> None:
    """Snapshot, request, receipt, pin and move are found, and the line names the snapshot."""
    run_id = entered(ledger, commit)
    ledger.append(published(run_id), "m\n")
    (run,) = history.read_runs(ledger)
    assert (run.line.snapshot, len(run.requests)) == (f"snapshot-{commit[:12]}", 1)
    assert run.receipt is not None
    assert [pin.run_id for pin in history.pins(ledger).values()] == [run_id]
    assert [move.run_id for move in history.live_moves(ledger)] == [run_id]


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize("name", ["summary.json", "snapshot.json", "request-1.json", "receipt-1.json", "pruned-1.json"])
def test_one_bad_file_makes_one_tombstone(ledger: Ledger, commit: str, name: str, data: bytes) -> None:
    """A file that is nested too deeply, broken or too large ends no command: its run is unreadable, the others stay."""
    good, bad = entered(ledger, commit), f"20270101T000000Z-{commit[:12]}-full"
    summary = canonical_json(history.summarize(msgspec.structs.replace(record(commit), run_id=bad)))
    ledger.append({f"runs/{bad}/summary.json": summary, f"runs/{bad}/{name}": data}, "m\n")
    runs = {run.run_id: run.line for run in history.read_runs(ledger)}
    assert runs[good].verdict == "kept"
    assert (runs[bad].verdict, name in runs[bad].why) == ("unreadable", True)


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize("path", ["pins/bad-1.json", "live/000009-aaaaaaaaaaaa.json"])
def test_one_bad_pin_or_move_is_left_out(repository: GitFolder, commit: str, path: str, data: bytes) -> None:
    """A pin or a move that cannot be read is a remark, and the others are there."""
    notes: list[str] = []
    ledger = Ledger(Repository(repository.path, note=notes.append))
    ledger.append(published(entered(ledger, commit)) | {path: data}, "m\n")
    assert (len(history.pins(ledger)), len(history.live_moves(ledger))) == (1, 1)
    assert [note.split(" is left out")[0] for note in notes] == [path]


FORGED = [
    {"branch": "release", "snapshot": "release"},
    {"branch": "snapshot-0123456789ab", "snapshot": "snapshot-0123456789ab"},
    {"branch": "--all", "snapshot": "--all"},
    {"commit": "HEAD"},
    {"commit": "a" * 39},
    {"address": "http://x\x1b[2J", "time": "\x1b[2J", "deploy_id": "d/../x", "verified": "now"},
    {"deploy_id": "../../x", "time": "x" * 1000, "address": "a b"},
    {"address": "a b", "time": "2026-13-41T99:00:00Z", "verified": "2026-13-41T99:00:00Z"},
]


@pytest.mark.parametrize("changes", FORGED)
@pytest.mark.parametrize("file", ["snapshot", "request", "receipt"])
def test_a_forged_name_makes_a_run_unusable(ledger: Ledger, commit: str, file: str, changes: dict[str, str]) -> None:
    """A run whose files name another branch, another commit or no address of its own has nothing to act on."""
    run_id = entered(ledger, commit)
    forged = {path: data for path, data in published(run_id, **changes).items() if f"/{file}" in path}
    ledger.append(forged, "m\n")
    (run,) = history.read_runs(ledger)
    assert (run.line.verdict, run.snapshot, run.receipt) == ("unreadable", None, None)
    assert "is not one that publisher writes here" in run.line.why


@pytest.mark.parametrize("changes", FORGED)
def test_a_forged_pin_or_move_is_left_out(ledger: Ledger, commit: str, changes: dict[str, str]) -> None:
    """A pin or a move that names something else than a snapshot of its run leads nowhere."""
    run_id = entered(ledger, commit)
    ledger.append(published(run_id, **changes), "m\n")
    assert (history.pins(ledger), history.live_moves(ledger)) == ({}, [])


def test_a_summary_cannot_speak_for_another_run(ledger: Ledger, commit: str) -> None:
    """A line of history whose id, commit or tier is another run's is a tombstone."""
    line = history.summarize(record(commit))
    wrong: list[dict[str, Any]] = [{"run_id": "x"}, {"commit": "f" * 40}, {"tier": "quick"}, {"salt": "s" * 101}]
    for number, change in enumerate(wrong):
        run_id = f"2027010{number}T000000Z-{commit[:12]}-full"
        data = canonical_json(msgspec.structs.replace(line, **({"run_id": run_id} | change)))
        ledger.append({f"runs/{run_id}/summary.json": data}, "m\n")
    assert [run.line.verdict for run in history.read_runs(ledger)] == ["unreadable"] * len(wrong)


def test_a_repaired_run_is_read_again(ledger: Ledger, commit: str) -> None:
    """A newer receipt and a pruning are seen by an index that knew the run before."""
    run_id = entered(ledger, commit)
    ledger.append(published(run_id), "m\n")
    assert history.read_runs(ledger)[0].receipt is not None
    gone = Pruned(run_id=run_id, snapshot=f"snapshot-{commit[:12]}", commit="a" * 40, number=1, who="p", time=WHEN)
    ledger.append(history.pruned_file(gone), "m\n")
    (run,) = history.read_runs(ledger)
    assert (run.receipt, run.line.pruned) == (None, WHEN)


def test_the_history_as_of_an_older_commit_leaves_the_newest_alone(ledger: Ledger, commit: str) -> None:
    """Looking back does not change what the ledger holds now."""
    entered(ledger, commit)
    first = ledger.head
    entered(ledger, commit, 1)
    assert len(history.read_runs(ledger)) == 2
    assert len(history.read_runs(ledger, at=first)) == 1
    assert len(history.read_runs(ledger)) == 2


# -- the cache beside the repository ---------------------------------------------------------------------------------


def grown(ledger: Ledger, commit: str) -> None:
    """Give the ledger more files than the cache lets pass."""
    files: dict[str, bytes] = {}
    for number in range(cache.WORTH_IT // 4 + 1):
        run = record(commit, started=f"20261120T{number // 60:02d}{number % 60:02d}00Z")
        files |= history.run_files(run, verdict(run), b"samples")
    ledger.append(files, "many\n")


def stored(repository: GitFolder) -> Path:
    """Return the path of the cache."""
    return repository.path / ".git" / "publisher" / cache.FILE


def lines(repository: GitFolder) -> list[Any]:
    """Return the history as a new process sees it."""
    return history.read_runs(Ledger(repository.opened))


def test_the_history_is_kept_beside_the_repository(repository: GitFolder, ledger: Ledger, commit: str) -> None:
    """A second process reads the cache and only what was appended since, and sees the same."""
    grown(ledger, commit)
    before = lines(repository)
    kept = cache.load(repository.opened, index.Index)
    assert kept is not None
    assert kept.ordered() == before
    entered(ledger, commit, 59)
    assert len(lines(repository)) == len(before) + 1
    stored(repository).unlink()
    assert len(lines(repository)) == len(before) + 1


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"x" + data, lambda _: b"", lambda data: data * 2]
)
def test_a_cache_that_is_broken_is_not_believed(
    repository: GitFolder, ledger: Ledger, commit: str, damage: Any
) -> None:
    """Cut off, of another format or empty: the history is read from the ledger."""
    grown(ledger, commit)
    before = lines(repository)
    stored(repository).write_bytes(damage(stored(repository).read_bytes()))
    assert lines(repository) == before


def test_a_cache_of_another_repository_is_not_believed(
    repository: GitFolder, ledger: Ledger, commit: str, tmp_path: Path
) -> None:
    """A cache about commits that this repository does not have changes nothing."""
    grown(ledger, commit)
    assert lines(repository)
    other = GitFolder.create(tmp_path / "other")
    own = entered(Ledger(other.opened), other.commit({"a": "other"}))
    stored(other).parent.mkdir(parents=True, exist_ok=True)
    stored(other).write_bytes(stored(repository).read_bytes())
    assert [run.run_id for run in lines(other)] == [own]


def test_a_repository_that_cannot_be_written_is_read(repository: GitFolder, ledger: Ledger, commit: str) -> None:
    """Where the cache cannot be stored, a note says so and the history is there."""
    stored(repository).mkdir(parents=True)
    grown(ledger, commit)
    notes: list[str] = []
    assert history.read_runs(Ledger(Repository(repository.path, note=notes.append)))
    assert "the history is not cached" in notes[0]


# -- deleting branches -----------------------------------------------------------------------------------------------


def test_only_a_branch_that_was_made_for_the_run_is_deleted(repository: GitFolder, ledger: Ledger, commit: str) -> None:
    """A branch with another form of name, or whose commit names another run, is left where it is."""
    run_id = entered(ledger, commit)
    snapshot = f"snapshot-{commit[:12]}"
    repository.git("branch", snapshot, commit)
    repository.git("branch", "release", commit)
    for branch in (snapshot, "release"):
        with pytest.raises(StorageError):
            snapshots.delete_branch(ledger, branch, commit, run_id=run_id)
    assert {"release", snapshot} <= set(repository.git("branch", "--format=%(refname:short)").split())
    repository.git("branch", "-D", snapshot)
    made = snapshots.ensure_snapshot(ledger, run_id, site="http://x", address=str)
    snapshots.delete_branch(ledger, made.branch, made.commit, run_id=run_id)
    assert snapshot not in repository.git("branch", "--format=%(refname:short)").split()
