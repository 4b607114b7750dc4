from __future__ import annotations

import json
import os
import re
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
    meter = Meter(powercap=package(tmp_path, 1_000_000))
    package(tmp_path, 3_500_000)
    assert meter.joules()["energy_cpu_joules"] == 2.5


def test_a_counter_may_begin_anew(tmp_path: Path) -> None:
    """A counter that wrapped around gives no negative energy."""
    meter = Meter(powercap=package(tmp_path, 9_000_000))
    package(tmp_path, 500_000)
    assert meter.joules()["energy_cpu_joules"] == 1.5


def test_a_machine_that_does_not_tell_gives_nothing(tmp_path: Path) -> None:
    """Without a readable counter there is no figure."""
    assert "energy_cpu_joules" not in Meter(powercap=tmp_path).joules()


def test_a_machine_without_an_nvidia_driver_has_no_cards() -> None:
    """There the driver's library is not even looked for: importing its binding takes longer than starting an engine."""
    if any(path.exists() for path in nvidia._DRIVERS):
        pytest.skip("this machine has an NVIDIA driver")
    code = "import sys; from publisher.engine import nvidia"
    code += "; print(len(nvidia.names()), nvidia.millijoules(['0000:c1:00.0']))"
    code += "; print('pynvml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "None", "False"]


NVML = r"""
#include <string.h>
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
static unsigned long long asked[2];
int nvmlInitWithFlags(unsigned f) { return 0; }
int nvmlSystemGetDriverVersion(char *to, unsigned n) { strcpy(to, "570.86.10"); return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **h) { *h = (void *)(unsigned long)(i + 1); return 0; }
int nvmlDeviceGetName(void *h, char *to, unsigned n) { strcpy(to, "NVIDIA H200"); return 0; }
int nvmlDeviceGetPciInfo_v3(void *h, Pci *to) {
  memset(to, 0, sizeof *to);
  strcpy(to->bus_id, (long)h == 1 ? "00000000:0A:00.0" : "00000000:C1:00.0");
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void *h, unsigned long long *mj) {
  *mj = (long)h == 1 ? 900000 * ++asked[0] : 5000 + 2500 * asked[1]++;
  return 0;
}
int nvmlDeviceGetPowerUsage(void *h, unsigned *mw) { *mw = 350500; return 0; }
int nvmlDeviceGetTemperature(void *h, int sensor, unsigned *c) { static int t = 60; *c = t++; return 0; }
int nvmlDeviceGetClockInfo(void *h, int kind, unsigned *mhz) { return 3; }
int nvmlDeviceGetUtilizationRates(void *h, unsigned *to) { to[0] = 80; to[1] = 10; return 0; }
const char *nvmlErrorString(int code) { return "not supported"; }
"""
"""A driver's library with two cards, the second of which has a clock that it does not tell."""
ASKED = """
import json, sys
from pathlib import Path
from publisher.engine import nvidia
from publisher.engine.meter import Meter
nvidia._DRIVERS = (Path("/"),)
meter = Meter({"0000:c1:00.0": "CUDA0"}, Path("/nowhere"))
meter.look(); meter._looked = 0.0; meter.look(); meter.look()
drivers = [nvidia.driver(), nvidia.driver("0000:c1:00.0"), nvidia.driver("0000:05:00.0")]
print(json.dumps([nvidia.names(), drivers, meter.figures()]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a stand-in for the library of NVIDIA's driver and give its folder."""
    folder = tmp_path_factory.mktemp("nvml")
    (folder / "nvml.c").write_text(NVML)
    command = ["cc", "-shared", "-fPIC", "-w", "-o", str(folder / "libnvidia-ml.so.1"), str(folder / "nvml.c")]
    subprocess.run(command, check=True)
    return folder


def test_only_the_cards_of_a_run_count(library: Path) -> None:
    """Cards are matched by PCI id, whatever their order; what a card does not tell is left out."""
    environment = os.environ | {"LD_LIBRARY_PATH": str(library)}
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True, env=environment)
    names, drivers, figures = json.loads(done.stdout)
    assert names == ["NVIDIA H200", "NVIDIA H200"]
    assert drivers == ["570.86.10", "570.86.10", ""]
    assert figures == {
        "energy_gpu_joules": 2.5,
        "gpu_utilisation": 0.8,
        "gpu_watts.CUDA0": 350.5,
        "gpu_celsius.CUDA0": 61.0,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00000000:C1:00.0", "0000:c1:00.0"),
        ("0000:c1:00.0", "0000:c1:00.0"),
        ("00010000:0A:1F.7", "10000:0a:1f.7"),
        ("", ""),
        ("c1:00.0", ""),
    ],
)
def test_a_bus_id_has_one_form(text: str, expected: str) -> None:
    """llama.cpp and NVML write it differently."""
    assert nvidia.pci_id(text) == expected


@pytest.mark.parametrize("later", ["", "x", "-7", None])
def test_a_counter_that_ends_gives_nothing(tmp_path: Path, later: str | None) -> None:
    """No energy is unknown, not 0: a figure of 0 joules per answer would look like a saving."""
    meter = Meter(powercap=package(tmp_path, 1_000_000))
    if later is None:
        (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    else:
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text(later)
    assert meter.joules() == {}


def test_one_package_of_two_is_no_figure(tmp_path: Path) -> None:
    """Half the processors' energy is not the machine's."""
    package(tmp_path, 1_000_000)
    (tmp_path / "intel-rapl:1").mkdir()
    meter = Meter(powercap=tmp_path)
    package(tmp_path, 3_500_000)
    assert meter.joules() == {}


PARTLY = """
from pathlib import Path
from publisher.engine import nvidia
from publisher.engine.meter import Meter
nvidia._DRIVERS = (Path("/"),)
print(Meter({"0000:c1:00.0": "CUDA0", "0000:05:00.0": "Vulkan1"}, Path("/nowhere")).joules())
print(Meter({"0000:c1:00.0": "CUDA0", "": "Vulkan1"}, Path("/nowhere")).joules())
import sys
sys.modules["pynvml"] = None
nvidia._opened.cache_clear()
print([*nvidia.names(), nvidia.driver(), nvidia.driver("0000:c1:00.0")])
"""


def test_a_card_that_does_not_tell_makes_the_energy_unknown(library: Path) -> None:
    """The sum over some of a run's cards is none; without NVML's binding there are no cards, and no error."""
    environment = os.environ | {"LD_LIBRARY_PATH": str(library)}
    done = subprocess.run([sys.executable, "-c", PARTLY], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["{}", "{}", "['', '']"]


HANGS = """
import time
from pathlib import Path
from publisher.engine import nvidia
from publisher.engine.meter import Meter
nvidia._DRIVERS, nvidia.DEADLINE = (Path("/"),), 0.2
begun = time.monotonic()
meter = Meter({"0000:c1:00.0": "CUDA0"}, Path("/nowhere"))
meter.look()
print([meter.figures(), *nvidia.names(), nvidia.driver()], time.monotonic() - begun < 5)
"""


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", "nvmlDeviceGetTotalEnergyConsumption"])
def test_a_driver_that_does_not_answer_makes_everything_unknown(library: Path, tmp_path: Path, call: str) -> None:
    """The one deadline is waited for once, nothing is made up, and the process ends while the call still hangs."""
    source = (library / "nvml.c").read_text().replace("#include <string.h>", "#include <string.h>\n#include <unistd.h>")
    (tmp_path / "nvml.c").write_text(re.sub(rf"(int {call}\([^)]*\) {{)", r"\1 sleep(600);", source))
    compiled = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", str(compiled), str(tmp_path / "nvml.c")], check=True)
    done = subprocess.run(
        [sys.executable, "-c", HANGS],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
        timeout=60,
    )
    assert done.stdout == "[{}, ''] True\n", done.stdout + done.stderr
