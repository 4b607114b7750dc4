"""Chooses the number of slots, cells, threads and rows from the model, the memory and the work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from publisher.engine import machine
from publisher.engine.child.llama import library
from publisher.engine.child.schedule.shared import HOLDERS
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.engine.child.llama.handles import Model
    from publisher.engine.gguf import Header
    from publisher.engine.protocol import Device, EngineOptions

SLOTS_CPU = 16
"""On CPUs a step of 16 rows takes hardly longer than one of 9, and more rows gain little."""
SLOTS_SMALL = 8
"""In a shared cache, each further row of a small model attends to more cells than it saves."""
SLOTS_GPU = 64
SLOTS_SHARED = 256 - 1 - HOLDERS
"""llama.cpp has 256 sequences at most, and a shared cache needs some of them for common beginnings."""
FEW = 4
"""With fewer separate caches than this, a shared cache is faster: it has room for more samples side by side."""
SMALL = 50_000_000
"""Parameters below which a second thread waits longer than it calculates."""
BATCH = 512
CELL = 256
"""llama.cpp pads the cells of a sequence to a multiple of this."""
_SHARE_CPU = 0.5
"""The share of the available memory that the cache may take: compute buffers and mapped weights come on top."""
_SHARE_GPU = 0.85
"""The same of a GPU's free memory, which holds the weights already; the rest is for compute buffers."""
_STEPS = 64
_ROWS = 8
"""Slots that a GPU's memory limits are a multiple of this, which its kernels like as well."""
_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}


@dataclass(frozen=True, slots=True)
class Size:
    """The chosen sizes: `context` is in tokens per sequence; `cells` is the size of the cache if it is `shared`."""

    slots: int
    rows: int
    context: int
    cells: int
    threads: int
    batch: int
    gpu: bool
    shared: bool
    flash: bool

    def halved(self) -> Size | None:
        """Return the sizes for half as many slots; None where there is only one."""
        if self.slots < 2:
            return None
        slots = self.slots // 2
        return replace(self, slots=slots, rows=max(2, slots), cells=max(padded(self.context), self.cells // 2))


def choose(options: EngineOptions, header: Header, model: Model, *, gpu: bool, gpu_memory: int = 0) -> Size:
    """Return the sizes for a model: those that the options set, and suitable ones for the rest.

    `gpu_memory` is what the GPUs have left, in bytes, now that the weights are there.
    """
    flash = _flash(options, gpu=gpu)
    if options.kv_type != "f16" and not flash:
        raise ModelError(
            f"a KV cache of type {options.kv_type} needs flash attention", hint="set flash_attention = true"
        )
    context = min(options.context, header.context_trained or options.context)
    whole, memory = padded(context), (gpu and gpu_memory) or machine.available_memory()
    cost = max(1.0, model.cell * _BYTES[options.kv_type])
    if whole * cost > memory:
        raise ModelError(
            f"a context of {context} tokens does not fit into {memory >> 20} MiB of memory",
            hint="lower model.context in publisher.toml",
        )
    space = max(whole, int(memory * (_SHARE_GPU if gpu else _SHARE_CPU) / cost))
    # On a GPU the number of slots decides texts, so it must not depend on how much is left to do.
    wanted = options.slots or (SLOTS_GPU if gpu else _wanted(options, SLOTS_CPU))
    apart = options.mode == "reproducible" or _long(options, model, header, wanted, context)
    if not apart and not options.slots and not gpu and header.parameters < SMALL:
        wanted = min(wanted, SLOTS_SMALL)
    apart = apart or wanted > SLOTS_SHARED
    slots = max(1, min(wanted, space // whole)) if apart and not options.slots else wanted
    if gpu and not options.slots and slots > _ROWS:
        slots -= slots % _ROWS  # a few MiB more or less that are free must not change them
    shared = options.mode == "fast" and (not apart or slots * whole > space or slots < min(wanted, FEW))
    slots = min(wanted, SLOTS_SHARED) if shared else slots
    cells = options.cells or min(space, whole * (slots + 1))
    if gpu:
        _check_fit((cells if shared else whole * slots) * cost, memory)
    return Size(
        slots=slots,
        rows=max(2, slots),
        context=context,
        cells=cells,
        threads=options.threads or (1 if header.parameters < SMALL else machine.cores()),
        batch=options.batch or BATCH,
        gpu=gpu,
        flash=flash,
        shared=shared,
    )


def _check_fit(wanted: float, memory: int) -> None:
    """Raise ModelError where a cache takes more than a GPU has left.

    A backend is not asked: some take memory of the host then, and slow down instead of failing.
    """
    if wanted > memory:
        raise ModelError(
            f"a cache of {int(wanted) >> 20} MiB does not fit into the {memory >> 20} MiB that the GPU has left",
            hint='lower model.context or engine.slots, or set  [engine] kv_type = "q8_0"',
        )


def _flash(options: EngineOptions, *, gpu: bool) -> bool:
    """Return whether to use flash attention.

    Unless the options decide, reproducible mode never uses it, because it splits sums by the number of threads. Fast
    mode uses it on GPUs, for a quantized cache, and on processors without AVX-512: on those a small model was a quarter
    faster with it (two cores of a Zen 3), with AVX-512 it took twice as long.
    """
    if options.flash_attention != "auto":
        return options.flash_attention
    wanted = gpu or options.kv_type != "f16" or "AVX512 = 1" not in library.system_info()
    return options.mode == "fast" and wanted


def _long(options: EngineOptions, model: Model, header: Header, slots: int, context: int) -> bool:
    """Return whether samples are so long that a shared cache would cost more than it saves.

    In a shared cache every row attends to the cells of all samples. This compares that work, for samples of half their
    limit, with the work on the weights: from an eighth on, separate caches were never slower.
    """
    cells = slots * min(context, options.sampling.max_tokens) / 2
    return not options.cells and cells * model.attention > header.parameters / 8


def padded(context: int) -> int:
    """Return the cells that llama.cpp allocates for a sequence of `context` tokens."""
    return -(-context // CELL) * CELL


class Placement(NamedTuple):
    """Where a model's weights go."""

    layers: int
    """How many layers go to GPUs; -1 for all of them and the output."""
    experts: int = 0
    """In how many layers, the first ones, the experts stay on the processor nevertheless."""


def placement(options: EngineOptions, header: Header, memory: int) -> Placement:
    """Return what to put on GPUs with room for `memory` bytes in all; 0 stands for no GPU.

    Where a mixture of experts is too large, its experts stay on the processor first: most of the weights are theirs,
    and a token needs few of them. Other weights are taken to be spread evenly over the layers.
    """
    asked = 0 if options.cpu_experts == "auto" else min(options.cpu_experts, header.layers)
    if options.gpu_layers != "all" or options.cpu_experts != "auto" or not memory or not header.layers:
        return Placement(-1 if options.gpu_layers == "all" else options.gpu_layers, asked if header.experts else 0)
    context = padded(min(options.context, header.context_trained or options.context))
    least = max(2, options.slots) * context * _cell(header) * _BYTES[options.kv_type]
    wanted, space = header.size + least, _SHARE_GPU * memory
    sizes = [header.experts.get(layer, 0) for layer in range(header.layers)]
    for count in range(header.layers + 1 if header.experts else 1):
        if wanted - sum(sizes[:count]) <= space:
            return Placement(-1, count)
    return Placement(int(space / (wanted / header.layers)))


def room(gpu: Device) -> int:
    """Return the bytes that a GPU has free, rounded down to a 64th of its memory.

    What follows from it decides texts, and samples are shared only where an engine has come to the same again. A few
    MiB more or less must not change it.
    """
    step = max(1, gpu.memory // _STEPS)
    return min(gpu.free or gpu.memory, gpu.memory) // step * step


def split(placed: Placement, header: Header, rooms: Sequence[int]) -> list[int]:
    """Return how many layers each GPU has, by its share of the room; the largest remainders are rounded up."""
    count = header.layers + 1 if placed.layers < 0 else min(placed.layers, header.layers + 1)
    exact = [count * one / max(1, sum(rooms)) for one in rooms]
    found = [int(one) for one in exact]
    for index in sorted(range(len(rooms)), key=lambda one: found[one] - exact[one])[: count - sum(found)]:
        found[index] += 1
    return found


def _cell(header: Header) -> int:
    """Return the number of values that the cache holds per token, at least 1, by the model's header."""
    heads, kv_heads, width, key = (
        int(header.values.get(f"{header.architecture}.{name}") or 0)
        for name in ("attention.head_count", "attention.head_count_kv", "embedding_length", "attention.key_length")
    )
    return max(1, 2 * header.layers * (kv_heads or heads) * (key or width // max(1, heads)))


def mapped(size: int, *, gpu: bool) -> bool:
    """Return whether llama.cpp should map a model of `size` bytes instead of reading it into memory of its own.

    It should where the weights go to a GPU, and where they take more than half of the available memory: the system can
    drop mapped pages and read them again.
    """
    return gpu or 2 * size > machine.available_memory()


def _wanted(options: EngineOptions, usual: int) -> int:
    """Return how many sequences to run at once: the usual number, or fewer where there is less work."""
    return max(1, min(usual, options.workload)) if options.workload else usual
