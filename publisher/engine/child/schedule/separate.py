"""Scheduling with a cache per sequence: prompts are evaluated alone, and then all samples share decoding steps.

An answer depends only on its own prompt and seed: a prompt is evaluated in pieces that depend only on positions, and in
a decoding step every row attends to its own cells alone. On a CPU (with repacked weights and flash attention off, one
matrix tiling forced, and never a single row) a sample then has the same bits for every number of slots and threads,
every order and every interruption. With `fixed` shapes, for GPUs, every step has one row per slot, and idle slots carry
a dummy token; otherwise a step leaves out the rows behind the last busy slot. Fast mode uses separate caches where
samples are long, because in a shared cache each row attends to the cells of all samples.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from publisher.engine.child.llama.batch import Batch
from publisher.engine.child.schedule.scheduler import Queue, Scheduler, common_prefix
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from publisher.engine.child.schedule.scheduler import Ended, RunningSample
    from publisher.engine.protocol import Completion

_IDLE_CELLS = 64
"""Steps after which the cells of idle slots' dummy tokens are removed; a few steps more do no harm."""
_PROMPTS = 256 << 20
"""Bytes of evaluated prompts to keep for the next samples of their problems; others are evaluated again."""


class SeparateCaches(Scheduler):
    """A scheduler with one cache per slot."""

    def __init__(self, *arguments: Any, fixed: bool, least: int, copy_prompts: bool, **options: Any) -> None:
        """Schedule on the context with at least `least` rows per step; `copy_prompts`: reuse the cells of a prompt.

        The option `batch` is the number of tokens of a prompt per step. It changes the order of sums, hence bits.
        """
        super().__init__(*arguments, **options)
        self._piece = int(options["batch"])
        self._fixed, self._least, self._copy = fixed, least, copy_prompts
        self._rows = self.context.sequences
        self._samples: list[RunningSample | None] = [None] * self._rows
        self._dice: list[int | None] = [None] * self._rows
        self._tidy = 0
        """The step after which idle slots are emptied next."""
        self._prompts: dict[str, Any] = {}
        self._shared, self._beginning = 0, None
        self._prompt_batch = Batch(self._piece)
        self.batch.sequences[: self._rows] = self._index[: self._rows]
        self.batch.wanted[: self._rows] = 1

    def run(self, samples: Sequence[RunningSample]) -> Iterator[Completion]:
        """Yield each sample's completion as soon as it is finished."""
        queue = Queue(samples)
        self.figures.started = time.perf_counter()
        for row in range(self.context.sequences):
            self._empty(row)
        if self._copy:
            self._evaluate_beginning(samples)
        free = list(range(self.slots - 1, -1, -1))
        changed = True
        while queue.waiting or len(free) < self.slots:
            if changed:
                while free and queue.waiting:
                    self._admit(queue, free.pop())
                if not self._fixed:
                    self._rows = max(self._least, self._last() + 1)
            changed = False
            for row, finish, reason in self._step(self.slots - len(free), queue.waiting):
                sample, changed = self._samples[row], True
                self._empty(row)
                free.append(row)
                free.sort(reverse=True)
                if sample is not None:
                    queue.finished(sample)
                    yield self._completion(sample, finish, reason)
            if changed and not queue.waiting and not self._fixed:
                self._compact(free)
        self._prompts.clear()
        self._shared, self._beginning = 0, None
        self.figures.ended = time.perf_counter()

    def _last(self) -> int:
        """Return the last busy row; -1 if there is none."""
        return max((row for row, sample in enumerate(self._samples) if sample is not None), default=-1)

    def _compact(self, free: list[int]) -> None:
        """Move samples from the last rows to free ones before them, bit for bit, so that steps have fewer rows."""
        while free and (last := self._last()) > free[-1]:
            row = free.pop()
            self.context.forget(row)
            self.context.restore(self.context.save(last), row)
            self._samples[row], self._dice[row] = self._samples[last], self._dice[last]
            for column in (self.batch.tokens, self.batch.positions):
                column[row] = column[last]
            self._empty(last)
            free.append(last)
            free.sort(reverse=True)

    def _empty(self, row: int) -> None:
        """Empty a slot; its row then carries a dummy token."""
        self.context.forget(row)
        self._samples[row] = self._dice[row] = None
        self.batch.tokens[row] = self.batch.positions[row] = 0

    def _admit(self, queue: Queue, row: int) -> None:
        """Give the slot `row` to the next sample and evaluate its prompt except the last token."""
        sample = queue.take(next(queue.upcoming()))
        group = sample.request.group
        sample.admitted = time.perf_counter()
        self.context.forget(row)
        known = self._prompts.get(group)
        if known is not None:
            self.context.restore(known, row)
        else:
            self._evaluate(sample.prompt[:-1], row)
            if self._copy and queue.left(group) and sum(map(len, self._prompts.values())) < _PROMPTS:
                self._prompts[group] = self.context.save(row)
        if not queue.left(group):
            self._prompts.pop(group, None)
        self._samples[row], self._dice[row] = sample, self._random_numbers(sample)
        self.batch.tokens[row], self.batch.positions[row] = sample.token, sample.position

    def _evaluate_beginning(self, samples: Sequence[RunningSample]) -> None:
        """Evaluate the common beginning of all prompts once and keep its cells."""
        shared = common_prefix(samples)
        if shared:
            self._evaluate(samples[0].prompt[:shared], 0)
            self._shared, self._beginning = shared, self.context.save(0)
            self._empty(0)

    def _evaluate(self, tokens: Sequence[int], row: int) -> None:
        """Evaluate the beginning of a prompt, alone and in pieces, after the common beginning of all prompts."""
        started, end = time.perf_counter(), len(tokens)
        # llama.cpp has another kernel for a single row, which rounds otherwise; no piece may have one token alone.
        begun = at = self._shared if end - self._shared != 1 else 0
        if begun:
            self.context.restore(self._beginning, row)
        while at < end:
            length = min(self._piece, end - at)
            length -= length > 1 and end - at - length == 1
            piece = tokens[at : at + length]
            self._decode(self._prompt_batch.put(0, piece, sequence=row, position=at), self._prompt_batch)
            at += length
        self.figures.prompt_tokens += end - begun
        self.figures.prompt_seconds += time.perf_counter() - started

    def _step(self, active: int, waiting: int) -> list[Ended]:
        """Evaluate one row per slot and draw, a few times; return the rows whose samples have ended."""
        started, rows, figures = time.perf_counter(), self._rows, self.figures
        if active < rows and figures.steps >= self._tidy:
            self._tidy = figures.steps + _IDLE_CELLS
            for row in range(rows):
                if self._samples[row] is None:
                    self._empty(row)
        done, ended = self._advance(self._samples[:rows], self._dice[:rows], end=rows, most=_IDLE_CELLS)
        if not done:
            raise ModelError("llama.cpp found no room in the KV cache for a sample that fits into its own cache")
        if ended:
            figures.kv_high = max(figures.kv_high, int(self.batch.positions[:rows].sum()))
        self._count_steps(done, active, waiting, time.perf_counter() - started)
        return ended
