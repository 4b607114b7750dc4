"""The engine in the child process: checks the model file, loads it, and turns requests into completions."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from publisher.engine import machine
from publisher.engine.child import identity, sizing
from publisher.engine.child.llama import library
from publisher.engine.child.llama.binding import llama
from publisher.engine.child.llama.handles import Context, Log, Model
from publisher.engine.child.llama.penalties import penalties
from publisher.engine.child.llama.sampling import Drawer
from publisher.engine.child.prompts import Prompts
from publisher.engine.child.schedule.scheduler import RunningSample
from publisher.engine.child.schedule.separate import SeparateCaches
from publisher.engine.child.schedule.shared import HOLDERS, SharedCache
from publisher.engine.gguf import read_header
from publisher.engine.protocol import GPU_PEAK, Completion, ModelFacts
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from publisher.engine.child.schedule.scheduler import Scheduler
    from publisher.engine.child.sizing import Size
    from publisher.engine.gguf import Header
    from publisher.engine.protocol import EngineOptions, SampleRequest
    from publisher.schema import Confinement, EngineIdentity

_PIECE = 16 << 20
_DRAWERS = 8
"""Threads that draw tokens where a GPU calculates; on a CPU they would compete with llama.cpp's own threads."""


class Engine:
    """A loaded model with one context."""

    def __init__(
        self,
        options: EngineOptions,
        descriptor: int,
        beat: Callable[[str], None],
        confinement: Confinement | None = None,
    ) -> None:
        """Hash, check and load the model that is open as `descriptor`; raises ModelError.

        The digest is of the bytes that are loaded: llama.cpp opens the same open file, and a change between hashing and
        the end of loading is an error.
        """
        self._options, self._beat = options, beat
        before = _stamp(descriptor)
        digest = _pinned_digest(descriptor, options.sha256, beat)
        self._header = read_header(descriptor)
        self.facts = _facts(self._header, digest)
        _prompts(self._header, options)  # finds a broken template before minutes are spent on loading
        self._log = Log()
        llama.llama_backend_init()
        self._gpus = library.chosen(options)
        gpus = [library.device(gpu) for gpu in self._gpus]
        rooms = [sizing.room(gpu) for gpu in gpus]
        self._placement = sizing.placement(options, self._header, max(1, sum(rooms)) if rooms else 0)
        self._split = sizing.split(self._placement, self._header, rooms)
        self._model = self._loaded_model(descriptor)
        if _stamp(descriptor) != before:
            raise ModelError(
                "the model file changed while it was being loaded",
                hint="run the command again while nothing writes to the file",
            )
        self._prompts = _prompts(self._header, options, bos=self._model.bos, eos=self._model.eos)
        self._experts = bool(self._header.values.get(f"{self._header.architecture}.expert_count"))
        self._size = self._chosen_size()
        self._context = self._fitting_context()
        self.identity: EngineIdentity = identity.describe(
            options,
            self._size,
            self._model,
            self._log,
            experts=self._experts,
            confinement=confinement,
            gpus=gpus,
            placement=self._placement,
            split=self._split,
        )
        self._planned_memory, self._allocated = self._log.host_buffers(), self._log.buffers()
        self._peaks: dict[str, int] = {}
        self._drawer = self._make_drawer()
        self._scheduler: Scheduler | None = None

    def _loaded_model(self, descriptor: int) -> Model:
        """Load the model that is open as `descriptor`, and put on the GPUs what has a place there."""
        model = Model(
            f"/proc/self/fd/{descriptor}",
            self._log,
            gpu_layers=self._placement.layers,
            devices=self._gpus,
            shares=self._split,
            rows=self._options.split_mode == "row",
            experts=self._placement.experts,
            repack=self._options.mode == "fast",
            mapped=sizing.mapped(self._header.size, gpu=bool(self._gpus)),
            beat=self._beat,
        )
        if not self._options.ends:
            model.ends = frozenset()
        return model

    def _chosen_size(self) -> Size:
        """Return the sizes for the loaded model, by the memory that its GPUs have left."""
        offloaded, _ = self._log.offloaded()
        # Each layer's cache is where the layer is: a GPU with half the layers needs room for half the cache.
        free = library.free(self._gpus, self._log.buffers())
        left = free * (self._model.layers + 1) // offloaded if offloaded else 0
        return sizing.choose(self._options, self._header, self._model, gpu=offloaded > 0, gpu_memory=left)

    def _make_drawer(self) -> Drawer | None:
        """Return what draws tokens; None where the likeliest is taken."""
        sampling, at_once = self._options.sampling, min(_DRAWERS, machine.cores()) if self._size.gpu else 1
        return Drawer(sampling, self._model.tokens, at_once) if sampling.temperature else None

    def _fitting_context(self) -> Context:
        """Return a context; with half the slots as often as a GPU turns out to have too little memory for the rest.

        What a backend needs for its compute buffers is known only when it has tried to allocate them. A number of slots
        that the user has set stays.
        """
        while True:
            try:
                return self._make_context()
            except ModelError:
                smaller = self._size.halved()
                if not self._size.gpu or self._options.slots or smaller is None or not self._log.out_of_memory():
                    raise
                self._size = smaller
                self._beat("making a smaller context")

    def _make_context(self) -> Context:
        """Return a context of the chosen sizes."""
        size = self._size
        sequences = size.slots + 1 + HOLDERS if size.shared else size.rows
        return Context(
            self._model,
            self._log,
            cells=size.cells if size.shared else sizing.padded(size.context) * sequences,
            sequences=sequences,
            batch=size.batch,
            threads=size.threads,
            separate=not size.shared,
            flash_attention=size.flash,
            kv_type=self._options.kv_type,
        )

    def _make_scheduler(self) -> Scheduler:
        """Return a fresh scheduler on the context."""
        size = self._size
        common: dict[str, Any] = {
            "slots": size.slots,
            "batch": size.batch,
            "drawer": self._drawer,
            "stops": self._options.stop,
            "penalties": penalties(self._options.sampling),
            "beat": self._beat,
        }
        if not size.shared:
            exact = self._options.mode == "reproducible"
            return SeparateCaches(
                self._model,
                self._context,
                fixed=exact and (size.gpu or self._experts),
                least=2 if exact else 1,
                # On a GPU, moving cells through host memory costs more than evaluating the prompt again.
                copy_prompts=not size.gpu,
                **common,
            )
        return SharedCache(self._model, self._context, cells=size.cells, **common)

    def reprompt(self, system: str, template: str, stop: tuple[str, ...]) -> None:
        """Put other texts around each problem from now on; ModelError where the chat template rejects them."""
        self._options = replace(self._options, system=system, template=template, stop=stop)
        self._prompts = _prompts(self._header, self._options, bos=self._model.bos, eos=self._model.eos)

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Yield a completion for every request, in the order in which they finish."""
        submitted = time.perf_counter()
        self._scheduler = None
        samples: list[RunningSample] = []
        prompts: dict[str, tuple[list[int], str]] = {}
        for request in requests:
            if request.group not in prompts:
                prompts[request.group] = self._prompt(request.problem)
            prompt, reason = prompts[request.group]
            if reason:
                yield Completion(request.key, "", "error", len(prompt), 0, 0.0, 0.0, 0.0, reason)
            else:
                samples.append(self._sample(request, prompt, submitted))
        self._scheduler = self._make_scheduler()
        yield from self._scheduler.run(samples)

    def _prompt(self, problem: str) -> tuple[list[int], str]:
        """Return a problem's prompt in tokens, and the reason why it cannot be answered ("" if it can)."""
        self._beat("rendering prompts")
        try:
            prompt = self._model.tokenize(self._prompts.render(problem))
        except ModelError as error:
            return [], error.message
        context = self._size.context
        if len(prompt) >= context:
            return prompt, f"the prompt has {len(prompt)} tokens, the context {context}"
        return prompt, "" if prompt else "the prompt is empty"

    def _sample(self, request: SampleRequest, prompt: list[int], submitted: float) -> RunningSample:
        """Return the sample that a request asks for; its limit ends at the context."""
        limit = min(request.max_tokens or self._options.sampling.max_tokens, self._size.context - len(prompt))
        return RunningSample(request, prompt, limit, submitted)

    def statistics(self) -> dict[str, float]:
        """Return the figures of the last `generate` or the one in progress: seconds, tokens and bytes."""
        figures = self._scheduler.figures.as_statistics(self._size.slots) if self._scheduler else {}
        memory = {"peak_memory": float(identity.peak_memory()), "planned_memory": float(self._planned_memory)}
        return {**figures, **memory, **self._gpu_peaks()}

    def _gpu_peaks(self) -> dict[str, float]:
        """Return the most bytes that were in use on the GPUs, whenever this was asked: together, and on each."""
        if not self._size.gpu:
            return {}
        for name, now in library.in_use(self._gpus, self._allocated).items():
            self._peaks[name] = max(now, self._peaks.get(name, 0))
        each = {f"{GPU_PEAK}{name}": float(peak) for name, peak in self._peaks.items()}
        return {"gpu_memory": sum(each.values()), **each}


def _prompts(header: Header, options: EngineOptions, *, bos: str = "", eos: str = "") -> Prompts:
    """Return the renderer of the model's prompts."""
    return Prompts(
        header.chat_template,
        system=options.system,
        template=options.template,
        bos=bos,
        eos=eos,
        seconds=options.template_seconds,
    )


def _stamp(descriptor: int) -> tuple[int, int, int]:
    """Return the size and times of a file, one of which changes when it is written to."""
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _pinned_digest(descriptor: int, sha256: str, beat: Callable[[str], None]) -> str:
    """Return the SHA-256 of an open file; ModelError where it is not the one that is wanted ("" for any)."""
    digest = _digest(descriptor, beat)
    if sha256 and digest != sha256:
        raise ModelError(
            f"the model's sha256 is {digest}, publisher.toml has {sha256}",
            hint="set model.sha256 to the digest of the file that you mean, or fetch that file again",
        )
    return digest


def _digest(descriptor: int, beat: Callable[[str], None]) -> str:
    """Return the SHA-256 of an open file, without moving its offset."""
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(descriptor, _PIECE, at):
        digest.update(piece)
        at += len(piece)
        beat("hashing the model")
    return digest.hexdigest()


def _facts(header: Header, digest: str) -> ModelFacts:
    """Return what the model file says about itself."""
    return ModelFacts(
        sha256=digest,
        size=header.size,
        name=header.name,
        architecture=header.architecture,
        parameters=header.parameters,
        quantization=header.quantization,
        context_trained=header.context_trained,
        chat_template_sha256=header.chat_template_sha256,
        layers=header.layers,
        vocabulary=header.vocabulary,
    )
