from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from publisher.bench.measure import Job
from publisher.bench.plan import seed_of, subject_digest
from publisher.config import parse
from publisher.errors import GraderError, ModelError
from publisher.files import sha256_hex
from publisher.graders.comparison import Match
from publisher.graders.strings import ExactGrader
from publisher.samples import samples_digest, unpack_samples
from publisher.schema import Sample
from tests.made import GitFolder
from tests.measuring import CONFIG, DEFAULTS, STARTED, SUITE, Notes, Parrot, essence, job, model, run


def test_a_run_takes_whatever_engine_it_is_given(repository: GitFolder, tmp_path: Path) -> None:
    """An engine without llama.cpp makes a record as well: a run knows the protocol and nothing else."""
    done = run(job(repository), tmp_path, start=Parrot(r"\boxed{42}"))
    assert done.record.engine.name == "parrot"
    assert {one.answer for one in done.samples} == {"42"}
    assert done.record.results[0].counts.scored == 24


def test_generation_does_not_run_far_ahead_of_a_slow_grader(
    repository: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completions that wait for their grade take memory, so only some may."""
    compare = ExactGrader.compare

    def slowly(self: ExactGrader, answer: str, expected: str) -> Match:
        time.sleep(0.01)
        return compare(self, answer, expected)

    monkeypatch.setattr(ExactGrader, "compare", slowly)
    engine, ahead = Parrot(r"\boxed{42}"), []

    class Watching(Notes):
        def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
            super().sampled(sample, statistics)
            ahead.append(engine.begun - len(self.samples))

    run(job(repository, samples=20, grader="exact"), tmp_path, Watching(), start=engine)
    assert len(ahead) == 240
    assert max(ahead) <= 17


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
    assert record.samples_sha256 == samples_digest(done.samples)
    assert list(unpack_samples(done.packed)) == done.samples
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
    subject = subject_digest(job(repository).config, done.record.model.sha256, done.record.prompt.sha256)
    assert all(one.seed == seed_of(subject, sha256_hex(SUITE), one.problem, one.sample, "") for one in done.samples)


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
    """After three tokens there is no answer: every sample is truncated, which is an outcome and not an error."""
    (result,) = run(job(repository, samples=1, max_tokens=3), tmp_path).record.results
    assert (result.counts.truncated, result.score, result.counts.error) == (12, 0.0, 0)


def with_long_problems(count: int, long: int) -> bytes:
    """Return a suite of `count` problems, `long` of which do not fit into a small context."""
    one = {"problem": "What is 1 plus 1?", "answer": "2"}
    texts = [{**one, "id": f"p-{n}", **({"problem": "1 + " * 400} if n < long else {})} for n in range(count)]
    return b"".join(json.dumps(text).encode() + b"\n" for text in texts)


@model
def test_a_few_errors_are_counted_and_do_not_lower_the_score(repository: GitFolder, tmp_path: Path) -> None:
    """A prompt that is too long is an error with its reason; the score is that of the other nineteen problems."""
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
