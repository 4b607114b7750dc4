"""Build the record of a run from its samples: identity first, results after."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import tomllib
from typing import TYPE_CHECKING

from publisher import forge
from publisher.bench.measures import class_metrics, classes_of, costs_of, metrics_of, score_of
from publisher.config import FILE
from publisher.config.registered import sampling_of as spelled_out
from publisher.engine import devices, machine
from publisher.files import sha256_hex
from publisher.quality.classes import confusion
from publisher.schema import (
    CommitIdentity,
    Counts,
    Interval,
    ModelIdentity,
    PromptIdentity,
    Quantiles,
    Record,
    Sampling,
    SliceScore,
    SuiteIdentity,
    SuiteResult,
)
from publisher.stats import pass_at
from publisher.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.bench.plan import Job, Plan, PlannedSuite
    from publisher.engine.protocol import ModelFacts
    from publisher.git import Repository
    from publisher.schema import EngineIdentity, MetricValue, Sample, StoppedEarly

_PACKAGES = ("llama-cpp-python", "math-verify", "latex2sympy2_extended", "sympy", "numpy")


def build_record(
    job: Job,
    plan: Plan,
    *,
    facts: ModelFacts,
    engine: EngineIdentity,
    samples: Sequence[Sample],
    samples_sha256: str,
    duration: float,
    statistics: Mapping[str, float],
    reused: Mapping[str, int],
    own: Mapping[str, Mapping[str, MetricValue]] | None = None,
    stopped_early: StoppedEarly | None = None,
) -> Record:
    """Return the record of a finished run; `samples` are in the record's order, `duration` is in seconds.

    `samples_sha256` is the digest of the samples as the ledger gets them, `own` the commit's own metrics by suite.
    """
    config = job.config
    finished = job.started + dt.timedelta(seconds=duration)
    return Record(
        run_id=run_id(job),
        tier=job.tier,
        commit=commit_identity(job, dirty=job.dirty),
        model=_model(job, facts),
        prompt=prompt_identity(job, plan.prompt_sha256),
        sampling_given=sampling_given(job),
        sampling=sampling_of(job),
        suites=[suite_identity(part) for part in plan.suites],
        engine=engine,
        machine=machine.identify(devices.names()),
        versions={"publisher": __version__} | {name: importlib.metadata.version(name) for name in _PACKAGES},
        salt=job.salt,
        generation=plan.generation,
        fingerprint=stopped_fingerprint(plan.fingerprint, stopped_early),
        config_sha256=job.config_sha256,
        policy=job.policy,
        samples_sha256=samples_sha256,
        started=_time(job.started),
        finished=_time(finished),
        duration=round(duration, 3),
        results=[
            costs_of(
                suite_result(
                    part,
                    [one for one in samples if one.suite == part.suite.name],
                    slots=engine.slots * engine.engines,
                    own=(own or {}).get(part.suite.name),
                ),
                statistics,
                config.prices,
                gpus=bool(engine.gpus),
            )
            for part in plan.suites
            if any(one.suite == part.suite.name for one in samples)
        ],
        statistics=dict(statistics),
        reused=dict(reused),
        stopped_early=stopped_early,
        conditions=dict(plan.conditions),
    )


def stopped_fingerprint(whole: str, stopped_early: StoppedEarly | None) -> str:
    """Return the digest of what was measured; how much of it is part of it, so that completing a run makes another."""
    return whole if stopped_early is None else sha256_hex(f"{whole} stopped at look {stopped_early.look}".encode())


def run_id(job: Job) -> str:
    """Return the name of a run: start, first 12 digits of the commit, tier."""
    return f"{job.started.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{job.commit[:12]}-{job.tier}"


def sampling_of(job: Job) -> Sampling:
    """Return the sampling options as they are in effect, defaults included."""
    given = job.config.model.sampling
    return Sampling(
        temperature=given.temperature,
        top_p=given.top_p,
        top_k=given.top_k,
        min_p=given.min_p,
        max_tokens=given.max_tokens,
        repetition_penalty=given.repetition_penalty,
        frequency_penalty=given.frequency_penalty,
        presence_penalty=given.presence_penalty,
        penalty_window=given.penalty_window,
    )


def suite_result(
    part: PlannedSuite,
    samples: Sequence[Sample],
    *,
    slots: int,
    own: Mapping[str, MetricValue] | None = None,
) -> SuiteResult:
    """Return what a suite measured; a sample that is an error counts as an error and nowhere else.

    Tokens per second are those of all slots together while all are busy. They follow from the samples' latencies, which
    a reused sample keeps, so the figure means the same whether this run generated a sample or an earlier one did.
    """
    scored = [sample for sample in samples if sample.outcome != "error"]
    ids = [problem.id for problem in part.suite.problems]
    right, drawn = dict.fromkeys(ids, 0), dict.fromkeys(ids, 0)
    for sample in scored:
        drawn[sample.problem] += 1
        right[sample.problem] += sample.outcome == "right"
    estimated = score_of(part, scored, list(right.values()), list(drawn.values()))
    outcomes = [sample.outcome for sample in samples]
    named = classes_of(part, scored)
    busy = sum(sample.latency for sample in scored)
    tokens = sum(sample.tokens for sample in scored)
    return SuiteResult(
        suite=part.suite.name,
        score=estimated.score,
        stderr=estimated.stderr,
        stderr_sampling=estimated.stderr_sampling,
        interval=Interval(low=estimated.low, high=estimated.high),
        direction="higher",
        pass_at=_pass_at(list(right.values()), list(drawn.values()), part.samples),
        kinds=_kinds(part, right, drawn),
        slices=_slices(part, right, drawn),
        tagged=_tagged(part),
        counts=Counts(**{word: outcomes.count(word) for word in Counts.__struct_fields__}),  # type: ignore[arg-type]
        right_by_problem=right,
        prompt_tokens=sum(sample.prompt_tokens for sample in scored),
        tokens=tokens,
        latency=quantiles([sample.latency for sample in scored]),
        tokens_per_second=tokens / busy * min(slots, len(scored)) if busy > 0 else 0.0,
        scored_by_problem=drawn,
        tokens_by_problem=_tokens(scored),
        metrics=metrics_of(part, scored) | class_metrics(named) | dict(own or {}),
        classes=confusion(named),
        first_token=quantiles([sample.prompt_time for sample in scored]),
        per_token=_per_token(scored),
        problem_digests={problem.id: problem.digest for problem in part.suite.problems},
    )


def quantiles(durations: Sequence[float]) -> Quantiles:
    """Return the 50th, 90th, 95th and 99th percentile, interpolated linearly between the nearest values."""
    ordered = sorted(durations)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    return Quantiles(p50=at(0.5), p90=at(0.9), p99=at(0.99), p95=at(0.95))


def _per_token(scored: Sequence[Sample]) -> Quantiles | None:
    """Return the seconds per token after the first, over samples; None where none has a second token."""
    times = [(one.latency - one.prompt_time) / (one.tokens - 1) for one in scored if one.tokens > 1]
    return quantiles(times) if times else None


def _tokens(scored: Sequence[Sample]) -> dict[str, tuple[int, int]]:
    """Return the sum of the answers' tokens and of their squares by problem: what a test of their length needs."""
    found: dict[str, tuple[int, int]] = {}
    for sample in scored:
        total, squares = found.get(sample.problem, (0, 0))
        found[sample.problem] = (total + sample.tokens, squares + sample.tokens**2)
    return found


def _pass_at(right: list[int], drawn: list[int], samples: int) -> dict[str, float]:
    """Return pass@k for every power of two up to the samples per problem, where errors left enough of them."""
    powers = [1 << power for power in range(samples.bit_length())]
    found = {k: pass_at(right, drawn, k) for k in powers}
    return {str(k): value for k, value in found.items() if value is not None}


def _kinds(part: PlannedSuite, right: Mapping[str, int], drawn: Mapping[str, int]) -> dict[str, float]:
    """Return the score per kind of problem, for the kinds with a scored sample."""
    groups: dict[str, list[float]] = {}
    for problem in part.suite.problems:
        if problem.kind and drawn[problem.id]:
            groups.setdefault(problem.kind, []).append(right[problem.id] / drawn[problem.id])
    return {kind: 100 * sum(shares) / len(shares) for kind, shares in groups.items()}


def _tagged(part: PlannedSuite) -> dict[str, dict[str, list[str]]]:
    """Return the ids of the problems by tag and value."""
    found: dict[str, dict[str, list[str]]] = {}
    for problem in part.suite.problems:
        for tag, value in problem.tags.items():
            found.setdefault(tag, {}).setdefault(value, []).append(problem.id)
    return found


def _slices(part: PlannedSuite, right: Mapping[str, int], drawn: Mapping[str, int]) -> dict[str, dict[str, SliceScore]]:
    """Return the score per tag and value, of the problems with a scored sample."""
    groups: dict[str, dict[str, list[float]]] = {}
    for problem in part.suite.problems:
        for tag, value in problem.tags.items():
            if drawn[problem.id]:
                values = groups.setdefault(tag, {}).setdefault(value, [])
                values.append(right[problem.id] / drawn[problem.id])
    return {
        tag: {value: SliceScore(score=100 * sum(shares) / len(shares), problems=len(shares)) for value, shares in found}
        for tag, found in ((tag, sorted(values.items())) for tag, values in sorted(groups.items()))
    }


_BRANCH = 200
"""Characters of a branch's name that are kept."""


def commit_identity(job: Job, *, dirty: bool) -> CommitIdentity:
    """Return what git says of the commit; `dirty` is of the working tree that it was measured beside."""
    commit = job.repository.commit(job.commit)
    time = dt.datetime.fromtimestamp(commit.time, dt.UTC)
    return CommitIdentity(
        sha=commit.sha,
        subject=commit.subject,
        author=commit.author,
        time=_time(time),
        dirty=dirty,
        branch=job.branch[:_BRANCH],
        forge=_forge(job.repository),
    )


def _forge(repository: Repository) -> str:
    """Return the web address of the repository, from the remote `origin` or else the only one."""
    remotes = repository.remotes()
    chosen = "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else ""
    return forge.home(repository.setting(f"remote.{chosen}.url")) if chosen else ""


def _model(job: Job, facts: ModelFacts) -> ModelIdentity:
    section = job.config.model
    return ModelIdentity(
        name=section.name,
        source=section.source,
        sha256=facts.sha256,
        size=facts.size,
        architecture=facts.architecture,
        parameters=facts.parameters,
        quantization=facts.quantization,
        context_trained=facts.context_trained,
        chat_template_sha256=facts.chat_template_sha256,
    )


def prompt_identity(job: Job, sha256: str) -> PromptIdentity:
    """Return the prompt as a record names it; `sha256` is the digest of what of it decides a text."""
    prompt = job.config.prompt
    return PromptIdentity(
        name=prompt.use,
        system=prompt.system,
        template=prompt.template,
        stop=prompt.stop,
        notes=prompt.notes,
        sha256=sha256,
    )


def suite_identity(part: PlannedSuite) -> SuiteIdentity:
    """Return a suite as a record names it."""
    return SuiteIdentity(
        name=part.suite.name,
        source=part.source,
        sha256=part.suite.sha256,
        problems=len(part.suite.problems),
        samples=part.samples,
        grader=part.grader,
        grader_version=part.grader_version,
        public=part.suite.public,
        score=" × ".join(part.composites[part.score]) if part.score else "",
    )


def sampling_given(job: Job) -> dict[str, float | int]:
    """Return the sampling options as the commit's publisher.toml gives them, a preset spelled out, without defaults."""
    data = job.repository.read(job.commit, FILE) or b""
    given = spelled_out(tomllib.loads(data.decode()).get("model", {}).get("sampling", {}), [])
    return {name: value for name, value in given.items() if name != "preset"}


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
