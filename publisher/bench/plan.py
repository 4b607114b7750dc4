"""Plan a run before any model is loaded: its files, its seeds, and the digests that name it.

`generation` covers everything but problem and seed that decides a sample's text; samples of equal generations are
interchangeable. `fingerprint` adds suites and graders: runs with equal fingerprints measured the same thing. Neither
includes the commit or the machine's name, only those properties of the machine that change how numbers are rounded.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from publisher.bench.inputs import model_file as models
from publisher.bench.inputs import suites
from publisher.bench.inputs.kind import Inputs
from publisher.config.section import suggest
from publisher.engine import devices, machine
from publisher.errors import ModelError, UsageError
from publisher.files import canonical_json, compact_json, sha256_file, sha256_hex
from publisher.graders import make

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from publisher.bench.inputs.model_file import ModelFile
    from publisher.bench.inputs.problems import Problem
    from publisher.bench.inputs.suites import Suite
    from publisher.config import Config, MetricConfig, SamplingConfig
    from publisher.git import Repository

ENGINE = "llama-cpp-python"
RECIPE = 1
"""Raise it whenever a change of our own engine code changes the texts that it generates."""


@dataclass(frozen=True, slots=True)
class Job:
    """One tier of one commit to measure; another `salt` gives other seeds, so that a commit can be measured again."""

    repository: Repository
    commit: str
    config: Config
    config_sha256: str
    tier: str
    dirty: bool
    salt: str
    started: dt.datetime
    policy: str = ""
    """The commit that suites and graders are read from, where they are not the measured commit's own."""
    branch: str = ""
    """The branch that the commit is measured on, where that is known; it decides nothing."""
    part: Part | None = None
    """The problems that a smoke run asks; None for all of them."""

    @property
    def minutes(self) -> float | None:
        """How long the tier may take; None for ever."""
        return self.config.tiers[self.tier].minutes if self.tier in self.config.tiers else None

    def grader_file(self, path: str) -> bytes | None:
        """Return the bytes of a file that a grader is made of; None where there is none.

        Graders are part of the rules: of a commit that is not on the trusted branch its own would grade it as it likes.
        """
        return self.repository.read(self.policy or self.commit, path)


class Part(NamedTuple):
    """Some problems of each suite: those with these ids, all where none is given, and of them the first `limit`."""

    ids: frozenset[str] = frozenset()
    limit: int | None = None

    def of(self, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        """Return the problems that are asked, in the suite's order."""
        return tuple(one for one in problems if not self.ids or one.id in self.ids)[: self.limit]


class PlannedSuite(NamedTuple):
    """A suite with the number of samples per problem and the grader that scores them."""

    suite: Suite
    samples: int
    grader: str
    grader_version: str
    source: str
    code: bool = False
    """Whether an answer is a program."""
    language: str = ""
    """The language that answers should be in; "" for any."""
    score: str = ""
    """The composite that is the suite's score; "" for right answers."""
    metrics: Mapping[str, MetricConfig] = MappingProxyType({})
    """The commit's own metrics, by name."""

    @property
    def composites(self) -> dict[str, list[str]]:
        """The factors of each composite, by its name."""
        return {name: one.product for name, one in self.metrics.items() if one.product}


class PlannedSample(NamedTuple):
    """One sample that a run consists of."""

    suite: str
    problem: Problem
    sample: int
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        """Suite, problem and number: what tells a sample of a run from the others."""
        return self.suite, self.problem.id, self.sample


@dataclass(frozen=True, slots=True)
class Plan:
    """A job whose files are on this machine, with every sample it consists of."""

    model: ModelFile
    suites: tuple[PlannedSuite, ...]
    prompt_sha256: str
    generation: str
    fingerprint: str
    wanted: tuple[PlannedSample, ...]
    """Every sample, in the order of the record: by suite, problem and number."""
    conditions: dict[str, str] = field(default_factory=dict)
    """What of the generation is neither model nor prompt, as text by name."""

    def suite(self, name: str) -> PlannedSuite:
        """Return the suite called `name`."""
        return next(part for part in self.suites if part.suite.name == name)


def plan(job: Job, note: Callable[[str], None] = lambda _: None) -> Plan:
    """Return the plan of `job`, fetching its model and suites where they are not on this machine.

    Raises ConfigError (no such tier), ModelError, SuiteError, NetworkError or StorageError.
    """
    config = job.config
    loaded = load_suites(job, note)
    model = models.resolve(config.model, Inputs.of(job.repository, job.commit, os.environ, note))
    prompt = prompt_digest(config, loaded)
    generation = generation_digest(config, model.sha256, prompt)
    fingerprint = fingerprint_of(generation, loaded)
    wanted = wanted_samples(loaded, job.salt, subject_digest(config, model.sha256, prompt))
    words = {name: compact_json(value).decode().strip() for name, value in conditions(config).items()}
    return Plan(model, tuple(loaded), prompt, generation, fingerprint, wanted, words)


def load_suites(job: Job, note: Callable[[str], None] = lambda _: None) -> list[PlannedSuite]:
    """Return the suites of a job's tier with their problems; ConfigError, SuiteError, NetworkError or StorageError."""
    inputs = Inputs.of(job.repository, job.policy or job.commit, os.environ, note)
    loaded = []
    for name, samples in job.config.tier(job.tier).items():
        section = job.config.suites[name]
        grader = make(section.grader, job.grader_file)
        loaded.append(
            PlannedSuite(
                suites.load(name, section, inputs),
                samples,
                section.grader,
                grader.version,
                section.source,
                code=grader.form == "code",
                language=section.language,
                score=section.score,
                metrics=job.config.metrics,
            )
        )
    return loaded if job.part is None else _reduced(loaded, job.part)


def _reduced(loaded: Sequence[PlannedSuite], part: Part) -> list[PlannedSuite]:
    """Return the suites with the problems of a smoke run; those that have none of them are left out."""
    known = {one.id for planned in loaded for one in planned.suite.problems}
    unknown = sorted(part.ids - known)
    if unknown:
        raise UsageError(
            f"no suite of this tier has the problem {unknown[0][:80]!r}{suggest(unknown[0], sorted(known))}",
            hint=f"such as {', '.join(sorted(known)[:5])}",
        )
    cut = [one._replace(suite=replace(one.suite, problems=part.of(one.suite.problems))) for one in loaded]
    return [one for one in cut if one.suite.problems]


def seed_of(subject: str, suite_sha256: str, problem: str, sample: int, salt: str) -> int:
    """Return the seed of a sample: equal on every machine, and never the one that means "random" to llama.cpp.

    Another model, prompt or sampling (`subject`) draws other seeds. With the same ones, near-equal models answer alike,
    and the gate's tests, which take runs as independent, reject up to 3 % of innocent commits instead of 1 %.
    """
    key = hashlib.blake2b(
        "\0".join([subject, suite_sha256, problem, str(sample)]).encode(),
        digest_size=8,
        key=hashlib.blake2b(salt.encode(), digest_size=32).digest(),
    )
    return int.from_bytes(key.digest(), "big") % 0xFFFFFFFF


def prompt_digest(config: Config, planned: Sequence[PlannedSuite] = ()) -> str:
    """Return the digest of the text around each problem, the suites' own templates included where they have any."""
    texts: dict[str, object] = {"system": config.prompt.system, "template": config.prompt.template}
    # Without them the digest is what it was before there were any, so that samples of those runs are reused.
    stop = {"stop": config.prompt.stop} if config.prompt.stop else {}
    own = {part.suite.name: part.suite.template for part in planned if part.suite.template}
    return sha256_hex(canonical_json(texts | stop | ({"suites": own} if own else {})))


def subject_digest(config: Config, model_sha256: str, prompt_sha256: str) -> str:
    """Return the digest of what a commit says of the answers: model, prompt and sampling, and no machine's property."""
    sampling = sampling_condition(config.model.sampling)
    return sha256_hex(canonical_json({"model": model_sha256, "prompt": prompt_sha256, "sampling": sampling}))


def generation_digest(config: Config, model_sha256: str, prompt_sha256: str) -> str:
    """Return the digest of everything but problem and seed that decides a sample's text."""
    return sha256_hex(canonical_json({"model": model_sha256, "prompt": prompt_sha256, **conditions(config)}))


def conditions(config: Config) -> dict[str, object]:
    """Return what decides a sample's text beside problem, seed, model and prompt: what runs must share to compare."""
    engine, model = config.engine, config.model
    parts: dict[str, object] = {
        "context": model.context,
        "sampling": sampling_condition(model.sampling),
        "mode": engine.mode,
        "flash_attention": engine.flash_attention,
        "kv_type": engine.kv_type,
        "engine": engine_build(),
        "recipe": RECIPE,
        "instructions": machine.instructions(),
        "gpu_layers": str(model.gpu_layers),
        "gpus": devices.deciding() if model.gpu_layers else [],
    }
    # What has its default is left out, as before there was a choice.
    if parts["gpus"] and engine.split_mode != "layer":
        parts["split_mode"] = engine.split_mode
    if parts["gpus"] and model.cpu_experts != "auto":
        parts["cpu_experts"] = model.cpu_experts
    if engine.mode == "fast" or engine.flash_attention is True or parts["gpus"]:
        # Only there do the shapes of a step, and so the rounding of its sums, follow from these.
        parts["shapes"] = [engine.engines, engine.slots, engine.threads, engine.batch, machine.cores()]
    return parts


def sampling_condition(section: SamplingConfig) -> dict[str, float]:
    """Return the sampling options that decide a text; penalties that are off are left out, as before there were any."""
    values: dict[str, float] = msgspec.to_builtins(section)
    if (section.repetition_penalty, section.frequency_penalty, section.presence_penalty) == (1, 0, 0):
        window = {"repetition_penalty", "frequency_penalty", "presence_penalty", "penalty_window"}
        values = {name: value for name, value in values.items() if name not in window}
    values.pop("preset")  # what it stands for is in the other options
    return values


@functools.cache
def engine_build() -> str:
    """Return the versions of what calculates and a digest of the engine's shared libraries, without loading them."""
    found = importlib.util.find_spec("llama_cpp")
    folders = list(found.submodule_search_locations or []) if found else []
    if not folders:
        raise ModelError("the engine is not installed", hint="pip install 'snapshot-publisher[bench]'")
    libraries = sorted({path.resolve() for path in Path(folders[0]).glob("lib/*.so*")})
    digests = [f"{path.name} {sha256_file(path)}" for path in libraries]
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in (ENGINE, "numpy"))
    return f"{versions} {sha256_hex(chr(10).join(digests).encode())}"


def fingerprint_of(generation: str, planned: Sequence[PlannedSuite]) -> str:
    """Return the digest of everything that can change a score: the generation, the suites and their graders."""
    parts = [
        [part.suite.name, part.suite.sha256, part.samples, part.grader, part.grader_version, *_measured(part)]
        for part in planned
    ]
    return sha256_hex(canonical_json({"generation": generation, "suites": parts}))


def _measured(part: PlannedSuite) -> list[object]:
    """Return what of a commit's configuration changes a score or a metric; nothing where it asks for none."""
    asked = part.language or part.score or part.metrics
    return [part.language, part.score, dict(sorted(part.metrics.items()))] if asked else []


def wanted_samples(planned: Sequence[PlannedSuite], salt: str, subject: str) -> tuple[PlannedSample, ...]:
    """Return every sample that a run of a `subject` consists of, in the record's order."""
    return tuple(
        PlannedSample(part.suite.name, problem, number, seed_of(subject, part.suite.sha256, problem.id, number, salt))
        for part in planned
        for problem in part.suite.problems
        for number in range(part.samples)
    )
