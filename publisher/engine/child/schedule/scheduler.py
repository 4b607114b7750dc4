"""The common part of both schedulers: samples in progress, their order, steps of drawing tokens, and the figures.

The last token of a prompt is not evaluated with the rest of the prompt but in a decoding step, like every generated
token. So all samples of a problem can start from one evaluated prompt, and a sample's first token is computed like the
others.
"""

from __future__ import annotations

import abc
import ctypes
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from publisher.engine.child.llama.batch import Batch
from publisher.engine.child.llama.binding import function, llama
from publisher.engine.child.llama.sampling import Dice
from publisher.engine.protocol import LONGEST_RUNNING, Completion
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from publisher.engine.child.llama.handles import Context, Model
    from publisher.engine.child.llama.penalties import Penalties
    from publisher.engine.child.llama.sampling import Drawer
    from publisher.engine.protocol import Finish, SampleRequest

    Ended = tuple[int, Finish, str]
    """A row whose sample has ended, how, and the reason for an error."""

# Only the address: creating a pointer object per step would cost more than everything around it.
_logits_address = function("llama_get_logits", ctypes.c_void_p, ctypes.c_void_p)
_CHECK_EVERY = 16
"""Steps after which all logits are searched for NaN; when a sample ends, only those of the drawn tokens are."""
_BURST = 0.25
"""Seconds after which steps are counted at the latest, so that the progress of a slow model shows."""
_WORTH_SHARING = 8
"""Tokens from which on a common beginning of the prompts is evaluated separately."""


@dataclass(slots=True, eq=False)
class RunningSample:
    """One sample in progress."""

    request: SampleRequest
    prompt: list[int]
    limit: int
    """The number of tokens that may be drawn."""
    submitted: float
    out: list[int] = field(default_factory=list)
    admitted: float = 0.0
    first: float = 0.0
    tail: bytes = b""
    """The last bytes of the text, which are searched for stop strings."""
    dice: Dice | None = None
    """The sample's random numbers, created with its first slot."""
    saved: Any = None
    """The sample's cells of the KV cache while it waits after a preemption."""

    @property
    def position(self) -> int:
        """The position of the next token to evaluate."""
        return len(self.prompt) - 1 + len(self.out)

    @property
    def token(self) -> int:
        """The next token to evaluate: the last one drawn, or the prompt's last."""
        return self.out[-1] if self.out else self.prompt[-1]


class Queue:
    """Samples that wait, the longest expected first; those of a problem stay together where they are expected equal.

    The order starts with the lengths that the caller expects (or the limit). Each time a twentieth of the samples has
    finished, it is computed again from the lengths seen so far.
    """

    def __init__(self, samples: Sequence[RunningSample]) -> None:
        groups: dict[str, list[RunningSample]] = {}
        for sample in samples:
            groups.setdefault(sample.request.group, []).append(sample)
        # The next one is the last of the list, so that taking it moves nothing.
        self._samples = [sample for group in groups.values() for sample in group][::-1]
        self._left = {group: len(members) for group, members in groups.items()}
        self._seen: dict[str, list[int]] = {}
        self._every = max(16, len(samples) // 20)
        self._finished = 0
        self._samples.sort(key=self._place)

    @property
    def waiting(self) -> int:
        """The number of waiting samples."""
        return len(self._samples)

    def _place(self, sample: RunningSample) -> tuple[int, float]:
        """Return what a sample is sorted by: lower rounds first, then longer answers; the last of the list is next."""
        return -sample.request.round, self._expected(sample)

    def _expected(self, sample: RunningSample) -> float:
        """Return the expected length of a sample, from finished ones of its problem unless it has its own limit."""
        seen = None if sample.request.max_tokens else self._seen.get(sample.request.group)
        return sum(seen) / len(seen) if seen else float(sample.request.expected or sample.limit)

    def finished(self, sample: RunningSample) -> None:
        """Take the length of a finished sample into account."""
        if len(self._left) > 1 and not sample.request.max_tokens:
            self._seen.setdefault(sample.request.group, []).append(len(sample.out))
            self._finished += 1
            if self._finished % self._every == 0:
                self._samples.sort(key=self._place)

    def upcoming(self) -> Iterator[RunningSample]:
        """Yield the waiting samples in order; call `take` only after the iteration has ended."""
        return reversed(self._samples)

    def left(self, group: str) -> int:
        """Return the number of waiting samples of a problem."""
        return self._left.get(group, 0)

    def take(self, sample: RunningSample) -> RunningSample:
        """Remove a waiting sample and return it."""
        if self._samples[-1] is sample:
            self._samples.pop()
        else:
            self._samples.remove(sample)
        self._left[sample.request.group] -= 1
        if not self._left[sample.request.group]:
            del self._left[sample.request.group]
        return sample


@dataclass(slots=True)
class Figures:
    """The counts of a run; seconds are wall-clock time of llama.cpp's calls and of drawing tokens."""

    started: float = 0.0
    ended: float = 0.0
    prompt_tokens: int = 0
    prompt_seconds: float = 0.0
    decode_tokens: int = 0
    decode_seconds: float = 0.0
    steps: int = 0
    rows: int = 0
    busy_steps: int = 0
    busy_rows: int = 0
    kv_high: int = 0
    preemptions: int = 0
    tail_seconds: float = 0.0
    longest: int = 0
    """Tokens of the longest sample in progress."""

    def as_statistics(self, slots: int) -> dict[str, float]:
        """Return the figures under the names that a record uses; while it lasts also the longest sample's length."""
        running = {} if self.ended else {LONGEST_RUNNING: float(self.longest)}
        return running | {
            "prompt_tokens": float(self.prompt_tokens),
            "prompt_seconds": self.prompt_seconds,
            "prompt_tokens_per_second": self.prompt_tokens / max(1e-9, self.prompt_seconds),
            "decode_tokens": float(self.decode_tokens),
            "decode_seconds": self.decode_seconds,
            "decode_tokens_per_second": self.decode_tokens / max(1e-9, self.decode_seconds),
            "steps": float(self.steps),
            "occupancy": self.rows / max(1, self.steps * slots),
            "occupancy_before_tail": self.busy_rows / max(1, self.busy_steps * slots),
            "kv_high_water": float(self.kv_high),
            "preemptions": float(self.preemptions),
            "tail_seconds": self.tail_seconds,
            "seconds": (self.ended or time.perf_counter()) - self.started if self.started else 0.0,
        }


class Scheduler(abc.ABC):
    """Generates samples on one context."""

    def __init__(
        self,
        model: Model,
        context: Context,
        *,
        slots: int,
        batch: int,
        drawer: Drawer | None,
        stops: tuple[str, ...],
        beat: Callable[[str], None],
        penalties: Penalties | None = None,
    ) -> None:
        """Schedule on the context; without a `drawer` each token is the likeliest one."""
        self.model, self.context, self.slots = model, context, slots
        self.batch = Batch(max(batch, context.sequences))
        self.figures = Figures()
        self._drawer, self._penalties = drawer, penalties
        self._stops = tuple(stop.encode() for stop in stops if stop)
        self._keep = max(map(len, self._stops), default=0) + 64
        self._beat = beat
        self._address = 0
        self._look = _CHECK_EVERY
        """The step after which all logits are searched next."""
        self._view: npt.NDArray[np.float32] = np.zeros((0, model.tokens), dtype=np.float32)
        self._index = np.arange(self.batch.capacity)

    @abc.abstractmethod
    def run(self, samples: Sequence[RunningSample]) -> Iterator[Completion]:
        """Yield each sample's completion as soon as it is finished."""

    # -- one call of llama.cpp ----------------------------------------------------------------------------------

    def _decode(self, rows: int, batch: Batch | None = None) -> bool:
        """Evaluate the first `rows` rows of the batch; return false where the cache has no room for them."""
        code = llama.llama_decode(self.context.pointer, (batch or self.batch).struct(rows))
        self._beat("generating")
        if code not in {0, 1}:
            raise ModelError(f"llama.cpp could not evaluate a batch of {rows} tokens (llama_decode returned {code})")
        return bool(code == 0)

    def _scores(self, rows: int) -> npt.NDArray[np.float32]:
        """Return a view of the logits in llama.cpp's memory, shape (rows, vocabulary)."""
        address = int(_logits_address(self.context.pointer) or 0)
        if address != self._address or len(self._view) < rows:
            pointer = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
            self._view = np.ctypeslib.as_array(pointer, shape=(rows, self.model.tokens))
            self._address = address
        return self._view[:rows]

    def _random_numbers(self, sample: RunningSample) -> int | None:
        """Return the address of a sample's random numbers, which its first slot creates; None for greedy sampling."""
        if self._drawer is None:
            return None
        if sample.dice is None:
            sample.dice = Dice(sample.request.seed)
        return sample.dice.address

    def _draw(self, dice: Sequence[int | None], rows: int) -> list[int]:
        """Return a token for each of the first `rows` rows; 0 for rows without random numbers."""
        if self._drawer is None:
            return list(self._scores(rows).argmax(axis=1).tolist())
        return self._drawer.draw(self.context.pointer, dice, self._scores)

    def _penalize(self, penalties: Penalties, samples: Sequence[RunningSample | None]) -> None:
        """Apply the penalties to the rows of the last step, where the samplers will read them."""
        for row, sample in zip(self._scores(len(samples)), samples, strict=True):
            if sample is not None:
                penalties.apply(row, sample.prompt, sample.out)

    def _unusable(self, drawn: list[int], *, search: bool) -> list[int]:
        """Return the rows of the last step where the drawn token's logit, or with `search` any logit, is not finite."""
        rows = len(drawn)
        scores = self._scores(rows)
        suspects = scores[self._index[:rows], drawn]
        if search:
            suspects = suspects + scores.sum(axis=1)
        return [] if math.isfinite(suspects.sum()) else np.flatnonzero(~np.isfinite(suspects)).tolist()

    def _advance(
        self, samples: Sequence[RunningSample | None], dice: Sequence[int | None], *, end: int, most: int
    ) -> tuple[int, list[Ended]]:
        """Evaluate and draw until a sample ends, at most `most` times; return the number of steps and the ended rows.

        `end` is the number of rows of the first step: one per sample, and those of prompts behind them. Where the cache
        has no room the number of steps is 0. This loop is all that Python does per token, so tenths of a microsecond
        count here.
        """
        rows, ends, decode, draw = len(samples), self.model.ends, self._decode, self._draw
        outs = [[] if sample is None else sample.out for sample in samples]
        fresh = [sample for sample in samples if sample is not None and not sample.out]
        left = min(sample.limit - len(sample.out) for sample in samples if sample is not None)
        most = 1 if fresh or self._stops else min(most, left, self._look - self.figures.steps)
        tokens, positions = self.batch.tokens[:rows], self.batch.positions[:rows]
        drawn: list[int] = []
        done, until = 0, time.perf_counter() + _BURST
        while done < most and decode(end):
            if self._penalties is not None:
                self._penalize(self._penalties, samples)
            drawn = draw(dice, rows)
            tokens[:] = drawn
            positions += 1
            for out, token in zip(outs, drawn, strict=True):
                out.append(token)
            done += 1
            if not ends.isdisjoint(drawn) or time.perf_counter() > until:
                break
        for sample in fresh:
            sample.first = time.perf_counter()
        self.figures.longest = max(map(len, outs))
        search = self.figures.steps + done >= self._look
        if search:
            self._look += _CHECK_EVERY
        return done, self._ended(samples, drawn, search=search) if done else []

    # -- a sample's end -----------------------------------------------------------------------------------------

    def _ended(self, samples: Sequence[RunningSample | None], drawn: list[int], *, search: bool) -> list[Ended]:
        """Return the rows whose samples have ended with the last tokens.

        A NaN stays in a sample's cells and so in all its later logits. It is enough to search for it now and then
        (`search`) and before a sample ends.
        """
        ended: list[Ended] = []
        ends, stops = self.model.ends, self._stops
        for row, sample in enumerate(samples):
            if sample is None:
                continue
            if drawn[row] in ends:
                sample.out.pop()
                ended.append((row, "stop", ""))
            elif stops and self._stopped(sample, drawn[row]):
                ended.append((row, "stop", ""))
            elif len(sample.out) >= sample.limit:
                ended.append((row, "length", ""))
        return self._with_faults(ended, samples, drawn, search=search) if ended or search else []

    def _with_faults(
        self, ended: list[Ended], samples: Sequence[RunningSample | None], drawn: list[int], *, search: bool
    ) -> list[Ended]:
        """Return the ended rows, in order, with an error for each row whose logits are not finite."""
        faults: list[Ended] = []
        for row in self._unusable(drawn, search=search):
            sample = samples[row]
            if sample is not None:
                faults.append((row, "error", f"the model computed NaN by token {len(sample.out)}"))
        rows = {row for row, _, _ in faults}
        return sorted([*faults, *(one for one in ended if one[0] not in rows)]) if faults else ended

    def _stopped(self, sample: RunningSample, token: int) -> bool:
        """Return whether the text contains a stop string with its last token, also across tokens."""
        window = sample.tail + self.model.piece(token)
        sample.tail = window[-self._keep :]
        return any(stop in window for stop in self._stops)

    def _completion(self, sample: RunningSample, finish: Finish, reason: str = "") -> Completion:
        """Free a sample's random numbers and return its completion."""
        if sample.dice is not None:
            sample.dice.close()
        sample.saved = None
        now = time.perf_counter()
        text = self.model.text(sample.out)
        for stop in self._stops:
            text = text.split(stop.decode(), 1)[0]
        return Completion(
            key=sample.request.key,
            text=text,
            finish=finish,
            prompt_tokens=len(sample.prompt),
            tokens=len(sample.out),
            latency=now - sample.admitted,
            queue=sample.admitted - sample.submitted,
            prompt_time=(sample.first or now) - sample.admitted,
            reason=reason,
        )

    def _count_steps(self, steps: int, rows: int, waiting: int, seconds: float) -> None:
        """Count decoding steps of `rows` samples each, while `waiting` other samples had no slot."""
        figures = self.figures
        figures.steps += steps
        figures.rows += steps * rows
        figures.decode_tokens += steps * rows
        figures.decode_seconds += seconds
        if waiting:
            figures.busy_steps += steps
            figures.busy_rows += steps * rows
        elif rows < self.slots:
            figures.tail_seconds += seconds * (1 - rows / self.slots)


def common_prefix(samples: Sequence[RunningSample]) -> int:
    """Return how many tokens the prompts of all problems have in common at their start; 0 if it is not worth sharing.

    The last token of a prompt does not count, because a decoding step evaluates it.
    """
    prompts = list({sample.request.group: sample.prompt for sample in samples}.values())
    if len(prompts) < 2:
        return 0
    shortest, longest = min(prompts), max(prompts)
    ends = min(map(len, prompts)) - 1
    shared = next((place for place in range(ends) if shortest[place] != longest[place]), max(0, ends))
    return shared if shared >= _WORTH_SHARING else 0
