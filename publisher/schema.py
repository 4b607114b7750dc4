"""Everything that is written to disk or crosses between steps: versioned msgspec structs.

A stored file starts with its integer `schema`; `decode` refuses another version with a message that says which way it
differs. Scores are in points, 0 to 100, higher is better; times are UTC, ISO 8601 with a final `Z`; durations are in
seconds; sizes in bytes; digests are lower-case SHA-256.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from publisher.errors import StorageError

RECORD_SCHEMA = 1
VERDICT_SCHEMA = 1
RECEIPT_SCHEMA = 1
HISTORY_SCHEMA = 1
SUMMARY_SCHEMA = 1

Outcome = Literal["right", "wrong", "unanswered", "truncated", "error"]
"""How a sample was scored: `unanswered` gave no answer, `truncated` ran out of tokens, `error` could not be scored."""

VerdictWord = Literal["kept", "rejected", "inconclusive"]


class Struct(msgspec.Struct, frozen=True):
    """An immutable value; unknown fields of a newer minor writer are ignored, missing ones are errors."""


# -- the record: identity first -----------------------------------------------------------------------------------


class CommitIdentity(Struct, frozen=True, kw_only=True):
    """The benchmarked commit."""

    sha: str
    subject: str
    author: str
    time: str
    dirty: bool
    """Whether the working tree differed from HEAD while this commit was benchmarked (the commit is what was read)."""


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


class Sampling(Struct, frozen=True, kw_only=True):
    """How tokens are drawn; `top_k` 0 and `min_p` 0 switch those filters off; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 1024


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


class EngineIdentity(Struct, frozen=True, kw_only=True):
    """What ran the model and how."""

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
    options: dict[str, str] = {}


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
    """Three quantiles of a duration, in seconds."""

    p50: float
    p90: float
    p99: float


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
    counts: Counts
    right_by_problem: dict[str, int]
    """Right samples of each problem, by id: what paired tests need."""
    prompt_tokens: int
    tokens: int
    latency: Quantiles
    tokens_per_second: float


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
    samples_sha256: str
    started: str
    finished: str
    duration: float
    results: list[SuiteResult]
    statistics: dict[str, float] = {}
    """Figures of the run itself: prompt and decode tokens a second, occupancy, peak memory."""
    reused: dict[str, int] = {}
    """How many samples were taken over from which earlier run."""


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
    text: str
    clipped: int = 0
    """Characters of the text that were cut off to keep the file small."""
    reason: str = ""
    kind: str = ""
    statement: str = ""
    expected: str = ""
    """Statement and expected answer are stored only for public suites."""


# -- the verdict ---------------------------------------------------------------------------------------------------


class RuleResult(Struct, frozen=True, kw_only=True):
    """One rule's outcome, with its reason in words and figures."""

    rule: str
    suite: str
    outcome: Literal["pass", "fail", "inconclusive"]
    reason: str
    measured: float | None = None
    limit: float | None = None
    baseline: str = ""
    """The run that was compared with, if any."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What the gate said of a run."""

    schema: int = VERDICT_SCHEMA
    run_id: str
    verdict: VerdictWord
    rules: list[RuleResult]
    headline: str
    policy_sha256: str
    decided: str


# -- the receipt ---------------------------------------------------------------------------------------------------


class Request(Struct, frozen=True, kw_only=True):
    """The intent to call the build hook, written before the call so that a crash is followed by a look."""

    schema: int = 1
    run_id: str
    branch: str
    commit: str
    attempt: int
    by: str
    """A random word of the publisher that makes the call, so that two of them cannot write the same request."""
    time: str


class Receipt(Struct, frozen=True, kw_only=True):
    """Proof of a deploy."""

    schema: int = RECEIPT_SCHEMA
    run_id: str
    number: int = 1
    """1 for the first deploy; a repair of a lost or damaged one counts on."""
    snapshot: str
    """The snapshot's branch."""
    commit: str
    """The snapshot commit S."""
    deploy_id: str
    permalink: str
    address: str
    """The branch address: what people pin."""
    manifest_sha256: str
    files: int
    via: Literal["api", "hook"]
    requested: str
    ready: str
    verified: str


# -- the history ---------------------------------------------------------------------------------------------------


class HistoryScore(Struct, frozen=True, kw_only=True):
    """One suite's score in a history line."""

    score: float
    low: float
    high: float
    stderr: float
    n: int
    k: int
    suite: str
    """Digest of the suite's problems and its grader: only scores with equal ones can be compared."""


class HistoryLine(Struct, frozen=True, kw_only=True):
    """One run in the history: enough for a table row, a chart mark and a gate's baseline."""

    schema: int = SUMMARY_SCHEMA
    run_id: str
    commit: str
    subject: str
    tier: str
    started: str
    verdict: VerdictWord | Literal["unreadable"]
    fingerprint: str
    generation: str = ""
    salt: str = ""
    scores: dict[str, HistoryScore]
    why: str = ""
    """The first failing rule's reason, for a refused run."""
    snapshot: str = ""
    address: str = ""
    pruned: str = ""
    """When the snapshot's deploy was deleted on purpose; its address then leads nowhere."""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Return what makes two runs the same measurement of the same commit; an unreadable run equals none."""
        return (self.commit, self.tier, self.fingerprint, self.salt)


class SnapshotName(Struct, frozen=True, kw_only=True):
    """Which branch and commit a kept run became."""

    schema: int = 1
    run_id: str
    branch: str
    commit: str
    address: str


class LiveMove(Struct, frozen=True, kw_only=True):
    """The live site moved to a snapshot: who did it, when and why."""

    schema: int = 1
    snapshot: str
    commit: str
    run_id: str
    deploy_id: str
    previous: str
    who: str
    why: str
    time: str
    via: Literal["api", "hook"]


class Pin(Struct, frozen=True, kw_only=True):
    """A memorable branch address for a snapshot; a pin that is moved leaves its older entries in place."""

    schema: int = 1
    name: str
    number: int
    """1 for the first snapshot of this name; each move counts on."""
    snapshot: str
    run_id: str
    commit: str
    address: str
    who: str
    time: str


class Pruned(Struct, frozen=True, kw_only=True):
    """A snapshot whose deploy and branch were deleted; its record stays."""

    schema: int = 1
    run_id: str
    snapshot: str
    commit: str
    number: int
    """The receipt that was given up: a snapshot that is published again later has a newer one."""
    who: str
    time: str


class History(Struct, frozen=True, kw_only=True):
    """A compact line for each run as of a snapshot, oldest first."""

    schema: int = HISTORY_SCHEMA
    site: str
    headline: str
    lines: list[HistoryLine]


T = TypeVar("T", bound=Struct)


def decode(data: bytes, kind: type[T], where: str) -> T:
    """Return the stored value of type `kind` in `data`.

    Raises StorageError, naming `where`, when the schema version is older, newer or absent, or the contents do not fit.
    """
    wanted = _schema_of(kind)
    try:
        found = msgspec.json.decode(data, type=dict[str, object]).get("schema")
    except msgspec.MsgspecError as error:
        raise StorageError(f"{where} is not readable: {error}") from error
    if wanted and not isinstance(found, int):
        raise StorageError(f"{where} has no schema version", hint="was it written by publisher?")
    if wanted and isinstance(found, int) and found > wanted:
        raise StorageError(
            f"{where} was written by a newer publisher (schema {found}, this one reads {wanted})",
            hint="pip install --upgrade snapshot-publisher",
        )
    if wanted and isinstance(found, int) and found < wanted:
        raise StorageError(f"{where} has the old schema {found}, this publisher reads {wanted}")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise StorageError(f"{where} does not fit schema {wanted}: {error}") from error


def _schema_of(kind: type[Struct]) -> int:
    """Return the version that a stored type declares, or 0 for a type that is only ever inside another."""
    for field in msgspec.structs.fields(kind):
        if field.name == "schema":
            return int(field.default)
    return 0
