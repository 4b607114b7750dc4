"""Measure a commit: reuse the samples that exist, generate and grade the rest, and build the record."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from publisher.bench.deadline import Deadline
from publisher.bench.earlier import Run, resume, reuse, settle
from publisher.bench.forecast import Forecast
from publisher.bench.generate import generated, options_of, prove, requests_for, worded
from publisher.bench.journal import Journal, journal_path
from publisher.bench.looks import Tracker, rounds, shares
from publisher.bench.measures import unpriced
from publisher.bench.own_metrics import OwnMetrics
from publisher.bench.plan import Job, Plan, plan
from publisher.bench.prompt_check import remarks
from publisher.bench.record import build_record, sampling_of
from publisher.bench.redaction import Redactor
from publisher.bench.scoring import MAX_ERRORS, Scorer
from publisher.bench.so_far import Teller, unfinished
from publisher.bench.workspace import proof_key, whole_samples
from publisher.engine import gguf, machine, offload
from publisher.engine.protocol import LONGEST_RUNNING
from publisher.errors import GraderError, ModelError
from publisher.files import atomic_write
from publisher.graders import make
from publisher.quality.samples import Measurer
from publisher.samples import pack_samples, samples_digest, withhold
from publisher.schema import StoppedEarly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from publisher.bench.earlier import Reusable
    from publisher.bench.generate import Lengths
    from publisher.bench.looks import Key, Watch
    from publisher.bench.so_far import SoFar
    from publisher.config import Config
    from publisher.engine.protocol import InferenceEngine, SampleRequest, StartEngine
    from publisher.schema import Record, Sample

__all__ = ["Job", "Measurement", "Observer", "Plan", "measure", "plan"]


class Observer(Protocol):
    """Is told how a run progresses."""

    def planned(self, model: str, suites: list[tuple[str, int]], total: int) -> None:
        """Take the model's name, the number of samples per suite, and how many are left to generate."""

    def generating(self, figures: Callable[[], Mapping[str, float]]) -> None:
        """Take what tells the engine's figures from now on, from any thread; the model is loaded."""

    def generated(self) -> None:
        """Hear that nothing is generated any more."""

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Take a sample that was generated and graded, and the engine's figures."""

    def note(self, text: str) -> None:
        """Take a remark for the user."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A finished run. Its journal stays until `forget_journal`, which the caller calls once the record is stored."""

    record: Record
    samples: list[Sample]
    """Every sample in the record's order, with all its words; those of private suites must not leave this machine."""
    published: list[Sample]
    """The samples as the ledger gets them: without the words of private suites."""
    journal: Path

    @property
    def packed(self) -> bytes:
        """The published samples as they are stored."""
        return pack_samples(self.published)

    def forget_journal(self) -> None:
        """Remove the journal: from now on the stored record and samples stand for it."""
        self.journal.unlink(missing_ok=True)


def measure(
    job: Job,
    *,
    start: StartEngine,
    workspace: Path,
    reusable: Reusable,
    observer: Observer,
    lengths: Lengths = dict,
    watch: Watch | None = None,
    fit: Callable[[Plan], Config] | None = None,
    so_far: SoFar | None = None,
) -> Measurement:
    """Run the model over the suites of a tier and return the record, with every sample in its order.

    Samples of an interrupted run, or of an earlier run of the same generation, are not generated again. Problems whose
    answers were the longest (`lengths`) start first. Raises ModelError or GraderError when more than 5 % of a suite's
    samples are errors; the others stay in the journal.

    With `watch`, requests go round by round and the run ends after the first look for which it gives a reason. Such a
    run holds just the samples of that look: whatever else had finished by then were the short answers.

    With `fit`, the tier is measured by the configuration that it returns for the plan. A tier's minutes end the run
    with OutOfTimeError. `so_far` is given now and then what there is, as it would be published.
    """
    begun = time.monotonic()
    if no_gpu := offload.foreseen(job.config.model.gpu_layers):
        observer.note(f"GPU: {no_gpu}")
    job, planned = _planned(job, fit, observer)
    path = journal_path(workspace, commit=job.commit, tier=job.tier, fingerprint=planned.fingerprint, salt=job.salt)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(Journal(path))
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(max(2, machine.cores())))
        run = Run(job, planned, _scorer(stack, job, planned))
        own = OwnMetrics.opened(stack, job)
        for text in remarks(job.config, run.scorer.measurer.language):
            observer.note(text)
        resumed = resume(run, journal, observer.note)
        reuse(run, reusable, observer.note)
        engine = _started(stack, start, run, observer)
        settle(run, journal, engine, resumed, reusable, observer.note)
        missing = run.missing()
        watch = watch if missing else None  # a complete run has its verdict, not a look
        parts = shares(planned) if watch else {}
        words = functools.partial(worded, planned=planned, template=job.config.prompt.template)
        requests = requests_for(missing, lengths, sampling_of(job).max_tokens, rounds(planned, parts), words)
        repeated = prove(engine, requests, limit=sampling_of(job).max_tokens)

        def record_of(
            samples: Sequence[Sample], digest: str, early: StoppedEarly | None, *, final: bool = False
        ) -> Record:
            return build_record(
                job,
                planned,
                facts=engine.facts,
                engine=engine.identity,
                samples=samples,
                samples_sha256=digest,
                duration=time.monotonic() - begun,
                statistics=_lasting(engine.statistics()) | repeated,
                reused=run.reused,
                own=own.measure(planned, samples) if final else None,
                stopped_early=early,
            )

        def tell() -> tuple[Record, list[Sample]] | None:
            there = [run.done[wanted.key] for wanted in planned.wanted if wanted.key in run.done]
            if {one.suite for one in there} > {one.suite for one in there if one.outcome != "error"}:
                return None  # a suite of errors alone has no score
            public = _published(there, planned, workspace)
            return record_of(there, samples_digest(public), unfinished(len(there), len(planned.wanted))), public

        teller = Teller(so_far, tell)
        stop = _Stop(Tracker(parts, run.done if watch else ()), watch, run, record_of)
        if not stop.reached():
            deadline = Deadline(engine, minutes=job.minutes, begun=begun, tier=job.tier, finished=lambda: len(run.done))
            with contextlib.closing(generated(run.scorer, engine, missing, requests, threads)) as coming, deadline:
                _take(run, coming, requests, engine, journal, observer, stop, teller)
        samples = [run.done[wanted.key] for wanted in planned.wanted if stop.counts(wanted.key)]
        published = _published(samples, planned, workspace)
        record = record_of(samples, samples_digest(published), stop.early(samples), final=True)
        if no_costs := unpriced(record, job.config.prices):
            observer.note(no_costs)
    if published is not samples:
        atomic_write(whole_samples(workspace, record.run_id), pack_samples(samples), mode=0o600)
    return Measurement(record, samples, published, path)


def _planned(job: Job, fit: Callable[[Plan], Config] | None, observer: Observer) -> tuple[Job, Plan]:
    """Return a job and its plan, with the configuration that `fit` makes of it."""
    planned = plan(job, observer.note)
    fitted = fit(planned) if fit is not None else job.config
    if fitted is job.config:
        return job, planned
    job = replace(job, config=fitted)
    return job, plan(job, observer.note)


def _scorer(stack: contextlib.ExitStack, job: Job, planned: Plan) -> Scorer:
    """Return what scores completions, with the graders of the suites started."""
    names = {part.grader for part in planned.suites}
    graders = {name: stack.enter_context(make(name, job.grader_file)) for name in names}
    redactor = stack.enter_context(Redactor(job.config.ledger.redact))
    suites = {part.suite.name: part for part in planned.suites}
    measurer = stack.enter_context(Measurer())
    return Scorer(suites, graders, redactor, measurer, job.config.ledger.clip)


def _started(
    stack: contextlib.ExitStack,
    start: StartEngine,
    run: Run,
    observer: Observer,
) -> InferenceEngine:
    """Start the engine for what is missing, and say what will be run and how far the engine is confined."""
    config, suites, missing = run.job.config, run.plan.suites, run.missing()
    # Where an engine's shapes decide answers, they must not depend on how many of these are there already.
    shaped = "shapes" in run.plan.conditions or gguf.is_mixture(run.plan.model.path)
    workload = len(run.plan.wanted) if shaped else len(missing)
    counts = [(part.suite.name, len(part.suite.problems) * part.samples) for part in suites]
    observer.planned(config.model.name, counts, len(missing))
    with _naming(config.model.source):
        options = options_of(run.job, run.plan, workload)
        engine = stack.enter_context(start(options, engines=config.engine.engines))
    if engine.identity.offload_missing not in {"", offload.foreseen(config.model.gpu_layers)}:
        observer.note(f"GPU: {engine.identity.offload_missing}")
    for reason in engine.identity.confinement.missing if engine.identity.confinement else ():
        observer.note(f"the engine is not fully confined: {reason}")
    observer.generating(engine.statistics)
    stack.callback(observer.generated)
    return engine


def _lasting(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that a record keeps."""
    return {name: value for name, value in figures.items() if name != LONGEST_RUNNING}


def _take(
    run: Run,
    coming: Iterable[tuple[Sample, int]],
    requests: Sequence[SampleRequest],
    engine: InferenceEngine,
    journal: Journal,
    observer: Observer,
    stop: _Stop,
    teller: Teller,
) -> None:
    """Take in the samples that come, until none is left or a look ends the run."""
    forecast = Forecast({request.key: request.expected for request in requests})
    for sample, key in coming:
        _keep(run, sample, journal)
        forecast.finished(key, sample.tokens)
        observer.sampled(sample, _with_time_left(engine, forecast))
        teller.finished()
        if stop.reached((sample.suite, sample.problem, sample.sample)):
            break


def _published(samples: list[Sample], planned: Plan, workspace: Path) -> list[Sample]:
    """Return the samples as the ledger gets them: the same list where every suite is public."""
    private = {part.suite.name for part in planned.suites if not part.suite.public}
    return withhold(samples, private, proof_key(workspace)) if private else samples


@dataclass(slots=True)
class _Stop:
    """Whether a run has reached its end before it is complete, and at which look."""

    tracker: Tracker
    watch: Watch | None
    run: Run
    record_of: Callable[[Sequence[Sample], str, StoppedEarly | None], Record]
    part: int | None = None
    why: str = ""
    share: float = 1.0

    def reached(self, finished: Key | None = None) -> bool:
        """Look at the run where a look is due, after the sample `finished`; return whether it ends here."""
        if self.watch is None:
            return False
        if finished is not None:
            self.tracker.finished(finished)
        part = self.tracker.due()
        if part is None or self._has_too_many_errors(part):
            return False
        look = self.tracker.look(part, self.run.done)
        if not all(any(counts.values()) for counts in look.scored.values()):
            return False  # a small suite has nothing to look at yet
        self.part, self.share = part, look.share
        samples = [self.run.done[wanted.key] for wanted in self.run.plan.wanted if self.counts(wanted.key)]
        record = self.record_of(samples, "", self.early(samples))
        self.why = self.watch(replace(look, record=record))
        if not self.why:
            self.part, self.share = None, 1.0
        return bool(self.why)

    def _has_too_many_errors(self, part: int) -> bool:
        """Return whether a look at `part` would leave out more samples than a complete run may.

        The errors of a whole run, all in its first samples, would otherwise decide what such a look sees.
        """
        seen = [sample.outcome for key, sample in self.run.done.items() if self.tracker.sees(part, key)]
        return seen.count("error") > MAX_ERRORS * len(seen)

    def counts(self, key: Key) -> bool:
        """Return whether a sample is part of the run."""
        return self.part is None or self.tracker.sees(self.part, key)

    def early(self, samples: Sequence[Sample]) -> StoppedEarly | None:
        """Return what goes into the record of a run that ended early."""
        if self.part is None:
            return None
        planned = len(self.run.plan.wanted)
        return StoppedEarly(look=self.part + 1, share=self.share, samples=len(samples), planned=planned, why=self.why)


@contextlib.contextmanager
def _naming(source: str) -> Iterator[None]:
    """Begin the message of a ModelError with the model's source as the user wrote it."""
    try:
        yield
    except ModelError as error:
        raise type(error)(f"{source}: {error.message}", hint=error.hint, detail=error.detail) from error


def _with_time_left(engine: InferenceEngine, forecast: Forecast) -> dict[str, float]:
    """Return the engine's figures and the estimated seconds until the run ends."""
    figures = engine.statistics()
    left = forecast.left(figures.get("seconds", 0.0), figures.get("decode_tokens", 0.0), engine.at_once)
    return {**figures, "seconds_left": left}


def _keep(run: Run, sample: Sample, journal: Journal) -> None:
    """Keep a new sample; raise once its suite has too many errors.

    An error is not written to the journal, so that a repeated run tries that sample again.
    """
    run.done[sample.suite, sample.problem, sample.sample] = sample
    if sample.outcome != "error":
        journal.append(sample)
        return
    part = run.plan.suite(sample.suite)
    run.errors[sample.suite] += 1
    planned = len(part.suite.problems) * part.samples
    if run.errors[sample.suite] > MAX_ERRORS * planned:
        raise _too_many(run, sample, planned)


def _too_many(run: Run, sample: Sample, planned: int) -> ModelError | GraderError:
    """Return the error that ends a run whose suite `sample.suite` has too many errors, with the first reason."""
    failed = [one for one in run.done.values() if one.suite == sample.suite and one.outcome == "error"]
    first = failed[0]
    kind, verb = (ModelError, "generated") if first.finish == "error" else (GraderError, "graded")
    count = "1 sample" if len(failed) == 1 else f"{len(failed)} samples"
    # A grader's reason may quote the expected answer; the engine's never quotes anything.
    quotable = first.finish == "error" or run.plan.suite(sample.suite).suite.public
    reason = first.reason if quotable else "the reason may quote a private suite, so it is not shown"
    return kind(
        f"{count} of {planned} of the suite {sample.suite} could not be {verb}: too many to score the rest; "
        f"the first is {first.problem}, number {first.sample}: {reason}",
        hint="the good samples are kept: correct the cause and run the same command again",
    )
