"""The engine on a GPU: this machine's, or Mesa's software device, which is a GPU to all of ggml.

Run by `make test-gpu`. The software device takes seconds per sample, so every test asks for as little as will do.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from publisher.bench.generate import prove
from publisher.bench.plan import conditions, generation_digest
from publisher.config import parse
from publisher.engine import devices
from publisher.engine.doctor import inspect_engine, report_lines
from publisher.engine.fleet import Fleet, plan_engines
from publisher.engine.process import EngineProcess
from publisher.engine.protocol import usable
from publisher.errors import ModelError
from publisher.schema import Sampling
from tests.engines import options, requests, sampled_requests, texts
from tests.gguf_maker import BUILTIN, builtin_with_experts
from tests.measuring import CONFIG, DEFAULTS
from tests.project import Project, config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from publisher.engine.protocol import Completion, SampleRequest

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]
pytest.importorskip("llama_cpp")

LAYERS = 4
"""The builtin model's three, and the output."""
WARM = Sampling(temperature=1.0, max_tokens=12)
SLOW = 600.0
"""Seconds of silence: the software device compiles its shaders on first use."""


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make sure that ggml has a GPU, and give its name: a software device has to be asked for by number."""
    if not devices.gpu_backends():
        pytest.fail("this llama.cpp has no GPU backend: run  make test-gpu")
    devices.gpus.cache_clear()
    if not usable(devices.ask().devices):
        monkeypatch.setenv("GGML_VK_VISIBLE_DEVICES", "0")
    yield devices.gpus()[0].name
    devices.gpus.cache_clear()


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of two GPUs; one Vulkan device listed twice is two to ggml."""
    if len(devices.gpus()) < 2:
        if devices.gpus()[0].backend != "Vulkan":
            pytest.skip("this machine has one GPU, and only Vulkan lists a device twice")
        monkeypatch.setenv("GGML_VK_VISIBLE_DEVICES", "0,0")
        devices.gpus.cache_clear()
    return [device.name for device in devices.gpus()[:2]]


def on_gpu(**changes: object) -> dict[str, object]:
    """Return options that put all layers on the GPU."""
    return {"gpu_layers": "all", "slots": 2, "timeout": SLOW, "sampling": WARM, **changes}


def test_all_layers_are_on_the_device(gpu: str) -> None:
    """The record names the device, its driver and memory, what was allocated there, and the process was confined."""
    with EngineProcess(options(**on_gpu(gpus=(gpu,)))) as engine:
        found = {one.key: one.text for one in engine.generate(requests(2))}
        identity, figures = engine.identity, engine.statistics()
    assert len(found) == 2
    assert (identity.gpu_layers_offloaded, identity.offloadable) == (LAYERS, LAYERS)
    assert identity.backend == gpu.rstrip("0123456789")
    (card,) = identity.gpus
    assert (card.name, bool(card.description), bool(card.backend)) == (gpu, True, True)
    assert 0 < card.allocated <= card.memory
    assert figures[f"gpu_peak_memory.{gpu}"] >= card.allocated
    assert identity.confinement is not None
    assert identity.confinement.missing == []


def test_the_driver_of_a_vulkan_device_is_known(gpu: str) -> None:
    """Vulkan's loader tells the driver's version, which ggml does not."""
    device = devices.gpus()[0]
    if device.backend != "Vulkan":
        pytest.skip("this GPU is not driven by Vulkan")
    assert device.driver
    assert device.driver in devices.deciding()[0]
    assert device.name == gpu


def test_some_layers_are_on_the_device(gpu: str) -> None:
    """With a number of layers that many are offloaded, and the rest of the model is calculated by the processor."""
    with EngineProcess(options(**on_gpu(gpus=(gpu,), gpu_layers=2))) as engine:
        assert len(list(engine.generate(requests(1)))) == 1
        assert (engine.identity.gpu_layers_offloaded, engine.identity.gpu_layers_wanted) == (2, "2")


def test_no_layer_means_no_device(gpu: str) -> None:
    """Without offload a build with a GPU gives the very texts of the processor, and names no GPU."""
    assert gpu
    with EngineProcess(options(sampling=WARM)) as engine:
        assert engine.identity.gpus == []
        assert (engine.identity.backend, engine.identity.gpu_layers_offloaded) == ("CPU", 0)
        assert all(device.startswith("CPU") for device in engine.identity.devices)


def test_each_of_two_devices_has_an_engine(two: list[str]) -> None:
    """A model that fits on one device runs on both, once each."""
    wanted = options(**on_gpu(workload=1000))
    assert [one.gpus for one in plan_engines(wanted, 0)][:2] == [(two[0],), (two[1],)]
    with Fleet(wanted, engines=2) as fleet:
        assert len(list(fleet.generate(sampled_requests(2, 1)))) == 2
        assert [card.name for card in fleet.identity.gpus] == two
        assert all(card.allocated for card in fleet.identity.gpus)


def test_one_engine_splits_its_layers_over_two_devices(two: list[str]) -> None:
    """Both devices hold a part of the weights."""
    with EngineProcess(options(**on_gpu(gpus=tuple(two)))) as engine:
        assert len(list(engine.generate(requests(1)))) == 1
        assert engine.identity.gpu_layers_offloaded == LAYERS
        assert all(card.allocated for card in engine.identity.gpus)
        assert len(engine.identity.gpus) == 2
        assert engine.identity.options["tensor_split"] == "2/2"


def test_rows_are_split_where_the_backend_can(two: list[str]) -> None:
    """CUDA and its like share each matrix; Vulkan cannot, and one error says what to set."""
    wanted = options(**on_gpu(gpus=tuple(two), split_mode="row"))
    if devices.gpus()[0].backend == "Vulkan":
        with pytest.raises(ModelError, match="cannot split the rows") as caught, EngineProcess(wanted):
            pytest.fail("it split them")
        assert 'split_mode = "layer"' in caught.value.hint
        return
    with EngineProcess(wanted) as engine:
        assert len(list(engine.generate(requests(1)))) == 1
        assert all(card.allocated for card in engine.identity.gpus)


def test_experts_can_stay_on_the_processor(gpu: str, tmp_path: Path) -> None:
    """All layers are offloaded and the answer is the same; the device holds none of the experts that stay behind."""
    mixture = builtin_with_experts(tmp_path / "experts.gguf", 8)
    greedy = on_gpu(gpus=(gpu,), model=mixture, sampling=Sampling(max_tokens=4))
    allocated, found = [], []
    for count in (0, 3):
        with EngineProcess(options(**greedy, cpu_experts=count)) as engine:
            found += [one.text for one in engine.generate(requests(1))]
            allocated.append(engine.identity.gpus[0].allocated)
            assert engine.identity.gpu_layers_offloaded == LAYERS
            assert engine.identity.options.get("cpu_experts", "0") == str(count)
    assert found[0] == found[1]
    assert allocated[0] - allocated[1] > mixture.stat().st_size // 2


@pytest.mark.parametrize("mode", ["reproducible", "fast"])
def test_both_modes_generate_on_the_device(gpu: str, mode: str) -> None:
    """Each mode answers every request; in reproducible mode the texts are the same the second time."""
    wanted = sampled_requests(2, 1)
    changes = on_gpu(gpus=(gpu,), mode=mode, flash_attention="auto")
    found = texts(wanted, **changes)
    assert len(found) == len(wanted)
    if mode == "reproducible":
        assert texts(wanted, **changes) == found


def test_the_repeat_check_passes_and_catches_a_device_that_differs(gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are generated twice before a run; where they differ, the run ends with what to set."""
    wanted = sampled_requests(2, 1)
    with Fleet(options(**on_gpu(gpus=(gpu,), sampling=Sampling(temperature=2.0, max_tokens=24))), engines=1) as fleet:
        assert prove(fleet, wanted) == {"repeated_samples": 2.0}
        generate, times = fleet.generate, iter([0, 1])

        def differing(asked: Sequence[SampleRequest]) -> Iterator[Completion]:
            shift = next(times)
            return generate([type(one)(one.key, one.problem, one.seed + shift, one.group) for one in asked])

        monkeypatch.setattr(fleet, "generate", differing)
        with pytest.raises(ModelError, match="differently the second time") as caught:
            prove(fleet, wanted)
    assert 'mode = "fast"' in caught.value.hint


def test_a_cache_too_large_for_the_device_is_one_error(gpu: str) -> None:
    """The message says what does not fit, and the hint what to change."""
    with (
        pytest.raises(ModelError, match=r"too little memory|does not fit|no memory left") as caught,
        EngineProcess(options(**on_gpu(gpus=(gpu,), mode="fast", cells=1 << 28))),
    ):
        pytest.fail("a cache of 2^28 cells fitted")
    assert "model.context" in caught.value.hint


def test_a_device_that_has_vanished_is_one_error() -> None:
    """An engine that is told to use a device that is gone names it and those that are there."""
    with (
        pytest.raises(ModelError, match="finds no device Vulkan99 any more") as caught,
        EngineProcess(options(**on_gpu(gpus=("Vulkan99",)))),
    ):
        pytest.fail("it was found")
    assert "publisher doctor" in caught.value.hint


def test_a_device_that_vanishes_in_a_run_ends_it(gpu: str) -> None:
    """An engine whose process the driver takes with it is one error, after what was finished."""
    with EngineProcess(options(**on_gpu(gpus=(gpu,)))) as engine:
        running = engine.generate(sampled_requests(4, 1))
        assert len(list(islice(running, 1))) == 1
        engine.stop()
        with pytest.raises(ModelError, match="killed"):
            list(running)


def test_the_digests_of_device_and_processor_differ(gpu: str) -> None:
    """So no run takes over answers that the other device would not have given."""
    settings = parse(CONFIG.format(**DEFAULTS).encode())
    there = generation_digest(settings, "0" * 64, "1" * 64)
    assert conditions(settings)["gpus"] == devices.deciding()
    assert gpu.rstrip("0123456789") in devices.deciding()[0]
    here = parse(CONFIG.format(**DEFAULTS).replace("context = 512", "context = 512\ngpu_layers = 0").encode())
    assert conditions(here)["gpus"] == []
    assert generation_digest(here, "0" * 64, "1" * 64) != there


def test_doctor_names_backend_device_and_driver(gpu: str) -> None:
    """The trial run offloads all layers and is repeatable."""
    report = inspect_engine(BUILTIN)
    assert report.backends == devices.gpu_backends()
    assert report.problems == []
    assert (report.layers_offloaded, report.repeatable) == (LAYERS, True)
    assert any(gpu in line and "driver" in line for line in report_lines(report))


def test_a_run_on_the_device_is_not_reused_on_the_processor(tmp_path: Path) -> None:
    """`publisher bench` writes the device into the record; without the device the same commit is measured anew."""
    project = Project.create(tmp_path, remote=False)
    project.seconds = 1500
    suite = project.folder.path.joinpath("small.jsonl").read_text().splitlines()[:2]
    changed = (
        config().replace("max_tokens = 200", "max_tokens = 8").replace("[model.sampling]", "LAYERS\n[model.sampling]")
    )
    more = "[engine]\ntimeout = 600\nslots = 2\n"
    project.folder.commit(
        {"small.jsonl": "\n".join(suite) + "\n", "publisher.toml": changed.replace("LAYERS", "") + more}, "GPU"
    )
    first = project.run("bench", "--json")
    assert first.code == 0, first.err
    project.folder.commit({"publisher.toml": changed.replace("LAYERS", "gpu_layers = 0") + more}, "CPU")
    second = project.run("bench", "--json")
    assert second.code == 0, second.err
    on_device, on_processor = json.loads(first.out), json.loads(second.out)
    assert on_device["engine"]["gpu_layers_offloaded"] == LAYERS
    assert on_device["engine"]["gpus"][0]["allocated"] > 0
    assert on_processor["engine"]["gpus"] == []
    assert on_device["generation"] != on_processor["generation"]
    assert not on_processor["reused"]
    digests = {"on the device": on_device["generation"], "on the processor": on_processor["generation"]}
    sys.stdout.write(json.dumps({"engine": on_device["engine"], "generation": digests}, indent=2))
