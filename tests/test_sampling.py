from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from publisher.schema import Sampling
from tests.gguf_maker import BUILTIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.bench.model import Context, Model

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")

from publisher.bench.batch import Batch  # noqa: E402 - needs llama.cpp
from publisher.bench.binding import llama  # noqa: E402
from publisher.bench.model import Context as RealContext  # noqa: E402
from publisher.bench.model import Log  # noqa: E402
from publisher.bench.model import Model as RealModel  # noqa: E402
from publisher.bench.sampling import Dice, Drawer, usable_seed  # noqa: E402

ROWS = 12
HOT = Sampling(temperature=8.0, top_k=50, top_p=0.99, min_p=0.001, max_tokens=1)


@pytest.fixture(scope="module")
def step() -> Iterator[tuple[Model, Context]]:
    """Yield a model and a context that has just evaluated one row for each of some sequences."""
    log = Log()
    model = RealModel(str(BUILTIN), log, gpu_layers=0, repack=False, mapped=True, beat=lambda _: None)
    context = RealContext(
        model, log, cells=256 * ROWS, sequences=ROWS, batch=ROWS, threads=1, streams=True, flash_attention=False,
        kv_type="f16",
    )  # fmt: skip
    batch = Batch(ROWS)
    batch.tokens[:], batch.sequences[:], batch.wanted[:] = range(20, 20 + ROWS), range(ROWS), 1
    assert llama.llama_decode(context.pointer, batch.struct(ROWS)) == 0
    yield model, context
    context.close()
    model.close()


def drawn(step: tuple[Model, Context], sampling: Sampling, threads: int, times: int) -> list[list[int]]:
    """Return what some sequences draw, one time after the other; the fourth has no dice."""
    model, context = step
    dice = [None if row == 3 else Dice(7 + row) for row in range(ROWS)]
    drawer = Drawer(sampling, threads)
    try:
        addresses = [one.address if one else None for one in dice]
        return [drawer.draw(context.pointer, addresses, model.tokens) for _ in range(times)]
    finally:
        drawer.close()
        for one in dice:
            if one is not None:
                one.close()


def test_shared_filters_draw_what_a_chain_of_ones_own_draws(step: tuple[Model, Context]) -> None:
    """Each sequence gets the tokens that llama.cpp's usual chain, one a sequence, would give it."""
    _, context = step
    expected: list[list[int]] = [[] for _ in range(8)]
    for row in range(ROWS):
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for sampler in (
            llama.llama_sampler_init_top_k(50),
            llama.llama_sampler_init_top_p(0.99, 1),
            llama.llama_sampler_init_min_p(0.001, 1),
            llama.llama_sampler_init_temp(8.0),
            llama.llama_sampler_init_dist(usable_seed(7 + row)),
        ):
            llama.llama_sampler_chain_add(chain, sampler)
        for tokens in expected:
            tokens.append(0 if row == 3 else llama.llama_sampler_sample(chain, context.pointer, row))
        llama.llama_sampler_free(chain)
    assert drawn(step, HOT, 1, 8) == expected
    assert len({token for tokens in expected for token in tokens}) > 20


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_draw_what_one_thread_draws(
    step: tuple[Model, Context], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared out among threads, every row keeps its own numbers and its place."""
    alone = drawn(step, HOT, 1, 20)
    monkeypatch.setattr("publisher.bench.sampling._MANY", 1)
    assert drawn(step, HOT, threads, 20) == alone


def test_an_engine_leaves_the_packages_high_level_half_out() -> None:
    """The engine's process does not import `llama_cpp.Llama`; who wants it afterwards still gets it."""
    code = (
        "import sys, publisher.bench.engine, importlib.metadata\n"
        "from publisher.bench import binding\n"
        "assert 'llama_cpp' not in sys.modules and 'llama_cpp.llama' not in sys.modules\n"
        "assert binding.version() == importlib.metadata.version('llama-cpp-python')\n"
        "import llama_cpp\n"
        "assert llama_cpp.Llama and llama_cpp.llama_decode is binding.llama.llama_decode\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": "."})
