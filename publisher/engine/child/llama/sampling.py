"""Drawing tokens: filters that all sequences share, and each sequence's seeded draw, with llama.cpp's own samplers.

A chain of samplers holds a copy of the row that it draws from, 12 bytes for each entry of the vocabulary. One chain a
sequence is therefore 29 MB at 16 sequences and 152,000 tokens, and goes through memory instead of the processor's
cache. The filters keep nothing from one token to the next, so sharing them changes no bit.
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
"""llama.cpp's seed for "surprise me"; a seed of ours must never be it."""
LARGE = 16_384
"""Tokens of a vocabulary from which on whole rows at a time are faster than a loop over their entries."""
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

    top_k stands first: all else then looks at a few tokens only. It is not switched on for speed where the
    configuration leaves it off, for that would change the distribution. From a large vocabulary, `nucleus` takes what
    top_k leaves, or top_p and min_p without it.

    With `threads` above one, large steps are shared out among so many: where a GPU calculates, drawing is what is left
    for the processor, and a hundred sequences' draws one after the other would take longer than the GPU's step.
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

        `scores` gives the logits of so many rows, one row a sequence.
        """
        count = len(dice)
        pool = self._pool if count * self._vocabulary >= _MANY else None
        # llama.cpp puts its results in order when they are first asked for, and one thread alone must do that.
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
        """Draw for consecutive rows from `start` on with one of the chains; `rows` are the logits to narrow, if any."""
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
        """Draw for one row from what its first filter leaves."""
        candidates, sampling = self._candidates[number], self._sampling
        if sampling.top_k > 0:
            left = largest(scores, sampling.top_k)
        else:
            left = nucleus(scores, sampling.top_p, sampling.min_p, candidates.scratch)
        ordered = sampling.top_k > 0 or sampling.top_p < 1
        return candidates.pick(self._addresses[number], left, scores, ordered=ordered)


def narrows(sampling: Sampling, vocabulary: int) -> bool:
    """Return whether a row's first filter is applied here instead of by llama.cpp's sampler."""
    return vocabulary >= LARGE and (sampling.top_k > 0 or sampling.top_p < 1 or sampling.min_p > 0)


def _filters(sampling: Sampling, *, narrowed: bool) -> Any:
    """Return a chain of what comes before the draw and, where it is `narrowed` beforehand, after that."""
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
    """Return where a sampler lies in memory."""
    return int(ctypes.cast(pointer, ctypes.c_void_p).value or 0)


def usable_seed(seed: int) -> int:
    """Return the 32 bits of `seed` that llama.cpp takes, never its number for a random seed."""
    folded = (seed ^ (seed >> 32)) & 0xFFFFFFFF
    return folded if folded != RANDOM_SEED else 0
