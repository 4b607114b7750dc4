from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from publisher.bench.inputs.problems import Problem
from publisher.bench.inputs.suites import Suite
from publisher.bench.looks import Look, Tracker, rounds, shares
from publisher.bench.measure import Measurement, measure
from publisher.bench.plan import Plan, PlannedSuite
from tests.measuring import Notes, Parrot, job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from publisher.engine.protocol import Completion, SampleRequest
    from tests.made import GitFolder

SUITE = b"".join(b'{"id": "p%d", "problem": "What is %d?", "answer": "%d"}\n' % (n, n, n) for n in range(32))


class Ordered(Parrot):
    """A parrot that keeps the order of what it was asked."""

    asked: list[tuple[str, int]]

    def generate(self, requests):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - the parrot's
        """Answer at once, and remember."""
        self.asked = [(request.group, request.round) for request in requests]
        yield from super().generate(requests)


def watched(
    folder: GitFolder, path: Path, watch: Callable[[Look], str], *, samples: int, engine: Parrot | None = None
) -> Measurement:
    """Measure 32 problems, every answer of which is wrong, with looks."""
    of = job(folder, SUITE, samples=samples)
    return measure(
        of,
        start=engine or Parrot("\\boxed{999}"),
        workspace=path,
        reusable=lambda _: (),
        observer=Notes(),
        watch=watch,
    )


def planned(samples: int, problems: int = 32) -> Plan:
    """Return a plan of one suite."""
    asked = tuple(Problem(id=f"p{n}", problem="?", answer="1") for n in range(problems))
    suite = Suite("few", "0" * 64, asked, public=True)
    return Plan(None, (PlannedSuite(suite, samples, "integer", "1", "few"),), "", "", "", ())  # type: ignore[arg-type]


@pytest.mark.parametrize(("samples", "seen"), [(1, [2, 4, 8, 16]), (16, [32, 64, 128, 256]), (4, [32, 64])])
def test_looks_come_after_fixed_parts_of_a_run(samples: int, seen: list[int]) -> None:
    """A sixteenth, an eighth, a quarter and a half: of the problems where k is 1, else of the complete rounds."""
    known = shares(planned(samples))
    tracker, found = Tracker(known, ()), []
    for count, key in enumerate(sorted(known, key=lambda key: known[key]), 1):
        tracker.finished(key)
        if tracker.due() is not None:
            found.append(count)
    assert found == seen


def test_a_look_is_not_due_before_its_part_is_complete() -> None:
    """Samples of later rounds that finished early do not make a look due."""
    known = shares(planned(4))
    tracker = Tracker(known, ())
    late = [key for key in known if key[2] > 0]
    for key in late:
        tracker.finished(key)
    assert tracker.due() is None


def test_requests_go_round_by_round(repository: GitFolder, tmp_path: Path) -> None:
    """Every problem has its first sample before any has its second."""
    engine = Ordered("\\boxed{999}")
    watched(repository, tmp_path, lambda _: "", samples=4, engine=engine)
    numbers = [number for _, number in engine.asked]
    assert numbers == sorted(numbers)
    assert len({group for group, _ in engine.asked[:32]}) == 32


def test_with_one_sample_the_order_of_problems_is_not_the_suites() -> None:
    """The first sixteenth is drawn from the whole suite, and the same each time."""
    known = shares(planned(1))
    first = sorted(known, key=lambda key: known[key])[:8]
    assert first != sorted(first, key=lambda key: int(key[1][1:]))
    assert set(rounds(planned(1), known).values()) == {64, 128, 256, 512, 1024}


def test_a_run_that_is_stopped_holds_just_what_the_look_saw(repository: GitFolder, tmp_path: Path) -> None:
    """Two rounds of four: 64 samples, complete for every problem, and the record says why there are no more."""
    stopped = watched(repository, tmp_path, lambda look: "hopeless" if look.share >= 0.5 else "", samples=4)
    assert sorted({(one.problem, one.sample) for one in stopped.samples}) == sorted(
        (f"p{n}", sample) for n in range(32) for sample in (0, 1)
    )
    early = stopped.record.stopped_early
    assert early is not None
    assert (early.why, early.samples, early.planned, early.share) == ("hopeless", 64, 128, 0.5)


def test_a_look_tells_what_is_right_what_counts_and_what_is_left(repository: GitFolder, tmp_path: Path) -> None:
    """Per problem, also for those that no sample has reached yet."""
    looks: list[Look] = []
    engine = Parrot("\\boxed{999}", {"What is 7?": "\\boxed{7}"})
    watched(repository, tmp_path, lambda look: looks.append(look) or "", samples=4, engine=engine)  # type: ignore[func-returns-value]
    assert [look.share for look in looks] == [0.25, 0.5]
    assert (looks[0].right["few"]["p7"], looks[0].scored["few"]["p7"], looks[0].left["few"]["p7"]) == (1, 1, 3)
    assert (looks[1].right["few"]["p3"], looks[1].scored["few"]["p3"], looks[1].left["few"]["p3"]) == (0, 2, 2)


def test_a_stopped_run_continues_from_its_samples(repository: GitFolder, tmp_path: Path) -> None:
    """Measured again without looks, it generates only what is missing, and is complete."""
    of, engine = job(repository, SUITE, samples=4), Parrot("\\boxed{999}")
    first = measure(
        of, start=engine, workspace=tmp_path, reusable=lambda _: (), observer=Notes(), watch=lambda _: "stop"
    )
    assert (len(first.samples), engine.begun < 64) == (32, True)
    whole = measure(of, start=engine, workspace=tmp_path, reusable=lambda _: (), observer=Notes())
    assert (len(whole.samples), whole.record.stopped_early) == (128, None)
    assert engine.begun < 128 + 32, "the first round was not generated again"


def test_a_run_that_is_there_already_is_complete_and_has_no_look(repository: GitFolder, tmp_path: Path) -> None:
    """Where every sample can be taken over there is nothing to save."""
    of = job(repository, SUITE, samples=2)
    first = measure(of, start=Parrot("x"), workspace=tmp_path / "a", reusable=lambda _: (), observer=Notes())
    again = measure(
        of,
        start=Parrot("y"),
        workspace=tmp_path / "b",
        reusable=lambda _: [("earlier", None, first.samples)],
        observer=Notes(),
        watch=lambda _: "never asked",
    )
    assert again.record.stopped_early is None


class Failing(Parrot):
    """A parrot that fails at the first two requests."""

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Answer at once."""
        for number, completion in enumerate(super().generate(requests)):
            yield completion if number > 1 else replace(completion, finish="error", reason="it failed")


def test_a_look_at_too_many_errors_ends_nothing(repository: GitFolder, tmp_path: Path) -> None:
    """Two errors are 1.6 % of a run but 6 % of its first look, which would leave them out of what it decides on."""
    stopped = watched(repository, tmp_path, lambda _: "stop", samples=4, engine=Failing("\\boxed{999}"))
    assert stopped.record.stopped_early is not None
    assert (stopped.record.stopped_early.share, stopped.record.results[0].counts.error) == (0.5, 2)
