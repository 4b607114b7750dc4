"""Runs whose engines chose other shapes by themselves: what they answered is not mixed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

import msgspec
import pytest

from publisher.config import parse
from publisher.engine import devices, fleet, offload
from publisher.files import sha256_hex
from publisher.publishing.project import Project
from publisher.schema import GpuIdentity
from tests.gguf_maker import builtin_with_experts
from tests.measuring import CONFIG, DEFAULTS, SUITE, Notes, Parrot, job, run
from tests.test_offload import identity

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.engine.protocol import EngineOptions
    from publisher.schema import EngineIdentity, Record
    from tests.made import GitFolder


def gpu(name: str) -> GpuIdentity:
    """Return a GPU with this name and a gigabyte."""
    return GpuIdentity(
        name=name, backend="CUDA", description="", driver="", pci="", memory=1 << 30, free=0, allocated=0
    )


class Shaped(Parrot):
    """An engine whose answers depend on how many slots it found memory for, as a GPU's do."""

    def __init__(self, slots: int) -> None:
        """Answer with the number of slots, as the shape of a batch may decide an answer."""
        super().__init__(f"\\boxed{{{slots}}}")
        self._slots = slots

    @property
    def identity(self) -> EngineIdentity:
        """The number of slots is among the options that decide a text."""
        return msgspec.structs.replace(super().identity, options={"slots": str(self._slots)})


def test_samples_of_an_engine_with_other_shapes_are_not_reused(repository: GitFolder, tmp_path: Path) -> None:
    """Slots that memory has halved are not in the generation; runs of equal shapes share their samples all the same."""
    project, wanted = Project.open(repository.path, {}), job(repository, samples=1)

    def measured(slots: int, where: str) -> tuple[Record, Notes]:
        notes = Notes()
        done = run(wanted, tmp_path / where, notes, start=Shaped(slots), reusable=project.reusable)
        project.pending.store(msgspec.structs.replace(done.record, run_id=f"{slots}-slots"), done.packed)
        assert {one.text for one in done.samples} == {f"\\boxed{{{slots}}}"}
        return done.record, notes

    assert measured(64, "a")[0].reused == {}
    halved, notes = measured(32, "b")
    assert halved.reused == {}
    assert any("64-slots are not reused" in note for note in notes.notes)
    # The newest run has other shapes, and an older one the same.
    assert measured(64, "c")[0].reused == {"64-slots": 12}
    # One that found no room on the GPU at all calculates on the processor, where the number of slots decides nothing.
    alone = run(wanted, tmp_path / "d", start=Parrot("none"), reusable=project.reusable)
    assert alone.record.reused == {}


def test_a_bench_says_first_that_no_gpu_is_used(repository: GitFolder, tmp_path: Path) -> None:
    """Before anything is fetched or loaded, and once; where no layer was asked for, nothing is said."""
    if devices.gpus():
        pytest.skip("this machine has a GPU")
    notes = Notes()
    run(job(repository, context="512\ngpu_layers = 2", samples=1), tmp_path / "a", notes, start=Parrot("1"))
    assert notes.notes[0].startswith("GPU: no layer is on a GPU, though 2 were asked for")
    assert sum(note.startswith("GPU") for note in notes.notes) == 1
    assert offload.foreseen(0) == ""


def test_a_gpu_too_small_for_a_single_layer_is_no_missing_driver() -> None:
    """The sentence says that memory is short."""
    found = msgspec.structs.replace(identity("all", 0), gpus=[gpu("CUDA0")])
    assert offload.explained(found, ["cuda"], []).startswith("none of 4 layers are on a GPU: its memory")


def test_the_choices_of_each_engine_are_in_the_identity_of_all() -> None:
    """Two GPUs may have different amounts of free memory, so that one engine has fewer slots."""
    one = msgspec.structs.replace(identity("all", 4), options={"slots": "64", "kv_type": "f16"}, gpus=[gpu("CUDA0")])
    two = msgspec.structs.replace(identity("all", 3), options={"slots": "32", "kv_type": "f16"}, gpus=[gpu("CUDA1")])
    found = fleet.together([one, two])
    assert found.options == {"slots": "64, 32", "kv_type": "f16"}
    assert [card.name for card in found.gpus] == ["CUDA0", "CUDA1"]
    assert (found.engines, found.offload_missing.split(":")[0]) == (2, "3 of 4 layers are on a GPU")
    assert fleet.together([one, one]).options["slots"] == "64"


class Sized(Parrot):
    """An engine that remembers for how many samples it was started."""

    def __call__(self, options: EngineOptions, *, engines: int) -> Self:
        """Keep the number."""
        self.workload = options.workload
        return super().__call__(options, engines=engines)


def test_a_resumed_mixture_of_experts_has_the_slots_that_it_had(repository: GitFolder, tmp_path: Path) -> None:
    """Their number decides its answers, so it does not shrink with what is left; other models need only that."""
    mixture = builtin_with_experts(tmp_path / "experts.gguf", 4).read_bytes()
    workloads = []
    for source in ("builtin:abacus@middle", "experts.gguf"):
        text = CONFIG.format(**DEFAULTS | {"samples": 1}).replace("builtin:abacus@middle", source).encode()
        commit = repository.commit({"publisher.toml": text, "few.jsonl": SUITE, "experts.gguf": mixture})
        work = replace(job(repository), commit=commit, config=parse(text), config_sha256=sha256_hex(text))
        with pytest.raises(KeyboardInterrupt):
            run(work, tmp_path / "w", Notes(stop=9), start=Sized("1"))
        engine = Sized("1")
        run(work, tmp_path / "w", start=engine)
        workloads.append(engine.workload)
    assert workloads == [12 - 9, 12]
