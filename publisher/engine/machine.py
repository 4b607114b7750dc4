"""The bench machine: what of it can change a result or its price."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from publisher.schema import MachineIdentity
from publisher.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTRUCTIONS = ("sse4_2", "avx", "avx2", "avx512", "amx", "fma", "f16c", "avx_vnni", "asimd", "sve", "i8mm", "bf16")


def identify(gpus: Sequence[str]) -> MachineIdentity:
    """Return what this machine is, with GPUs of these names; what cannot be found out is an empty string or 0."""
    return MachineIdentity(
        cpu=_cpu_field("model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        gpu=", ".join(gpus),
        memory=int(_memory().total),
        system=_system(),
        python=platform.python_version(),
        publisher=__version__,
    )


def cores() -> int:
    """Return how many processors this process may use, a container's limit included."""
    processors = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return processors
    return max(1, min(processors, int(quota) // int(period))) if quota.isdigit() else processors


def available_memory() -> int:
    """Return the bytes of memory that a process can still take without swapping, a container's limit included."""
    available = int(_memory().available)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return available
    return min(available, int(limit) - used) if limit.isdigit() else available


def _memory() -> Any:
    """Return psutil's figures of this machine's memory."""
    import psutil  # noqa: PLC0415 - compiled; an installation that only builds sites imports this module without it

    return psutil.virtual_memory()


def instructions() -> list[str]:
    """Return the instruction sets that decide which kernels llama.cpp uses, and so how sums are rounded.

    They are part of the generation digest: another spelling would end the reuse of every sample.
    """
    flags = (_cpu_field("flags") or _cpu_field("Features")).split()
    return [platform.machine(), *sorted(flag for flag in flags if flag.startswith(_INSTRUCTIONS))]


def _cpu_field(name: str) -> str:
    """Return a field of the first processor in /proc/cpuinfo; psutil knows neither its name nor its features."""
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return f"{name or platform.system()} ({platform.system()} {platform.release()})"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
