from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from publisher.schema import Sampling
from tests.gguf_maker import BUILTIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.engine.child.llama.handles import Context, Model

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")

from publisher.engine.child.llama.batch import Batch  # noqa: E402 - needs llama.cpp
from publisher.engine.child.llama.binding import llama  # noqa: E402
from publisher.engine.child.llama.handles import Context as RealContext  # noqa: E402
from publisher.engine.child.llama.handles import Log  # noqa: E402
from publisher.engine.child.llama.handles import Model as RealModel  # noqa: E402
from publisher.engine.child.llama.nucleus import Candidates, largest, nucleus  # noqa: E402
from publisher.engine.child.llama.penalties import penalties  # noqa: E402
from publisher.engine.child.llama.sampling import Dice, Drawer, narrows, usable_seed  # noqa: E402

ROWS = 12
HOT = Sampling(temperature=8.0, top_k=50, top_p=0.99, min_p=0.001, max_tokens=1)


@pytest.fixture(scope="module")
def step() -> Iterator[tuple[Model, Context]]:
    """Yield a model and a context that has just evaluated one row for each of some sequences."""
    log = Log()
    model = RealModel(str(BUILTIN), log, gpu_layers=0, repack=False, mapped=True, beat=lambda _: None)
    context = RealContext(
        model,
        log,
        cells=256 * ROWS,
        sequences=ROWS,
        batch=ROWS,
        threads=1,
        separate=True,
        flash_attention=False,
        kv_type="f16",
    )
    batch = Batch(ROWS)
    batch.tokens[:], batch.sequences[:], batch.wanted[:] = range(20, 20 + ROWS), range(ROWS), 1
    assert llama.llama_decode(context.pointer, batch.struct(ROWS)) == 0
    yield model, context
    context.close()
    model.close()


def drawn(step: tuple[Model, Context], sampling: Sampling, threads: int, times: int) -> list[list[int]]:
    """Return the tokens of some sequences for several draws; the fourth sequence has no random numbers."""
    model, context = step
    logits = np.ctypeslib.as_array(llama.llama_get_logits(context.pointer), shape=(ROWS, model.tokens))
    dice = [None if row == 3 else Dice(7 + row) for row in range(ROWS)]
    drawer = Drawer(sampling, model.tokens, threads)
    try:
        addresses = [one.address if one else None for one in dice]
        return [drawer.draw(context.pointer, addresses, lambda rows: logits[:rows]) for _ in range(times)]
    finally:
        drawer.close()
        for one in dice:
            if one is not None:
                one.close()


def by_chains(step: tuple[Model, Context], sampling: Sampling, times: int) -> list[list[int]]:
    """Return what the same sequences draw with llama.cpp's usual chain, one per sequence."""
    _, context = step
    expected: list[list[int]] = [[] for _ in range(times)]
    for row in range(ROWS):
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for sampler in (
            llama.llama_sampler_init_top_k(sampling.top_k),
            llama.llama_sampler_init_top_p(sampling.top_p, 1),
            llama.llama_sampler_init_min_p(sampling.min_p, 1),
            llama.llama_sampler_init_temp(sampling.temperature),
            llama.llama_sampler_init_dist(usable_seed(7 + row)),
        ):
            llama.llama_sampler_chain_add(chain, sampler)
        for tokens in expected:
            tokens.append(0 if row == 3 else llama.llama_sampler_sample(chain, context.pointer, row))
        llama.llama_sampler_free(chain)
    return expected


def test_shared_filters_draw_what_separate_chains_draw(step: tuple[Model, Context]) -> None:
    """Each sequence gets the tokens that a chain of its own would draw."""
    found = drawn(step, HOT, 1, 8)
    assert found == by_chains(step, HOT, 8)
    assert len({token for tokens in found for token in tokens}) > 20


@pytest.mark.parametrize(("top_p", "min_p"), [(0.95, 0.0), (0.999, 0.001), (1.0, 0.0005), (0.5, 0.0)])
def test_our_nucleus_draws_what_llama_cpp_draws(
    step: tuple[Model, Context], top_p: float, min_p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With top_p and min_p applied to whole rows, each sequence still gets llama.cpp's tokens."""
    monkeypatch.setattr("publisher.engine.child.llama.sampling.LARGE", 1)
    sampling = Sampling(temperature=8.0, top_p=top_p, min_p=min_p)
    assert narrows(sampling, 2)
    assert drawn(step, sampling, 1, 40) == by_chains(step, sampling, 40)


@pytest.mark.parametrize("spread", [0.01, 1.0, 4.0, 20.0])
@pytest.mark.parametrize(("top_p", "min_p"), [(0.95, 0.0), (0.6, 0.0), (0.9, 0.02), (1.0, 0.1), (0.9999, 0.0)])
def test_a_nucleus_is_what_its_definition_says(spread: float, top_p: float, min_p: float) -> None:
    """The likeliest tokens, as many as reach top_p together, but none below min_p of the likeliest."""
    scores = np.random.default_rng(3).normal(0, spread, 50_000).astype(np.float32)
    exact = np.exp(scores.astype(np.float64) - scores.max())
    order = np.argsort(-scores, kind="stable")
    many = int(np.searchsorted(np.cumsum(exact[order]), top_p * exact.sum())) + 1 if top_p < 1 else len(order)
    many = min(many, int((exact >= min_p).sum()))
    found = nucleus(scores, top_p, min_p, np.zeros_like(scores))
    assert abs(len(found) - many) <= 1 + many // 10_000  # sums in single precision
    if top_p < 1:
        shared = min(len(found), many)
        assert np.array_equal(scores[found[:shared]], scores[order[:shared]])
    else:
        assert sorted(found.tolist()) == sorted(order[:many].tolist())


@pytest.mark.parametrize("top_k", [1, 3, 40, 600, 5000])
def test_the_largest_draw_what_llama_cpps_top_k_draws(
    step: tuple[Model, Context], top_k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With top_k applied to whole rows, and top_p and min_p after it, each sequence still gets llama.cpp's tokens."""
    monkeypatch.setattr("publisher.engine.child.llama.sampling.LARGE", 1)
    sampling = Sampling(temperature=8.0, top_k=top_k, top_p=0.99, min_p=0.0001)
    assert drawn(step, sampling, 1, 40) == by_chains(step, sampling, 40)


@pytest.mark.parametrize("size", [1, 100, 5_000, 50_001])
@pytest.mark.parametrize("count", [1, 20, 390, 391, 4_000])
def test_the_largest_are_the_largest(size: int, count: int) -> None:
    """They come in falling order, equal ones by their number."""
    scores = np.random.default_rng(size).integers(-200, 200, size).astype(np.float32)
    assert largest(scores, count).tolist() == np.argsort(-scores, kind="stable")[:count].tolist()


def test_the_largest_of_nan_is_some_token() -> None:
    """Rows that hold nothing but NaN end in token 0."""
    assert largest(np.full(50_000, np.nan, dtype=np.float32), 40).tolist() == [0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_no_distribution_gives_some_token(bad: float) -> None:
    """NaN and infinity end in token 0, never in an exception or an endless search."""
    scores = np.zeros(100, dtype=np.float32)
    scores[7] = bad
    assert nucleus(scores, 0.9, 0.0, np.zeros_like(scores)).tolist() == [0]


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_draw_what_one_thread_draws(
    step: tuple[Model, Context], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Split among threads, every row keeps its own random numbers and its place."""
    alone = drawn(step, HOT, 1, 20)
    monkeypatch.setattr("publisher.engine.child.llama.sampling._MANY", 1)
    assert drawn(step, HOT, threads, 20) == alone


def test_an_engine_does_not_import_the_high_level_half_of_the_package() -> None:
    """The engine's process does not import `llama_cpp.Llama`; a later import still gets it."""
    code = (
        "import sys, publisher.engine.child.engine, importlib.metadata\n"
        "from publisher.engine.child.llama import binding\n"
        "assert 'llama_cpp' not in sys.modules and 'llama_cpp.llama' not in sys.modules\n"
        "assert binding.version() == importlib.metadata.version('llama-cpp-python')\n"
        "import llama_cpp\n"
        "assert llama_cpp.Llama and llama_cpp.llama_decode is binding.llama.llama_decode\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": "."})


@pytest.mark.parametrize(("prompt", "out"), [(5, 0), (100, 0), (5, 10), (30, 50), (5, 200), (1, 63), (1, 64)])
@pytest.mark.parametrize(
    ("repetition", "frequency", "presence", "window"),
    [(1.2, 0.0, 0.0, 64), (1.0, 0.7, 0.0, 64), (1.0, 0.0, 0.4, 16), (1.3, 0.5, -0.3, 100)],
)
def test_penalties_are_llama_cpps_own_to_the_bit(
    prompt: int, out: int, repetition: float, frequency: float, presence: float, window: int
) -> None:
    """Each logit is what llama.cpp's sampler makes of it after the same tokens, the prompt's included."""
    random = np.random.default_rng(prompt + 1000 * out)
    said, drawn_before = random.integers(0, 300, prompt).tolist(), random.integers(0, 300, out).tolist()
    scores = random.normal(0, 4, 300).astype(np.float32)
    sampling = Sampling(
        repetition_penalty=repetition,
        frequency_penalty=frequency,
        presence_penalty=presence,
        penalty_window=window,
    )
    theirs = llama.llama_sampler_init_penalties(300, window, repetition, frequency, presence)
    for token in said + drawn_before:
        llama.llama_sampler_accept(theirs, token)
    candidates = Candidates(300)
    candidates._data["id"], candidates._data["logit"] = np.arange(300), scores
    candidates._array.size = 300
    llama.llama_sampler_apply(theirs, candidates._array)
    llama.llama_sampler_free(theirs)
    found = penalties(sampling)
    assert found is not None
    found.apply(scores, said, drawn_before)
    assert scores.tobytes() == candidates._data["logit"].tobytes()


def test_penalties_that_change_nothing_cost_nothing() -> None:
    """Where all are off, or look at no token, no row of logits is touched."""
    assert penalties(Sampling()) is None
    assert penalties(Sampling(repetition_penalty=1.2, penalty_window=0)) is None
