"""Offload to a GPU: what is missing, what is possible, and how much of a model fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from publisher.bench.generate import prove
from publisher.engine import offload
from publisher.engine.child import sizing
from publisher.engine.gguf import Header, read_header
from publisher.engine.offload import Possible
from publisher.engine.protocol import Device
from publisher.schema import EngineIdentity
from tests.engines import options, requests, texts
from tests.gguf_maker import builtin_with_experts

if TYPE_CHECKING:
    from publisher.engine.protocol import SampleRequest

CUDA = Possible("cuda", "NVIDIA", "-DGGML_CUDA=on")


def identity(wanted: str, offloaded: int) -> EngineIdentity:
    """Return the identity of an engine with a model of three layers and an output."""
    texts = dict.fromkeys(("name", "version", "build", "backend", "mode", "system_info"), "")
    numbers = dict.fromkeys(("context", "slots", "threads", "batch"), 1)
    facts = {"devices": [], "gpu_layers_wanted": wanted, "gpu_layers_offloaded": offloaded, "layers": 3}
    return msgspec.convert({**texts, **numbers, **facts}, EngineIdentity)


def card(free: int) -> Device:
    """Return a GPU of 80 GiB."""
    return Device(name="CUDA0", description="A100", kind="GPU", memory=80 << 30, free=free)


def header(size: int, layers: int = 20) -> Header:
    """Return a header of a model whose cache takes 4 KiB per token and layer as f16."""
    values = {"toy.attention.head_count": 16, "toy.attention.head_count_kv": 8, "toy.embedding_length": 2048}
    return Header(size, 3, "", "toy", "Q4_0", 1, layers, 0, 32000, "", values)


@pytest.mark.parametrize(
    ("wanted", "offloaded", "backends", "could", "expected"),
    [
        ("all", 4, ["cuda"], [CUDA], ""),
        ("all", 0, [], [], ""),
        ("0", 0, ["cuda"], [CUDA], ""),
        ("2", 2, ["cuda"], [CUDA], ""),
        ("99", 4, ["cuda"], [CUDA], ""),
        ("all", 3, ["cuda"], [CUDA], "3 of 4 layers"),
        ("all", 0, [], [CUDA], "-DGGML_CUDA=on"),
        ("2", 0, [], [], "though 2 were asked for"),
        ("all", 0, ["vulkan"], [], "built with vulkan, finds no GPU"),
    ],
)
def test_offload_that_did_not_happen_is_said(
    wanted: str, offloaded: int, backends: list[str], could: list[Possible], expected: str
) -> None:
    """Fewer layers than were asked for have a reason; on a machine without any GPU, `all` asks for nothing."""
    found = offload.explained(identity(wanted, offloaded), backends, could)
    assert expected in found if expected else not found


def test_a_variable_that_hides_the_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that no device has leaves none, though the driver is fine."""
    monkeypatch.setenv("GGML_VK_VISIBLE_DEVICES", "0,99")
    found = offload.explained(identity("all", 0), ["vulkan"], [])
    assert found.endswith("finds no GPU; does GGML_VK_VISIBLE_DEVICES name one that exists?")


def test_a_loaded_driver_makes_a_backend_possible(tmp_path: Path) -> None:
    """NVIDIA's driver means CUDA, AMD's means HIP, a render device means Vulkan; the fastest comes first."""
    assert offload.possible(tmp_path, "Linux") == []
    for name in ("dev/dri/renderD128", "dev/kfd", "proc/driver/nvidia/version"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [one.backend for one in offload.possible(tmp_path, "Linux")] == ["cuda", "hip", "vulkan"]
    assert [one.backend for one in offload.possible(tmp_path / "none", "Darwin")] == ["metal"]


def test_layers_that_the_memory_cannot_hold_stay_on_the_processor() -> None:
    """With less memory than weights and two caches of the context need, as many layers are offloaded as fit."""
    wanted = options(gpu_layers="all", context=4096, slots=0)
    small, large = header(1 << 30), header(20 << 30)
    assert sizing.placement(wanted, small, 8 << 30) == (-1, 0)
    assert sizing.placement(wanted, large, 12 << 30) == (9, 0)
    assert sizing.placement(wanted, large, 24 << 30) == (19, 0)
    assert sizing.placement(wanted, large, 48 << 30) == (-1, 0)
    assert sizing.placement(wanted, large, 0) == (-1, 0), "no GPU: llama.cpp has none to put them on"
    assert sizing.placement(options(gpu_layers=5), large, 1 << 30) == (5, 0), "what the user sets holds"


def test_layers_are_split_by_what_is_free() -> None:
    """A busy card gets fewer layers; a few MiB more or less change nothing, and no layer is lost."""
    quiet, busy = card(79 << 30), card(20 << 30)
    assert sizing.room(quiet) == sizing.room(card((79 << 30) + (3 << 20)))
    assert sizing.room(card(0)) == 80 << 30, "a driver that does not tell"
    assert sizing.room(card(1 << 62)) == 80 << 30, "a driver that tells nonsense"
    rooms = [sizing.room(quiet), sizing.room(busy)]
    model = header(60 << 30, layers=48)
    assert sizing.split(sizing.Placement(-1), model, rooms) == [39, 10]
    assert sizing.split(sizing.Placement(9), model, rooms) == [7, 2]
    assert sizing.split(sizing.Placement(-1), model, [1, 1]) == [25, 24]
    assert sizing.split(sizing.Placement(-1), model, [0, 0]) == [1, 1]
    assert sizing.split(sizing.Placement(-1), model, []) == []


def test_experts_that_the_memory_cannot_hold_stay_on_the_processor() -> None:
    """Of a mixture of experts all layers are offloaded, and as few layers' experts as possible stay behind."""
    wanted = options(gpu_layers="all", context=4096, slots=0)
    mixture = replace(header(20 << 30), experts=dict.fromkeys(range(20), 900 << 20))
    assert sizing.placement(wanted, mixture, 48 << 30) == (-1, 0)
    assert sizing.placement(wanted, mixture, 20 << 30) == (-1, 5)
    assert sizing.placement(wanted, mixture, 2 << 30).experts == 0, "not even the rest fits: whole layers stay behind"
    kept = msgspec.structs.replace(identity("all", 4), options={"experts_on_cpu": "5"})
    assert "the experts of 5 layers" in offload.explained(kept, ["cuda"], [CUDA])


def test_a_model_of_experts_answers_like_the_one_that_they_are_made_of(tmp_path: Path) -> None:
    """The header tells the bytes of each layer's experts, which decide where they go."""
    mixture = builtin_with_experts(tmp_path / "experts.gguf", 4)
    with mixture.open("rb") as stream:
        found = read_header(stream.fileno())
    assert sorted(found.experts) == list(range(found.layers))
    assert 0.7 * found.size < sum(found.experts.values()) < found.size
    assert texts(requests(1), model=mixture) == texts(requests(1))


def test_the_repeat_check_generates_no_more_than_the_run_may() -> None:
    """Beginnings of 64 tokens are enough, and an answer that may have 8 is repeated with 8."""

    class Repeating:
        """An engine that remembers what it was to repeat."""

        identity = msgspec.structs.replace(identity("all", 4), mode="reproducible")
        at_once = 2

        def changed(self, few: list[SampleRequest]) -> list[int]:
            self.limits = [one.max_tokens for one in few]
            return []

    engine: Any = Repeating()
    assert prove(engine, requests(3), limit=8) == {"repeated_samples": 2.0}
    assert engine.limits == [8, 8]
    prove(engine, requests(1), limit=32768)
    assert engine.limits == [64]
