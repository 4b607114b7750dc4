from __future__ import annotations

import datetime as dt
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from publisher.bench.inputs.model_file import BUILTIN
from publisher.bench.inputs.suites import Problem, Suite
from publisher.bench.measure import Job, Measurement, measure, plan
from publisher.bench.plan import PlannedSuite, seed_of
from publisher.bench.record import quantiles, suite_result
from publisher.config import parse
from publisher.errors import ConfigError, GraderError, ModelError
from publisher.files import sha256_hex
from publisher.samples import encode_samples, unpack_samples
from publisher.schema import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from publisher.bench.measure import Reusable
    from tests.made import GitFolder

STARTED = dt.datetime(2026, 11, 20, 20, 11, 33, tzinfo=dt.UTC)
SUITE = b"".join((BUILTIN / "abacus.jsonl").read_bytes().splitlines(keepends=True)[::45])
"""A dozen problems of every kind."""
CONFIG = """
[model]
name = "abacus"
source = "builtin:abacus@middle"
context = {context}
[model.sampling]
temperature = {temperature}
max_tokens = {max_tokens}
[suites.few]
source = "few.jsonl"
grader = "{grader}"
samples = {samples}
public = {public}
[engine]
mode = "{mode}"
threads = {threads}
[ledger]
clip = {clip}
"""
DEFAULTS = {
    "context": 512,
    "temperature": 0.7,
    "max_tokens": 160,
    "grader": "integer",
    "samples": 2,
    "public": "true",
    "mode": "reproducible",
    "threads": 1,
    "clip": 20_000,
}
model = pytest.mark.model


class Notes:
    """An observer that writes down what it hears, and stops the run after `stop` samples."""

    def __init__(self, stop: int = -1) -> None:
        """Hear nothing yet."""
        self.model = ""
        self.statistics: dict[str, float] = {}
        self.total = -1
        self.suites: list[tuple[str, int]] = []
        self.samples: list[Sample] = []
        self.notes: list[str] = []
        self._stop = stop

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Keep the plan."""
        self.model, self.suites, self.total = model, suites, total

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Keep a sample, or interrupt the run as Ctrl-C would."""
        self.samples.append(sample)
        self.statistics = dict(statistics)
        if len(self.samples) == self._stop:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Keep a remark."""
        self.notes.append(text)


def job(folder: GitFolder, suite: bytes = SUITE, *, salt: str = "", **changes: Any) -> Job:
    """Commit a configuration with its suite and return the job of measuring it."""
    text = CONFIG.format(**(DEFAULTS | changes)).encode()
    commit = folder.commit({"publisher.toml": text, "few.jsonl": suite})
    return Job(folder.opened, commit, parse(text), sha256_hex(text), "full", dirty=False, salt=salt, started=STARTED)


def run(of: Job, workspace: Path, observer: Notes | None = None, earlier: Iterable[Sample] = ()) -> Measurement:
    """Measure a job; `earlier` are the samples of a run called `earlier`."""
    reusable: Reusable = lambda _: [("earlier", list(earlier))] if earlier else []  # noqa: E731 - one line says it
    return measure(of, workspace=workspace, reusable=reusable, observer=observer or Notes())


def essence(samples: Iterable[Sample]) -> list[tuple[Any, ...]]:
    """Return what must not depend on how a run was scheduled."""
    return [(one.suite, one.problem, one.sample, one.seed, one.text, one.outcome) for one in samples]


@model
def test_a_run_becomes_a_record(repository: GitFolder, tmp_path: Path) -> None:
    """Identity first: commit, model, suite, engine and machine; then the samples, whose counts are the results."""
    work = job(repository)
    done = run(work, tmp_path)
    record, (result,) = done.record, done.record.results
    assert record.run_id == f"20261120T201133Z-{work.commit[:12]}-full"
    assert (record.commit.sha, record.commit.subject, record.commit.author) == (work.commit, "Change", "Test")
    assert (record.model.architecture, record.model.quantization) == ("llama", "Q8_0")
    assert record.sampling_given == {"temperature": 0.7, "max_tokens": 160}
    assert (record.sampling.top_p, record.engine.mode, record.started) == (1.0, "reproducible", "2026-11-20T20:11:33Z")
    assert (record.suites[0].problems, record.suites[0].samples, record.suites[0].sha256) == (12, 2, sha256_hex(SUITE))
    assert record.samples_sha256 == sha256_hex(encode_samples(done.samples))
    assert unpack_samples(done.packed, 1 << 20) == done.samples
    outcomes = [sample.outcome for sample in done.samples]
    assert (result.counts.right, result.counts.scored) == (outcomes.count("right"), 24)
    assert result.score == pytest.approx(100 * outcomes.count("right") / 24)
    assert sum(result.right_by_problem.values()) == outcomes.count("right")
    assert set(result.pass_at) == {"1", "2"}
    assert set(result.kinds) == {"add", "subtract", "two-step", "multiply"}
    assert result.latency.p50 <= result.latency.p99
    assert result.tokens_per_second > 0


@model
def test_a_sample_says_how_long_it_waited_and_took(repository: GitFolder, tmp_path: Path) -> None:
    """With fewer slots than samples the last ones wait; a first token comes within the time that a sample took."""
    samples = run(job(repository), tmp_path).samples
    assert all(0 < sample.prompt_time <= sample.latency for sample in samples)
    assert min(sample.queue for sample in samples) < max(sample.queue for sample in samples)


@model
def test_samples_stand_in_the_order_of_the_suite(repository: GitFolder, tmp_path: Path) -> None:
    """By problem as in the file, then by number, whatever finished first; each seed is the one of its place."""
    done = run(job(repository), tmp_path)
    ids = [json.loads(line)["id"] for line in SUITE.splitlines()]
    assert [(one.problem, one.sample) for one in done.samples] == [(name, number) for name in ids for number in (0, 1)]
    assert all(one.seed == seed_of(sha256_hex(SUITE), one.problem, one.sample, "") for one in done.samples)


@model
def test_a_second_run_says_the_same(repository: GitFolder, tmp_path: Path) -> None:
    """Texts are reproducible; a salt makes others."""
    work = job(repository)
    first = run(work, tmp_path / "a")
    assert essence(run(work, tmp_path / "b").samples) == essence(first.samples)
    salted = run(job(repository, salt="x"), tmp_path / "c")
    assert salted.record.fingerprint == first.record.fingerprint
    assert essence(salted.samples) != essence(first.samples)


@model
def test_an_interrupted_run_goes_on_where_it_was(repository: GitFolder, tmp_path: Path) -> None:
    """What was finished is not generated again, and the result is that of a run without interruption."""
    work = job(repository)
    with pytest.raises(KeyboardInterrupt):
        run(work, tmp_path / "torn", Notes(stop=7))
    notes = Notes()
    done = run(work, tmp_path / "torn", notes)
    assert notes.notes == ["going on after 7 samples of an interrupted run"]
    assert (notes.total, len(notes.samples)) == (17, 17)
    assert essence(done.samples) == essence(run(work, tmp_path / "whole").samples)


@model
def test_the_journal_stays_until_it_is_forgotten(repository: GitFolder, tmp_path: Path) -> None:
    """A crash between the run and the storing of its record costs nothing."""
    work = job(repository)
    done = run(work, tmp_path)
    notes = Notes()
    assert run(work, tmp_path, notes).samples == done.samples
    assert notes.total == 0
    done.forget_journal()
    assert list((tmp_path / "journal").iterdir()) == []


@model
def test_samples_of_an_equal_generation_are_taken_over(repository: GitFolder, tmp_path: Path) -> None:
    """A later commit that changes nothing about the model generates nothing; its record says whose samples it has."""
    earlier = run(job(repository), tmp_path / "a")
    notes = Notes()
    later = run(job(repository), tmp_path / "b", notes, earlier.samples)
    assert (notes.total, later.samples) == (0, earlier.samples)
    assert later.record.reused == {"earlier": 24}
    assert later.record.commit.sha != earlier.record.commit.sha
    assert later.record.fingerprint == earlier.record.fingerprint


@model
def test_only_what_is_missing_is_generated(repository: GitFolder, tmp_path: Path) -> None:
    """More samples a problem: those that an earlier run has are kept, the others are drawn."""
    earlier = run(job(repository, samples=1), tmp_path / "a")
    notes = Notes()
    later = run(job(repository, samples=2), tmp_path / "b", notes, earlier.samples)
    assert (notes.total, later.record.reused) == (12, {"earlier": 12})
    assert essence(later.samples) == essence(run(job(repository, samples=2), tmp_path / "c").samples)


@model
def test_samples_that_are_taken_over_are_graded_anew(repository: GitFolder, tmp_path: Path) -> None:
    """An old verdict is not believed, not even where the text was cut: then the stored answer is compared again."""
    earlier = run(job(repository), tmp_path / "a")
    false = [msgspec.structs.replace(one, outcome="wrong") for one in earlier.samples]
    assert essence(run(job(repository), tmp_path / "b", None, false).samples) == essence(earlier.samples)
    cut = [msgspec.structs.replace(one, text=one.text[:5], clipped=len(one.text) - 5) for one in false]
    again = run(job(repository), tmp_path / "c", None, cut)
    assert [one.outcome for one in again.samples] == [one.outcome for one in earlier.samples]


@model
def test_other_seeds_are_not_taken_over(repository: GitFolder, tmp_path: Path) -> None:
    """A changed suite has other seeds, so nothing of the old one is mixed in."""
    earlier = run(job(repository, samples=1), tmp_path / "a")
    notes = Notes()
    run(job(repository, SUITE + b"\n", samples=1), tmp_path / "b", notes, earlier.samples)
    assert notes.total == 12


@model
def test_long_texts_are_cut_and_counted(repository: GitFolder, tmp_path: Path) -> None:
    """The record keeps the beginning of each text, and the answer in any case."""
    whole = run(job(repository, samples=1), tmp_path / "a").samples
    cut = run(job(repository, samples=1, clip=10), tmp_path / "b").samples
    assert [(one.text, one.clipped, one.answer) for one in cut] == [
        (one.text[:10], len(one.text) - 10, one.answer) for one in whole
    ]


@model
def test_a_private_suite_shows_neither_statement_nor_answer(repository: GitFolder, tmp_path: Path) -> None:
    """Only a public suite's problems travel with the samples."""
    shown = run(job(repository, samples=1), tmp_path / "a").samples[0]
    assert shown.statement
    assert shown.expected
    hidden = run(job(repository, samples=1, public="false"), tmp_path / "b")
    assert {(one.statement, one.expected) for one in hidden.samples} == {("", "")}


@model
def test_running_out_of_tokens_is_truncated(repository: GitFolder, tmp_path: Path) -> None:
    """Three tokens are no answer: every sample is truncated, which is counted and no error."""
    (result,) = run(job(repository, samples=1, max_tokens=3), tmp_path).record.results
    assert (result.counts.truncated, result.score, result.counts.error) == (12, 0.0, 0)


class Killer(Notes):
    """An observer that kills the engine's process once a few samples are done."""

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Count, and kill what runs the engine."""
        super().sampled(sample, statistics)
        if len(self.samples) == 3:
            for children in Path("/proc/self/task").glob("*/children"):
                for child in children.read_text().split():
                    if b"engine.child.main" in Path(f"/proc/{child}/cmdline").read_bytes():
                        os.kill(int(child), signal.SIGKILL)


@model
def test_a_crash_of_the_engine_keeps_what_was_finished(repository: GitFolder, tmp_path: Path) -> None:
    """The run ends in a ModelError; the next one goes on after the finished samples."""
    work = job(repository, samples=8)
    with pytest.raises(ModelError, match="SIGKILL"):
        run(work, tmp_path, Killer())
    notes = Notes()
    run(work, tmp_path, notes)
    assert 3 <= 96 - notes.total < 96


def with_long_problems(count: int, long: int) -> bytes:
    """Return a suite of `count` problems, `long` of which do not fit into a small context."""
    one = {"problem": "What is 1 plus 1?", "answer": "2"}
    texts = [{**one, "id": f"p-{n}", **({"problem": "1 + " * 400} if n < long else {})} for n in range(count)]
    return b"".join(json.dumps(text).encode() + b"\n" for text in texts)


@model
def test_a_few_errors_are_counted_and_do_not_lower_the_score(repository: GitFolder, tmp_path: Path) -> None:
    """One prompt of twenty that is too long is an error with its reason; the score is that of the other nineteen."""
    done = run(job(repository, with_long_problems(20, 1), samples=1, context=128, max_tokens=60), tmp_path)
    (result,) = done.record.results
    assert (result.counts.error, result.counts.scored, done.samples[0].outcome) == (1, 19, "error")
    assert "context" in done.samples[0].reason
    assert result.score == pytest.approx(100 * result.counts.right / 19)


@model
def test_too_many_errors_end_the_run_and_keep_what_was_good(repository: GitFolder, tmp_path: Path) -> None:
    """Two of twenty are too many: a ModelError names the first reason, and the good samples stay in the journal."""
    work = job(repository, with_long_problems(20, 2), samples=1, context=128, max_tokens=60)
    notes = Notes()
    with pytest.raises(ModelError, match=r"of 20 of the suite few could not be generated.*context"):
        run(work, tmp_path, notes)
    kept = sum(len(path.read_text().splitlines()) for path in (tmp_path / "journal").glob("*"))
    assert kept == sum(one.outcome != "error" for one in notes.samples)


@model
def test_an_expected_answer_that_cannot_be_read_fails_the_run(repository: GitFolder, tmp_path: Path) -> None:
    """A grader that cannot decide is a GraderError with its reason, never a wrong answer."""
    suite = b"".join(
        json.dumps(
            {
                "id": f"p-{n}",
                "problem": "Leo has 12 pears. He buys 30 more. How many pears has he?",
                "answer": "\\oops{x}^",
            }
        ).encode()
        + b"\n"
        for n in range(3)
    )
    with pytest.raises(GraderError, match=r"could not be graded.*cannot read the expected answer"):
        run(job(repository, suite, grader="math", samples=1), tmp_path)


@model
def test_a_file_that_is_no_model_is_one_clear_error(repository: GitFolder, tmp_path: Path) -> None:
    """A broken model ends the run before anything is written."""
    work = job(repository)
    text = CONFIG.format(**DEFAULTS).replace("builtin:abacus@middle", "m.gguf").encode()
    commit = repository.commit({"publisher.toml": text, "m.gguf": b"not a model"})
    broken = Job(work.repository, commit, parse(text), sha256_hex(text), "full", dirty=False, salt="", started=STARTED)
    with pytest.raises(ModelError):
        run(broken, tmp_path)
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_tier_that_is_not_declared_is_refused(repository: GitFolder) -> None:
    """The hint names one that is."""
    work = job(repository)
    wrong = Job(work.repository, work.commit, work.config, "", "quik", dirty=False, salt="", started=STARTED)
    with pytest.raises(ConfigError) as caught:
        plan(wrong)
    assert caught.value.hint == "--tier full"


def test_the_fingerprint_covers_what_can_change_a_score(repository: GitFolder) -> None:
    """Sampling, prompt length, suite, k and grader change it; the commit and the number of threads do not."""
    base = plan(job(repository)).fingerprint
    assert plan(job(repository, threads=2)).fingerprint == base
    assert plan(job(repository, salt="x")).fingerprint == base
    others = [
        plan(job(repository, **change)).fingerprint
        for change in ({"temperature": 0.8}, {"context": 1024}, {"samples": 3}, {"grader": "math"}, {"mode": "fast"})
    ]
    assert len({base, plan(job(repository, SUITE + b"\n")).fingerprint, *others}) == 7


def test_the_generation_covers_what_can_change_a_text(repository: GitFolder) -> None:
    """Suites and graders are not in it, because samples may be used for either; in fast mode the threads are."""
    base = plan(job(repository)).generation
    assert plan(job(repository, SUITE + b"\n", grader="math", samples=5)).generation == base
    assert plan(job(repository, max_tokens=99)).generation != base
    fast = [plan(job(repository, mode="fast", threads=threads)).generation for threads in (1, 2)]
    assert len({base, *fast}) == 3


def test_a_seed_belongs_to_its_place() -> None:
    """Suite, problem, number and salt each lead to another seed, which never changes and is never the random one."""
    assert seed_of("a" * 64, "p-1", 0, "") == 4049784219
    others = [
        seed_of("b" * 64, "p-1", 0, ""),
        seed_of("a" * 64, "p-2", 0, ""),
        seed_of("a" * 64, "p-1", 1, ""),
        seed_of("a" * 64, "p-1", 0, "x"),
    ]
    assert len({4049784219, *others}) == 5
    assert all(0 <= seed_of("a" * 64, "p", number, "") < 0xFFFFFFFF for number in range(2000))


def made(problem: str, sample: int, outcome: str, latency: float = 1.0) -> Sample:
    """Return a sample with an outcome."""
    return msgspec.convert(
        {
            "suite": "s",
            "problem": problem,
            "sample": sample,
            "seed": 1,
            "outcome": outcome,
            "answer": "",
            "finish": "stop",
            "prompt_tokens": 3,
            "tokens": 10,
            "latency": latency,
            "text": "",
        },
        Sample,
    )


def test_results_are_worked_out_by_problem() -> None:
    """Score, pass@k and kinds are means over problems; an error is counted, and limits what pass@k can say."""
    problems = tuple(Problem(name, "?", "1", kind) for name, kind in (("a", "x"), ("b", "x"), ("c", "y")))
    part = PlannedSuite(Suite("s", "0" * 64, problems, public=True), 4, "integer", "1", "s.jsonl")
    words = {"a": "right right wrong unanswered", "b": "truncated wrong wrong wrong", "c": "right right right error"}
    samples = [made(name, number, word) for name, text in words.items() for number, word in enumerate(text.split())]
    found = suite_result(part, samples, slots=8)
    assert found.score == pytest.approx(50.0)
    assert found.kinds == {"x": 25.0, "y": 100.0}
    assert found.right_by_problem == {"a": 2, "b": 0, "c": 3}
    assert (found.counts.right, found.counts.error, found.counts.scored) == (5, 1, 11)
    assert found.pass_at == pytest.approx({"1": 50.0, "2": 100 * (5 / 6 + 0 + 1) / 3})
    assert (found.tokens, found.tokens_per_second) == (110, 80.0)


def test_quantiles_are_interpolated() -> None:
    """Of 0 to 100 seconds the quantiles are their own names; one duration is all three."""
    assert quantiles([float(n) for n in range(101)]) == quantiles([float(n) for n in reversed(range(101))])
    found = quantiles([float(n) for n in range(101)])
    assert (found.p50, found.p90, found.p99) == (50, 90, 99)
    assert quantiles([2.0]).p99 == 2.0
