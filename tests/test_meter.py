from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from publisher.engine import nvidia
from publisher.engine.meter import Meter

if TYPE_CHECKING:
    from pathlib import Path


def package(folder: Path, microjoules: int) -> Path:
    """Write what the kernel shows of a processor package, and of a part of it that must not count twice."""
    for name in ("intel-rapl:0", "intel-rapl:0:0"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "energy_uj").write_text(f"{microjoules}\n")
        (folder / name / "max_energy_range_uj").write_text("10000000\n")
    return folder


def test_joules_are_counted_from_the_start(tmp_path: Path) -> None:
    """Only what was used since then counts, and each package once."""
    meter = Meter(package(tmp_path, 1_000_000))
    package(tmp_path, 3_500_000)
    assert meter.joules()["energy_cpu_joules"] == 2.5


def test_a_counter_may_begin_anew(tmp_path: Path) -> None:
    """A counter that wrapped around gives no negative energy."""
    meter = Meter(package(tmp_path, 9_000_000))
    package(tmp_path, 500_000)
    assert meter.joules()["energy_cpu_joules"] == 1.5


def test_a_machine_that_does_not_tell_gives_nothing(tmp_path: Path) -> None:
    """Without a readable counter there is no figure."""
    assert "energy_cpu_joules" not in Meter(tmp_path).joules()


def test_a_machine_without_an_nvidia_driver_has_no_cards() -> None:
    """There the driver's library is not even looked for: importing its binding takes longer than starting an engine."""
    if any(path.exists() for path in nvidia._DRIVERS):
        pytest.skip("this machine has an NVIDIA driver")
    code = "import sys; from publisher.engine import nvidia; print(len(nvidia.names()), nvidia.millijoules())"
    code += "; print('pynvml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "None", "False"]
