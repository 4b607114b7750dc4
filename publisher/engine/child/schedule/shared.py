"""Scheduling for throughput: one cache for all sequences, shared prompts, and prompts evaluated beside decoding.

The common beginning of all prompts is evaluated once, and a problem's prompt once for all its samples; other sequences
refer to the same cells. A free slot is filled in the next step. The cache may be smaller than all slots could need:
when it is full, the sample with the fewest tokens is saved, and restored later bit for bit.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from publisher.engine.child.schedule.scheduler import Queue, Scheduler, common_prefix
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from publisher.engine.child.schedule.scheduler import Ended, RunningSample
    from publisher.engine.protocol import Completion

HOLDERS = 8
"""Sequences that hold evaluated prompts for samples without a slot."""
_MARGIN = 32
"""Cells that must be free per sample before another one gets a slot."""


@dataclass(slots=True, eq=False)
class Prompt:
    """A problem's prompt in the cache."""

    group: str
    tokens: list[int]
    holder: int
    done: int
    """Tokens evaluated so far, from the start of the prompt."""
    users: int = 1
    """The number of sequences that refer to its cells: the holder and slots."""

    @property
    def ready(self) -> bool:
        """Whether all tokens but the last are evaluated."""
        return self.done >= len(self.tokens) - 1


class SharedCache(Scheduler):
    """A scheduler with one cache for all slots, whose steps mix prompts and samples."""

    def __init__(self, *arguments: Any, cells: int, **options: Any) -> None:
        """Schedule on a context of `cells` cells with `slots` + 1 + HOLDERS sequences."""
        super().__init__(*arguments, **options)
        self._cells = cells
        self._root = self.slots
        self._shared = 0
        self._used = 0
        self._samples: list[RunningSample] = []
        self._dice: list[int | None] = []
        self._where: list[tuple[int, Prompt | None]] = []
        self._ahead = 1 + self.slots // 4
        """The number of samples whose prompts are evaluated before a slot is free for them."""
        self._free = list(range(self.slots - 1, -1, -1))
        self._holders = list(range(self.slots + 1, self.slots + 1 + HOLDERS))
        self._prompts: dict[str, Prompt] = {}
        self._waiting: deque[RunningSample] = deque()

    def run(self, samples: Sequence[RunningSample]) -> Iterator[Completion]:
        """Yield each sample's completion as soon as it is finished."""
        queue = Queue(samples)
        self.figures.started = time.perf_counter()
        self._evaluate_beginning(samples)
        while queue.waiting or self._samples or self._waiting:
            if queue.waiting or self._prompts or self._waiting:
                self._refill(queue)
            yield from self._step(queue)
        self.context.forget(self._root)
        self._used -= self._shared
        self._shared = 0
        self.figures.ended = time.perf_counter()

    # -- prompts ------------------------------------------------------------------------------------------------

    def _evaluate_beginning(self, samples: Sequence[RunningSample]) -> None:
        """Evaluate the common beginning of all prompts once."""
        common = common_prefix(samples)
        if not common:
            return
        started = time.perf_counter()
        for start in range(0, common, self.batch.capacity):
            piece = samples[0].prompt[start : min(common, start + self.batch.capacity)]
            self._decode(self.batch.put(0, piece, sequence=self._root, position=start))
        self._shared = common
        self._used += common
        self.figures.prompt_tokens += common
        self.figures.prompt_seconds += time.perf_counter() - started

    def _open_prompts(self, queue: Queue) -> None:
        """Give holders to the prompts that slots will need next."""
        for sample in itertools.islice(queue.upcoming(), len(self._free) + self._ahead):
            group = sample.request.group
            if group in self._prompts:
                continue
            need = len(sample.prompt) - self._shared + _MARGIN * (len(self._samples) + 1)
            if not self._holders or (self._used + need > self._cells and self._used > self._shared):
                return
            prompt = self._prompts[group] = Prompt(group, sample.prompt, self._holders.pop(), self._shared)
            if self._shared:
                self.context.share(self._root, prompt.holder, self._shared)
            self._used += len(prompt.tokens) - 1 - self._shared

    def _release(self, prompt: Prompt) -> None:
        """Count one user of a prompt's cells less; the last user frees them."""
        prompt.users -= 1
        if prompt.users == 0:
            self._used -= len(prompt.tokens) - 1 - self._shared

    # -- slots --------------------------------------------------------------------------------------------------

    def _refill(self, queue: Queue) -> None:
        """Give free slots to saved samples first, then to samples whose prompts are evaluated."""
        while self._waiting and self._free and self._fits(self._waiting[0].position):
            self._resume(self._waiting.popleft())
        if self._waiting:
            return
        self._open_prompts(queue)
        while self._free and any(prompt.ready and queue.left(prompt.group) for prompt in self._prompts.values()):
            sample = next(sample for sample in queue.upcoming() if self._is_ready(sample.request.group))
            self._admit(queue.take(sample), self._prompts[sample.request.group])
        for prompt in list(self._prompts.values()):
            if prompt.ready and not queue.left(prompt.group):
                self.context.forget(prompt.holder)
                self._holders.append(prompt.holder)
                del self._prompts[prompt.group]
                self._release(prompt)

    def _is_ready(self, group: str) -> bool:
        """Return whether a problem's prompt is evaluated."""
        return group in self._prompts and self._prompts[group].ready

    def _fits(self, cells: int) -> bool:
        """Return whether `cells` more fit while every sample keeps room to grow."""
        return self._used + cells + _MARGIN * (len(self._samples) + 1) <= self._cells or not self._samples

    def _admit(self, sample: RunningSample, prompt: Prompt) -> None:
        """Start a sample from its evaluated prompt."""
        slot = self._free.pop()
        sample.admitted = time.perf_counter()
        self.context.share(prompt.holder, slot, len(prompt.tokens) - 1)
        prompt.users += 1
        self._place(sample, slot, prompt)

    def _resume(self, sample: RunningSample) -> None:
        """Restore a preempted sample."""
        slot = self._free.pop()
        if not self.context.restore(sample.saved, slot):
            raise ModelError("llama.cpp could not restore a sample that had been moved out of the KV cache")
        sample.saved = None
        self._used += sample.position
        self._place(sample, slot, None)

    def _place(self, sample: RunningSample, slot: int, prompt: Prompt | None) -> None:
        """Append a row for a sample in `slot`; `prompt` is the one whose cells it shares, if any."""
        row = len(self._samples)
        self._samples.append(sample)
        self._dice.append(self._random_numbers(sample))
        self._where.append((slot, prompt))
        self.batch.tokens[row], self.batch.positions[row] = sample.token, sample.position
        self.batch.sequences[row] = slot

    def _remove(self, row: int) -> RunningSample:
        """Remove a sample from its row and free its slot; the last row moves into the gap."""
        sample, (slot, prompt) = self._samples[row], self._where[row]
        self.context.forget(slot)
        self._used -= int(self.batch.positions[row])
        if prompt:
            self._used += len(sample.prompt) - 1
            self._release(prompt)
        self._free.append(slot)
        last = len(self._samples) - 1
        for column in (self.batch.tokens, self.batch.positions, self.batch.sequences):
            column[row] = column[last]
        _move_last(self._samples, row)
        _move_last(self._dice, row)
        _move_last(self._where, row)
        return sample

    def _preempt(self) -> None:
        """Save the sample with the fewest tokens and free its cells."""
        row = min(range(len(self._samples)), key=lambda number: len(self._samples[number].out))
        sample, slot = self._samples[row], self._where[row][0]
        sample.saved = self.context.save(slot)
        self._remove(row)
        self._waiting.append(sample)
        self.figures.preemptions += 1

    # -- steps --------------------------------------------------------------------------------------------------

    def _step(self, queue: Queue) -> Iterator[Completion]:
        """Evaluate a row for every sample and as much of the opened prompts as fits, then draw."""
        started = time.perf_counter()
        while len(self._samples) > 1 and self._used + len(self._samples) > self._cells:
            self._preempt()
        rows = len(self._samples)
        self.batch.wanted[:rows] = 1
        end, pieces = self._add_prompts(rows)
        ended: list[Ended] = []
        if rows:
            alone = not (pieces or self._waiting)
            most = (self._cells - self._used) // rows if alone else 1
            done, ended = self._advance(self._samples, self._dice, end=end, most=max(1, most))
        else:
            done = int(end > 0 and self._decode(end))
        if not done:
            yield from self._overflow(queue)
            return
        for prompt, length in pieces:
            prompt.done += length
        self._used += done * rows
        self.figures.kv_high = max(self.figures.kv_high, self._used)
        self._count(done, rows, end - rows, queue, time.perf_counter() - started)
        for row, finish, reason in reversed(ended):
            yield self._finish(row, queue, finish, reason)

    def _finish(self, row: int, queue: Queue, finish: Any, reason: str = "") -> Completion:
        sample = self._remove(row)
        queue.finished(sample)
        return self._completion(sample, finish, reason)

    def _overflow(self, queue: Queue) -> Iterator[Completion]:
        """Make room after llama.cpp found none; a sample that fills the cache alone has ended."""
        if len(self._samples) > 1:
            self._preempt()
        elif self._samples:
            yield self._finish(0, queue, "length")
        else:
            raise ModelError("a prompt does not fit into the KV cache", hint="raise model.context in publisher.toml")

    def _add_prompts(self, rows: int) -> tuple[int, list[tuple[Prompt, int]]]:
        """Append pieces of the opened prompts to the batch; return the number of rows and the lengths of the pieces."""
        end, pieces = rows, []
        for prompt in self._prompts.values():
            room = self.batch.capacity - end
            piece = prompt.tokens[prompt.done : min(len(prompt.tokens) - 1, prompt.done + room)]
            if piece:
                end = self.batch.put(end, piece, sequence=prompt.holder, position=prompt.done)
                pieces.append((prompt, len(piece)))
        return end, pieces

    def _count(self, steps: int, rows: int, prompt_rows: int, queue: Queue, seconds: float) -> None:
        """Count steps; the time of a mixed one is split by rows between prompts and samples."""
        share = rows / max(1, rows + prompt_rows)
        self.figures.prompt_tokens += prompt_rows
        self.figures.prompt_seconds += seconds * (1 - share)
        if rows:
            self._count_steps(steps, rows, queue.waiting + len(self._waiting), seconds * share)


def _move_last(items: list[Any], index: int) -> None:
    """Remove the item at `index` and put the last item in its place."""
    items[index] = items[-1]
    items.pop()
