"""Several engines for one run: one per GPU, or one per processor where the model is small.

One engine would split a model's layers over all GPUs, each of which then waits for the others; and a step of a small
model ends before a second thread has woken up. Separate engines do not wait. The requests alone decide which engine
gets which sample, never the time: a run that is repeated on GPUs has to form the same batches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from typing import TYPE_CHECKING, Self

import msgspec

from publisher.engine import devices, load, machine, offload
from publisher.engine.meter import Meter
from publisher.engine.process import EngineProcess
from publisher.engine.protocol import GPU_PEAK, LONGEST_RUNNING, Completion
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from publisher.engine.protocol import Device, EngineOptions, ModelFacts, SampleRequest
    from publisher.schema import EngineIdentity

    _Said = Completion | ModelError | None

SMALL_FILE = 64 << 20
"""Bytes of the largest model file that is loaded once per processor."""
ENOUGH = 24
"""Samples per engine from which on starting another one (half a second) pays."""
MOST = 16
"""Engines on the processor at most."""
_LONG = 1024
"""Tokens from which on an answer takes so much longer than its prompt that every engine may evaluate the prompt."""
_GPU_SHARE = 0.8
"""The share of one GPU's free memory that the weights may take if one GPU is to run an engine."""


class Fleet:
    """Engines that run the same model, used like a single one: `with Fleet(options) as fleet: ...`."""

    def __init__(self, options: EngineOptions, *, engines: int = 0) -> None:
        """Choose the engines: `engines` of them, or with 0 a suitable number. The `with` block starts them."""
        self._other_load: dict[str, float] = {}
        self._meter = Meter()
        self._engines = [EngineProcess(one) for one in plan_engines(options, engines)]

    def __enter__(self) -> Self:
        """Start all engines and load the model; raises ModelError where one fails."""
        try:
            for engine in self._engines:
                engine.start()
            for engine in self._engines:
                engine.wait()
            if len({engine.facts.sha256 for engine in self._engines}) > 1:
                raise ModelError(
                    "the model file changed while it was being loaded",
                    hint="run the command again while nothing writes to the file",
                )
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all engines."""
        self._end()

    def _end(self) -> None:
        for engine in self._engines:
            engine.end()

    @property
    def facts(self) -> ModelFacts:
        """What the model file says about itself."""
        return self._engines[0].facts

    @property
    def identity(self) -> EngineIdentity:
        """What runs the model: slots and threads are those of one engine, devices and options those of all."""
        return together([engine.identity for engine in self._engines])

    @property
    def at_once(self) -> int:
        """How many samples all engines together generate side by side."""
        return sum(engine.identity.slots for engine in self._engines)

    def reprompt(self, options: EngineOptions) -> None:
        """Put the prompt of other options around each problem from now on; the model stays loaded."""
        for engine in self._engines:
            engine.reprompt(options.system, options.template, options.stop)

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Yield a completion for every request, in the order in which they finish.

        Raises ModelError when an engine fails, after the completions that all of them had finished. A caller that
        leaves the loop early ends the engines; the fleet cannot be used again.
        """
        others, self._other_load = load.OtherLoad(), {}
        self._meter = Meter({gpu.pci: gpu.name for engine in self._engines for gpu in engine.identity.gpus})
        try:
            yield from self._generated(requests)
        finally:
            # Counted once per run: it asks the system about every process there is.
            self._other_load = {
                "other_load": round(others.processors(), 2),
                "cpu_utilisation": round(min(1.0, others.own_processors() / machine.cores()), 4),
            }

    def _generated(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Yield the completions of all engines."""
        if len(self._engines) == 1:
            yield from _completions(self._engines[0], requests)
            return
        # Bounded, so that engines do not fill the memory with completions that the caller is not ready for.
        inbox: queue.Queue[_Said] = queue.Queue(maxsize=max(1, self.at_once))
        shares = share_out(requests, len(self._engines), self._engines[0].options.sampling.max_tokens)
        threads = [
            threading.Thread(target=_work, args=(engine, share, inbox), daemon=True)
            for engine, share in zip(self._engines, shares, strict=True)
        ]
        failure: ModelError | None = None
        running = 0
        try:
            for thread in threads:
                thread.start()
                running += 1
            while running:
                said = inbox.get()
                if said is None:
                    running -= 1
                elif isinstance(said, Completion):
                    yield said
                else:
                    # Only the first failure says why: stopping the other engines makes them fail, too.
                    failure = failure or said
                    self.stop()
        finally:
            if running:
                self.stop()
            _collect(threads, inbox, running)
        if failure:
            raise failure

    def stop(self) -> None:
        """End all engines now, from any thread; `generate` raises ModelError, and the fleet cannot be used again."""
        for engine in self._engines:
            engine.stop()

    def changed(self, requests: Sequence[SampleRequest]) -> list[int]:
        """Generate the same samples twice and return the keys of those that differ.

        An empty list shows that a run in reproducible mode can be repeated on this device.
        """
        first = {done.key: (done.text, done.tokens) for done in self.generate(requests)}
        return [done.key for done in self.generate(requests) if first[done.key] != (done.text, done.tokens)]

    def statistics(self) -> dict[str, float]:
        """Return the figures of the last `generate`, at most a second old while it runs; empty before the first.

        With the end come `other_load`, the number of processors that other programs kept busy meanwhile, and
        `cpu_utilisation`, the share of this machine's processors that the run itself kept busy.
        """
        figures = merged([engine.statistics() for engine in self._engines])
        self._meter.look()
        return figures | self._meter.figures() | self._other_load if figures else {}


def _completions(engine: EngineProcess, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
    """Yield an engine's completions; whatever goes wrong is a ModelError."""
    try:
        yield from engine.generate(requests)
    except ModelError:
        raise
    except Exception as error:  # in a thread it would end the thread alone, and the run would miss its samples
        why = f"{type(error).__name__}: {str(error)[:500]}"
        raise ModelError(f"the engine failed: {why}", hint="publisher doctor --engine") from error


def _collect(threads: Sequence[threading.Thread], inbox: queue.Queue[_Said], running: int) -> None:
    """Wait for the threads to end, `running` of which have not said their last word."""
    while running:  # one that waits for room in the inbox would otherwise wait for ever
        running -= inbox.get() is None
    for thread in threads:
        if thread.ident is not None:
            thread.join()


def _work(engine: EngineProcess, share: Sequence[SampleRequest], inbox: queue.Queue[_Said]) -> None:
    """Put an engine's completions into the inbox, then its error if there is one, then None."""
    try:
        for completion in _completions(engine, share):
            inbox.put(completion)
    except ModelError as error:
        inbox.put(error)
    finally:
        inbox.put(None)


def plan_engines(options: EngineOptions, engines: int) -> list[EngineOptions]:
    """Return the options of each engine: its GPUs, its threads and its share of the samples.

    `engines` is the number that the user asked for, 0 for a suitable one.
    """
    gpus = devices.gpus() if options.gpu_layers else ()
    count = engines or _chosen(options, gpus)
    if gpus:
        count = min(count, len(gpus))
    if count == 1:
        return [dataclasses.replace(options, gpus=tuple(gpu.name for gpu in gpus))]
    threads = options.threads or max(1, machine.cores() // count)
    return [
        dataclasses.replace(
            options,
            threads=threads,
            workload=-(-options.workload // count),
            gpus=tuple(gpu.name for gpu in gpus[number::count]),
        )
        for number in range(count)
    ]


def _chosen(options: EngineOptions, gpus: Sequence[Device]) -> int:
    """Return how many engines suit the model, the devices and the number of samples."""
    size = _size(options.model)
    work = max(1, options.workload // ENOUGH)
    if gpus:
        fits = options.gpu_layers == "all" and size < _GPU_SHARE * min(gpu.free or gpu.memory for gpu in gpus)
        alone = fits and options.split_mode == "layer"  # rows are shared so that several GPUs work on one token
        return min(len(gpus), work) if alone else 1
    if options.threads or size > SMALL_FILE:
        return 1
    return min(machine.cores(), work, MOST)


def _size(model: Path) -> int:
    """Return a file's size; 0 where it cannot be read, which the engine reports when it opens the file."""
    with contextlib.suppress(OSError):
        return model.stat().st_size
    return 0


def share_out(requests: Sequence[SampleRequest], engines: int, limit: int) -> list[list[SampleRequest]]:
    """Return each engine's requests: the longest expected ones are dealt first, each to the engine with the least work.

    With a `limit` below 1,024 tokens, all samples of a problem go to one engine, which evaluates its prompt once.
    Longer answers are dealt one by one, because problems differ much in length.
    """
    units: dict[object, list[SampleRequest]] = {}
    for request in requests:
        units.setdefault(request.key if limit >= _LONG else request.group, []).append(request)
    work = {unit: sum(request.expected or limit for request in members) for unit, members in units.items()}
    shares: list[list[SampleRequest]] = [[] for _ in range(engines)]
    work_of = [0] * engines
    for unit in sorted(units, key=lambda unit: -work[unit]):
        least = work_of.index(min(work_of))
        shares[least] += units[unit]
        work_of[least] += work[unit]
    return shares


def together(identities: Sequence[EngineIdentity]) -> EngineIdentity:
    """Return the identity of all engines of a run.

    Engines on GPUs with different amounts of free memory may have chosen differently: an option then has the value of
    each, separated by commas.
    """
    first = identities[0]
    gpus = [gpu for identity in identities for gpu in identity.gpus]
    named = [f"{gpu.name}: {gpu.description}" for gpu in gpus]
    options = {}
    for name in sorted({name for identity in identities for name in identity.options}):
        values = [identity.options.get(name, "") for identity in identities]
        options[name] = values[0] if len(set(values)) == 1 else ", ".join(value or "none" for value in values)
    return msgspec.structs.replace(
        first,
        devices=[*named, *(device for device in first.devices if device not in named)],
        gpu_layers_offloaded=min(identity.gpu_layers_offloaded for identity in identities),
        engines=len(identities),
        options=options,
        gpus=gpus,
        offload_missing=next(filter(None, map(offload.missing, identities)), ""),
    )


_SUMS = (
    "prompt_tokens",
    "decode_tokens",
    "steps",
    "kv_high_water",
    "preemptions",
    "peak_memory",
    "gpu_memory",
    "planned_memory",
)
_MEANS = ("prompt_seconds", "decode_seconds")
_SHARES = ("occupancy", "occupancy_before_tail")


def merged(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of all engines together.

    Seconds are means, so tokens per second are those of all engines side by side. An engine that ends before the last
    one idles, and that counts as tail.
    """
    if len(parts) == 1:
        return dict(parts[0])
    parts = [part for part in parts if part.get("steps")]
    if not parts:
        return {}
    found = {key: sum(part[key] for part in parts) for key in _SUMS if key in parts[0]}
    found |= {key: sum(part[key] for part in parts) / len(parts) for key in _MEANS}
    found |= {key: sum(part[key] * part["steps"] for part in parts) / found["steps"] for key in _SHARES}
    found["seconds"] = max(part["seconds"] for part in parts)
    for name in {name for part in parts for name in part if name.startswith(GPU_PEAK)}:
        found[name] = max(part.get(name, 0.0) for part in parts)
    idle = sum(part["tail_seconds"] + found["seconds"] - part["seconds"] for part in parts)
    found["tail_seconds"] = idle / len(parts)
    longest = [part[LONGEST_RUNNING] for part in parts if LONGEST_RUNNING in part]
    if longest:
        found[LONGEST_RUNNING] = max(longest)
    for kind in ("prompt", "decode"):
        found[f"{kind}_tokens_per_second"] = found[f"{kind}_tokens"] / max(1e-9, found[f"{kind}_seconds"])
    return found
