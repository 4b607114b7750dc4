"""llama.cpp's repetition, frequency and presence penalties, applied to a row of logits before any other sampler.

A token of the last `penalty_window` tokens, prompt included, has its logit divided by `repetition_penalty` where it is
positive and multiplied by it where it is not; then `frequency_penalty` is subtracted once per occurrence and
`presence_penalty` once. What is penalized follows from the sample's own tokens alone, so nothing is kept from one step
to the next, and a sample that moves to another slot or was interrupted goes on the same.
Sources: llama_sampler_penalties_apply in llama.cpp's src/llama-sampler.cpp; CTRL (Keskar et al. 2019).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from publisher.schema import Sampling

    Row = npt.NDArray[np.float32]


class Penalties:
    """Changes logits in place by what their sequences hold already."""

    def __init__(self, sampling: Sampling) -> None:
        """Take the penalties of `sampling`, in llama.cpp's own precision of 32 bits."""
        self._window = sampling.penalty_window
        self._repetition = np.float32(sampling.repetition_penalty)
        self._frequency = np.float32(sampling.frequency_penalty)
        self._presence = np.float32(sampling.presence_penalty)

    def apply(self, scores: Row, prompt: Sequence[int], out: Sequence[int]) -> None:
        """Penalize in `scores`, the next token's logits, what the end of `prompt` and then `out` holds."""
        short = self._window - len(out)
        recent = [*prompt[-short:], *out] if short > 0 else out[-self._window :]
        tokens, counts = np.unique(np.asarray(recent, dtype=np.intp), return_counts=True)
        found = scores[tokens]
        found = np.where(found <= 0, found * self._repetition, found / self._repetition)
        scores[tokens] = found - (counts.astype(np.float32) * self._frequency + self._presence)


def penalties(sampling: Sampling) -> Penalties | None:
    """Return the penalties that `sampling` asks for, or None where they would change nothing."""
    idle = sampling.repetition_penalty == 1 and sampling.frequency_penalty == 0 and sampling.presence_penalty == 0
    return None if idle or sampling.penalty_window == 0 else Penalties(sampling)
