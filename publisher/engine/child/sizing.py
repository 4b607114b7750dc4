"""How many slots, cells, threads and rows to use, from the model, the memory and the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.engine import machine
from publisher.engine.child.llama import library
from publisher.errors import ModelError

if TYPE_CHECKING:
    from publisher.engine.child.llama.handles import Model
    from publisher.engine.gguf import Header
    from publisher.engine.protocol import EngineOptions

SLOTS_CPU = 16
"""A step of 16 rows costs hardly more than one of 9 on CPUs, and more than 16 gain little."""
SLOTS_SMALL = 8
"""In one cache for all, each further row of a small model costs more cells to look at than it saves."""
SLOTS_GPU = 64
FEW = 4
"""So few streams are not worth what sharing one cache would give: more samples side by side."""
SMALL = 50_000_000
"""Below so many parameters a second thread costs more in waiting than it calculates."""
BATCH = 512
CELL = 256
"""llama.cpp pads a sequence's cells to a multiple of this."""
_SHARE_CPU = 0.5
"""The share of the available memory that the cache may take: compute buffers, and mapped weights, are still to come."""
_SHARE_GPU = 0.85
"""The same of a GPU's free memory, where the weights are already; the rest is for compute buffers."""
_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}


@dataclass(frozen=True, slots=True)
class Size:
    """The chosen sizes; `context` is one sequence's, `cells` the whole cache's in fast mode."""

    slots: int
    rows: int
    context: int
    cells: int
    threads: int
    batch: int
    gpu: bool
    unified: bool
    flash: bool


def choose(options: EngineOptions, header: Header, model: Model, *, gpu: bool) -> Size:
    """Return the sizes for a model: what the options set by hand, the rest chosen."""
    flash = _flash(options, gpu=gpu)
    if options.kv_type != "f16" and not flash:
        raise ModelError(
            f"a KV cache of type {options.kv_type} needs flash attention", hint="set flash_attention = true"
        )
    context = min(options.context, header.context_trained or options.context)
    whole, memory = padded(context), (gpu and _gpu_memory()) or machine.available_memory()
    cost = max(1.0, model.cell * _BYTES[options.kv_type])
    if whole * cost > memory:
        raise ModelError(
            f"a context of {context} tokens does not fit into {memory >> 20} MiB of memory",
            hint="lower model.context in publisher.toml",
        )
    room = max(whole, int(memory * (_SHARE_GPU if gpu else _SHARE_CPU) / cost))
    wanted = options.slots or _wanted(options, SLOTS_GPU if gpu else SLOTS_CPU)
    apart = options.mode == "reproducible" or _long(options, model, header, wanted, context)
    if not apart and not options.slots and not gpu and header.parameters < SMALL:
        wanted = min(wanted, SLOTS_SMALL)
    slots = max(1, min(wanted, room // whole)) if apart and not options.slots else wanted
    unified = options.mode == "fast" and (not apart or slots * whole > room or slots < min(wanted, FEW))
    slots = wanted if unified else slots
    return Size(
        slots=slots,
        rows=max(2, slots),
        context=context,
        cells=options.cells or min(room, whole * (slots + 1)),
        threads=options.threads or (1 if header.parameters < SMALL else machine.cores()),
        batch=options.batch or BATCH,
        gpu=gpu,
        flash=flash,
        unified=unified,
    )


def _flash(options: EngineOptions, *, gpu: bool) -> bool:
    """Return whether to use flash attention: as the options say, or never in reproducible mode, where it splits sums.

    Otherwise it is the faster way on GPUs and on processors without AVX-512: there it won by a quarter on a small model
    (two cores of a Zen 3), and with AVX-512 it lost by half.
    """
    if options.flash_attention != "auto":
        return options.flash_attention
    return options.mode == "fast" and (gpu or "AVX512 = 1" not in library.system_info())


def _long(options: EngineOptions, model: Model, header: Header, slots: int, context: int) -> bool:
    """Return whether samples are so long that sharing one cache would cost more than it saves.

    In a unified cache each row multiplies with the cells of all samples. Compare that work with what the weights cost
    anyway, for samples that are half as long as they may get: from an eighth of it on, streams were never the slower.
    """
    cells = slots * min(context, options.sampling.max_tokens) / 2
    return not options.cells and cells * model.attention > header.parameters / 8


def padded(context: int) -> int:
    """Return the cells that llama.cpp sets aside for a sequence of `context` tokens."""
    return -(-context // CELL) * CELL


def mapped(size: int) -> bool:
    """Return whether llama.cpp should map a model of `size` bytes instead of reading it into memory of its own.

    So it is where a GPU takes the weights, and where they would take more than half of what memory is available: the
    system can drop mapped pages and read them again.
    """
    return 2 * size > machine.available_memory() or any(
        device["kind"] in library.GPU_KINDS.values() for device in library.devices()
    )


def _wanted(options: EngineOptions, usual: int) -> int:
    """Return how many sequences to run at once: the usual number, if there is so much work."""
    return max(1, min(usual, options.workload)) if options.workload else usual


def _gpu_memory() -> int:
    """Return the bytes that are free on the GPUs which this process sees."""
    return sum(device["free"] for device in library.devices() if device["kind"] in library.GPU_KINDS.values())
