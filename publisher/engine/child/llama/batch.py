"""A llama_batch whose columns are numpy arrays, so that filling it takes no loop over tokens."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from publisher.engine.child.llama.binding import llama

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_FIELDS = ("token", "pos", "n_seq_id", "seq_id", "logits")


class Batch:
    """Up to `capacity` rows; each row is one token at one position of one sequence.

    `tokens`, `positions`, `sequences` (int32) and `wanted` (int8: compute this row's logits) are the columns. Write to
    them, then call `struct(rows)` for what llama_decode takes.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.tokens: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.positions: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.sequences: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.wanted: npt.NDArray[np.int8] = np.zeros(capacity, dtype=np.int8)
        self._counts = np.ones(capacity, dtype=np.int32)
        # seq_id holds, per row, the address of a list of sequences. Here each list is one entry of the column.
        self._addresses = self.sequences.ctypes.data + 4 * np.arange(capacity, dtype=np.uint64)
        self._struct = llama.llama_batch()
        kinds = dict(llama.llama_batch._fields_)
        columns: tuple[npt.NDArray[Any], ...] = (
            self.tokens,
            self.positions,
            self._counts,
            self._addresses,
            self.wanted,
        )
        for field, column in zip(_FIELDS, columns, strict=True):
            setattr(self._struct, field, ctypes.cast(column.ctypes.data, kinds[field]))

    def struct(self, rows: int) -> Any:
        """Return the llama_batch of the first `rows` rows; it is valid as long as this object exists."""
        self._struct.n_tokens = rows
        return self._struct

    def put(self, start: int, tokens: Sequence[int], *, sequence: int, position: int) -> int:
        """Write consecutive tokens of one sequence, without logits, from row `start` on; return the next free row."""
        end = start + len(tokens)
        self.tokens[start:end] = tokens
        self.positions[start:end] = np.arange(position, position + len(tokens))
        self.sequences[start:end] = sequence
        self.wanted[start:end] = 0
        return end
