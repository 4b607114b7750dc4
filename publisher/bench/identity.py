"""Who calculated: llama.cpp's build, its devices, and every switch that can change a bit of the result."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import resource
from typing import TYPE_CHECKING, Any

import numpy as np

from publisher.bench import binding
from publisher.bench.binding import function, llama
from publisher.bench.sampling import narrows
from publisher.schema import EngineIdentity

if TYPE_CHECKING:
    from publisher.bench.model import Log, Model
    from publisher.bench.protocol import EngineOptions
    from publisher.bench.sizing import Size

GPU_KINDS = {1: "GPU", 2: "IGPU"}


def describe(options: EngineOptions, size: Size, model: Model, log: Log, *, experts: bool) -> EngineIdentity:
    """Return the identity of a loaded engine; `experts` says that the model is a mixture of experts."""
    offloaded, _ = log.offloaded()
    found = devices()
    return EngineIdentity(
        name="llama.cpp",
        version=binding.version(),
        build=build(),
        backend=_backend(found, offloaded),
        devices=[f"{device['name']}: {device['description']}" for device in found],
        gpu_layers_wanted=str(options.gpu_layers),
        gpu_layers_offloaded=offloaded,
        layers=model.layers,
        mode=options.mode,
        context=size.context,
        slots=size.slots,
        threads=size.threads,
        batch=size.batch,
        system_info=system_info(),
        options=_options(options, size, model, experts=experts),
    )


def _options(options: EngineOptions, size: Size, model: Model, *, experts: bool) -> dict[str, str]:
    """Return the switches that decide a sample's bits; slots and threads only where they do.

    A mixture of experts multiplies the rows of each expert together, so how many those are depends on the company.
    """
    reproducible = options.mode == "reproducible"
    switches = {
        "extra_bufts": "off" if reproducible else "on",
        "flash_attention": "on" if size.flash else "off",
        "isa": system_info(),
        "kv_type": options.kv_type,
        "kv_unified": "on" if size.unified else "off",
        "library": library_digest(),
        "prompt_piece": str(size.batch),
        "sampler": f"numpy {np.__version__}" if narrows(options.sampling, model.tokens) else "cpu",
        "tiled_mm": "forced" if reproducible else "auto",
    }
    if not reproducible or size.gpu or size.flash or experts:
        # Here the shape of a batch reaches into the arithmetic.
        switches |= {"slots": str(size.slots), "threads": str(size.threads), "n_ubatch": str(size.batch)}
    return switches


def _backend(found: list[dict[str, Any]], offloaded: int) -> str:
    """Return the name of what does the calculation."""
    graphics = [device for device in found if device["kind"] in GPU_KINDS.values()]
    return str(graphics[0]["name"]).rstrip("0123456789") if graphics and offloaded else "CPU"


def build() -> str:
    """Return ggml's version and the commit it was built from."""
    version, commit = _text("ggml_version"), _text("ggml_commit")
    return f"ggml {version} ({commit})"


def system_info() -> str:
    """Return the instruction sets and features that llama.cpp was built with and found."""
    return " ".join(llama.llama_print_system_info().decode("utf-8", "replace").split())


@functools.cache
def library_digest() -> str:
    """Return one digest of the shared libraries' bytes."""
    digest = hashlib.sha256()
    for path in sorted(binding.FOLDER.glob("lib*.so")):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def devices() -> list[dict[str, Any]]:
    """Return the devices that llama.cpp can calculate on, with their memory in bytes."""
    count = function("ggml_backend_dev_count", ctypes.c_size_t)()
    return [_device(index) for index in range(count)]


def _device(index: int) -> dict[str, Any]:
    """Return the facts of one device."""
    handle = function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)(index)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    sizes = ctypes.POINTER(ctypes.c_size_t)
    measure = function("ggml_backend_dev_memory", None, ctypes.c_void_p, sizes, sizes)
    measure(handle, ctypes.byref(free), ctypes.byref(total))
    kind = function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(handle)
    return {
        "name": _text("ggml_backend_dev_name", handle),
        "description": _text("ggml_backend_dev_description", handle),
        "kind": GPU_KINDS.get(kind, "CPU" if kind == 0 else "ACCEL"),
        "memory": total.value,
        "free": free.value,
    }


def _text(name: str, *arguments: Any) -> str:
    """Return the text that a function of ggml answers."""
    answer = function(name, ctypes.c_char_p, *[ctypes.c_void_p for _ in arguments])(*arguments)
    return answer.decode("utf-8", "replace") if answer else ""


def gpu_memory() -> int:
    """Return the bytes in use on the GPUs, by whatever process."""
    return sum(device["memory"] - device["free"] for device in devices() if device["kind"] in GPU_KINDS.values())


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had in use."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
