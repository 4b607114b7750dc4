"""What measuring takes of a machine, from the size of the model and its context.

The formula, on a processor: `engines * (weights + 2 * slots * context * cell * bytes) + 1 GiB`. A *cell* is what the
cache of keys and values holds per token: 2 (key and value) x layers x heads of keys and values x width of a head, each
of `bytes` (2 in f16). It is doubled because the engine gives the cache at most half of the memory that its container
has. On a GPU the cache is there, and the container needs the weights once (they pass through it) and the same GiB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publisher.config import Config
    from publisher.engine.gguf import Header

SLOTS = 4
"""Samples side by side that room is asked for where `[engine] slots` does not say: more make a run faster."""
CORES = 4
"""Cores that are asked for where `[engine]` names no threads."""
BASE = 1 << 30
"""Bytes for Python, the graders and llama.cpp itself."""
STEP = 256 << 20
"""Requests are rounded up to this many bytes."""
BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""Bytes of one value in the cache."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the bench step asks for."""

    memory: int
    """Bytes, on a processor."""
    gpu_memory: int
    """Bytes of the container's memory, beside a GPU."""
    cores: int
    disk: int
    """Bytes for the model, the suites and the repository."""

    @property
    def quantity(self) -> str:
        """The memory as Kubernetes writes it."""
        return quantity(self.memory)


def served(header: Header, *, context: int, slots: int) -> int:
    """Return the bytes of memory that serving a model takes, by the formula above for one engine on a processor.

    `context` is that of one slot. llama-server keeps its cache in f16.
    """
    return _memory(header, engines=1, cells=slots * context, width=BYTES["f16"])


def needs(config: Config, header: Header) -> Needs:
    """Return what a configuration's model takes, by the formula above."""
    engine = config.engine
    engines = engine.engines or 1
    context = min(config.model.context, header.context_trained or config.model.context)
    return Needs(
        memory=_memory(header, engines=engines, cells=(engine.slots or SLOTS) * context, width=BYTES[engine.kv_type]),
        gpu_memory=_rounded(engines * header.size + BASE),
        cores=engines * engine.threads or CORES,
        disk=_rounded(2 * header.size + (4 << 30)),
    )


def cell(header: Header) -> int:
    """Return the number of values that the cache holds per token, at least 1, by the model's header."""
    heads, kv_heads, width, key = (
        int(header.values.get(f"{header.architecture}.{name}") or 0)
        for name in ("attention.head_count", "attention.head_count_kv", "embedding_length", "attention.key_length")
    )
    return max(1, 2 * header.layers * (kv_heads or heads) * (key or width // max(1, heads)))


def quantity(size: int) -> str:
    """Return bytes as Kubernetes writes them, in whole Mi."""
    return f"{size >> 20}Mi"


def _memory(header: Header, *, engines: int, cells: int, width: float) -> int:
    """Return the formula's bytes, for a cache of so many tokens in each engine and values of `width` bytes."""
    return _rounded(engines * (header.size + 2 * math.ceil(cells * cell(header) * width)) + BASE)


def _rounded(size: int) -> int:
    return math.ceil(size / STEP) * STEP
