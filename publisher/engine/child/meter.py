"""What a run costs beside time: energy, where the processor or the GPU driver counts it, and GPU memory."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
_NVML = "libnvidia-ml.so.1"


class EnergyMeter:
    """Counts joules from its making on: processor packages (RAPL) and NVIDIA GPUs, as far as they can be read."""

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._packages = [path for path in sorted(powercap.glob("*-rapl:*")) if path.name.count(":") == 1]
        self._start = {path: value for path in self._packages if (value := _number(path / "energy_uj")) is not None}
        self._gpu_start = _gpu_millijoules()

    def joules(self) -> dict[str, float]:
        """Return the joules since the start, for each kind of device that tells."""
        found: dict[str, float] = {}
        if self._start:
            found["energy_cpu_joules"] = sum(_since(path, start) for path, start in self._start.items()) / 1e6
        now = _gpu_millijoules()
        if self._gpu_start is not None and now is not None:
            found["energy_gpu_joules"] = (now - self._gpu_start) / 1e3
        return found


def _since(path: Path, start: int) -> int:
    """Return a package's microjoules since `start`; its counter may have begun anew in between."""
    now = _number(path / "energy_uj") or start
    return now - start if now >= start else now - start + (_number(path / "max_energy_range_uj") or 0)


def _number(path: Path) -> int | None:
    """Return the number in a file, or None where it cannot be read."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _gpu_millijoules() -> int | None:
    """Return what all NVIDIA GPUs have used since their driver was loaded; None where no driver tells."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_NVML)
        if library.nvmlInit_v2() != 0:
            return None
        count = ctypes.c_uint()
        library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        values = [_one_gpu(library, index) for index in range(count.value)]
        library.nvmlShutdown()
        known = [value for value in values if value is not None]
        return sum(known) if known else None
    return None


def _one_gpu(library: ctypes.CDLL, index: int) -> int | None:
    """Return one GPU's millijoules."""
    handle, energy = ctypes.c_void_p(), ctypes.c_ulonglong()
    if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != 0:
        return None
    return energy.value if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(energy)) == 0 else None
