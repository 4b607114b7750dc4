"""Have the engine generate what a run lacks: requests in their order, graded completions, and the proof on a GPU."""

from __future__ import annotations

import concurrent.futures
from dataclasses import replace
from typing import TYPE_CHECKING

from publisher.bench.record import sampling_of
from publisher.engine.protocol import EngineOptions, SampleRequest
from publisher.errors import ModelError
from publisher.files import sha256_hex

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from publisher.bench.looks import Key
    from publisher.bench.plan import Job, Plan, PlannedSample
    from publisher.bench.scoring import Scorer
    from publisher.engine.protocol import InferenceEngine
    from publisher.schema import Sample

    Lengths = Callable[[], Mapping[tuple[str, str], float]]
    """Tokens per answer by (suite, problem), as an earlier run had them, whatever its model was."""

_PROOF = 64
"""Tokens of each sample that a GPU has to repeat."""
_AHEAD = 16
"""Completions that may wait for their grade; an engine with more than half as many slots may have two per slot."""


def worded(wanted: PlannedSample, planned: Plan, template: str) -> str:
    """Return a sample's problem within its suite's template; alone where no suite of the run has one of its own.

    An engine has one template. Where suites differ, theirs are filled in here, and the engine's is the bare problem.
    """
    if not any(part.suite.template for part in planned.suites):
        return wanted.problem.problem
    own = planned.suite(wanted.suite).suite.template or template
    return own.replace("{problem}", wanted.problem.problem)


def requests_for(
    missing: Sequence[PlannedSample],
    lengths: Lengths,
    limit: int,
    rounds: Mapping[Key, int],
    words: Callable[[PlannedSample], str] = lambda wanted: wanted.problem.problem,
) -> list[SampleRequest]:
    """Return a request for each missing sample, with the length that is expected of it, at most `limit` tokens.

    The longest start first, so that none of them is left running alone at the end. A problem of unknown length counts
    as typical, and equal lengths come in an order that has nothing to do with the suite's: a suite is often sorted by
    difficulty, and then its first answers would not be like the rest.
    """
    known = lengths() if missing else {}
    typical = sum(known.values()) / len(known) if known else limit
    requests = [
        SampleRequest(
            number,
            words(wanted),
            wanted.seed,
            f"{wanted.suite}/{wanted.problem.id}",
            expected=max(1, min(limit, round(known.get((wanted.suite, wanted.problem.id), typical)))),
            round=rounds.get(wanted.key, 0),
        )
        for number, wanted in enumerate(missing)
    ]
    return sorted(
        requests,
        key=lambda request: (request.round, -request.expected, sha256_hex(request.group.encode()), request.key),
    )


def prove(engine: InferenceEngine, requests: Sequence[SampleRequest], *, limit: int = _PROOF) -> dict[str, float]:
    """On a GPU in reproducible mode, generate the beginnings of some samples twice; ModelError when they differ.

    `limit` is the most tokens that a sample of the run may have.
    """
    identity = engine.identity
    if not requests or identity.mode != "reproducible" or not identity.gpu_layers_offloaded:
        return {}
    few = [replace(request, max_tokens=min(_PROOF, limit)) for request in requests[: engine.at_once]]
    changed = engine.changed(few)
    if changed:
        raise ModelError(
            f"the GPU answered {len(changed)} of {len(few)} samples differently the second time",
            hint='set  [engine] mode = "fast"  if answers that cannot be repeated will do',
        )
    return {"repeated_samples": float(len(few))}


def generated(
    scorer: Scorer,
    engine: InferenceEngine,
    missing: Sequence[PlannedSample],
    requests: Sequence[SampleRequest],
    threads: concurrent.futures.Executor,
) -> Generator[tuple[Sample, int]]:
    """Yield the missing samples as they are graded, with the keys of their requests.

    Generation does not wait for one slow comparison, but it does not run ahead without bound either: completions that
    wait for their grade take memory.
    """
    if not missing:
        return
    pending: dict[concurrent.futures.Future[Sample], int] = {}
    most = max(_AHEAD, 2 * engine.at_once)
    failure: ModelError | None = None
    try:
        try:
            for completion in engine.generate(requests):
                pending[threads.submit(scorer.completed, missing[completion.key], completion)] = completion.key
                if len(pending) >= most:
                    concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in [future for future in pending if future.done()]:
                    yield future.result(), pending.pop(future)
        except ModelError as error:
            failure = error  # what was finished before it is still graded and kept
        for future in concurrent.futures.as_completed(list(pending)):
            yield future.result(), pending.pop(future)
        if failure:
            raise failure
    finally:
        for future in pending:
            future.cancel()


def options_of(job: Job, planned: Plan, workload: int) -> EngineOptions:
    """Return the engine's options for a run of `workload` samples."""
    config = job.config
    return EngineOptions(
        model=planned.model.path,
        sha256=planned.model.sha256,
        context=config.model.context,
        gpu_layers=config.model.gpu_layers,
        mode=config.engine.mode,
        slots=config.engine.slots,
        threads=config.engine.threads,
        batch=config.engine.batch,
        flash_attention=config.engine.flash_attention,
        kv_type=config.engine.kv_type,
        split_mode=config.engine.split_mode,
        cpu_experts=config.model.cpu_experts,
        timeout=config.engine.timeout,
        sampling=sampling_of(job),
        system=config.prompt.system,
        template="{problem}" if any(part.suite.template for part in planned.suites) else config.prompt.template,
        stop=tuple(config.prompt.stop),
        workload=workload,
    )
