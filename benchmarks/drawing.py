"""Measures how long drawing a token takes, compared with llama.cpp's usual way: a chain of samplers per sequence.

    python benchmarks/drawing.py --models MODELS [--rows 16] [--threads 1] [--repeat 7]

Both draw from the same rows of 151,936 made-up logits. Three spreads stand for a model that is unsure, one that is
mostly sure, and one between. The rows are in the memory where llama.cpp keeps its results.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from models import model

from publisher.engine.child.llama.batch import Batch
from publisher.engine.child.llama.binding import llama
from publisher.engine.child.llama.handles import Context, Log, Model
from publisher.engine.child.llama.sampling import Dice, Drawer
from publisher.schema import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {
    "top_k 40, top_p 0.95": Sampling(temperature=0.8, top_k=40, top_p=0.95),
    "top_p 0.95 alone": Sampling(temperature=0.6, top_p=0.95),
    "min_p 0.05 alone": Sampling(temperature=0.6, min_p=0.05),
}


def evaluated(path: Path, rows: int) -> tuple[Model, Context, Any]:
    """Return a model, a context that has evaluated `rows` rows, and its logits as an array, one row per sequence."""
    log = Log()
    loaded = Model(str(path), log, gpu_layers=0, repack=False, mapped=True, beat=lambda _: None)
    context = Context(
        loaded,
        log,
        cells=256 * rows,
        sequences=rows,
        batch=rows,
        threads=2,
        separate=True,
        flash_attention=False,
        kv_type="f16",
    )
    batch = Batch(rows)
    batch.sequences[:rows], batch.wanted[:rows] = range(rows), 1
    if llama.llama_decode(context.pointer, batch.struct(rows)):
        raise RuntimeError("llama.cpp could not evaluate the rows")
    return loaded, context, np.ctypeslib.as_array(llama.llama_get_logits(context.pointer), (rows, loaded.tokens))


def chains(sampling: Sampling, rows: int) -> list[Any]:
    """Return llama.cpp's usual chain for each sequence."""
    found = []
    for row in range(rows):
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for sampler in (
            llama.llama_sampler_init_top_k(sampling.top_k),
            llama.llama_sampler_init_top_p(sampling.top_p, 1),
            llama.llama_sampler_init_min_p(sampling.min_p, 1),
            llama.llama_sampler_init_temp(sampling.temperature),
            llama.llama_sampler_init_dist(row + 1),
        ):
            llama.llama_sampler_chain_add(chain, sampler)
        found.append(chain)
    return found


def timed(draw: Callable[[], list[int]]) -> tuple[float, list[int]]:
    """Return the milliseconds per token of one step's draws, and the tokens."""
    started = time.perf_counter()
    drawn = draw()
    return 1000 * (time.perf_counter() - started) / len(drawn), drawn


def compare(sampling: Sampling, context: Context, logits: Any, options: argparse.Namespace) -> str:
    """Let both draw in turns; return a line with the medians, their ratio, and the share of equal tokens."""
    usual, dice = chains(sampling, options.rows), [Dice(row + 1) for row in range(options.rows)]
    drawer = Drawer(sampling, logits.shape[1], options.threads)
    addresses = [one.address for one in dice]

    def theirs() -> list[int]:
        return [llama.llama_sampler_sample(chain, context.pointer, row) for row, chain in enumerate(usual)]

    def ours() -> list[int]:
        return drawer.draw(context.pointer, addresses, lambda count: logits[:count])

    turns = [(timed(theirs), timed(ours)) for _ in range(options.repeat)]
    drawer.close()
    ratio = statistics.median(one[0] / other[0] for one, other in turns)
    agreeing = sum(a == b for one, other in turns for a, b in zip(one[1], other[1], strict=True))
    one, other = (statistics.median(turn[side][0] for turn in turns) for side in (0, 1))
    share = agreeing / (options.rows * options.repeat)
    return f"a chain each {one:7.3f}   ours {other:7.3f}   ratio {ratio:5.1f}   same tokens {share:.0%}"


def main() -> None:
    """Measure every case with every spread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="cache for the models that are made")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    loaded, context, logits = evaluated(model("qwen2.5-0.5b", options.models), options.rows)
    print(f"{options.rows} rows of {loaded.tokens} logits; milliseconds per token")
    for spread in (1.0, 4.0, 8.0):
        logits[:] = np.random.default_rng(1).normal(0, spread, logits.shape)
        for name, sampling in CASES.items():
            print(f"spread {spread:.0f}  {name:22}", compare(sampling, context, logits, options), flush=True)


if __name__ == "__main__":
    main()
