"""Check a run that another machine measured: whatever follows from git and from the answers is computed here again.

A run that crosses from a machine that anybody's commit may use to one that holds secrets is a claim. Its commit,
configuration, suites, seeds and completeness are compared with git; grades, scores and digests are recomputed. What
cannot be known here is whether the model really wrote the answers, and the figures of engine and machine.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from publisher.bench.claims import odd_claims
from publisher.bench.inputs import model_file as models
from publisher.bench.inputs.kind import Inputs
from publisher.bench.measures import PERCENT, costs_of
from publisher.bench.own_metrics import claimed
from publisher.bench.plan import (
    fingerprint_of,
    load_suites,
    prompt_digest,
    sampling_condition,
    subject_digest,
    wanted_samples,
)
from publisher.bench.record import (
    commit_identity,
    prompt_identity,
    sampling_given,
    sampling_of,
    stopped_fingerprint,
    suite_identity,
    suite_result,
)
from publisher.bench.redaction import Redactor
from publisher.bench.scoring import MAX_ERRORS, Scorer, is_gradable
from publisher.errors import StorageError
from publisher.files import canonical_json, sha256_hex
from publisher.graders import make
from publisher.quality.samples import Measurer
from publisher.samples import samples_digest, without_text
from publisher.schema.metrics import PER_SAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from publisher.bench.plan import Job, PlannedSample, PlannedSuite
    from publisher.schema import Record, Sample

SHOWN = 10
"""Differences that a message lists; the rest are counted."""
LONGEST_RUN = 10 * 365 * 86_400.0
"""Seconds: no duration, latency or queue can be longer."""
MOST_TOKENS = 1 << 40
_PROOF = re.compile(r"([0-9a-f]{16}:[0-9a-f]{64})?")
LONGEST_ANSWER = 4000
LARGEST = 1e6
"""No measure of an answer can be larger; shares are at most 1."""


class Rechecked(NamedTuple):
    """A run as this machine vouches for it."""

    record: Record
    samples: list[Sample]
    regraded: int
    """Samples whose outcome came out otherwise than was claimed; what came out here counts."""
    believed: int
    """Samples whose claimed outcome counts, because their words were withheld or redacted."""


def recheck(job: Job, record: Record, samples: Iterable[Sample]) -> Rechecked:
    """Return a measured run of `job` with everything recomputed that can be; StorageError lists what does not fit.

    Raises SuiteError, ModelError, GraderError or NetworkError where a suite, the model or a grader is not to be had.
    """
    planned = load_suites(job)
    wrong = _Differences(record.run_id)
    _check_identity(job, record, planned, wrong)
    _check_generation(job, record, planned, wrong)
    wrong.require_none()
    given = _in_order(job, record, planned, samples, wrong)
    wrong.require_none()
    scored, regraded, believed = _scored(job, planned, given)
    _check_errors(planned, scored, wrong)
    wrong.require_none()
    slots = record.engine.slots * record.engine.engines
    results = [
        costs_of(
            suite_result(
                part,
                [one for one in scored if one.suite == part.suite.name],
                slots=slots,
                own=claimed(next((one for one in record.results if one.suite == part.suite.name), None), part.metrics),
            ),
            record.statistics,
            job.config.prices,
            gpus=bool(record.engine.gpus),
        )
        for part in planned
        if any(one.suite == part.suite.name for one in scored)
    ]
    vouched = msgspec.structs.replace(
        record,
        commit=commit_identity(job, dirty=record.commit.dirty),
        prompt=prompt_identity(job, record.prompt.sha256),
        sampling_given=sampling_given(job),
        policy=job.policy,
        suites=[suite_identity(part) for part in planned],
        samples_sha256=samples_digest(scored),
        results=results,
    )
    return Rechecked(vouched, scored, regraded, believed)


class _Differences:
    """What does not fit, in words; all of it is counted."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._shown: list[str] = []
        self._count = 0

    def add(self, text: str) -> None:
        """Take in one difference."""
        self._count += 1
        if len(self._shown) < SHOWN:
            self._shown.append(text[:300])

    def differs(self, what: str, found: Any, wanted: Any) -> None:
        """Take in a difference where `found` is not `wanted`."""
        if found != wanted:
            self.add(f"{what} is {str(found)[:80]!r}, and would be {str(wanted)[:80]!r}")

    def require_none(self) -> None:
        """Raise StorageError where something did not fit."""
        if self._count:
            more = [f"… and {self._count - SHOWN} more"] if self._count > SHOWN else []
            lines = "".join(f"\n  {line}" for line in [*self._shown, *more])
            raise StorageError(
                f"the run {self._run_id[:100]} is not what its commit asks for:{lines}",
                hint="measure the commit again; was it measured with other rules, suites or another publisher?",
            )


def _check_identity(job: Job, record: Record, planned: Sequence[PlannedSuite], wrong: _Differences) -> None:
    """Compare what a run says it measured with the commit."""
    config = job.config
    wrong.differs("the commit", record.commit.sha, job.commit)
    wrong.differs("the tier", record.tier, job.tier)
    if not re.fullmatch(rf"[0-9]{{8}}T[0-9]{{6}}Z-{job.commit[:12]}-{re.escape(job.tier)}", record.run_id):
        wrong.add("the run's id does not name its start, commit and tier")
    wrong.differs("the digest of publisher.toml", record.config_sha256, job.config_sha256)
    wrong.differs("the system prompt", record.prompt.system, config.prompt.system)
    wrong.differs("the template", record.prompt.template, config.prompt.template)
    wrong.differs("the prompt's digest", record.prompt.sha256, prompt_digest(config, planned))
    wrong.differs("the sampling", record.sampling, sampling_of(job))
    wrong.differs("the model's name", record.model.name, config.model.name)
    wrong.differs("the model's source", record.model.source, config.model.source)
    known = config.model.sha256 or models.resolve(config.model, _inputs(job)).sha256
    wrong.differs("the model's digest", record.model.sha256, known)
    if not 0 <= record.duration < LONGEST_RUN:
        wrong.add("its duration is none that a run can have")
    for odd in odd_claims(record, job.started):
        wrong.add(odd)


def _inputs(job: Job) -> Inputs:
    return Inputs.of(job.repository, job.commit, os.environ, lambda _: None)


def _check_generation(job: Job, record: Record, planned: Sequence[PlannedSuite], wrong: _Differences) -> None:
    """Compare conditions, generation and fingerprint with what the configuration and the suites make them."""
    claimed: dict[str, Any] = {}
    with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
        claimed = {name: msgspec.json.decode(text) for name, text in record.conditions.items()}
    model, engine = job.config.model, job.config.engine
    declared = {
        "context": model.context,
        "sampling": sampling_condition(model.sampling),
        "mode": engine.mode,
        "flash_attention": engine.flash_attention,
        "kv_type": engine.kv_type,
        "gpu_layers": str(model.gpu_layers),
    }
    for name, value in declared.items():
        wrong.differs(f"the condition {name}", claimed.get(name), msgspec.to_builtins(value))
    parts = {"model": record.model.sha256, "prompt": record.prompt.sha256, **claimed}
    wrong.differs("the generation", record.generation, sha256_hex(canonical_json(parts)))
    whole = fingerprint_of(record.generation, planned)
    wrong.differs("the fingerprint", record.fingerprint, stopped_fingerprint(whole, record.stopped_early))


def _in_order(
    job: Job, record: Record, planned: Sequence[PlannedSuite], samples: Iterable[Sample], wrong: _Differences
) -> list[tuple[PlannedSample, Sample]]:
    """Return the samples beside what was wanted of them, in the record's order."""
    subject = subject_digest(job.config, record.model.sha256, record.prompt.sha256)
    wanted = {one.key: one for one in wanted_samples(planned, record.salt, subject)}
    private = {part.suite.name for part in planned if not part.suite.public}
    found: dict[tuple[str, str, int], Sample] = {}
    for sample in samples:
        key = (sample.suite, sample.problem, sample.sample)
        if key not in wanted or key in found:
            # No more is read: a small file can hold millions.
            wrong.add(f"{key} is not a sample of this run, or is there twice")
            wrong.require_none()
        elif fault := _fault(job, sample, wanted[key].seed, private):
            wrong.add(f"{key}: {fault}")
        found[key] = sample
    missing = [key for key in wanted if key not in found]
    if missing and record.stopped_early is None:
        wrong.add(f"{len(missing)} of {len(wanted)} samples are missing, such as {missing[0]}")
    if not found:
        wrong.add("there are no samples")
    return [(one, found[key]) for key, one in wanted.items() if key in found]


def _fault(job: Job, sample: Sample, seed: int, private: set[str]) -> str:
    """Return what cannot be true of a sample, or nothing."""
    most = job.config.model.sampling.max_tokens
    if sample.seed != seed:
        return "another seed than its problem and number give"
    if not (0 <= sample.tokens <= most and 0 <= sample.prompt_tokens <= MOST_TOKENS and 0 <= sample.clipped < 1 << 40):
        return "token counts that its configuration does not allow"
    if not _are_times(sample) or not all(map(_can_be, sample.measures, sample.measures.values())):
        return "measures or times that cannot be"
    if max(len(sample.answer), len(sample.reason)) > LONGEST_ANSWER or len(sample.text) > job.config.ledger.clip:
        return "a longer text than [ledger] clip allows, or a longer answer"
    if sample.withheld != (sample.suite in private) or not _PROOF.fullmatch(sample.proof):
        return "words are there though its suite is private, or withheld though it is public"
    return "" if sample.redacted == 0 or job.config.ledger.redact else "redacted, but there are no patterns"


def _are_times(sample: Sample) -> bool:
    """Return whether a sample's times can have been measured.

    They are rounded to microseconds then: a smaller one would make a speed that is not finite.
    """
    times = (sample.latency, sample.queue, sample.prompt_time)
    fit = all(0 <= seconds < LONGEST_RUN and round(seconds, 6) == seconds for seconds in times)
    return fit and sample.prompt_time <= sample.latency


def _can_be(name: str, value: float) -> bool:
    """Return whether a sample can have a measure; a share is at most 1, or a composite would be above 100."""
    return name in PER_SAMPLE and 0 <= value <= (1.0 if PER_SAMPLE[name].unit == PERCENT else LARGEST)


def _scored(
    job: Job, planned: Sequence[PlannedSuite], given: Sequence[tuple[PlannedSample, Sample]]
) -> tuple[list[Sample], int, int]:
    """Return the samples as they are graded here, how many came out otherwise, and how many had to be believed."""
    regraded, scored, believed = 0, [], 0
    with contextlib.ExitStack() as stack:
        graders = {name: stack.enter_context(make(name, job.grader_file)) for name in {part.grader for part in planned}}
        redactor = stack.enter_context(Redactor(job.config.ledger.redact))
        measurer = stack.enter_context(Measurer())
        suites = {part.suite.name: part for part in planned}
        scorer = Scorer(suites, graders, redactor, measurer, job.config.ledger.clip)
        for wanted, sample in given:
            # A claimed error with its words is graded as well: a score leaves errors out.
            if is_gradable(msgspec.structs.replace(sample, outcome="wrong")):
                here = scorer.again(sample, wanted)
            else:
                here = scorer.described(without_text(sample) if sample.withheld else redactor.redacted(sample), wanted)
                believed += sample.outcome != "error"
            regraded += here.outcome != sample.outcome
            scored.append(here)
    return scored, regraded, believed


def _check_errors(planned: Sequence[PlannedSuite], scored: Sequence[Sample], wrong: _Differences) -> None:
    """Take in each suite with more errors than a measurement allows: its score would leave them out."""
    errors = Counter(sample.suite for sample in scored if sample.outcome == "error")
    for part in planned:
        count, of = errors[part.suite.name], len(part.suite.problems) * part.samples
        if count > MAX_ERRORS * of:
            wrong.add(f"{count} of {of} samples of the suite {part.suite.name} are errors: too many to score the rest")
