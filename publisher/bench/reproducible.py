"""Scheduling whose answers depend on nothing but each sample's own prompt and seed.

Every sequence has a stream of cells of its own; a prompt is evaluated alone, in pieces that depend only on positions;
and every decoding step has exactly as many rows as there are slots, idle ones filled with a dummy token, so that
ggml's kernels see one shape. On CPU (with repacked weights and flash attention off and one matrix tiling forced) a
sample is then the same bits whatever the slots, the threads, the order and the interruptions.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from publisher.bench.scheduler import Queue, Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from publisher.bench.protocol import Completion
    from publisher.bench.scheduler import Job

_IDLE_CELLS = 64


class Reproducible(Scheduler):
    """One stream a slot, fixed shapes."""

    def __init__(self, *arguments: Any, copy_prompts: bool, **options: Any) -> None:
        """Schedule on the context; `copy_prompts` reuses an evaluated prompt's cells for a problem's next samples.

        The option `batch` is how many tokens of a prompt are evaluated at a time: it is part of the arithmetic.
        """
        super().__init__(*arguments, **options)
        self._piece = int(options["batch"])
        self._copy = copy_prompts
        self._rows = self.context.sequences
        self._jobs: list[Job | None] = [None] * self._rows
        self._chains: list[Any] = [None] * self._rows
        self._prompts: dict[str, Any] = {}

    def run(self, jobs: Sequence[Job]) -> Iterator[Completion]:
        """Yield each sample's completion as soon as it is finished."""
        queue = Queue(jobs)
        self.figures.started = time.perf_counter()
        for row in range(self._rows):
            self._vacate(row)
        free = list(range(self.slots - 1, -1, -1))
        active = 0
        while queue.waiting or active:
            while free and queue.waiting:
                self._admit(queue, free.pop())
                active += 1
            for row, job, completion in self._step(active, queue.waiting):
                self._vacate(row)
                free.append(row)
                active -= 1
                queue.finished(job)
                yield completion
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

    def _evaluate(self, job: Job, row: int) -> None:
        """Evaluate a prompt but for its last token, alone and in pieces."""
        before = self.batch.tokens.copy(), self.batch.positions.copy()
        end = len(job.prompt) - 1
        for start in range(0, end, self._piece):
            piece = job.prompt[start : min(end, start + self._piece)]
            self._decode(self.batch.put(0, piece, sequence=row, position=start))
        self.batch.tokens[:], self.batch.positions[:] = before
        now = time.perf_counter()
        self.figures.prompt_tokens += end
        self.figures.prompt_seconds += now - job.admitted

    def _step(self, active: int, waiting: int) -> Iterator[tuple[int, Job, Completion]]:
        """Evaluate one row a slot, draw the next tokens and yield the slots whose samples have ended."""
        started = time.perf_counter()
        batch, rows = self.batch, self._rows
        self._prepare()
        self._decode(rows)
        bad = self._draw(self._chains, rows)
        batch.positions[:rows] += 1
        self.figures.kv_high = max(self.figures.kv_high, int(batch.positions[:rows].sum()))
        self._count_step(active, waiting, time.perf_counter() - started)
        drawn = batch.tokens[:rows].tolist()
        for row, job in enumerate(self._jobs):
            if job is None:
                continue
            if bad is not None and bad[row]:
                yield row, job, self._completion(job, "error", f"the model computed NaN for token {len(job.out) + 1}")
            elif (finish := self._ended(job, drawn[row])) is not None:
                yield row, job, self._completion(job, finish)

    def _prepare(self) -> None:
        """Fill the columns of the rows, dummies included."""
        batch, rows = self.batch, self._rows
        batch.sequences[:rows] = self._index[:rows]
        batch.wanted[:rows] = 1
        for row, job in enumerate(self._jobs):
            if job is not None:
                if not job.out:
                    batch.tokens[row], batch.positions[row] = job.token, job.position
            elif batch.positions[row] >= _IDLE_CELLS:
                self._vacate(row)
            else:
                batch.tokens[row] = 0
