"""What a run has before it generates anything: the samples of its interrupted predecessor, and of earlier runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from publisher.bench.journal import choices_of
from publisher.bench.scoring import is_gradable
from publisher.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from publisher.bench.journal import Journal
    from publisher.bench.looks import Key
    from publisher.bench.plan import Job, Plan, PlannedSample
    from publisher.bench.scoring import Scorer
    from publisher.engine.protocol import InferenceEngine
    from publisher.schema import EngineIdentity, Sample

    Reusable = Callable[[str], Iterable[tuple[str, EngineIdentity | None, Iterable[Sample]]]]
    """Generation digest -> (run id, engine, samples) of earlier runs, newest first; None for an unknown engine."""


@dataclass(slots=True)
class Run:
    """A run in progress: its finished samples by suite, problem and number, and where they came from."""

    job: Job
    plan: Plan
    scorer: Scorer
    done: dict[Key, Sample] = field(default_factory=dict)
    reused: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, str | None] = field(default_factory=dict)
    """What the engine of each run whose samples are reused had chosen; None where that is unknown."""
    errors: Counter[str] = field(default_factory=Counter)

    def missing(self) -> list[PlannedSample]:
        """Return the planned samples that are still to be generated."""
        return [wanted for wanted in self.plan.wanted if wanted.key not in self.done]


def resume(run: Run, journal: Journal, note: Callable[[str], None]) -> list[Key]:
    """Reuse what an interrupted run of the same job has finished, and return what that is."""
    known = {(*wanted.key, wanted.seed) for wanted in run.plan.wanted}
    for sample in journal.samples:
        key = (sample.suite, sample.problem, sample.sample)
        if (*key, sample.seed) in known:
            run.done[key] = sample
    if run.done:
        note(f"continuing after {len(run.done)} samples of an interrupted run")
    return list(run.done)


def settle(
    run: Run,
    journal: Journal,
    engine: InferenceEngine,
    resumed: Sequence[Key],
    reusable: Reusable,
    note: Callable[[str], None],
) -> None:
    """Keep the samples of other engines only where this one has chosen as they had.

    The generation is known before the engine has started. What the engine then chooses by itself, by the memory that
    is free, is not in it.
    """
    shapes, kept = choices_of(engine.identity), list(resumed)
    if not journal.settle(shapes):
        kept = []
        note("the engine has other shapes now, by which it would answer differently, so the run starts anew")
    others = [run_id for run_id, theirs in run.shapes.items() if not _alike(theirs, shapes)]
    for run_id in others:
        note(f"the samples of {run_id} are not reused: its engine had other shapes, by which it answered differently")
    if others or len(kept) < len(resumed):
        run.done = {key: run.done[key] for key in kept}
        reuse(run, reusable, note, shapes)
    for run_id, count in run.reused.items():
        note(f"reusing {count} samples of {run_id}")


def reuse(run: Run, reusable: Reusable, note: Callable[[str], None], shapes: str | None = None) -> None:
    """Reuse samples of earlier runs that this run would generate to the letter; they are graded again.

    With `shapes`, only those of engines that had chosen the same.
    """
    run.reused, run.shapes = {}, {}
    missing = {(wanted.problem.id, wanted.sample, wanted.seed): wanted for wanted in run.missing()}
    if not missing:
        return
    for run_id, engine, samples in reusable(run.plan.generation):
        theirs = choices_of(engine) if engine else None
        if shapes is not None and not _alike(theirs, shapes):
            continue
        try:
            for sample in samples:
                _reuse_one(run, missing, run_id, sample)
                if not missing:
                    break
        except StorageError as error:
            note(f"the samples of {run_id} are not reused: {error.message}")
        if run_id in run.reused:
            run.shapes[run_id] = theirs
        if not missing:
            break


def _alike(theirs: str | None, shapes: str) -> bool:
    """Return whether an engine had chosen the same; an unknown one only matters where shapes decide answers."""
    return theirs == shapes or (theirs is None and not shapes)


def _reuse_one(run: Run, missing: dict[tuple[str, int, int], PlannedSample], run_id: str, sample: Sample) -> None:
    """Move a sample of the run `run_id` from what is missing to what is done, where it is wanted and gradable."""
    wanted = missing.get((sample.problem, sample.sample, sample.seed))
    if wanted is None or not is_gradable(sample):
        return
    again = run.scorer.again(sample, wanted)
    if again.outcome != "error":
        del missing[sample.problem, sample.sample, sample.seed]
        run.done[wanted.key] = again
        run.reused[run_id] = run.reused.get(run_id, 0) + 1
