from __future__ import annotations

from typing import Any

import msgspec

from publisher import schema
from publisher.gate.baseline import Measured
from publisher.gate.compare import compare, identity
from publisher.ledger import history, lessons, snapshots
from publisher.ledger.store import Ledger
from publisher.samples import pack_samples
from publisher.schema import Flip, Interval, Lesson, LiveMove, Record, Report, Sample, SuiteComparison
from tests.made import GitFolder, record, verdict


def answer(number: int, outcome: schema.Outcome = "wrong", text: str = "so it is 7", **more: Any) -> Sample:
    """Return an answer to the problem `number`."""
    value: dict[str, Any] = {
        "suite": "s",
        "problem": str(number),
        "sample": 0,
        "seed": 1,
        "outcome": outcome,
        "answer": "7",
        "finish": "stop",
        "prompt_tokens": 9,
        "tokens": 5,
        "latency": 0.1,
        "text": text,
        "statement": "3 + 3?",
        "expected": "6",
    }
    return Sample(**(value | more))


def report_on(run: Record, word: str, turned: list[str]) -> Report:
    """Return the report of a run in which some problems turned wrong."""
    measured = Measured(history.summarize(run), run)
    lost = SuiteComparison(
        suite="s",
        score=60.0,
        stderr=6.0,
        base_score=75.0,
        runs=["earlier"],
        meaning="worse",
        difference=-15.0,
        interval=Interval(low=-20.0, high=-10.0, method="paired"),
        p_value=0.001,
        turned_wrong=[Flip(problem=name, right=0, drawn=1, base_right=1, base_drawn=1) for name in turned],
    )
    return Report(
        run=identity(measured),
        verdict=verdict(run, word),
        scores={},
        baseline=[lost],
        blind=[],
        samples=40,
        planned=40,
        previous=compare(measured, measured),
    )


def enter(
    ledger: Ledger,
    run: Record,
    word: str = "kept",
    samples: list[Sample] | None = None,
    turned: tuple[str, ...] = (),
) -> str:
    """Put a run with its report into the ledger and return its id."""
    report = report_on(run, word, list(turned))
    packed = pack_samples([answer(3)] if samples is None else samples)
    ledger.append(history.run_files(run, verdict(run, word), packed, report), "run\n")
    return run.run_id


def taught(ledger: Ledger, run_id: str) -> dict[str, Lesson]:
    """Make the snapshot of a run and return the lessons in its tree, by run."""
    made = snapshots.ensure_snapshot(ledger, run_id, site="https://x.example.invalid", address=str)
    tree = ledger.repository.tree(made.commit)
    paths = [path for path in tree if path.startswith("ledger/lessons/")]
    found = {path: ledger.repository.read(made.commit, path) or b"" for path in paths}
    return {
        path.removeprefix("ledger/lessons/").removesuffix(".json"): schema.decode(data, Lesson, path)
        for path, data in found.items()
    }


def at(commit: str, minute: int) -> Record:
    """Return a record of a commit, measured at a minute."""
    return record(commit, started=f"20261120T20{minute:02}33Z")


def test_a_snapshot_carries_what_the_rejected_runs_since_the_last_kept_one_teach(repository: GitFolder) -> None:
    """Their reasons, what they lost and their wrong answers, those that turned first; older ones are elsewhere."""
    commit, ledger = repository.git("rev-parse", "HEAD"), Ledger(repository.opened)
    enter(ledger, at(commit, 1), "rejected")
    first = enter(ledger, at(commit, 2))
    samples = [answer(2), answer(3, "right"), answer(5, "truncated"), answer(9)]
    bad = enter(ledger, at(commit, 3), "rejected", samples, turned=("9",))
    second = enter(ledger, at(commit, 4))
    assert list(taught(ledger, first)) == ["20261120T200133Z-" + commit[:12] + "-full"]
    ((name, lesson),) = taught(ledger, second).items()
    assert name == bad
    assert [one.problem for one in lesson.wrong] == ["9", "2", "5"]
    assert (lesson.verdict.verdict, lesson.baseline[0].difference, lesson.wrong_more) == ("rejected", -15.0, 0)


def test_lessons_keep_to_their_budget_newest_first(repository: GitFolder) -> None:
    """Long answers lose their beginnings, runs their last answers, and the oldest runs their place."""
    commit, ledger = repository.git("rev-parse", "HEAD"), Ledger(repository.opened)
    many = [answer(number, text="a" * 9_000 + "z" * lessons.ENDING, statement="w" * 4_000) for number in range(60)]
    bad = [enter(ledger, at(commit, minute), "rejected", many) for minute in range(1, 9)]
    found = taught(ledger, enter(ledger, at(commit, 20)))
    assert sorted(found) == bad[-len(found) :]
    assert 3 < len(found) < len(bad)
    sizes = [len(msgspec.json.encode(one)) for one in found.values()]
    assert max(sizes) <= lessons.PER_RUN
    assert sum(sizes) <= lessons.BUDGET
    newest = found[bad[-1]]
    assert newest.wrong[0].text == "z" * lessons.ENDING
    assert newest.wrong[0].clipped == 9_000
    assert len(newest.wrong) + newest.wrong_more == len(many)
    assert len(newest.wrong) <= lessons.MOST_ANSWERS


def test_no_word_of_a_private_suite_is_in_a_lesson(repository: GitFolder) -> None:
    """Neither where the rejected run's own suite is private, nor where the snapshot's is by now."""
    commit, ledger = repository.git("rev-parse", "HEAD"), Ledger(repository.opened)

    def private(run: Record) -> Record:
        return msgspec.structs.replace(run, suites=[msgspec.structs.replace(one, public=False) for one in run.suites])

    enter(ledger, private(at(commit, 1)), "rejected")
    own = enter(ledger, at(commit, 2))
    enter(ledger, at(commit, 3), "rejected")
    later = enter(ledger, private(at(commit, 4)))
    for run_id in (own, later):
        (lesson,) = taught(ledger, run_id).values()
        assert (lesson.wrong, lesson.wrong_more) == ([], 0)


def test_only_runs_of_the_trusted_branch_that_can_be_read_are_lessons(repository: GitFolder) -> None:
    """A run by others' rules, one without a report, and one that is no more than damaged have no page."""
    commit, ledger = repository.git("rev-parse", "HEAD"), Ledger(repository.opened)
    enter(ledger, msgspec.structs.replace(at(commit, 1), policy="b" * 40), "rejected")
    plain = at(commit, 2)
    ledger.append(history.run_files(plain, verdict(plain, "rejected"), b"samples"), "run\n")
    broken = at(commit, 3)
    files = history.run_files(broken, verdict(broken, "rejected"), b"broken", report_on(broken, "rejected", []))
    ledger.append(files, "run\n")
    good = enter(ledger, at(commit, 4), "rejected")
    assert list(taught(ledger, enter(ledger, at(commit, 5)))) == [good]


def test_a_line_of_history_says_what_the_gate_found_clearly_moved(repository: GitFolder) -> None:
    """The comparison with the baseline, where it is clear; with it the model and the figures beside the score."""
    run = at(repository.git("rev-parse", "HEAD"), 1)
    report = report_on(run, "rejected", [])
    line = history.with_moved(history.summarize(run), report)
    assert line.scores["s"].moved == (-15.0, -20.0, -10.0)
    assert (line.scores["s"].tokens, line.scores["s"].latency, line.model) == (20.0, 0.1, "a" * 12)
    noise = msgspec.structs.replace(report.baseline[0], meaning="noise")
    quiet = history.with_moved(history.summarize(run), msgspec.structs.replace(report, baseline=[noise]))
    assert quiet.scores["s"].moved is None


def test_a_snapshot_knows_when_the_site_was_moved_back(repository: GitFolder) -> None:
    """A move to a run that came into the ledger before the one that was live is a rollback; others are not."""
    commit, ledger = repository.git("rev-parse", "HEAD"), Ledger(repository.opened)
    names = [enter(ledger, at(commit, minute)) for minute in (5, 3)]
    for number, run_id in enumerate((*names, names[0]), 1):
        move = LiveMove(
            snapshot=f"snapshot-{commit[:12]}",
            commit=f"{number:x}" * 40,
            run_id=run_id,
            deploy_id="",
            previous="",
            who="Ada",
            why="too terse",
            time="2026-11-21T00:00:00Z",
            via="api",
        )
        ledger.append(history.live_file(move, number), "live\n")
    last = enter(ledger, at(commit, 9))
    made = snapshots.ensure_snapshot(ledger, last, site="https://x.example.invalid", address=str)
    data = ledger.repository.read(made.commit, "ledger/history.json") or b""
    (found,) = schema.decode(data, schema.HistoryIndex, "history.json").rollbacks
    assert (found.previous, found.run_id, found.why) == (names[1], names[0], "too terse")
