"""Whether the GPU that was asked for is used, and what to install where it is not."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from publisher.engine import devices
from publisher.engine.process import SELECTING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from publisher.schema import EngineIdentity


class Possible(NamedTuple):
    """A GPU backend that this machine could have: whose driver is loaded, and the switch that builds it."""

    backend: str
    vendor: str
    flag: str


_DRIVERS = (
    ("/proc/driver/nvidia/version", Possible("cuda", "NVIDIA", "-DGGML_CUDA=on")),
    ("/dev/dxg", Possible("cuda", "NVIDIA", "-DGGML_CUDA=on")),
    ("/dev/kfd", Possible("hip", "AMD", "-DGGML_HIP=on")),
    ("/dev/dri/renderD128", Possible("vulkan", "Vulkan", "-DGGML_VULKAN=on")),
)
"""A file that exists where a driver is loaded, the fastest backend first."""
_METAL = Possible("metal", "Apple", "-DGGML_METAL=on")


def possible(root: Path = Path("/"), system: str = platform.system()) -> list[Possible]:
    """Return the GPU backends that llama.cpp could have on this machine, the fastest first."""
    found = [_METAL] if system == "Darwin" else []
    found += [backend for path, backend in _DRIVERS if (root / path.lstrip("/")).exists()]
    return list(dict.fromkeys(found))


def missing(identity: EngineIdentity) -> str:
    """Return why fewer layers are on a GPU than were asked for, and what to do; "" where nothing is missing.

    To ask for all layers is the default, so on a machine without any GPU nothing is missing then.
    """
    return explained(identity, devices.gpu_backends(), possible())


def explained(identity: EngineIdentity, backends: Iterable[str], could: Iterable[Possible]) -> str:
    """Return the sentence for `missing`, from the backends that are built in and those that are possible."""
    wanted, done, built = identity.gpu_layers_wanted, identity.gpu_layers_offloaded, list(backends)
    every = identity.offloadable
    asked = every if wanted == "all" else min(int(wanted), every)
    best = next(iter(could), None)
    if kept := identity.options.get("experts_on_cpu"):
        return f"the experts of {kept} layers stay on the processor: the GPU's memory holds no more beside the cache"
    if done >= asked or (wanted == "all" and not done and not built and best is None):
        return ""
    if done or identity.gpus:
        return f"{done or 'none'} of {asked} layers are on a GPU: its memory holds no more beside the cache"
    return _nothing(wanted, built, best)


def foreseen(wanted: int | str) -> str:
    """Return, before a model is loaded, why not one of the `wanted` layers will be on a GPU; "" where that is not so.

    Raises ModelError where llama.cpp cannot be asked for its devices.
    """
    built, best = devices.gpu_backends(), next(iter(possible()), None)
    if not wanted or not devices.installed() or devices.gpus() or (wanted == "all" and not built and best is None):
        return ""
    return _nothing(str(wanted), built, best)


def _nothing(wanted: str, built: Sequence[str], best: Possible | None) -> str:
    """Return why no layer is on a GPU, by the backends that are built in and the best that is possible."""
    start = f"no layer is on a GPU, though {wanted} were asked for"
    if not built:
        flag = best.flag if best else "-DGGML_VULKAN=on"
        return f"{start}: llama.cpp was built without a GPU backend; {devices.install_command(flag)}"
    hidden = [name for name in SELECTING if name in os.environ]
    why = f"does {hidden[0]} name one that exists?" if hidden else "is its driver installed?"
    return f"{start}: llama.cpp, built with {', '.join(built)}, finds no GPU; {why}"
