"""Draws tokens with llama.cpp's samplers: filters that all sequences share, and a seeded draw per sequence.

A chain of samplers holds a copy of the row that it draws from, 12 bytes per entry of the vocabulary. With one chain per
sequence, 16 sequences and 152,000 tokens, that is 29 MB, more than a processor's cache. The filters keep nothing from
one token to the next, so sharing them changes no bit.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
from typing import TYPE_CHECKING, Any

from publisher.engine.child.llama.binding import function, llama
from publisher.engine.child.llama.nucleus import Candidates, largest, nucleus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from publisher.engine.child.llama.nucleus import Row
    from publisher.schema import Sampling

    Rows = npt.NDArray[np.float32]

RANDOM_SEED = 0xFFFFFFFF
"""The seed for which llama.cpp chooses a random one; no sample may use it."""
LARGE = 16_384
"""Size of a vocabulary from which on whole rows in numpy are faster than llama.cpp's loop."""
_MANY = 1_000_000
"""Logits per step from which on several threads are faster than one."""

_ADDRESS, _INT = ctypes.c_void_p, ctypes.c_int32
_sample = function("llama_sampler_sample", _INT, _ADDRESS, _ADDRESS, _INT)
_add = function("llama_sampler_chain_add", None, _ADDRESS, _ADDRESS)
_remove = function("llama_sampler_chain_remove", _ADDRESS, _ADDRESS, _INT)
_free = function("llama_sampler_free", None, _ADDRESS)


class Dice:
    """The random numbers of one sequence."""

    def __init__(self, seed: int) -> None:
        self.address: int | None = _address(llama.llama_sampler_init_dist(usable_seed(seed)))

    def close(self) -> None:
        """Free the numbers; they cannot be used afterwards."""
        if self.address is not None:
            _free(self.address)
            self.address = None


class Drawer:
    """Draws the tokens of a step: top_k, top_p, min_p and temperature, then each sequence's random draw.

    top_k comes first, so that the other filters see few tokens. Where the configuration leaves it off it stays off,
    because it would change the distribution. For a large vocabulary, `nucleus` applies the first filters instead.

    With `threads` above one, large steps are split among threads: beside a GPU, drawing is the processor's only work,
    and the draws of a hundred sequences one after another would take longer than the GPU's step.
    """

    def __init__(self, sampling: Sampling, vocabulary: int, threads: int = 1) -> None:
        self._sampling, self._vocabulary = sampling, vocabulary
        self._narrow = narrows(sampling, vocabulary)
        self._chains = [_filters(sampling, narrowed=self._narrow) for _ in range(threads)]
        self._addresses = [_address(chain) for chain in self._chains]
        self._last = int(llama.llama_sampler_chain_n(self._chains[0]))
        self._candidates = [Candidates(vocabulary) for _ in range(threads)] if self._narrow else []
        self._pool = concurrent.futures.ThreadPoolExecutor(threads) if threads > 1 else None

    def close(self) -> None:
        """Free the filters and end the threads."""
        if self._pool is not None:
            self._pool.shutdown()
        for chain in self._chains:
            llama.llama_sampler_free(chain)
        self._chains = []

    def draw(self, context: int, dice: Sequence[int | None], scores: Callable[[int], Rows]) -> list[int]:
        """Return a token for each of the first output rows of the context's last step; 0 for rows without dice.

        `scores` returns the logits of a number of rows, one row per sequence.
        """
        count = len(dice)
        pool = self._pool if count * self._vocabulary >= _MANY else None
        # llama.cpp reorders its results at the first access, which only one thread may do.
        asked = scores(count) if self._narrow or pool else None
        rows = asked if self._narrow else None
        if pool is None:
            return self._part(0, context, dice, 0, rows)
        share = -(-count // len(self._chains))
        parts = [
            pool.submit(self._part, number, context, dice[start : start + share], start, rows)
            for number, start in enumerate(range(0, count, share))
        ]
        return [token for part in parts for token in part.result()]

    def _part(self, number: int, context: int, dice: Sequence[int | None], start: int, rows: Rows | None) -> list[int]:
        """Draw for consecutive rows from `start` on with chain `number`; `rows`: the logits, where numpy filters."""
        chain, last, drawn = self._addresses[number], self._last, []
        for row, one in enumerate(dice, start):
            if one is None:
                drawn.append(0)
                continue
            _add(chain, one)
            drawn.append(_sample(chain, context, row) if rows is None else self._among(number, rows[row]))
            _remove(chain, last)
        return drawn

    def _among(self, number: int, scores: Row) -> int:
        """Draw for one row among the tokens that numpy's filters leave."""
        candidates, sampling = self._candidates[number], self._sampling
        if sampling.top_k > 0:
            left = largest(scores, sampling.top_k)
        else:
            left = nucleus(scores, sampling.top_p, sampling.min_p, candidates.scratch)
        ordered = sampling.top_k > 0 or sampling.top_p < 1
        return candidates.pick(self._addresses[number], left, scores, ordered=ordered)


def narrows(sampling: Sampling, vocabulary: int) -> bool:
    """Return whether numpy applies the first filters instead of llama.cpp's samplers."""
    return vocabulary >= LARGE and (sampling.top_k > 0 or sampling.top_p < 1 or sampling.min_p > 0)


def _filters(sampling: Sampling, *, narrowed: bool) -> Any:
    """Return a chain of the filters before the draw, without those that numpy has applied (`narrowed`)."""
    parameters = llama.llama_sampler_chain_default_params()
    parameters.no_perf = True
    chain = llama.llama_sampler_chain_init(parameters)
    filters = []
    alone = narrowed and sampling.top_k == 0
    if sampling.top_k > 0 and not narrowed:
        filters.append(llama.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1 and not alone:
        filters.append(llama.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0 and not alone:
        filters.append(llama.llama_sampler_init_min_p(sampling.min_p, 1))
    filters.append(llama.llama_sampler_init_temp(sampling.temperature))
    for one in filters:
        llama.llama_sampler_chain_add(chain, one)
    return chain


def _address(pointer: Any) -> int:
    """Return the address of a sampler."""
    return int(ctypes.cast(pointer, ctypes.c_void_p).value or 0)


def usable_seed(seed: int) -> int:
    """Return `seed` folded into the 32 bits that llama.cpp takes; never the number that means a random seed."""
    folded = (seed ^ (seed >> 32)) & 0xFFFFFFFF
    return folded if folded != RANDOM_SEED else 0
