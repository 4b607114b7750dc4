from __future__ import annotations

import concurrent.futures
import time
from pathlib import Path

import msgspec
import pytest

from publisher.errors import LostRaceError, RemoteRejectedError, StorageError, UsageError
from publisher.gate.baseline import Measured
from publisher.gate.compare import compare, identity
from publisher.ledger import history, snapshots
from publisher.ledger.store import Ledger
from publisher.schema import Report, RuleResult, SnapshotName, StoppedEarly, TakenDown
from tests.made import GitFolder, record, verdict


def enter(ledger: Ledger, commit: str, started: str = "20261120T201133Z", word: str = "kept") -> str:
    """Put a run of `commit` into the ledger and return its id."""
    run = record(commit, started=started)
    ledger.append(history.run_files(run, verdict(run, word), b"samples"), "run\n")
    return run.run_id


def address(branch: str) -> str:
    """Return the address of a branch on a site of the tests."""
    return f"https://{branch}--site.example.invalid"


def make_snapshot(ledger: Ledger, run_id: str) -> snapshots.SnapshotBranch:
    """Make the snapshot of a run."""
    return snapshots.ensure_snapshot(ledger, run_id, site="https://site.example.invalid", address=address)


def test_a_run_can_be_read_back(repository: GitFolder) -> None:
    """What is appended is there, in the order of its entry, with its verdict and score."""
    ledger = Ledger(repository.opened)
    enter(ledger, repository.git("rev-parse", "HEAD"), "20261120T201134Z", "rejected")
    enter(ledger, repository.git("rev-parse", "HEAD"))
    lines = [run.line for run in history.read_runs(ledger)]
    assert [(line.verdict, line.scores["s"].score) for line in lines] == [("rejected", 75.0), ("kept", 75.0)]
    assert lines[0].why == "s is rejected"


def test_a_run_of_a_commit_with_a_very_long_subject_can_be_read_back(repository: GitFolder) -> None:
    """Nobody bounds the first line of a commit's message, and the ledger rejects lines that are too long."""
    ledger = Ledger(repository.opened)
    base = record(repository.git("rev-parse", "HEAD"))
    run = msgspec.structs.replace(base, commit=msgspec.structs.replace(base.commit, subject="x" * 5000))
    failing = [RuleResult(rule="threshold", suite="s", outcome="fail", reason="y" * 5000)]
    decided = msgspec.structs.replace(verdict(run, "rejected"), rules=failing)
    ledger.append(history.run_files(run, decided, b"samples"), "run\n")
    assert [one.line.verdict for one in history.read_runs(ledger)] == ["rejected"]


def test_the_ledger_is_an_orphan_branch_and_leaves_the_folder_alone(repository: GitFolder) -> None:
    """Nothing of the user's history, index or folder is touched."""
    enter(Ledger(repository.opened), repository.git("rev-parse", "HEAD"))
    assert repository.git("rev-list", "--max-parents=0", "ledger") != repository.git("rev-parse", "HEAD")
    assert repository.git("status", "--porcelain") == ""


def test_appending_the_same_again_makes_no_commit(repository: GitFolder) -> None:
    """A repeated step is a step that does nothing."""
    ledger = Ledger(repository.opened)
    ledger.append({"runs/a": b"1"}, "m\n")
    first = ledger.head
    assert ledger.append({"runs/a": b"1"}, "m\n")
    assert ledger.head == first


def test_nothing_in_the_ledger_can_be_changed(repository: GitFolder) -> None:
    """Other contents for a path that exists are refused."""
    ledger = Ledger(repository.opened)
    ledger.append({"runs/a": b"1"}, "m\n")
    with pytest.raises(StorageError, match="append-only"):
        ledger.append({"runs/a": b"2"}, "m\n")


def test_a_lost_race_is_applied_again(repository: GitFolder, tmp_path: Path) -> None:
    """Two machines append at the same time: both entries are on both sides, and nothing was forced."""
    repository.with_remote(tmp_path / "origin.git")
    repository.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "second"))
    one, two = (Ledger(folder.opened, "origin") for folder in (repository, GitFolder(tmp_path / "second")))
    one.append({"runs/a": b"1"}, "a\n")
    pushed = one.head
    two.append({"runs/b": b"2"}, "b\n")
    one.sync()
    assert one.head == two.head
    assert {"runs/a", "runs/b"} <= set(one.paths())
    assert pushed is not None
    assert one.repository.is_ancestor(pushed, one.head or "")


def test_eight_writers_lose_nothing(repository: GitFolder, tmp_path: Path) -> None:
    """Eight clones append and push at once; every entry arrives."""
    repository.with_remote(tmp_path / "origin.git")
    ledgers = []
    for number in range(8):
        repository.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / f"clone{number}"))
        ledgers.append(Ledger(GitFolder(tmp_path / f"clone{number}").opened, "origin"))

    def write(number: int) -> None:
        ledgers[number].append({f"runs/{number}": b"x"}, f"{number}\n")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    last = Ledger(repository.opened, "origin")
    last.sync()
    assert {f"runs/{number}" for number in range(8)} <= set(last.paths())


def test_one_of_eight_takes_a_place(repository: GitFolder, tmp_path: Path) -> None:
    """Eight clones want the same free place; exactly one gets it, and the others see that it is taken."""
    repository.with_remote(tmp_path / "origin.git")
    ledgers = []
    for number in range(8):
        repository.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / f"clone{number}"))
        ledgers.append(Ledger(GitFolder(tmp_path / f"clone{number}").opened, "origin"))

    def take(number: int) -> bool:
        ledger = ledgers[number]
        return ledger.append({"place": str(number).encode()}, "m\n", unless=lambda: ledger.read("place") is not None)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        took = list(pool.map(take, range(8)))
    assert took.count(True) == 1
    assert {ledger.read("place") for ledger in ledgers} == {str(took.index(True)).encode()}


def test_a_branch_ledger_of_somebody_elses_is_left_alone(repository: GitFolder, tmp_path: Path) -> None:
    """Neither are entries added to it, nor do its files reach the ledger of the remote."""
    bare = repository.with_remote(tmp_path / "origin.git")
    repository.git("clone", "--quiet", str(bare.path), str(tmp_path / "second"))
    repository.git("branch", "ledger")
    before = repository.git("rev-parse", "ledger")
    with pytest.raises(UsageError, match="none that publisher made"):
        Ledger(repository.opened).append({"runs/a": b"1"}, "a\n")
    Ledger(GitFolder(tmp_path / "second").opened, "origin").append({"runs/b": b"2"}, "b\n")
    with pytest.raises(UsageError, match="none that publisher made"):
        Ledger(repository.opened, "origin").sync()
    assert repository.git("rev-parse", "ledger") == before
    assert "runs/b" in bare.git("ls-tree", "-r", "--name-only", "ledger")


def test_entries_made_without_the_remote_join_it_later(repository: GitFolder, tmp_path: Path) -> None:
    """A ledger that began without a remote is brought together with the remote's; neither loses anything."""
    alone = Ledger(repository.opened)
    alone.append({"runs/a": b"1"}, "a\n")
    repository.with_remote(tmp_path / "origin.git")
    repository.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "second"))
    Ledger(GitFolder(tmp_path / "second").opened, "origin").append({"runs/b": b"2"}, "b\n")
    joined = Ledger(repository.opened, "origin")
    joined.sync()
    assert {"runs/a", "runs/b"} <= set(joined.paths())


def test_an_unreadable_run_becomes_a_tombstone(repository: GitFolder) -> None:
    """One broken file does not take the rest of the history down."""
    ledger = Ledger(repository.opened)
    enter(ledger, repository.git("rev-parse", "HEAD"))
    ledger.append({"runs/20261121T000000Z-0123456789ab-full/summary.json": b"{broken"}, "m\n")
    runs = history.read_runs(ledger)
    assert [run.line.verdict for run in runs] == ["kept", "unreadable"]
    assert "summary.json" in runs[1].line.why


def test_a_snapshot_is_the_commit_plus_the_ledger_folder(repository: GitFolder) -> None:
    """The snapshot's parent is the benchmarked commit, and its tree differs by ledger/ only."""
    commit = repository.git("rev-parse", "HEAD")
    ledger = Ledger(repository.opened)
    run_id = enter(ledger, commit)
    made = make_snapshot(ledger, run_id)
    assert repository.git("rev-parse", f"{made.branch}^") == commit
    changed = repository.git("diff", "--name-only", commit, made.branch).split()
    assert changed == [f"ledger/{name}" for name in ("history.json", "record.json", "samples.jsonl.gz", "verdict.json")]
    trailers = snapshots.trailers(repository.git("log", "-1", "--format=%B", made.branch))
    assert (trailers["Benchmarked-commit"], trailers["Run"], trailers["Verdict"]) == (commit, run_id, "kept")
    assert trailers["Record-digest"] == f"sha256:{made.record_sha256}"
    assert trailers["Ledger-commit"] == ledger.head


def enter_beside(ledger: Ledger, commit: str, started: str, base: str) -> str:
    """Put a kept run into the ledger whose report stands beside an earlier run, and return its id."""
    run, other = record(commit, started=started), record(commit, started=base[:16])
    measured, before = (Measured(history.summarize(one), one) for one in (run, other))
    report = Report(
        run=identity(measured),
        verdict=verdict(run),
        scores={},
        baseline=[],
        blind=[],
        samples=40,
        planned=40,
        previous=compare(measured, before),
    )
    ledger.append(history.run_files(run, verdict(run), b"samples 2", report), "run\n")
    return run.run_id


def test_a_snapshot_has_what_stands_beside_it_in_its_report(repository: GitFolder) -> None:
    """The report and the answers of the run that it compares with; not of one whose pages were taken down by then."""
    commit = repository.git("rev-parse", "HEAD")
    ledger = Ledger(repository.opened)
    first = enter(ledger, commit)
    second = make_snapshot(ledger, enter_beside(ledger, commit, "20261121T201133Z", first))
    changed = repository.git("diff", "--name-only", commit, second.branch).split()
    assert f"ledger/compared/{first}/samples.jsonl.gz" in changed
    assert "ledger/report.json" in changed
    assert repository.git("show", f"{second.branch}:ledger/compared/{first}/samples.jsonl.gz") == "samples"
    gone = TakenDown(
        run_id=first, snapshot="snapshot-x", commit="a" * 40, who="me", why="x", time="2026-11-22T00:00:00Z"
    )
    ledger.append(history.taken_down_file(gone), "gone\n")
    third = make_snapshot(ledger, enter_beside(ledger, commit, "20261123T201133Z", first))
    assert "compared" not in repository.git("diff", "--name-only", commit, third.branch)


def test_a_report_that_is_broken_leaves_the_snapshot_alone(repository: GitFolder) -> None:
    """A report that somebody pushed and that cannot be read is not in the tree, so the site can still be built."""
    commit = repository.git("rev-parse", "HEAD")
    ledger = Ledger(repository.opened)
    run = record(commit)
    files = history.run_files(run, verdict(run), b"samples")
    ledger.append(files | {f"runs/{run.run_id}/report.json": b"{broken"}, "run\n")
    changed = repository.git("diff", "--name-only", commit, make_snapshot(ledger, run.run_id).branch)
    assert "report.json" not in changed
    assert "record.json" in changed


def test_making_a_snapshot_again_gives_the_same(repository: GitFolder) -> None:
    """A repeated publish finds the branch that it made."""
    ledger = Ledger(repository.opened)
    run_id = enter(ledger, repository.git("rev-parse", "HEAD"))
    assert make_snapshot(ledger, run_id) == make_snapshot(ledger, run_id)


def test_two_machines_make_one_snapshot(repository: GitFolder, tmp_path: Path) -> None:
    """The same run seen from two clones becomes the same commit on one branch."""
    repository.with_remote(tmp_path / "origin.git")
    ledger = Ledger(repository.opened, "origin")
    run_id = enter(ledger, repository.git("rev-parse", "HEAD"))
    repository.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "second"))
    second = Ledger(GitFolder(tmp_path / "second").opened, "origin")
    second.sync()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda where: make_snapshot(where, run_id), (ledger, second)))
    assert made[0] == made[1]


def test_a_snapshot_branch_and_its_name_arrive_in_one_push(repository: GitFolder, tmp_path: Path) -> None:
    """A remote that rejects one of them gets neither; later both come at once."""
    bare = repository.with_remote(tmp_path / "origin.git")
    ledger = Ledger(repository.opened, "origin")
    run_id = enter(ledger, repository.git("rev-parse", "HEAD"))
    before = bare.git("for-each-ref")
    hook = bare.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\ncat >> pushed\necho >> pushed\nif [ -e closed ]; then exit 1; fi\n")
    hook.chmod(0o755)
    (bare.path / "closed").touch()
    with pytest.raises(RemoteRejectedError):
        make_snapshot(ledger, run_id)
    assert bare.git("for-each-ref") == before
    (bare.path / "closed").unlink()
    (bare.path / "pushed").unlink()
    made = make_snapshot(ledger, run_id)
    (push,) = (bare.path / "pushed").read_text().split("\n\n")[:-1]
    names = sorted(line.split(" ")[2] for line in push.splitlines())
    assert names == ["refs/heads/ledger", f"refs/heads/{made.branch}"]
    assert ledger.has(f"runs/{run_id}/snapshot.json")


def test_a_branch_that_was_deleted_comes_back_to_a_clone_that_has_not_seen_its_name(
    repository: GitFolder, tmp_path: Path
) -> None:
    """The name is in the remote's ledger by then, and the branch is made all the same."""
    bare = repository.with_remote(tmp_path / "origin.git")
    ledger = Ledger(repository.opened, "origin")
    run_id = enter(ledger, repository.git("rev-parse", "HEAD"))
    repository.git("clone", "--quiet", str(bare.path), str(tmp_path / "other"))
    other = Ledger(GitFolder(tmp_path / "other").opened, "origin")
    other.sync()
    made = make_snapshot(ledger, run_id)
    bare.git("update-ref", "-d", f"refs/heads/{made.branch}")
    time.sleep(1.1)  # in the same second both would make the same commit of the ledger
    again = make_snapshot(other, run_id)
    assert bare.git("rev-parse", again.branch) == again.commit == made.commit


def test_a_second_kept_run_of_a_commit_gets_its_own_branch(repository: GitFolder) -> None:
    """The suffix -2 keeps the first snapshot's address what it was."""
    commit = repository.git("rev-parse", "HEAD")
    ledger = Ledger(repository.opened)
    first = make_snapshot(ledger, enter(ledger, commit))
    second = make_snapshot(ledger, enter(ledger, commit, "20261120T211133Z"))
    assert second.branch == f"{first.branch}-2"


def test_a_snapshot_holds_the_history_as_of_then(repository: GitFolder) -> None:
    """Older snapshots stand in it with their addresses, and later runs do not."""
    ledger = Ledger(repository.opened)
    first = enter(ledger, repository.git("rev-parse", "HEAD"))
    made = make_snapshot(ledger, first)
    ledger.append(
        history.snapshot_file(
            SnapshotName(run_id=first, branch=made.branch, commit=made.commit, address=address(made.branch))
        ),
        "name\n",
    )
    second = enter(ledger, repository.commit({"a": "1"}), "20261120T211133Z")
    enter(ledger, repository.commit({"a": "2"}), "20261120T221133Z", "rejected")
    newer = make_snapshot(ledger, second)
    text = repository.git("show", f"{newer.branch}:ledger/history.json")
    assert address(made.branch) in text
    assert "20261120T221133Z" not in text


def test_live_moves_by_compare_and_swap(repository: GitFolder, tmp_path: Path) -> None:
    """Live moves here and on the remote, and only from where it is."""
    repository.with_remote(tmp_path / "origin.git")
    ledger = Ledger(repository.opened, "origin")
    one, two = repository.git("rev-parse", "HEAD"), repository.commit({"a": "1"})
    snapshots.move_live(ledger, two, None)
    snapshots.move_live(ledger, one, two)
    with pytest.raises(LostRaceError):
        snapshots.move_live(ledger, two, None)
    assert snapshots.live_commit(ledger) == one


def test_a_line_of_history_names_what_failed_and_how_many_samples_it_took() -> None:
    """An open rule comes second, and a run that was stopped early says where."""
    rules = [
        RuleResult(rule="threshold", suite="s", outcome="inconclusive", reason="cannot decide yet"),
        RuleResult(rule="regression", suite="s", outcome="fail", reason="worse"),
    ]
    run = record()
    decided = msgspec.structs.replace(verdict(run, "rejected"), rules=rules)
    assert history.summarize(run, decided).why == "worse"
    early = StoppedEarly(look=1, share=0.0625, samples=31, planned=500, why="worse")
    stopped = msgspec.structs.replace(run, stopped_early=early)
    assert history.summarize(stopped, decided).why == "after 31 of 500 samples: worse"


def test_a_branch_that_moves_while_it_is_asked_for_is_read_where_it_was_fetched(
    repository: GitFolder, tmp_path: Path
) -> None:
    """`live` moves between unrelated snapshots: the one that was listed may never come here."""
    origin = tmp_path / "origin.git"
    repository.with_remote(origin)
    made = []
    for name in ("one", "two"):
        repository.git("checkout", "-q", "--orphan", name)
        made.append(repository.commit({name: name}, f"Snapshot\n\nRun: {name}"))
        repository.git("push", "-q", "origin", f"{name}:refs/heads/{name}")
    repository.git("push", "-q", "origin", f"{made[0]}:refs/heads/live", ":refs/heads/one", ":refs/heads/two")
    other = GitFolder(tmp_path / "other")
    repository.git("clone", "-q", "--no-tags", "--single-branch", "--branch", "main", str(origin), str(other.path))
    # Between the listing, which is the first question, and the fetch somebody moves the branch.
    script = tmp_path / "upload-pack"
    asked = tmp_path / "asked"
    moves = f"git -C {origin} update-ref refs/heads/live {made[1]}"
    lines = ["#!/bin/sh", f"[ -e {asked} ] && {moves}", f"touch {asked}", 'exec git-upload-pack "$@"', ""]
    script.write_text("\n".join(lines))
    script.chmod(0o755)
    other.git("config", "remote.origin.uploadpack", str(script))
    ledger = Ledger(other.opened, "origin")
    there = snapshots.live_at(ledger)
    assert there == made[1]
    assert snapshots.live_commit(ledger) == made[1]
