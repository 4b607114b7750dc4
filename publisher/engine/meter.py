"""The energy that a run takes and how its GPUs fare, where the processor or the GPU's driver tells.

The parent counts it: Linux shows the processor's counter (RAPL) to root alone, and an engine's process never is root.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.engine import nvidia

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.engine.nvidia import Reading

POWERCAP = Path("/sys/class/powercap")
_EVERY = 0.9
"""Seconds between two looks at the GPUs."""


class Meter:
    """Counts from its creation on: joules of processor packages (RAPL) and of NVIDIA GPUs, and how those GPUs fare."""

    def __init__(self, gpus: Mapping[str, str] | None = None, powercap: Path = POWERCAP) -> None:
        """Count for the GPUs that a run uses: their names in llama.cpp by PCI bus id."""
        self._gpus = {nvidia.pci_id(pci): name for pci, name in (gpus or {}).items()}
        # "intel-rapl:0" is a package; "intel-rapl:0:1" is a part of it and would count twice.
        self._packages = [path for path in sorted(powercap.glob("*-rapl:*")) if path.name.count(":") == 1]
        self._start = {path: _number(path / "energy_uj") for path in self._packages}
        self._gpu_start = nvidia.millijoules(self._gpus)
        self._looks: dict[str, list[Reading]] = {}
        self._looked = -math.inf

    def look(self) -> None:
        """Take in how the GPUs fare now; call it while the run lasts, as often as you like.

        Once a second is enough: it asks the driver, and means would otherwise follow the moments of the calls.
        """
        if time.monotonic() - self._looked < _EVERY:
            return
        self._looked = time.monotonic()
        for pci, reading in nvidia.readings(self._gpus).items():
            self._looks.setdefault(self._gpus[pci], []).append(reading)

    def figures(self) -> dict[str, float]:
        """Return the joules since the start, and how the GPUs fared.

        `gpu_utilisation` is the mean share of time for which they were busy. Each has, after a dot and its name, its
        mean power, its highest temperature and its mean clock: `gpu_watts`, `gpu_celsius`, `gpu_megahertz`.
        """
        found = self.joules()
        busy = [one.busy for looks in self._looks.values() for one in looks if one.busy is not None]
        if busy:
            found["gpu_utilisation"] = sum(busy) / len(busy)
        for name, looks in self._looks.items():
            watts, clocks = [one.watts for one in looks], [one.megahertz for one in looks]
            found |= _mean(f"gpu_watts.{name}", watts) | _mean(f"gpu_megahertz.{name}", clocks)
            degrees = [one.celsius for one in looks if one.celsius is not None]
            found |= {f"gpu_celsius.{name}": max(degrees)} if degrees else {}
        return found

    def joules(self) -> dict[str, float]:
        """Return the joules since the start, per kind of device all of which tell: a part of them is no figure."""
        found: dict[str, float] = {}
        spent = [_since(path, start) for path, start in self._start.items()]
        known = [one for one in spent if one is not None]
        if known and len(known) == len(spent):
            found["energy_cpu_joules"] = sum(known) / 1e6
        now = nvidia.millijoules(self._gpus)
        # A driver that was loaded anew counts from 0 again.
        if self._gpu_start is not None and now is not None and now >= self._gpu_start:
            found["energy_gpu_joules"] = (now - self._gpu_start) / 1e3
        return found


def _mean(name: str, values: list[float | None]) -> dict[str, float]:
    """Return the mean of the known values by a name; nothing where none is known."""
    known = [value for value in values if value is not None]
    return {name: round(sum(known) / len(known), 3)} if known else {}


def _since(path: Path, start: int | None) -> int | None:
    """Return a package's microjoules since `start`, None where they are unknown.

    Its counter starts again from 0 after its largest value.
    """
    now = _number(path / "energy_uj")
    if now is None or start is None or now >= start:
        return None if now is None or start is None else now - start
    largest = _number(path / "max_energy_range_uj")
    return now - start + largest if largest is not None and largest >= start else None


def _number(path: Path) -> int | None:
    """Return the number in a file; None where it cannot be read, or is none that a counter can have."""
    try:
        number = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return number if number >= 0 else None
