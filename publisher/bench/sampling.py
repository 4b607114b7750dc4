"""Drawing tokens with llama.cpp's own samplers: filters that all sequences share, and each sequence's seeded draw.

A chain of samplers holds a copy of the row that it draws from, 12 bytes for each entry of the vocabulary. One chain a
sequence is therefore 29 MB at 16 sequences and 152,000 tokens, and goes through memory instead of the processor's
cache: 0.20 ms a token where one chain for all takes 0.14 (Zen 3, top_k 40). The filters keep nothing from one token to
the next, so sharing them changes no bit.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
from typing import TYPE_CHECKING, Any

from publisher.bench.binding import function, llama

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.schema import Sampling

RANDOM_SEED = 0xFFFFFFFF
"""llama.cpp's seed for "surprise me"; a seed of ours must never be it."""
_MANY = 1_000_000
"""Logits of a step from which on handing rows to several threads costs less than it saves."""

_ADDRESS, _INT = ctypes.c_void_p, ctypes.c_int32
_sample = function("llama_sampler_sample", _INT, _ADDRESS, _ADDRESS, _INT)
_add = function("llama_sampler_chain_add", None, _ADDRESS, _ADDRESS)
_remove = function("llama_sampler_chain_remove", _ADDRESS, _ADDRESS, _INT)
_free = function("llama_sampler_free", None, _ADDRESS)


class Dice:
    """One sequence's random numbers."""

    def __init__(self, seed: int) -> None:
        self.address: int | None = _address(llama.llama_sampler_init_dist(usable_seed(seed)))

    def close(self) -> None:
        """Free the numbers; nothing can be drawn with them afterwards."""
        if self.address is not None:
            _free(self.address)
            self.address = None


class Drawer:
    """Draws the tokens of a step: top_k, top_p, min_p and temperature, then each sequence's dice.

    top_k stands first: top_p alone has to sort the whole vocabulary (10 ms a token at 150,000 entries). It is not
    switched on for speed where the configuration leaves it off, for that would change the distribution.

    With `threads` above one, large steps are shared out among so many: where a GPU calculates, drawing is what is left
    for the processor, and a hundred sequences' draws one after the other would take longer than the GPU's step.
    """

    def __init__(self, sampling: Sampling, threads: int = 1) -> None:
        self._chains = [_filters(sampling) for _ in range(threads)]
        self._last = int(llama.llama_sampler_chain_n(self._chains[0]))
        self._addresses = [_address(chain) for chain in self._chains]
        self._pool = concurrent.futures.ThreadPoolExecutor(threads) if threads > 1 else None

    def close(self) -> None:
        """Free the filters and end the threads."""
        if self._pool is not None:
            self._pool.shutdown()
        for chain in self._chains:
            llama.llama_sampler_free(chain)
        self._chains = []

    def draw(self, context: int, dice: Sequence[int | None], vocabulary: int) -> list[int]:
        """Return a token for each output row of the context's last step; 0 for rows without dice."""
        if self._pool is None or len(dice) * vocabulary < _MANY:
            return self._rows(0, context, dice, 0)
        share = -(-len(dice) // len(self._chains))
        parts = [
            self._pool.submit(self._rows, number, context, dice[start : start + share], start)
            for number, start in enumerate(range(0, len(dice), share))
        ]
        return [token for part in parts for token in part.result()]

    def _rows(self, number: int, context: int, dice: Sequence[int | None], start: int) -> list[int]:
        """Draw for consecutive rows from `start` on with one of the chains."""
        chain, last, drawn = self._addresses[number], self._last, []
        for row, one in enumerate(dice, start):
            if one is None:
                drawn.append(0)
                continue
            _add(chain, one)
            drawn.append(_sample(chain, context, row))
            _remove(chain, last)
        return drawn


def _filters(sampling: Sampling) -> Any:
    """Return a chain of what comes before the draw."""
    parameters = llama.llama_sampler_chain_default_params()
    parameters.no_perf = True
    chain = llama.llama_sampler_chain_init(parameters)
    filters = []
    if sampling.top_k > 0:
        filters.append(llama.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1:
        filters.append(llama.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0:
        filters.append(llama.llama_sampler_init_min_p(sampling.min_p, 1))
    filters.append(llama.llama_sampler_init_temp(sampling.temperature))
    for one in filters:
        llama.llama_sampler_chain_add(chain, one)
    return chain


def _address(pointer: Any) -> int:
    """Return where a sampler lies in memory."""
    return int(ctypes.cast(pointer, ctypes.c_void_p).value or 0)


def usable_seed(seed: int) -> int:
    """Return the 32 bits of `seed` that llama.cpp takes, never its number for a random seed."""
    folded = (seed ^ (seed >> 32)) & 0xFFFFFFFF
    return folded if folded != RANDOM_SEED else 0
