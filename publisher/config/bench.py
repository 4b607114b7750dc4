"""`[model]`, `[prompt]`, `[suites]` and `[engine]`: what is measured, and how."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from publisher.config.section import Count, Digest, GraderName, Section


class SamplingConfig(Section, frozen=True, kw_only=True):
    """How tokens are drawn."""

    preset: Annotated[str, Meta(max_length=64)] = ""
    """One of `publisher.registry`'s sampling presets, whose options hold where no other is given here."""
    temperature: Annotated[float, Meta(ge=0, le=10, description="0 (greedy) to 10")] = 0.0
    """Divides the logits; greedy answers need one sample each."""
    top_p: Annotated[float, Meta(gt=0, le=1, description="above 0, at most 1")] = 1.0
    """Only the likeliest tokens are drawn whose chances add up to this."""
    top_k: Annotated[int, Meta(ge=0, le=1_000_000, description="0 (off) to 1000000")] = 0
    """Only so many of the likeliest tokens are drawn."""
    min_p: Annotated[float, Meta(ge=0, le=1, description="0 (off) to 1")] = 0.0
    """Only tokens are drawn whose chance is at least this part of the likeliest one's."""
    max_tokens: Annotated[int, Meta(ge=1, le=1_048_576, description="1 or more")] = 1024
    """Where an answer is cut off; it then counts as truncated."""
    repetition_penalty: Annotated[float, Meta(gt=0, le=10, description="above 0, at most 10; 1 is off")] = 1.0
    """Divides the logits of tokens that occurred (llama.cpp's repeat penalty)."""
    frequency_penalty: Annotated[float, Meta(ge=-10, le=10, description="-10 to 10; 0 is off")] = 0.0
    """Taken off the logits of tokens that occurred, for each time they did."""
    presence_penalty: Annotated[float, Meta(ge=-10, le=10, description="-10 to 10; 0 is off")] = 0.0
    """Taken off the logits of tokens that occurred, once."""
    penalty_window: Annotated[int, Meta(ge=0, le=1_048_576, description="0 (off) or more tokens")] = 64
    """How many of the last tokens the penalties look at, the prompt's included."""


class CardConfig(Section, frozen=True, kw_only=True):
    """What the model's card demands of a prompt."""

    system_prompt: bool = False
    """Whether the card demands a system prompt; an empty one is then a mistake."""
    language: Annotated[str, Meta(pattern="^([a-z]{2})?$", description="two letters of ISO 639-1, such as en")] = ""
    """The language that the card asks for in system prompt and template; "" for any."""


class ModelConfig(Section, frozen=True, kw_only=True):
    """The language model under test."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    """What pages call it."""
    source: Annotated[str, Meta(min_length=1, max_length=1000)]
    """A path in the repository, `hf:OWNER/REPO@REVISION/FILE`, `https://…`, `git:ADDRESS@COMMIT:PATH`, `s3:BUCKET/KEY`,
    `local:NAME`, or `builtin:abacus`."""
    sha256: Digest = ""
    """Required where the file is fetched from elsewhere."""
    shards: list[Digest] = msgspec.field(default_factory=list)
    """The sha256 of each part of a split file (`-00001-of-00003.gguf`), in order."""
    context: Annotated[int, Meta(ge=64, le=1_048_576, description="64 to 1048576 tokens")] = 4096
    """Tokens of prompt and answer together, per sample."""
    gpu_layers: Literal["all"] | Annotated[int, Meta(ge=0, le=10_000)] = "all"
    """Layers on the GPU, where there is one."""
    cpu_experts: Literal["auto"] | Annotated[int, Meta(ge=0, le=10_000)] = "auto"
    """In how many layers of a mixture of experts these stay on the processor; "auto": in as many as do not fit."""
    sampling: SamplingConfig = SamplingConfig()
    card: CardConfig = CardConfig()


class PromptConfig(Section, frozen=True, kw_only=True):
    """The text around each problem; only `{problem}` is replaced."""

    use: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$", description="a name in prompts/")] = ""
    """The file prompts/<use>.toml of the commit has the texts; "" where they stand here."""
    system: Annotated[str, Meta(max_length=20_000)] = ""
    """The system prompt; "" for none."""
    template: Annotated[str, Meta(max_length=20_000)] = "{problem}"
    """The text of the user, in which `{problem}` stands for the statement."""
    stop: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=16)] = msgspec.field(
        default_factory=list
    )
    """Texts that end an answer; they are not part of it."""
    notes: Annotated[str, Meta(max_length=20_000)] = ""
    """For readers; they change nothing."""


class SuiteConfig(Section, frozen=True, kw_only=True):
    """A named list of problems with a grader."""

    use: Annotated[str, Meta(max_length=64)] = ""
    """A benchmark of `publisher.registry`, whose source, grader, k and template hold where no other is given here."""
    source: Annotated[str, Meta(min_length=1, max_length=1000)]
    """A path in the repository, or one of the kinds of addresses that a model can have."""
    sha256: Digest = ""
    """The digest of the file; with `use`, of the suite as `publisher suites fetch` writes it."""
    template: Annotated[str, Meta(max_length=20_000)] = ""
    """The text around each problem of this suite, in the place of `[prompt] template`."""
    grader: GraderName = "math"
    """One of `publisher.graders.GRADERS`, with its options."""
    samples: Count = 1
    """Answers to each problem (k), where the tier does not say otherwise."""
    public: bool = False
    """Whether pages may show statements and answers; otherwise they show ids, outcomes and figures."""
    language: Annotated[str, Meta(pattern="^([a-z]{2})?$", description="two letters of ISO 639-1, such as en")] = ""
    """The language that answers should be in; the metric `in-language` is measured where it is given."""
    score: str = ""
    """What the suite's score is the mean of: a composite of `[metrics]`; "" for the share of right answers."""


class EngineConfig(Section, frozen=True, kw_only=True):
    """How inference is scheduled; 0 lets the engine choose. Slots and threads are per engine."""

    mode: Literal["reproducible", "fast"] = "reproducible"
    """`reproducible`: the same bits whatever the slots and interruptions; `fast` gives that up for speed."""
    engines: Annotated[int, Meta(ge=0, le=256, description="0 (chosen) to 256")] = 0
    """Processes that each hold the model."""
    slots: Annotated[int, Meta(ge=0, le=256, description="0 (chosen) to 256")] = 0
    """Samples side by side in one engine."""
    threads: Annotated[int, Meta(ge=0, le=1024, description="0 (chosen) or more")] = 0
    """Threads of one engine."""
    batch: Annotated[int, Meta(ge=0, le=65_536, description="0 (chosen) or more")] = 0
    """Tokens that are evaluated at once."""
    flash_attention: bool | Literal["auto"] = "auto"
    """Whether attention is computed in one fused step; `auto` leaves it to llama.cpp."""
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    """The type of the cache of keys and values: smaller ones hold more slots."""
    split_mode: Literal["layer", "row"] = "layer"
    """What several GPUs share of a model: its layers, or the rows of each matrix (CUDA, HIP and SYCL)."""
    timeout: Annotated[float, Meta(gt=0, description="seconds without progress before a run is given up")] = 600.0
    """An engine that makes no token for so long is ended."""


def engine_mistakes(engine: EngineConfig) -> list[str]:
    """Return what is contradictory in the table [engine]."""
    fused = engine.flash_attention is True or (engine.flash_attention == "auto" and engine.mode == "fast")
    if engine.kv_type == "f16" or fused:
        return []
    return [f"engine.kv_type: {engine.kv_type} needs flash_attention = true, which reproducible mode has not by itself"]
