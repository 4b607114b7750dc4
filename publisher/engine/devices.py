"""The devices that llama.cpp itself finds on this machine, whatever their vendor; asked in a short-lived child process.

The child is confined like an engine and sees the same environment, so that it finds exactly the devices that an engine
will find. A build of llama.cpp without any GPU backend is not asked: the answer is known, and a child takes 0.3 s.
"""

from __future__ import annotations

import functools
import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from publisher import confine
from publisher.engine import nvidia
from publisher.engine.process import child_environment
from publisher.engine.protocol import Device, Library, usable
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT = 120.0
"""Seconds that llama.cpp may take to find its devices."""
_HOST_BACKENDS = ("base", "cpu", "blas")
"""Parts of ggml that calculate on the processor, by the names of their libraries."""


def ask() -> Library:
    """Return what llama.cpp says about itself and its devices; raises ModelError where it cannot be loaded."""
    confine.hide()
    command = [sys.executable, "-P", "-s", "-m", "publisher.engine.child.probe"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=child_environment(), timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"llama.cpp did not start within {TIMEOUT:g} seconds", hint=_PORTABLE) from error
    try:
        return msgspec.json.decode(done.stdout, type=Library)
    except msgspec.MsgspecError as error:
        raise _failure(done) from error


@functools.cache
def gpus() -> tuple[Device, ...]:
    """Return the GPUs that engines calculate on, with their drivers; raises ModelError where llama.cpp cannot be asked.

    ggml tells no driver's version: Vulkan's come from its loader, those of NVIDIA's cards from NVML.
    """
    found = usable(ask().devices) if gpu_backends() else []
    return tuple(msgspec.structs.replace(device, driver=device.driver or _nvidia_driver(device)) for device in found)


def _nvidia_driver(device: Device) -> str:
    """Return the version of NVIDIA's driver where it drives a device; "" otherwise."""
    return nvidia.driver(device.pci) if device.pci or device.backend == "CUDA" else ""


def installed() -> bool:
    """Return whether there is a llama.cpp for Python at all."""
    return importlib.util.find_spec("llama_cpp") is not None


def gpu_backends() -> list[str]:
    """Return the GPU backends that the installed llama.cpp was built with, such as "cuda"."""
    spec = importlib.util.find_spec("llama_cpp")
    folders = spec.submodule_search_locations if spec else None
    return backends_in(Path(folder) / "lib" for folder in folders or ())


def backends_in(folders: Iterable[Path]) -> list[str]:
    """Return the backends, other than those of the processor, whose libraries are in some folders."""
    names = {
        path.name.removeprefix("libggml-").split(".")[0] for folder in folders for path in folder.glob("libggml-*")
    }
    return sorted(name for name in names if not name.startswith(_HOST_BACKENDS))


def deciding() -> list[str]:
    """Return what of the GPUs decides a sample's text: backend, product, memory and the driver's version.

    Cards of one product come with different memory. The number of a device decides nothing. What an engine chooses by
    the memory that is free is in its own options: samples are shared where these are equal.
    """
    return [deciding_part(device) for device in gpus()]


def deciding_part(device: Device) -> str:
    """Return what of one GPU decides a sample's text."""
    driver = f", driver {device.driver}" if device.driver else ", driver unknown"
    return f"{device.backend}: {device.description}, {device.memory >> 20} MiB{driver}"


def names() -> list[str]:
    """Return the product names of the GPUs: those that llama.cpp finds, otherwise those that NVIDIA's driver has."""
    return [device.description for device in gpus()] or list(nvidia.names())


def install_command(flag: str = "-DGGML_CUDA=on") -> str:
    """Return the command that rebuilds llama-cpp-python with a backend."""
    wanted = "'llama-cpp-python==0.3.36'"
    return f'CMAKE_ARGS="{flag}" pip install --force-reinstall --no-deps --no-cache-dir --no-binary :all: {wanted}'


_PORTABLE = install_command("-DGGML_NATIVE=OFF")


def _failure(done: subprocess.CompletedProcess[bytes]) -> ModelError:
    """Return the reason why llama.cpp could not answer, and what to do."""
    last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
    if "No module named 'llama_cpp'" in last:
        return ModelError("llama-cpp-python is not installed", hint="pip install 'snapshot-publisher[bench]'")
    if done.returncode == -signal.SIGILL:
        return ModelError("llama.cpp was compiled for another processor", hint=_PORTABLE)
    return ModelError(f"llama.cpp cannot be loaded: {last[:300]}", hint=_PORTABLE)
