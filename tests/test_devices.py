from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from publisher.engine import devices
from publisher.engine.child.llama import library, vulkan
from publisher.engine.protocol import Device, usable
from publisher.errors import ModelError

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")


def device(name: str, description: str, **more: Any) -> Device:
    """Return a GPU as llama.cpp describes it."""
    facts = {"kind": "GPU", "memory": 2 << 30, "free": 1, "backend": name.rstrip("0123456789"), **more}
    return Device(name=name, description=description, **facts)


def test_llama_cpp_finds_the_processor() -> None:
    """The devices are llama.cpp's own, asked in a confined child."""
    found = devices.ask()
    assert "CPU" in {one.kind for one in found.devices}
    assert found.confinement.user != 0


def test_backends_are_told_by_their_libraries(tmp_path: Path) -> None:
    """A build with a GPU backend has a library for it; parts for the processor do not count."""
    for name in ("base.so", "cpu.so.0", "cpu-haswell.so", "blas.so", "vulkan.so", "vulkan.so.0.25.3", "cuda.so"):
        (tmp_path / f"libggml-{name}").touch()
    assert devices.backends_in([tmp_path]) == ["cuda", "vulkan"]
    assert devices.backends_in([tmp_path / "missing"]) == []


def test_a_build_for_the_processor_has_no_gpus() -> None:
    """Then nothing of a device enters the generation digest, whatever graphics card the machine has."""
    if devices.gpu_backends():
        pytest.skip("this llama.cpp was built with a GPU backend")
    assert devices.deciding() == []


def test_backend_product_and_driver_decide_and_number_and_memory_do_not() -> None:
    """The same card as another device or with less free memory generates the same texts."""
    first = devices.deciding_part(device("CUDA0", "NVIDIA H200", driver="570.1"))
    assert first == devices.deciding_part(device("CUDA3", "NVIDIA H200", driver="570.1", free=7, pci="0000:c1:00.0"))
    others = [
        devices.deciding_part(device("Vulkan0", "NVIDIA H200", driver="570.1")),
        devices.deciding_part(device("CUDA0", "NVIDIA H100", driver="570.1")),
        devices.deciding_part(device("CUDA0", "NVIDIA H200", driver="580.2")),
        devices.deciding_part(device("CUDA0", "NVIDIA H200", driver="570.1", memory=1 << 30)),
        devices.deciding_part(device("CUDA0", "NVIDIA H200")),
    ]
    assert len({first, *others}) == 6


def test_a_card_is_used_once_and_graphics_in_the_processor_only_alone() -> None:
    """A card that CUDA and Vulkan both drive is one device; two that one backend lists are two."""
    cuda, vulkan = device("CUDA0", "H200", pci="0000:c1:00.0"), device("Vulkan0", "H200", pci="0000:c1:00.0")
    inside = device("Vulkan1", "Radeon 780M", kind="IGPU", pci="0000:05:00.0")
    assert usable([cuda, vulkan, inside]) == [cuda]
    assert usable([vulkan, device("Vulkan1", "H200", pci="0000:c1:00.0")])[1].name == "Vulkan1"
    assert usable([inside, device("CPU", "EPYC", kind="CPU")]) == [inside]
    assert usable([]) == []


def test_a_library_that_cannot_be_loaded_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter without the package, say, is a ModelError with what to install."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'llama_cpp'\" >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(ModelError, match="not installed") as caught:
        devices.ask()
    assert "snapshot-publisher[bench]" in caught.value.hint


def test_a_vulkan_driver_is_found_by_the_bus_of_its_device() -> None:
    """Two cards of one name may have different drivers; without a bus id the name has to do, where it is enough."""
    radv, amdvlk = vulkan.Driven("AMD", "0000:03:00.0", "radv 24"), vulkan.Driven("AMD", "0000:83:00.0", "amdvlk 2025")
    both = [radv, amdvlk]
    assert vulkan.driver_of("AMD", "0000:83:00.0", both) == "amdvlk 2025"
    assert vulkan.driver_of("AMD (another spelling)", "0000:03:00.0", both) == "radv 24"
    assert vulkan.driver_of("AMD", "", both) == "", "either of them"
    assert vulkan.driver_of("AMD", "", [radv]) == "radv 24"
    assert vulkan.driver_of("llvmpipe", "", [*both, vulkan.Driven("llvmpipe", "", "Mesa 22")]) == "Mesa 22"
    assert vulkan.driver_of("AMD", "0000:c1:00.0", both) == "", "a card that no driver of Vulkan names"
    assert vulkan.driver_of("AMD", "0000:03:00.0", [radv, amdvlk._replace(pci=radv.pci)]) == "", "two for one card"


def test_a_devices_name_is_one_short_visible_line() -> None:
    """It comes from a driver, and goes to terminals, records and pages."""
    assert library.product("\x1b[31mH200\nerror: forged\u202e") == "\\x1b[31mH200 error: forged\\u202e"
    assert library.product("NVIDIA  H200 ") == "NVIDIA H200"
    assert len(library.product("x" * 10_000)) == 256
