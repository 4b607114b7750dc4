"""The bench machine, as far as it can change a result or its price."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from publisher import __version__
from publisher.schema import MachineIdentity

_INSTRUCTIONS = ("sse4_2", "avx", "avx2", "avx512", "amx", "fma", "f16c", "avx_vnni", "asimd", "sve", "i8mm", "bf16")


def identify() -> MachineIdentity:
    """Return what this machine is; what cannot be found out is an empty string or 0."""
    return MachineIdentity(
        cpu=_cpu_field("model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        gpu=", ".join(gpus()),
        memory=_memory(),
        system=_system(),
        python=platform.python_version(),
        publisher=__version__,
    )


@dataclass(frozen=True, slots=True)
class Card:
    """An NVIDIA GPU: its name for CUDA_VISIBLE_DEVICES, its product name, and its memory in bytes."""

    index: str
    name: str
    memory: int


def gpus() -> list[str]:
    """Return the product names of the NVIDIA GPUs, or nothing where there is no driver."""
    return [card.name for card in _cards()]


def visible_gpus() -> list[Card]:
    """Return the NVIDIA GPUs that CUDA would show to a process started from here."""
    cards = _cards()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(cards)
    known = {card.index: card for card in cards}
    wanted = [name.strip() for name in chosen.split(",")]
    # A GPU may also be named by its UUID; then nobody but CUDA knows which it is, and one engine sees them all.
    return [known[name] for name in wanted] if all(name in known for name in wanted) else []


@functools.cache
def _cards() -> tuple[Card, ...]:
    """Ask the driver's own program once; it takes longer than all else here."""
    command = ["nvidia-smi", "--query-gpu=index,memory.total,name", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    rows = [line.split(",", 2) for line in done.stdout.splitlines() if line.count(",") >= 2]
    found = [[part.strip() for part in row] for row in rows] if done.returncode == 0 else []
    return tuple(Card(index, name, int(memory) << 20 if memory.isdigit() else 0) for index, memory, name in found)


def cores() -> int:
    """Return how many processors this process may use, a container's limit included."""
    processors = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return processors
    return max(1, min(processors, int(quota) // int(period))) if quota.isdigit() else processors


def instructions() -> list[str]:
    """Return the instruction sets that decide which kernels llama.cpp takes, hence how sums are rounded."""
    flags = (_cpu_field("flags") or _cpu_field("Features")).split()
    return [platform.machine(), *sorted(flag for flag in flags if flag.startswith(_INSTRUCTIONS))]


def _cpu_field(name: str) -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _memory() -> int:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


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
