"""NVIDIA's GPUs as their driver's own library (NVML) knows them; none where there is no driver.

NVML is opened once per process: opening it takes longer than everything that is asked of it.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Any

_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""One of these exists where a driver is loaded: on Linux, and on Linux inside Windows."""


@functools.cache
def names() -> tuple[str, ...]:
    """Return the GPUs' product names, in NVML's order."""
    nvml, handles = _opened()
    return tuple(str(nvml.nvmlDeviceGetName(handle)) for handle in handles)


def driver() -> str:
    """Return the driver's version; "" where there is none."""
    nvml, handles = _opened()
    return str(nvml.nvmlSystemGetDriverVersion()) if handles else ""


def millijoules() -> int | None:
    """Return what all GPUs have used since their driver was loaded; None where none of them tells."""
    nvml, handles = _opened()
    known = []
    for handle in handles:
        with contextlib.suppress(nvml.NVMLError):
            known.append(int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)))
    return sum(known) if known else None


def utilisation() -> float | None:
    """Return the share of the last moment, from 0 to 1, for which the GPUs were busy; None where none tells."""
    nvml, handles = _opened()
    known = []
    for handle in handles:
        with contextlib.suppress(nvml.NVMLError):
            known.append(float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100)
    return sum(known) / len(known) if known else None


@functools.cache
def _opened() -> tuple[Any, tuple[Any, ...]]:
    """Open NVML for good and return its module and a handle per GPU; no handles where there is no driver."""
    if not any(path.exists() for path in _DRIVERS):
        return None, ()  # importing the module takes longer than starting an engine
    import pynvml  # noqa: PLC0415 - for the reason above

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        return pynvml, tuple(pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count))
    except pynvml.NVMLError:
        return pynvml, ()
