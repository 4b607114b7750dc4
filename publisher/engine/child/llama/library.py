"""What llama.cpp says about itself: its build, its instruction sets, its libraries' digest and its devices."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from typing import TYPE_CHECKING, Any

from publisher.engine.child.llama import binding, vulkan
from publisher.engine.child.llama.binding import function, llama
from publisher.engine.protocol import GPU_KINDS, Device, usable
from publisher.errors import ModelError
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from publisher.engine.protocol import EngineOptions

_LONGEST = 256
"""Characters of a device's name, as in Vulkan."""
_KINDS = {0: "CPU", 1: "GPU", 2: "IGPU"}


class _Properties(ctypes.Structure):
    """`ggml_backend_dev_props`; its last member, the capabilities, is only room for more than it has today."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("free", ctypes.c_size_t),
        ("memory", ctypes.c_size_t),
        ("kind", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("capabilities", ctypes.c_ubyte * 64),
    )


def build() -> str:
    """Return ggml's version and the commit it was built from."""
    version, commit = _text("ggml_version"), _text("ggml_commit")
    return f"ggml {version} ({commit})"


def system_info() -> str:
    """Return the instruction sets and features that llama.cpp was built with and that it found."""
    return " ".join(llama.llama_print_system_info().decode("utf-8", "replace").split())


@functools.cache
def library_digest() -> str:
    """Return one SHA-256 of all shared libraries."""
    digest = hashlib.sha256()
    for path in sorted(binding.FOLDER.glob("lib*.so")):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def devices() -> list[Device]:
    """Return the devices that llama.cpp can calculate on, with their memory in bytes."""
    return [device(handle) for handle in _handles()]


def chosen(options: EngineOptions) -> list[int]:
    """Return the addresses of the GPUs that an engine is to use: none where no layer is wanted there.

    To ask a GPU for its memory takes a part of it, so GPUs that are not used are not asked.
    """
    if not options.gpu_layers:
        return []
    return handles(options.gpus or [device.name for device in usable(devices())])


def handles(names: Sequence[str]) -> list[int]:
    """Return the addresses of the devices with these names; ModelError where llama.cpp has one of them no more."""
    known = {_text("ggml_backend_dev_name", handle): handle for handle in _handles()}
    lost = [name for name in names if name not in known]
    if lost:
        raise ModelError(
            f"llama.cpp finds no device {lost[0]} any more; it has {', '.join(known)}",
            hint="publisher doctor --engine  shows the devices of this machine",
        )
    return [known[name] for name in names]


def _handles() -> list[int]:
    """Return the addresses of all devices, in llama.cpp's order."""
    count = function("ggml_backend_dev_count", ctypes.c_size_t)()
    return [function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)(index) for index in range(count)]


def processors() -> list[str]:
    """Return the devices that are no GPUs, by name and product."""
    kind = function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    found = [device(handle) for handle in _handles() if _KINDS.get(kind(handle)) not in GPU_KINDS]
    return [f"{one.name}: {one.description}" for one in found]


def device(handle: int) -> Device:
    """Return the facts of the device at an address, with what is free on it now."""
    found = _Properties()
    pointer = ctypes.POINTER(_Properties)
    function("ggml_backend_dev_get_props", None, ctypes.c_void_p, pointer)(handle, ctypes.byref(found))
    registry = function("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)(handle)
    backend, description = _text("ggml_backend_reg_name", registry), product(_decoded(found.description))
    pci = _decoded(found.device_id)
    return Device(
        name=_decoded(found.name),
        description=description,
        kind=_KINDS.get(found.kind, "ACCEL"),
        memory=found.memory,
        free=found.free,
        backend=backend,
        pci=pci,
        driver=vulkan.driver_of(_decoded(found.description), pci, vulkan.drivers()) if backend == "Vulkan" else "",
    )


def product(text: str) -> str:
    """Return the name that a driver gives its device as one short line: it is printed, stored and published."""
    return " ".join(visible(text[:_LONGEST]).split())


def _text(name: str, *arguments: Any) -> str:
    """Return the text that a function of ggml returns."""
    return _decoded(function(name, ctypes.c_char_p, *[ctypes.c_void_p for _ in arguments])(*arguments))


def _decoded(text: bytes | None) -> str:
    return text.decode("utf-8", "replace") if text else ""


def free(gpus: Sequence[int], allocated: Mapping[str, int]) -> int:
    """Return the bytes that are free on some GPUs.

    Some drivers do not tell what is in use. What llama.cpp has `allocated` there, by the GPU's name, is gone anyway.
    """
    found = [device(gpu) for gpu in gpus]
    return sum(min(one.free, one.memory - allocated.get(one.name, 0)) for one in found)


def in_use(gpus: Sequence[int], allocated: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes in use on each of some GPUs, by all processes, by the GPU's name; at least those `allocated`."""
    found = [device(gpu) for gpu in gpus]
    return {one.name: max(one.memory - one.free, allocated.get(one.name, 0)) for one in found}
