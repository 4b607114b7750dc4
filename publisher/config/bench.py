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
    top_p: Annotated[float, Meta(gt=0, le=1, description="above 0, at most 1")] = 1.0
    top_k: Annotated[int, Meta(ge=0, le=1_000_000, description="0 (off) to 1000000")] = 0
    min_p: Annotated[float, Meta(ge=0, le=1, description="0 (off) to 1")] = 0.0
    max_tokens: Annotated[int, Meta(ge=1, le=1_048_576, description="1 or more")] = 1024
    repetition_penalty: Annotated[float, Meta(gt=0, le=10, description="above 0, at most 10; 1 is off")] = 1.0
    """Divides the logits of tokens that occurred (llama.cpp's repeat penalty)."""
    frequency_penalty: Annotated[float, Meta(ge=-10, le=10, description="-10 to 10; 0 is off")] = 0.0
    presence_penalty: Annotated[float, Meta(ge=-10, le=10, description="-10 to 10; 0 is off")] = 0.0
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
    source: Annotated[str, Meta(min_length=1, max_length=1000)]
    sha256: Digest = ""
    shards: list[Digest] = msgspec.field(default_factory=list)
    """The sha256 of each part of a split file (`-00001-of-00003.gguf`), in order."""
    context: Annotated[int, Meta(ge=64, le=1_048_576, description="64 to 1048576 tokens")] = 4096
    gpu_layers: Literal["all"] | Annotated[int, Meta(ge=0, le=10_000)] = "all"
    cpu_experts: Literal["auto"] | Annotated[int, Meta(ge=0, le=10_000)] = "auto"
    """In how many layers of a mixture of experts these stay on the processor; "auto": in as many as do not fit."""
    sampling: SamplingConfig = SamplingConfig()
    card: CardConfig = CardConfig()


class PromptConfig(Section, frozen=True, kw_only=True):
    """The text around each problem; only `{problem}` is replaced."""

    use: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$", description="a name in prompts/")] = ""
    """The file prompts/<use>.toml of the commit has the texts; "" where they stand here."""
    system: Annotated[str, Meta(max_length=20_000)] = ""
    template: Annotated[str, Meta(max_length=20_000)] = "{problem}"
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
    sha256: Digest = ""
    """The digest of the file; with `use`, of the suite as `publisher suites fetch` writes it."""
    template: Annotated[str, Meta(max_length=20_000)] = ""
    """The text around each problem of this suite, in the place of `[prompt] template`."""
    grader: GraderName = "math"
    """One of `publisher.graders.GRADERS`, with its options."""
    samples: Count = 1
    public: bool = False
    language: Annotated[str, Meta(pattern="^([a-z]{2})?$", description="two letters of ISO 639-1, such as en")] = ""
    """The language that answers should be in; the metric `in-language` is measured where it is given."""
    score: str = ""
    """What the suite's score is the mean of: a composite of `[metrics]`; "" for the share of right answers."""


class EngineConfig(Section, frozen=True, kw_only=True):
    """How inference is scheduled; 0 lets the engine choose. Slots and threads are per engine."""

    mode: Literal["reproducible", "fast"] = "reproducible"
    engines: Annotated[int, Meta(ge=0, le=256, description="0 (chosen) to 256")] = 0
    slots: Annotated[int, Meta(ge=0, le=256, description="0 (chosen) to 256")] = 0
    threads: Annotated[int, Meta(ge=0, le=1024, description="0 (chosen) or more")] = 0
    batch: Annotated[int, Meta(ge=0, le=65_536, description="0 (chosen) or more")] = 0
    flash_attention: bool | Literal["auto"] = "auto"
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    split_mode: Literal["layer", "row"] = "layer"
    """What several GPUs share of a model: its layers, or the rows of each matrix (CUDA, HIP and SYCL)."""
    timeout: Annotated[float, Meta(gt=0, description="seconds without progress before a run is given up")] = 600.0
