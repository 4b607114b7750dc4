"""Describes what ran the model: llama.cpp's build, its devices, and every switch that can change a bit of a sample."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import numpy as np

from publisher.engine.child.llama import binding, library
from publisher.engine.child.llama.sampling import narrows
from publisher.schema import EngineIdentity, GpuIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.engine.child.llama.handles import Log, Model
    from publisher.engine.child.sizing import Placement, Size
    from publisher.engine.protocol import Device, EngineOptions
    from publisher.schema import Confinement


def describe(
    options: EngineOptions,
    size: Size,
    model: Model,
    log: Log,
    *,
    experts: bool,
    confinement: Confinement | None,
    gpus: Sequence[Device] = (),
    placement: Placement | None = None,
    split: Sequence[int] = (),
) -> EngineIdentity:
    """Return the identity of a loaded engine; `experts`: the model is a mixture of experts.

    `gpus` are the GPUs that it uses, as they were before the model was loaded, `placement` what is to be on them,
    and `split` how many layers each of them has.
    """
    offloaded, _ = log.offloaded()
    buffers = log.buffers()
    return EngineIdentity(
        name="llama.cpp",
        version=binding.version(),
        build=library.build(),
        backend=gpus[0].name.rstrip("0123456789") if gpus and offloaded else "CPU",
        devices=[*(f"{gpu.name}: {gpu.description}" for gpu in gpus), *library.processors()],
        gpus=[
            GpuIdentity(
                name=gpu.name,
                backend=gpu.backend,
                description=gpu.description,
                driver=gpu.driver,
                pci=gpu.pci,
                memory=gpu.memory,
                free=gpu.free,
                allocated=buffers.get(gpu.name, 0),
            )
            for gpu in gpus
        ],
        gpu_layers_wanted=str(options.gpu_layers),
        gpu_layers_offloaded=offloaded,
        layers=model.layers,
        mode=options.mode,
        context=size.context,
        slots=size.slots,
        threads=size.threads,
        batch=size.batch,
        system_info=library.system_info(),
        options=_options(options, size, model, experts=experts) | _placed(options, placement, split),
        confinement=confinement,
    )


def _options(options: EngineOptions, size: Size, model: Model, *, experts: bool) -> dict[str, str]:
    """Return the switches that decide the bits of a sample; slots and threads only where they do.

    A mixture of experts multiplies the rows of each expert together. Their number depends on the other samples of the
    step, and so on the number of slots.
    """
    reproducible = options.mode == "reproducible"
    switches = {
        "extra_bufts": "off" if reproducible else "on",
        "flash_attention": "on" if size.flash else "off",
        "isa": library.system_info(),
        "kv_type": options.kv_type,
        "kv_unified": "on" if size.shared else "off",
        "library": library.library_digest(),
        "prompt_piece": str(size.batch),
        "sampler": f"numpy {np.__version__}" if narrows(options.sampling, model.tokens) else "cpu",
        "tiled_mm": "forced" if reproducible else "auto",
    }
    if not reproducible or size.gpu or size.flash or experts:
        # Here the shape of a batch changes the order of sums.
        switches |= {"slots": str(size.slots), "threads": str(size.threads), "n_ubatch": str(size.batch)}
    return switches


def _placed(options: EngineOptions, placement: Placement | None, split: Sequence[int]) -> dict[str, str]:
    """Return the switches of where the weights are; none where nothing is out of the ordinary.

    Experts on the processor are `cpu_experts` where the user asked for that, `experts_on_cpu` where memory is short.
    """
    shares = "/".join(map(str, split))
    several = {"split_mode": options.split_mode, "tensor_split": shares} if len(split) > 1 else {}
    kept = placement.experts if placement and split else 0
    name = "experts_on_cpu" if options.cpu_experts == "auto" else "cpu_experts"
    return several | ({name: str(kept)} if kept else {})


def peak_memory() -> int:
    """Return the largest number of bytes of memory that this process has had in use."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
