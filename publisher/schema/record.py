"""The record of a run, identity before results, and its samples."""

from __future__ import annotations

from typing import Literal

import msgspec

from publisher.schema.stored import Struct

RECORD_SCHEMA = 1
Outcome = Literal["right", "wrong", "unanswered", "truncated", "error"]
"""How a sample was scored: `unanswered` gave no answer, `truncated` ran out of tokens, `error` could not be scored."""


class CommitIdentity(Struct, frozen=True, kw_only=True):
    """The benchmarked commit."""

    sha: str
    subject: str
    author: str
    time: str
    dirty: bool
    """Whether the working tree differed from HEAD while this commit was benchmarked (the commit is what was read)."""
    branch: str = ""
    """The branch that the commit was measured on; "" where that is not known, and in records of older publishers."""
    forge: str = ""
    """The repository's web address on its forge, without credentials; "" where its remote is on none that is known."""


class ModelIdentity(Struct, frozen=True, kw_only=True):
    """The language model, by what its file says and what its bytes are."""

    name: str
    source: str
    sha256: str
    size: int
    architecture: str
    parameters: int
    quantization: str
    context_trained: int
    chat_template_sha256: str


class PromptIdentity(Struct, frozen=True, kw_only=True):
    """The prompt around each problem."""

    system: str
    template: str
    sha256: str
    """Digest of what decides a text: system, template and stop."""
    name: str = ""
    """Its file in the commit is prompts/<name>.toml; "" where publisher.toml has the texts."""
    stop: list[str] = msgspec.field(default_factory=list)
    notes: str = ""


class Sampling(Struct, frozen=True, kw_only=True):
    """How tokens are drawn; `top_k` 0 and `min_p` 0 switch those filters off; temperature 0 is greedy.

    The penalties look at the last `penalty_window` tokens; 1 and twice 0 switch them off.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 1024
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_window: int = 64


class SuiteIdentity(Struct, frozen=True, kw_only=True):
    """A suite as it was used: k samples (`samples`) for each of `problems` problems."""

    name: str
    source: str
    sha256: str
    problems: int
    samples: int
    grader: str
    grader_version: str
    public: bool
    """Whether statements and expected answers may be shown on the site."""
    score: str = ""
    """What the score is the mean of: a declared composite such as `right × completeness`; "" for right answers."""


class Confinement(Struct, frozen=True, kw_only=True):
    """What the kernel kept from the processes that ran the model."""

    user: int
    """The user id that they ran as."""
    landlock: int
    """The version of Landlock that confined their files; 0 for none."""
    calls: bool
    """Whether their system calls were filtered."""
    missing: list[str] = msgspec.field(default_factory=list)
    """What could not be kept from them, one sentence each."""


class GpuIdentity(Struct, frozen=True, kw_only=True):
    """A GPU that an engine used; sizes are in bytes, and "" or 0 is what nothing tells."""

    name: str
    """Its name in llama.cpp, such as CUDA0."""
    backend: str
    description: str
    driver: str
    pci: str
    memory: int
    free: int
    """What was free before the model was loaded."""
    allocated: int
    """What llama.cpp allocated there: weights, cache and compute buffers."""


class EngineIdentity(Struct, frozen=True, kw_only=True):
    """What ran the model and how; context, slots, threads and batch are those of one of the `engines`."""

    name: str
    version: str
    build: str
    backend: str
    devices: list[str]
    gpu_layers_wanted: str
    gpu_layers_offloaded: int
    layers: int
    mode: str
    context: int
    slots: int
    threads: int
    batch: int
    system_info: str
    engines: int = 1
    options: dict[str, str] = msgspec.field(default_factory=dict)
    confinement: Confinement | None = None
    """How its processes were confined; None in records older than this field."""
    gpus: list[GpuIdentity] = msgspec.field(default_factory=list)
    """The GPUs of all engines; empty on a processor, and in records older than this field."""
    offload_missing: str = ""
    """Why fewer layers are on a GPU than were asked for; "" where nothing is missing."""

    @property
    def offloadable(self) -> int:
        """How many layers can be on a GPU: llama.cpp counts the output as one more."""
        return self.layers + 1


class MachineIdentity(Struct, frozen=True, kw_only=True):
    """The bench machine."""

    cpu: str
    cores: int
    gpu: str
    memory: int
    system: str
    python: str
    publisher: str


class Interval(Struct, frozen=True, kw_only=True):
    """A 95 % interval in points; `method` names how it was computed."""

    low: float
    high: float
    method: str = "wilson"


class Quantiles(Struct, frozen=True, kw_only=True):
    """Quantiles of a duration, in seconds."""

    p50: float
    p90: float
    p99: float
    p95: float | None = None
    """None in older records."""


class Counts(Struct, frozen=True, kw_only=True):
    """How many samples had each outcome."""

    right: int = 0
    wrong: int = 0
    unanswered: int = 0
    truncated: int = 0
    error: int = 0

    @property
    def scored(self) -> int:
        """The number of samples that count: all but errors."""
        return self.right + self.wrong + self.unanswered + self.truncated


class MetricValue(Struct, frozen=True, kw_only=True):
    """A metric of a suite beside its score, with all that reading and comparing it needs."""

    value: float
    unit: str
    better: Literal["higher", "lower"]
    by_problem: dict[str, tuple[int, float, float]] = msgspec.field(default_factory=dict)
    """By problem: how many samples have it, the sum of their values and of the squares; empty where no sample has."""


class SliceScore(Struct, frozen=True, kw_only=True):
    """The score of the problems that share a tag's value, in points, and how many of them were scored."""

    score: float
    problems: int


class SuiteResult(Struct, frozen=True, kw_only=True):
    """What one suite measured. `score` is the mean over problems of the share of right samples, in points."""

    suite: str
    score: float
    stderr: float
    """Standard error over problems, as if they were drawn from a larger set (clustered by problem)."""
    stderr_sampling: float | None = None
    """Standard error of drawing k samples for exactly these problems; None for k = 1, where it cannot be told apart."""
    interval: Interval
    direction: Literal["higher", "lower"]
    pass_at: dict[str, float]
    """Unbiased pass@k in points, by k as text: {"1": 74.4, "16": 90.1}."""
    kinds: dict[str, float]
    """Score by kind of problem, where the suite names kinds."""
    slices: dict[str, dict[str, SliceScore]] = msgspec.field(default_factory=dict)
    """Scores by tag and value: {"topic": {"algebra": …}}. Empty in older records."""
    tagged: dict[str, dict[str, list[str]]] = msgspec.field(default_factory=dict)
    """The ids of the problems by tag and value. Empty in older records."""
    counts: Counts
    right_by_problem: dict[str, int]
    """Right samples of each problem, by id: what paired tests need."""
    prompt_tokens: int
    tokens: int
    latency: Quantiles
    tokens_per_second: float
    scored_by_problem: dict[str, int] = msgspec.field(default_factory=dict)
    """Samples of each problem that count, by id: errors and early ends make it uneven. Empty in older records."""
    tokens_by_problem: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """The sum of the answers' tokens and of their squares, of the samples that count, by problem."""
    metrics: dict[str, MetricValue] = msgspec.field(default_factory=dict)
    """What the answers are like, and what the commit's own metrics say, by name."""
    classes: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    """Where answers are classes, the confusion matrix: expected class -> named class -> samples; "" names none."""
    first_token: Quantiles | None = None
    """Seconds from getting a slot to the first token; None in older records."""
    per_token: Quantiles | None = None
    """Seconds per further token; None in older records, and where every answer has one token."""
    problem_digests: dict[str, str] = msgspec.field(default_factory=dict)
    """The first 16 digits of the SHA-256 of each problem's statement and expected answer, by id.

    Runs of other versions of the suite are compared on the problems where these are equal. Empty in older records.
    """


class StoppedEarly(Struct, frozen=True, kw_only=True):
    """Why a run ended before it was complete. Its score is of what the look saw, and no baseline for others."""

    look: int
    """Which look it was, from 1."""
    share: float
    """The share of all samples that the look saw."""
    samples: int
    planned: int
    why: str


class Record(Struct, frozen=True, kw_only=True):
    """What a run wrote down; never edited."""

    schema: int = RECORD_SCHEMA
    run_id: str
    tier: str
    commit: CommitIdentity
    model: ModelIdentity
    prompt: PromptIdentity
    sampling_given: dict[str, float | int]
    sampling: Sampling
    suites: list[SuiteIdentity]
    engine: EngineIdentity
    machine: MachineIdentity
    versions: dict[str, str]
    salt: str
    generation: str
    """Digest of everything but the problems that decides a sample's text: samples of equal generations are reusable."""
    fingerprint: str
    """Digest of everything that can change a score; two runs with one fingerprint measured the same thing."""
    config_sha256: str
    policy: str = ""
    """The commit of the trusted branch whose suites and tiers were measured, where they were not the commit's own."""
    samples_sha256: str
    """Digest of the uncompressed lines of `samples.jsonl.gz` as they are in the ledger."""
    started: str
    finished: str
    duration: float
    results: list[SuiteResult]
    statistics: dict[str, float] = msgspec.field(default_factory=dict)
    """Figures of the run itself: prompt and decode tokens per second, occupancy, peak memory."""
    reused: dict[str, int] = msgspec.field(default_factory=dict)
    """How many samples were reused from each earlier run, by its id."""
    stopped_early: StoppedEarly | None = None
    """Set where a look ended the run; `None` for a complete one."""
    conditions: dict[str, str] = msgspec.field(default_factory=dict)
    """The parts of the generation that are neither model nor prompt, by name: a baseline must share them."""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells whether two runs measured the same commit in the same way, as a history line has it."""
        return self.commit.sha, self.tier, self.fingerprint, self.salt


class Sample(Struct, frozen=True, kw_only=True):
    """One generated answer; a line of `samples.jsonl.gz`."""

    suite: str
    problem: str
    sample: int
    seed: int
    outcome: Outcome
    answer: str
    finish: Literal["stop", "length", "error"]
    prompt_tokens: int
    tokens: int
    latency: float
    """Seconds from getting a slot to the end."""
    text: str
    clipped: int = 0
    """Characters of the text that were cut off to keep the file small."""
    queue: float = 0.0
    """Seconds from the run's start to getting a slot."""
    prompt_time: float = 0.0
    """Seconds of the latency until the first token: the prompt's evaluation, as far as it was not there already."""
    reason: str = ""
    kind: str = ""
    measures: dict[str, float] = msgspec.field(default_factory=dict)
    """What the answer is like, by the names in `schema/metrics.py`; shares are from 0 to 1."""
    statement: str = ""
    expected: str = ""
    """Statement and expected answer are stored only for public suites."""
    redacted: int = 0
    """Passages of text, answer and reason that `[ledger] redact` replaced; such a sample cannot be graded again."""
    withheld: bool = False
    """Whether text, answer and reason stayed on the bench machine, because the suite is private.

    Such a sample has an outcome and figures, but nothing that could be graded again.
    """
    proof: str = ""
    """Of a withheld text: which machine's key, and a keyed digest that only this machine can make again."""
