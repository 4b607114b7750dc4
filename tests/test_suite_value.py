"""Which problems earn their time, runs of two versions of a suite, and flagged samples as golden problems."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.bench.inputs.problems import Problem
from publisher.config import MaxDrop
from publisher.errors import UsageError
from publisher.schema import Record, Sample, Sampling
from publisher.suites.promote import found, promoted
from publisher.suites.runs import compared, lines
from publisher.suites.value import value
from tests.gate_cases import policy, run_of, verdict_on
from tests.made import record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

K = 16
SENSITIVE = [f"p-{number}" for number in range(4)]
"""The problems whose rate follows the model; the other 26 are always right, always wrong or a coin."""


def run(number: int, rates: Mapping[str, float], seed: int, **changes: object) -> Record:
    """Return a run of a suite with k = 16, whose counts are drawn with some rates."""
    draw = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    right = {name: sum(draw.random() < rate for _ in range(K)) for name, rate in rates.items()}
    made = record(f"{number:040x}", started=f"20261120T{number:06d}Z")
    result = msgspec.structs.replace(
        made.results[0],
        right_by_problem=right,
        scored_by_problem=dict.fromkeys(rates, K),
        tokens_by_problem={name: (9000 if name == "p-0" else 900, 0) for name in rates},
        **{key: value for key, value in changes.items() if key == "problem_digests"},
    )
    suite = msgspec.structs.replace(
        made.suites[0], samples=K, problems=len(rates), sha256=str(changes.get("sha256", "d" * 64))
    )
    return msgspec.structs.replace(
        made, results=[result], suites=[suite], generation=f"{number:064x}", sampling=Sampling(temperature=1.0)
    )


def history() -> list[Record]:
    """Return ten runs; every other model answers the sensitive problems much worse."""
    runs = []
    for number in range(10):
        rates = dict.fromkeys(SENSITIVE, 0.9 if number % 2 else 0.2)
        rates |= {f"p-{n}": (0.0, 1.0, 0.5)[n % 3] for n in range(4, 30)}
        runs.append(run(number, rates, seed=number))
    return runs


def test_problems_that_told_differences_come_first_by_what_they_cost() -> None:
    """Of four that all moved, the one that takes ten times as long is worth the least; the others tell nothing."""
    weighed = value(history(), "s")
    ranked = [one.problem for one in weighed.problems]
    assert set(ranked[:3]) == {"p-1", "p-2", "p-3"}
    assert ranked[3] == "p-0"
    assert all(one.discrimination > 40 for one in weighed.problems[:4])
    least = min(one.information for one in weighed.problems[:4])
    assert all(one.information < least / 5 for one in weighed.problems[4:])


def test_the_proposal_is_small_and_keeps_the_power() -> None:
    """A few problems find every past difference, those too that they were not chosen by."""
    proposal = value(history(), "s").proposal
    assert proposal is not None
    assert set(proposal.problems) <= {*SENSITIVE}
    assert proposal.power >= 0.9 * proposal.power_of_all
    assert proposal.seconds < proposal.seconds_of_all / 10
    assert (proposal.caught, proposal.caught_unseen) == (proposal.differences, proposal.differences)
    assert proposal.differences == 9


def test_runs_that_do_not_differ_propose_nothing() -> None:
    """Without a difference nothing is known of what would find one."""
    same = {f"p-{n}": 0.5 for n in range(30)}
    weighed = value([run(number, same, seed=number) for number in range(4)], "s")
    assert weighed.proposal is None
    assert weighed.runs == 4


def test_only_runs_of_the_newest_version_count() -> None:
    """Counts of another version of the suite say nothing about this one's problems."""
    runs = history()
    runs[0] = run(0, {"p-0": 0.5}, seed=1, sha256="9" * 64)
    assert value(runs, "s").runs == 9


def test_runs_of_two_versions_are_compared_on_what_they_share() -> None:
    """A reworded problem and a new one are left out, and the comparison says so."""
    rates = {f"p-{n}": 1.0 for n in range(4)}
    digests = {name: f"{number:016x}" for number, name in enumerate(rates)}
    old = run(1, rates, 1, problem_digests=digests)
    new = run(
        2,
        {"p-0": 0.0, "p-1": 1.0, "p-2": 1.0, "p-3": 0.0, "p-4": 0.0},
        2,
        sha256="7" * 64,
        problem_digests={**digests, "p-3": "f" * 16, "p-4": "e" * 16},
    )
    (one,) = compared(old, new)
    assert (one.shared, one.old_problems, one.new_problems, one.versions) == (3, 4, 5, 2)
    assert (one.old, round(one.new, 1)) == (100.0, 66.7)
    (said,) = lines([one])
    assert said.startswith("s: 100.0 → 66.7 points")
    assert "on 3 problems that both versions ask alike (of 4 and 5)" in said


def test_older_records_of_another_version_are_not_compared() -> None:
    """They do not tell which problems are the same."""
    rates = {"p-0": 1.0}
    (one,) = compared(run(1, rates, 1), run(2, rates, 2, sha256="7" * 64, problem_digests={"p-0": "1" * 16}))
    assert lines([one]) == ["s: not compared, because no problem is asked alike in both"]


def test_a_flagged_sample_becomes_a_golden_problem(tmp_path: Path) -> None:
    """It says where it came from; the same question is not asked twice, and an id that is taken gets a number."""
    path = tmp_path / "golden.jsonl"
    first = Problem("p-1", "6 * 7?", "42", tags={"topic": "products"})
    assert promoted(path, first, "integer", origin="RUN s/p-1#0", reason="always 41") == "p-1"
    assert promoted(path, Problem("p-1", "6 * 8?", "48"), "integer", origin="RUN s/p-1#2", reason="") == "p-1-2"
    with pytest.raises(UsageError, match="asks that question already, as p-1"):
        promoted(path, first, "integer", origin="RUN", reason="")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows[0] == {
        "id": "p-1",
        "problem": "6 * 7?",
        "answer": "42",
        "tags": {"topic": "products"},
        "origin": "RUN s/p-1#0",
        "reason": "always 41",
    }
    assert [row["id"] for row in rows] == ["p-1", "p-1-2"]


@pytest.mark.parametrize("wanted", ["", "a/b/c", "p-1#x", "other/p-1"])
def test_a_sample_that_is_not_there_is_a_usage_error(wanted: str) -> None:
    """The hint says how a sample is named."""
    with pytest.raises(UsageError) as caught:
        found([], wanted)
    assert "SUITE/PROBLEM#NUMBER" in caught.value.hint


def test_a_reported_address_names_its_sample() -> None:
    """The address that a reader reports counts problems and answers as the pages do, on whatever page they are."""
    samples = [sample("s", name, number) for name in ("p-9", "p-1") for number in range(2)] + [sample("t", "p-1", 0)]
    assert found(samples, "/samples/s/#p2-2") == samples[3]
    assert found(samples, "/samples/s/3/#p1") == samples[0]
    assert found(samples, "/samples/t/#p1-1") == samples[4]


@pytest.mark.parametrize(
    "wanted",
    ["/", "/samples/s/", "/samples/s/#p0-1", "/samples/s/#p3-1", "/samples/s/#p1-3", "/samples/u/#p1", "/x#p1"],
)
def test_an_address_without_an_answer_is_a_usage_error(wanted: str) -> None:
    """Another suite, problem or answer, and what is no address of one."""
    samples = [sample("s", name, number) for name in ("p-9", "p-1") for number in range(2)]
    with pytest.raises(UsageError, match="is no answer of the run"):
        found(samples, wanted)


def sample(suite: str, problem: str, number: int) -> Sample:
    """Return a sample of a problem."""
    return Sample(
        suite=suite,
        problem=problem,
        sample=number,
        seed=1,
        outcome="wrong",
        answer="",
        finish="stop",
        prompt_tokens=1,
        tokens=1,
        latency=0.1,
        text="",
    )


def test_a_verdict_says_how_the_shared_problems_compare() -> None:
    """A run of another version of the suite is no baseline, and its score on what stayed the same is told beside it."""
    digests = {str(number): f"{number:016x}" for number in range(4)}
    old = run_of(1, [8, 8, 8, 8], 8, result={"problem_digests": digests})
    suites = [msgspec.structs.replace(old.record.suites[0], sha256="7" * 64)]
    changed = {**digests, "3": "f" * 16}
    new = run_of(2, [8, 8, 2, 0], 8, result={"problem_digests": changed}, suites=suites)
    (rule,) = verdict_on(new, [old], policy(MaxDrop(points=3.0), samples=8)).rules
    assert rule.outcome == "pass"
    assert "no kept run can be compared with, because these differ: problems of s" in rule.reason
    assert "on the 3 problems of s that both versions ask alike, 100.0 → 75.0 (p = " in rule.reason
