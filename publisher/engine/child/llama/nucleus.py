"""Applies top_k, top_p and min_p to a large vocabulary, in whole rows instead of a loop over its entries.

llama.cpp's samplers copy a row of logits into a list of 12 bytes per entry and walk through it: 0.15 ms per token for
top_k at 150,000 entries, and 2 to 12 ms for top_p alone, which computes that many exponentials and sorts all of them
where the first 256 are not enough. Many models are published with temperature and top_p alone. numpy takes a fraction
of that time (`benchmarks/drawing.py`). The candidates are the same, except that the rounding of a sum can move the
border of a nucleus by a token (top-p: Holtzman et al. 2020, The Curious Case of Neural Text Degeneration; min-p: Nguyen
et al. 2025). Temperature and the draw among the candidates stay llama.cpp's.
"""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING

import numpy as np

from publisher.engine.child.llama.binding import function, llama

if TYPE_CHECKING:
    import numpy.typing as npt

    Row = npt.NDArray[np.float32]
    Tokens = npt.NDArray[np.intp]

_FIRST = 1e-3
"""The search for the nucleus starts with tokens of at least this share of the likeliest token's probability."""
_FURTHER, _LAST = 1 / 32, 1e-30
"""Each further search lowers that share by this factor; after the last it takes all tokens."""
_DEEP = 128
"""Logits per column; of each column only the largest is compared at first."""
_apply = function("llama_sampler_apply", None, ctypes.c_void_p, ctypes.c_void_p)


def largest(scores: Row, count: int) -> Tokens:
    """Return the `count` likeliest tokens, the likeliest first; token 0 where the logits hold NaN.

    The largest logits of the columns are some of all logits, so the count-th of them is at most the count-th of all.
    The tokens that are not below it are therefore the wanted ones and a few more, which are then sorted.
    """
    columns = len(scores) // _DEEP
    if count < columns:
        tops = scores[: columns * _DEEP].reshape(_DEEP, columns).max(axis=0)
        border = np.partition(tops, columns - count)[columns - count]
    else:
        border = np.partition(scores, -count)[-count] if count < len(scores) else scores.min()
    found = np.flatnonzero(scores >= border)
    if len(found) == 0:
        return np.zeros(1, dtype=np.intp)
    return found[np.argsort(-scores[found], kind="stable")[:count]]


def nucleus(scores: Row, top_p: float, min_p: float, scratch: Row) -> Tokens:
    """Return the tokens that top_p, then min_p leave; `scratch` is a row to calculate in.

    The likeliest come first; with min_p alone they keep the vocabulary's order, as in llama.cpp. The logits are not
    changed. Where they hold NaN or infinity, there is no distribution, and the answer is token 0.
    """
    best = float(scores.max())
    if not math.isfinite(best):
        return np.zeros(1, dtype=np.intp)
    if top_p >= 1:
        return np.flatnonzero(scores >= best + math.log(min_p))
    np.subtract(scores, best, out=scratch)
    np.exp(scratch, out=scratch)
    wanted = top_p * float(scratch.sum())
    # The logits are relative to the largest, so an entry of `scratch` is a ratio to the likeliest token's probability.
    # min_p is such a ratio, and the nucleus ends at another one, which this loop searches for.
    ratio = max(min_p, _FIRST)
    while True:
        found = np.flatnonzero(scratch >= ratio)
        shares = scratch[found]
        if ratio <= min_p or float(shares.sum()) >= wanted:
            break
        ratio = max(min_p, ratio * _FURTHER if ratio > _LAST else 0.0)
    order = np.argsort(-scores[found])
    return found[order[: int(np.searchsorted(np.cumsum(shares[order], dtype=np.float64), wanted)) + 1]]


class Candidates:
    """A list of candidates in the form that llama.cpp's samplers take."""

    def __init__(self, vocabulary: int) -> None:
        self._data = np.zeros(vocabulary, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._array = llama.llama_token_data_array(
            data=ctypes.cast(self._data.ctypes.data, ctypes.POINTER(llama.llama_token_data))
        )
        self._address = ctypes.addressof(self._array)
        self.scratch: Row = np.zeros(vocabulary, dtype=np.float32)
        """A row for `nucleus` to calculate in."""

    def pick(self, chain: int, tokens: Tokens, scores: Row, *, ordered: bool) -> int:
        """Return which of `tokens` the samplers at address `chain` select; `ordered`: the likeliest is first."""
        count = len(tokens)
        self._data["id"][:count] = tokens
        self._data["logit"][:count] = scores[tokens]
        self._array.size, self._array.selected, self._array.sorted = count, -1, ordered
        _apply(chain, self._address)
        return int(self._data["id"][self._array.selected])
