"""The energy that a run takes and how its GPUs fare, where the processor or the GPU's driver tells.

The parent counts it: Linux shows the processor's counter (RAPL) to root alone, and an engine's process never is root.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from publisher.engine import nvidia

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.engine.nvidia import Reading

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Counts from its creation on: joules of processor packages (RAPL) and of NVIDIA GPUs, and how those GPUs fare."""

    def __init__(self, gpus: Mapping[str, str] | None = None, powercap: Path = POWERCAP) -> None:
        """Count for the GPUs that a run uses: their names in llama.cpp by PCI bus id."""
        self._gpus = {nvidia.pci_id(pci): name for pci, name in (gpus or {}).items()}
        # "intel-rapl:0" is a package; "intel-rapl:0:1" is a part of it and would count twice.
        self._packages = [path for path in sorted(powercap.glob("*-rapl:*")) if path.name.count(":") == 1]
        self._start = {path: value for path in self._packages if (value := _number(path / "energy_uj")) is not None}
        self._gpu_start = nvidia.millijoules(self._gpus)
        self._looks: dict[str, list[Reading]] = {}

    def look(self) -> None:
        """Take in how the GPUs fare now; call it now and then while the run lasts."""
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
        """Return the joules since the start, per kind of device that tells."""
        found: dict[str, float] = {}
        if self._start:
            found["energy_cpu_joules"] = sum(_since(path, start) for path, start in self._start.items()) / 1e6
        now = nvidia.millijoules(self._gpus)
        if self._gpu_start is not None and now is not None:
            found["energy_gpu_joules"] = (now - self._gpu_start) / 1e3
        return found


def _mean(name: str, values: list[float | None]) -> dict[str, float]:
    """Return the mean of the known values by a name; nothing where none is known."""
    known = [value for value in values if value is not None]
    return {name: round(sum(known) / len(known), 3)} if known else {}


def _since(path: Path, start: int) -> int:
    """Return a package's microjoules since `start`; its counter starts again from 0 after its largest value."""
    now = _number(path / "energy_uj") or start
    return now - start if now >= start else now - start + (_number(path / "max_energy_range_uj") or 0)


def _number(path: Path) -> int | None:
    """Return the number in a file; None where it cannot be read."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
