"""What top_k, top_p and min_p leave of a large vocabulary, found without a loop over its entries.

llama.cpp's samplers copy a row of logits into a list of 12 bytes an entry and go through it one by one: 0.15 ms a token
for top_k at 150,000 entries, 2 to 12 ms for top_p alone, which takes that many exponentials and sorts all of them
where the first 256 are not enough. And temperature with top_p alone is what many models are published with. Whole rows
at a time it is a fraction of that (`benchmarks/drawing.py`). The candidates are the same, but for the rounding of a sum
at the very border of a nucleus (Holtzman et al. 2020, The Curious Case of Neural Text Degeneration; min-p: Nguyen et
al. 2025); temperature and the draw among them stay llama.cpp's.
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
"""Where the search for the nucleus begins: tokens that are a thousandth as likely as the likeliest."""
_FURTHER, _LAST = 1 / 32, 1e-30
_DEEP = 128
"""Logits of a column of which only the largest counts at first."""
_apply = function("llama_sampler_apply", None, ctypes.c_void_p, ctypes.c_void_p)


def largest(scores: Row, count: int) -> Tokens:
    """Return the `count` likeliest tokens, the likeliest first; token 0 where the logits hold NaN.

    The largest of some columns are among all, so the count-th of them is at most the count-th of all: what is not
    below it are the wanted tokens and a few more.
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

    The likeliest come first; with min_p alone they keep the vocabulary's order, as llama.cpp has it. The logits are not
    changed. Where they hold NaN or infinity, the answer is token 0: nothing can be said of them.
    """
    best = float(scores.max())
    if not math.isfinite(best):
        return np.zeros(1, dtype=np.intp)
    if top_p >= 1:
        return np.flatnonzero(scores >= best + math.log(min_p))
    np.subtract(scores, best, out=scratch)
    np.exp(scratch, out=scratch)
    wanted = top_p * float(scratch.sum())
    # Ratios to the likeliest token's probability: min_p is one, and the nucleus ends at another that is searched for.
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
    """Candidates as llama.cpp's samplers take them."""

    def __init__(self, vocabulary: int) -> None:
        self._data = np.zeros(vocabulary, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._array = llama.llama_token_data_array(
            data=ctypes.cast(self._data.ctypes.data, ctypes.POINTER(llama.llama_token_data))
        )
        self._address = ctypes.addressof(self._array)
        self.scratch: Row = np.zeros(vocabulary, dtype=np.float32)
        """A row for `nucleus` to calculate in."""

    def pick(self, chain: int, tokens: Tokens, scores: Row, *, ordered: bool) -> int:
        """Return which of `tokens` the chain of samplers at address `chain` selects; `ordered`: likeliest first."""
        count = len(tokens)
        self._data["id"][:count] = tokens
        self._data["logit"][:count] = scores[tokens]
        self._array.size, self._array.selected, self._array.sorted = count, -1, ordered
        _apply(chain, self._address)
        return int(self._data["id"][self._array.selected])
