from __future__ import annotations

from typing import Any

import msgspec

from publisher import schema
from publisher.ledger import history, snapshots
from publisher.ledger.outlines import packed
from publisher.ledger.store import Ledger
from publisher.schema import HistoryLine, Outlines, Record, TakenDown
from publisher.schema.outline import LARGEST_OUTLINES, MOST_OUTLINES
from tests.made import COMMIT, GitFolder, record, verdict
from tests.test_ledger import make_snapshot


def enter(ledger: Ledger, commit: str, started: str, right: int = 30, word: str = "kept") -> str:
    """Put a run with as many right answers into the ledger and return its id."""
    run = record(commit, started=started, right=right)
    ledger.append(history.run_files(run, verdict(run, word), b"samples"), "run\n")
    return run.run_id


def outlines_of(repository: GitFolder, made: snapshots.SnapshotBranch) -> Outlines:
    """Return the outlines in a snapshot's tree."""
    data = repository.opened.read(made.commit, "ledger/outlines.json")
    assert data is not None
    return schema.decode(data, Outlines, "outlines.json")


def large(number: int, problems: int = 500, **more: Any) -> tuple[HistoryLine, Record]:
    """Return a run of many problems with 16 samples each, and its line."""
    base = record(COMMIT, started=f"202611{1 + number // 24:02d}T{number % 24:02d}1133Z")
    names = [f"problem-{place:05d}" for place in range(problems)]
    (part,) = base.results
    told = msgspec.structs.replace(
        part,
        right_by_problem={name: (place * 7 + number) % 17 for place, name in enumerate(names)},
        scored_by_problem=dict.fromkeys(names, 16),
        score=50.0 + number % 7,
    )
    prompt = msgspec.structs.replace(base.prompt, template=f"{{problem}} {number} " + "word " * 400)
    run = msgspec.structs.replace(base, results=[told], prompt=prompt, **more)
    return history.summarize(run, verdict(run)), run


def shelved(runs: list[tuple[HistoryLine, Record]]) -> tuple[Outlines, int]:
    """Return the outlines of runs, oldest first, of which the last one is shown, and their bytes."""
    data = packed_of(runs)["outlines.json"]
    return schema.decode(data, Outlines, "outlines.json"), len(data)


def packed_of(runs: list[tuple[HistoryLine, Record]]) -> dict[str, bytes]:
    """Return the file of runs, oldest first, of which the last one is shown."""
    records = {run.run_id: run for _, run in runs}
    return packed(runs[-1][1], [line for line, _ in runs], "s", lambda line: records.get(line.run_id))


def test_a_snapshot_carries_the_kept_runs_before_it(repository: GitFolder) -> None:
    """Newest first behind its own, without rejected ones and those whose pages were taken down; later ones never."""
    commit = repository.git("rev-parse", "HEAD")
    ledger = Ledger(repository.opened)
    first = enter(ledger, commit, "20261120T201133Z", 31)
    enter(ledger, commit, "20261121T201133Z", 8, "rejected")
    gone = enter(ledger, commit, "20261122T201133Z", 32)
    away = TakenDown(
        run_id=gone, snapshot="snapshot-x", commit="a" * 40, who="me", why="x", time="2026-11-22T00:00:00Z"
    )
    ledger.append(history.taken_down_file(away), "gone\n")
    third = enter(ledger, commit, "20261123T201133Z", 33)
    own = enter(ledger, commit, "20261124T201133Z", 34)
    enter(ledger, commit, "20261125T201133Z", 35)
    found = outlines_of(repository, make_snapshot(ledger, own))
    assert [run.run_id for run in found.runs] == [own, third, first]
    (suite,) = found.runs[0].suites.values()
    assert sum(suite.right) == 34
    assert len(found.problems[suite.version]) == len(suite.right)
    assert found.runs[0].snapshot.startswith("snapshot-")


def test_a_record_that_cannot_be_used_is_left_out(repository: GitFolder) -> None:
    """Somebody's broken or exchanged record costs its own place and nothing else."""
    commit = repository.git("rev-parse", "HEAD")
    ledger = Ledger(repository.opened)
    first = enter(ledger, commit, "20261120T201133Z")
    for started, data in (("20261121T201133Z", b"{broken"), ("20261122T201133Z", None)):
        run = record(commit, started=started)
        files = history.run_files(run, verdict(run), b"samples")
        other = files[f"runs/{run.run_id}/record.json"].replace(started.encode(), b"20261101T000000Z")
        ledger.append(files | {f"runs/{run.run_id}/record.json": other if data is None else data}, "run\n")
    own = enter(ledger, commit, "20261124T201133Z")
    assert [run.run_id for run in outlines_of(repository, make_snapshot(ledger, own)).runs] == [own, first]


def test_equal_settings_and_problems_are_stored_once() -> None:
    """Fifty runs of 500 problems and long prompts fit: 50 older ones, in less than their bound."""
    found, size = shelved([large(number) for number in range(60)])
    assert len(found.runs) == MOST_OUTLINES
    assert size <= LARGEST_OUTLINES
    assert len(found.problems) == 1
    assert len({setting for setting in found.settings if setting[0] == "prompt"}) == MOST_OUTLINES + 1


def test_the_bound_in_bytes_holds_whatever_the_suites_are() -> None:
    """Of large suites fewer runs are carried: the best and the newest."""
    runs = [large(number, 5_000) for number in range(20)]
    found, size = shelved(runs)
    assert size <= LARGEST_OUTLINES
    ids = [run.run_id for run in found.runs]
    assert 3 < len(ids) < 20
    assert ids[0] == runs[-1][0].run_id
    assert runs[13][0].run_id in ids  # the newest of the best
    assert ids == sorted(ids, reverse=True)


def test_a_suite_that_alone_is_too_large_has_no_outlines() -> None:
    """The snapshot is made without them, as the first one is."""
    for runs in ([large(1, 30_000), large(2, 30_000)], [large(1)]):
        assert packed_of(runs) == {}


def test_counts_that_cannot_be_are_not_told() -> None:
    """A record with more right samples than were drawn keeps its score and loses its counts."""
    line, run = large(1)
    (part,) = run.results
    wild = msgspec.structs.replace(part, right_by_problem={**part.right_by_problem, "problem-00000": 99})
    found, _ = shelved([(line, msgspec.structs.replace(run, results=[wild])), large(2)])
    assert [len(run.suites["s"].right) for run in found.runs] == [500, 0]
