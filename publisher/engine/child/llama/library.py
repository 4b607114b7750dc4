"""What llama.cpp says about itself: its build, its instruction sets, its libraries' digest and its devices."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from typing import Any

from publisher.engine.child.llama import binding
from publisher.engine.child.llama.binding import function, llama

GPU_KINDS = {1: "GPU", 2: "IGPU"}


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
    """Return the text that a function of ggml returns."""
    answer = function(name, ctypes.c_char_p, *[ctypes.c_void_p for _ in arguments])(*arguments)
    return answer.decode("utf-8", "replace") if answer else ""


def gpu_memory() -> int:
    """Return the bytes in use on the GPUs, by all processes."""
    return sum(device["memory"] - device["free"] for device in devices() if device["kind"] in GPU_KINDS.values())
