"""How busy the machine is with work that is not ours while a run lasts."""

from __future__ import annotations

import time
from typing import Any


class OtherLoad:
    """Counts the processor time that programs other than this process and its children use, from its creation on."""

    def __init__(self) -> None:
        self._begun, self._all, self._own = time.monotonic(), _all_seconds(), _own_seconds()

    def processors(self) -> float:
        """Return how many processors other programs have kept busy, on average."""
        elapsed = max(1e-3, time.monotonic() - self._begun)
        others = (_all_seconds() - self._all) - (_own_seconds() - self._own)
        # The two counters are read one after the other, so their difference can be a little below zero.
        return max(0.0, others / elapsed)

    def own_processors(self) -> float:
        """Return how many processors this process and its children have kept busy, on average."""
        return max(0.0, (_own_seconds() - self._own) / max(1e-3, time.monotonic() - self._begun))


def _all_seconds() -> float:
    """Return the processor time that the machine has spent on all programs; on a virtual machine, on other ones too."""
    spent = _psutil().cpu_times()
    return float(spent.user + spent.nice + spent.system + spent.irq + spent.softirq + spent.steal)


def _own_seconds() -> float:
    """Return the processor time of this process, its living children and the children that it has waited for."""
    psutil = _psutil()
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            spent = process.cpu_times()
        except psutil.Error:
            continue  # it has just ended; its time is counted when this process has waited for it
        total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def _psutil() -> Any:
    """Return the library psutil."""
    import psutil  # noqa: PLC0415 - compiled; an installation that only builds sites imports this module without it

    return psutil
