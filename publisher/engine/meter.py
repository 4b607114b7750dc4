"""The energy that a run takes and how busy its GPUs are, where the processor or the GPU's driver tells.

The parent counts it: Linux shows the processor's counter (RAPL) to root alone, and an engine's process never is root.
"""

from __future__ import annotations

from pathlib import Path

from publisher.engine import nvidia

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Counts from its creation on: joules of processor packages (RAPL) and NVIDIA GPUs, and how busy those GPUs are."""

    def __init__(self, powercap: Path = POWERCAP) -> None:
        # "intel-rapl:0" is a package; "intel-rapl:0:1" is a part of it and would count twice.
        self._packages = [path for path in sorted(powercap.glob("*-rapl:*")) if path.name.count(":") == 1]
        self._start = {path: value for path in self._packages if (value := _number(path / "energy_uj")) is not None}
        self._gpu_start = nvidia.millijoules()
        self._looks: list[float] = []

    def look(self) -> None:
        """Take in how busy the GPUs are now; call it now and then while the run lasts."""
        share = nvidia.utilisation()
        if share is not None:
            self._looks.append(share)

    def figures(self) -> dict[str, float]:
        """Return the joules since the start, and the mean share of time for which the GPUs were busy."""
        busy = {"gpu_utilisation": sum(self._looks) / len(self._looks)} if self._looks else {}
        return self.joules() | busy

    def joules(self) -> dict[str, float]:
        """Return the joules since the start, per kind of device that tells."""
        found: dict[str, float] = {}
        if self._start:
            found["energy_cpu_joules"] = sum(_since(path, start) for path, start in self._start.items()) / 1e6
        now = nvidia.millijoules()
        if self._gpu_start is not None and now is not None:
            found["energy_gpu_joules"] = (now - self._gpu_start) / 1e3
        return found


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
