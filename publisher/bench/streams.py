"""Scheduling with a stream of cells for every sequence: prompts evaluated alone, then decoding steps.

Answers depend on nothing but each sample's own prompt and seed: a prompt is evaluated in pieces that depend only on
positions, and in a decoding step every row looks at its own cells alone. On CPU (with repacked weights and flash
attention off, one matrix tiling forced, and never a single row) a sample is then the same bits whatever the slots, the
threads, the order and the interruptions. With `fixed` shapes, for GPUs, every step has exactly as many rows as there
are slots, idle ones filled with a dummy token; otherwise rows behind the last busy slot are left out. Fast mode comes
here where samples are long, because in a unified cache each row has to look at every other sample's cells.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from publisher.bench.batch import Batch
from publisher.bench.scheduler import Queue, Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from publisher.bench.protocol import Completion, Finish
    from publisher.bench.scheduler import Job

_IDLE_CELLS = 64
"""Cells that an idle slot's dummy tokens may fill before they are removed."""


class Streams(Scheduler):
    """One stream a slot."""

    def __init__(self, *arguments: Any, fixed: bool, least: int, copy_prompts: bool, **options: Any) -> None:
        """Schedule on the context, `least` rows a step; `copy_prompts` reuses a prompt's cells for its next samples.

        The option `batch` is how many tokens of a prompt are evaluated at a time: it is part of the arithmetic.
        """
        super().__init__(*arguments, **options)
        self._piece = int(options["batch"])
        self._fixed, self._least, self._copy = fixed, least, copy_prompts
        self._rows = self.context.sequences
        self._jobs: list[Job | None] = [None] * self._rows
        self._chains: list[Any] = [None] * self._rows
        self._prompts: dict[str, Any] = {}
        self._prompt_batch = Batch(self._piece)
        self.batch.sequences[: self._rows] = self._index[: self._rows]
        self.batch.wanted[: self._rows] = 1

    def run(self, jobs: Sequence[Job]) -> Iterator[Completion]:
        """Yield each sample's completion as soon as it is finished."""
        queue = Queue(jobs)
        self.figures.started = time.perf_counter()
        for row in range(self.context.sequences):
            self._vacate(row)
        free = list(range(self.slots - 1, -1, -1))
        while queue.waiting or len(free) < self.slots:
            while free and queue.waiting:
                self._admit(queue, free.pop())
            if not self._fixed:
                last = max(row for row, job in enumerate(self._jobs) if job is not None)
                self._rows = max(self._least, last + 1)
            for row, finish, reason in self._step(self.slots - len(free), queue.waiting):
                job = self._jobs[row]
                self._vacate(row)
                free.append(row)
                free.sort(reverse=True)
                if job is not None:
                    queue.finished(job)
                    yield self._completion(job, finish, reason)
        self._prompts.clear()
        self.figures.ended = time.perf_counter()

    def _vacate(self, row: int) -> None:
        """Empty a slot; its row carries a dummy token from now on."""
        self.context.forget(row)
        self._jobs[row] = self._chains[row] = None
        self.batch.tokens[row] = self.batch.positions[row] = 0

    def _admit(self, queue: Queue, row: int) -> None:
        """Give the slot `row` to the next sample and evaluate its prompt, up to the last token."""
        group, waiting, _ = next(queue.groups())
        job = queue.take(group)
        job.admitted = time.perf_counter()
        self.context.forget(row)
        known = self._prompts.get(group)
        if known is not None:
            self.context.restore(known, row)
        else:
            self._evaluate(job, row)
            if self._copy and waiting > 1:
                self._prompts[group] = self.context.save(row)
        if waiting == 1:
            self._prompts.pop(group, None)
        self._jobs[row], self._chains[row] = job, job.chain.pointer
        self.batch.tokens[row], self.batch.positions[row] = job.token, job.position

    def _evaluate(self, job: Job, row: int) -> None:
        """Evaluate a prompt but for its last token, alone and in pieces."""
        end = len(job.prompt) - 1
        for start in range(0, end, self._piece):
            piece = job.prompt[start : min(end, start + self._piece)]
            self._decode(self._prompt_batch.put(0, piece, sequence=row, position=start), self._prompt_batch)
        self.figures.prompt_tokens += end
        self.figures.prompt_seconds += time.perf_counter() - job.admitted

    def _step(self, active: int, waiting: int) -> list[tuple[int, Finish, str]]:
        """Evaluate one row a slot, draw the next tokens and return the rows whose samples have ended."""
        started = time.perf_counter()
        batch, rows, figures = self.batch, self._rows, self.figures
        if active < rows and figures.steps % _IDLE_CELLS == 0:
            for row in range(rows):
                if self._jobs[row] is None:
                    self._vacate(row)
        self._decode(rows)
        drawn = self._draw(self._chains[:rows], rows)
        batch.positions[:rows] += 1
        ended = self._take(self._jobs[:rows], drawn)
        if ended:
            figures.kv_high = max(figures.kv_high, int(batch.positions[:rows].sum()))
        self._count_step(active, waiting, time.perf_counter() - started)
        return ended
