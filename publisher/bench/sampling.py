"""Drawing tokens with llama.cpp's own samplers, one chain a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import llama_cpp

if TYPE_CHECKING:
    from publisher.schema import Sampling

RANDOM_SEED = 0xFFFFFFFF
"""llama.cpp's seed for "surprise me"; a seed of ours must never be it."""


class Chain:
    """One sequence's samplers: top_k, top_p, min_p, temperature and a seeded draw; greedy at temperature 0.

    top_k stands first: top_p alone has to sort the whole vocabulary (10 ms a token at 150,000 entries). It is not
    switched on for speed where the configuration leaves it off, for that would change the distribution.
    """

    def __init__(self, sampling: Sampling, seed: int) -> None:
        parameters = llama_cpp.llama_sampler_chain_default_params()
        parameters.no_perf = True
        self.pointer: Any = llama_cpp.llama_sampler_chain_init(parameters)
        for sampler in _samplers(sampling, seed):
            llama_cpp.llama_sampler_chain_add(self.pointer, sampler)

    def close(self) -> None:
        """Free the samplers; the chain cannot be used afterwards."""
        if self.pointer is not None:
            llama_cpp.llama_sampler_free(self.pointer)
            self.pointer = None


def _samplers(sampling: Sampling, seed: int) -> list[Any]:
    """Return the samplers of a chain, in order."""
    if sampling.temperature == 0:
        return [llama_cpp.llama_sampler_init_greedy()]
    filters = []
    if sampling.top_k > 0:
        filters.append(llama_cpp.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1:
        filters.append(llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0:
        filters.append(llama_cpp.llama_sampler_init_min_p(sampling.min_p, 1))
    filters.append(llama_cpp.llama_sampler_init_temp(sampling.temperature))
    filters.append(llama_cpp.llama_sampler_init_dist(usable_seed(seed)))
    return filters


def usable_seed(seed: int) -> int:
    """Return the 32 bits of `seed` that llama.cpp takes, never its number for a random seed."""
    folded = (seed ^ (seed >> 32)) & 0xFFFFFFFF
    return folded if folded != RANDOM_SEED else 0
