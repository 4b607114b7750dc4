from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from publisher.engine.process import EngineProcess
from publisher.engine.protocol import SampleRequest
from publisher.schema import Sampling
from tests.engines import GREEDY, WARM, options, run, sampled_requests, texts
from tests.gguf_maker import builtin_with

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")


@pytest.fixture(scope="module")
def reference() -> dict[int, str]:
    """Return the texts that every reproducible run must generate."""
    return texts(sampled_requests(16, 3), sampling=WARM, slots=16)


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 8, 32])
def test_the_number_of_slots_changes_no_text(reference: dict[int, str], slots: int) -> None:
    """In reproducible mode a sample's text does not depend on how many run beside it."""
    assert texts(sampled_requests(16, 3), sampling=WARM, slots=slots) == reference


def test_the_number_of_threads_changes_no_text(reference: dict[int, str]) -> None:
    """In reproducible mode two threads generate the same texts as one."""
    assert texts(sampled_requests(16, 3), sampling=WARM, slots=16, threads=2) == reference


def test_the_order_changes_no_text(reference: dict[int, str]) -> None:
    """In reproducible mode samples may be shuffled and problems split over their samples."""
    shuffled = random.Random(3).sample(sampled_requests(16, 3), 48)  # noqa: S311 - an order, no secret
    assert texts(shuffled, sampling=WARM, slots=5) == reference


def test_a_shard_and_an_interruption_change_no_text(reference: dict[int, str]) -> None:
    """Samples that are generated after an interruption have the same texts."""
    wanted = sampled_requests(16, 3)
    with EngineProcess(options(sampling=WARM, slots=4)) as engine:
        running = engine.generate(wanted)
        found = {completion.key: completion.text for completion in (next(running) for _ in range(20))}
    found |= texts([request for request in wanted if request.key not in found], sampling=WARM)
    assert found == reference


def test_the_seed_decides() -> None:
    """Another seed gives another text at temperature 1, and the same seed the same one."""
    wanted = [SampleRequest(key, sampled_requests(1, 1)[0].problem, key // 2, "a") for key in range(40)]
    found = texts(wanted, sampling=Sampling(temperature=2.0, max_tokens=40))
    assert all(found[key] == found[key + 1] for key in range(0, 40, 2))
    assert len(set(found.values())) > 5


def test_greedy_is_the_limit_of_sampling() -> None:
    """Temperature 0 and top_k 1 draw the same tokens."""
    one = Sampling(temperature=1.0, top_k=1, max_tokens=96)
    assert texts(sampled_requests(12, 1), sampling=GREEDY) == texts(sampled_requests(12, 1), sampling=one)


def test_every_filter_can_be_set() -> None:
    """A chain of top_k, top_p and min_p runs and still answers."""
    whole = Sampling(temperature=0.6, top_k=20, top_p=0.9, min_p=0.05, max_tokens=96)
    completions, _ = run(sampled_requests(8, 1), sampling=whole)
    assert sum(completion.finish == "stop" for completion in completions.values()) == 8


@pytest.mark.parametrize("mode", ["reproducible", "fast"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_penalty_changes_texts_and_not_their_repeatability(mode: str, temperature: float) -> None:
    """A penalty of 1.2 beside temperature 0.7 and top_p 0.95 is applied, the same way in every slot."""
    plain = Sampling(temperature=temperature, top_p=0.95, max_tokens=96)
    heavy = Sampling(temperature=temperature, top_p=0.95, max_tokens=96, repetition_penalty=1.2)
    wanted = sampled_requests(6, 2)
    found = texts(wanted, sampling=heavy, mode=mode)
    assert found != texts(wanted, sampling=plain, mode=mode)
    if mode == "reproducible":
        assert found == texts(wanted, sampling=heavy, mode=mode, slots=1)


def test_fast_mode_answers_the_same_problems() -> None:
    """Fast mode may differ in bits, but hardly in greedy texts; shared prompts are evaluated once."""
    wanted = sampled_requests(24, 3)
    found, figures = run(wanted, sampling=GREEDY, mode="fast", slots=8)
    exact = texts(wanted, sampling=GREEDY)
    assert sum(found[key].text == exact[key] for key in exact) >= 68
    assert figures["prompt_tokens"] < 24 * max(completion.prompt_tokens for completion in found.values())


def test_fast_mode_gives_long_samples_caches_of_their_own() -> None:
    """Where each row of a shared cache would attend to too many cells, fast mode uses separate caches."""
    wanted, long = sampled_requests(12, 2), Sampling(max_tokens=400)
    with EngineProcess(options(mode="fast", slots=16, context=512, sampling=long)) as engine:
        assert engine.identity.options["kv_unified"] == "off"
        assert engine.identity.options["extra_bufts"] == "on"
        found = {completion.key: completion.text for completion in engine.generate(wanted)}
    exact = texts(wanted, sampling=GREEDY)
    assert sum(found[key] == exact[key] for key in exact) >= 22


def test_fast_mode_keeps_its_slots_busy() -> None:
    """While samples wait, at least nine tenths of the slots are busy."""
    _, figures = run(sampled_requests(60, 4), sampling=WARM, mode="fast", slots=8)
    assert figures["occupancy_before_tail"] >= 0.9


def test_fast_mode_takes_as_many_slots_as_llama_cpp_has_sequences() -> None:
    """256 short samples side by side would share a cache, whose common beginnings need sequences as well."""
    short = Sampling(max_tokens=1)
    with EngineProcess(options(mode="fast", slots=256, sampling=short)) as engine:
        assert engine.identity.slots == 256
        assert len(list(engine.generate(sampled_requests(3, 1)))) == 3


def test_an_overflowing_cache_preempts_and_resumes() -> None:
    """A cache too small for all slots saves samples and restores them; their texts stay the same."""
    wanted = sampled_requests(24, 2)
    found, figures = run(wanted, sampling=GREEDY, mode="fast", slots=16, cells=512)
    assert figures["preemptions"] > 0
    assert figures["kv_high_water"] <= 512
    exact = texts(wanted, sampling=GREEDY)
    assert sum(found[key].text == exact[key] for key in exact) >= 45


@pytest.mark.parametrize("mode", ["reproducible", "fast"])
def test_a_prompt_beyond_the_context_is_that_samples_error(mode: str) -> None:
    """The sample says why; the others are answered."""
    wanted = [*sampled_requests(2, 1), SampleRequest(9, "many words " * 400, 1, "long")]
    found, _ = run(wanted, sampling=GREEDY, mode=mode)
    assert (found[9].finish, found[9].tokens) == ("error", 0)
    assert "the context 256" in found[9].reason
    assert {found[0].finish, found[1].finish} == {"stop"}


@pytest.mark.parametrize("mode", ["reproducible", "fast"])
def test_a_limit_beyond_the_context_is_a_truncation(mode: str) -> None:
    """A sample that would continue past the context ends there, with finish "length"."""
    endless = Sampling(temperature=50.0, max_tokens=100_000)
    found, _ = run([SampleRequest(1, "Count.", 3, "a")], sampling=endless, mode=mode)
    assert found[1].finish in {"length", "stop"}
    assert found[1].prompt_tokens + found[1].tokens <= 256


def test_max_tokens_is_exact() -> None:
    """A limit cuts at exactly that many tokens, for the run and for one request."""
    wanted = [*sampled_requests(1, 1), SampleRequest(1, sampled_requests(1, 1)[0].problem, 5, "0", max_tokens=2)]
    found, _ = run(wanted, sampling=Sampling(max_tokens=5))
    assert [(found[key].finish, found[key].tokens) for key in (0, 1)] == [("length", 5), ("length", 2)]


def test_a_stop_string_ends_across_tokens() -> None:
    """A stop string is found across tokens and is not part of the text."""
    found, _ = run(sampled_requests(4, 1), sampling=GREEDY, stop=("swer is \\box",))
    assert {completion.finish for completion in found.values()} == {"stop"}
    assert all(completion.text.endswith("The an") for completion in found.values())


@pytest.mark.parametrize("mode", ["reproducible", "fast"])
def test_invalid_utf8_at_a_border_is_replaced(mode: str) -> None:
    """Random bytes at a high temperature become text, never an exception."""
    found, _ = run(sampled_requests(4, 4), sampling=Sampling(temperature=100.0, max_tokens=60), mode=mode)
    assert all(isinstance(completion.text, str) and completion.text for completion in found.values())


@pytest.mark.parametrize("mode", ["reproducible", "fast"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_model_that_computes_nan_is_an_error(tmp_path: Path, mode: str, temperature: float) -> None:
    """Weights that are NaN end each sample with that reason instead of nonsense."""
    model = builtin_with(tmp_path / "nan.gguf", nan=True)
    found, _ = run(
        sampled_requests(3, 2), model=model, mode=mode, sampling=Sampling(temperature=temperature, max_tokens=8)
    )
    assert {completion.finish for completion in found.values()} == {"error"}
    assert all("NaN" in completion.reason for completion in found.values())


@pytest.mark.parametrize("mode", ["reproducible", "fast"])
def test_many_more_problems_than_slots_and_long_prompts(mode: str) -> None:
    """Prompts longer than a batch are evaluated in pieces, and every request is answered once."""
    words = "add one and two and three and four and five. " * 6
    wanted = [SampleRequest(key, f"{key}: {words}", key, str(key // 2)) for key in range(40)]
    found, figures = run(wanted, sampling=GREEDY, mode=mode, context=512, batch=64, slots=4)
    assert sorted(found) == list(range(40))
    assert figures["prompt_tokens"] > 0


def test_sizes_are_chosen_and_can_be_set() -> None:
    """By default the engine uses 16 slots and one thread for a small model, and no more slots than samples."""
    with EngineProcess(options(slots=0, threads=0)) as engine:
        assert (engine.identity.slots, engine.identity.threads) == (16, 1)
    with EngineProcess(options(slots=0, workload=3)) as engine:
        assert engine.identity.slots == 3
