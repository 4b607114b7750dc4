"""The parent's side of the engine: a child process whose crashes, hangs and wrong messages become errors here.

Each of them is one ModelError with the last lines of llama.cpp's log. Completions that arrived before it have been
delivered by then.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from publisher import confine
from publisher.engine import protocol
from publisher.engine.protocol import Answer, Beat, Failed, Finished, FrameReader, Generate, Load, Loaded, Reprompt
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from publisher.engine.protocol import Completion, EngineOptions, ModelFacts, SampleRequest
    from publisher.schema import EngineIdentity

SELECTING = (
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"),
    *("CUDA_DEVICE_ORDER", "GPU_DEVICE_ORDINAL", "HSA_OVERRIDE_GFX_VERSION", "GGML_METAL_DEVICES"),
    *("ONEAPI_DEVICE_SELECTOR", "ZE_AFFINITY_MASK", "SYCL_DEVICE_FILTER", "ZES_ENABLE_SYSMAN"),
    *("VK_DRIVER_FILES", "VK_ADD_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_LOADER_DRIVERS_SELECT"),
    *("VK_LOADER_DRIVERS_DISABLE", "MESA_VK_DEVICE_SELECT", "DRI_PRIME"),
)
"""The variables by which users choose among GPUs and their drivers."""
KEPT = (*SELECTING, "LD_LIBRARY_PATH", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "TZ")
"""The variables that a child inherits; none of them holds a secret."""
_SPINS = 2_000
"""How often a thread looks for the others at a barrier before it sleeps: some 0.2 ms on a current processor."""
_LOG_LINES = 25
_GRACE = 2.0


class EngineProcess:
    """A model in a child process: `with EngineProcess(options) as engine: ...`."""

    facts: ModelFacts
    identity: EngineIdentity

    def __init__(self, options: EngineOptions) -> None:
        """Keep the options; the process starts with the `with` block."""
        self.options = options
        self._child: _Child | None = None
        self._statistics: dict[str, float] = {}

    def start(self) -> None:
        """Start the child and tell it to load the model; raises ModelError when the file cannot be opened.

        Call it in a thread that lives as long as the engine: the kernel kills the child when that thread ends.
        """
        try:
            descriptor = os.open(self.options.model, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ModelError(
                f"cannot open the model {self.options.model}: {error.strerror}", hint="is model.source right?"
            ) from error
        try:
            self._child = _Child(self.options, descriptor)
        finally:
            os.close(descriptor)
        self._child.send(Load(protocol.options_to_plain(self.options), descriptor))

    def wait(self) -> None:
        """Wait until the model is loaded; raises ModelError when it cannot be."""
        loaded = self._running().receive("loading the model")
        if not isinstance(loaded, Loaded):
            raise self._running().failure(f"said {type(loaded).__name__} instead of Loaded")
        self.facts, self.identity = loaded.facts, loaded.identity

    def stop(self) -> None:
        """Kill the child. Safe from any thread; a thread that waits for the child gets a ModelError."""
        child = self._child
        if child is not None:
            child.stop()

    def end(self) -> None:
        """End the child and close its pipes."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def __enter__(self) -> Self:
        """Start the child and load the model; raises ModelError where that fails."""
        try:
            self.start()
            self.wait()
        except BaseException:
            self.end()
            raise
        return self

    def _running(self) -> _Child:
        if self._child is None:
            raise ModelError("the engine is not running", hint="enter its with block first")
        return self._child

    def reprompt(self, system: str, template: str, stop: tuple[str, ...]) -> None:
        """Put other texts around each problem from now on; what is wrong with them shows at the next `generate`."""
        self.options = replace(self.options, system=system, template=template, stop=stop)
        self._running().send(Reprompt(system, template, stop))

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Yield a completion for every request, in the order in which they finish.

        Raises ModelError when the child fails, or answers anything but each request once. A caller that leaves the
        loop early ends the child; this engine cannot be used again.
        """
        child = self._running()
        finished = False
        child.statistics = {}
        waiting = {request.key for request in requests}
        try:
            child.send(Generate(list(requests)))
            while not isinstance(message := child.receive("generating"), Finished):
                if not isinstance(message, Answer):
                    raise child.failure(f"said {type(message).__name__} while generating")
                key = message.completion.key
                if key not in waiting:
                    raise child.failure(f"answered sample {key}, which it was not asked for or had answered before")
                waiting.remove(key)
                yield message.completion
            if waiting:
                raise child.failure(f"finished without answering {len(waiting)} of {len(requests)} samples")
            child.statistics = message.statistics
            finished = True
        finally:
            if not finished:
                child.kill()
                self._child = None

    def statistics(self) -> dict[str, float]:
        """Return the figures of the last `generate`, at most a second old while it runs; empty before the first."""
        if self._child is not None:
            self._statistics = self._child.statistics
        return dict(self._statistics)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child."""
        self.end()


class _Child:
    """The child process, its two pipes and the last lines of its stderr."""

    def __init__(self, options: EngineOptions, model: int) -> None:
        self._timeout, self._template_seconds = options.timeout, options.template_seconds
        self.statistics: dict[str, float] = {}
        self._log: deque[str] = deque([""], maxlen=400)
        self._messages: deque[Any] = deque()
        self._reader = FrameReader(protocol.FromChild)
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        command = [sys.executable, "-P", "-s", "-m", "publisher.engine.child.main"]
        confine.hide()
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs_in), str(theirs_out), str(model), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs_in, theirs_out, model),
                env=child_environment(forced_tiling=options.mode == "reproducible"),
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        assert self._process.stderr is not None  # noqa: S101 - asked for two lines above
        self._stderr = self._process.stderr.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._from, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)

    def send(self, message: protocol.Message) -> None:
        """Send a message; the next `receive` reports a child that has ended."""
        with contextlib.suppress(BrokenPipeError):
            protocol.write_all(self._to, protocol.frame(message))

    def receive(self, doing: str) -> Any:
        """Return the next message other than a Beat; raises ModelError where none will come."""
        # The timeout is a limit on silence, not on work: every message, a Beat as well, moves the deadline.
        deadline = time.monotonic() + self._timeout
        while True:
            while self._messages:
                message = self._messages.popleft()
                if isinstance(message, Failed):
                    raise ModelError(message.message, hint=message.hint, detail=message.detail)
                if not isinstance(message, Beat):
                    return message
                doing, self.statistics = message.doing, message.statistics or self.statistics
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._silence(doing)
            if self._read(left):
                deadline = time.monotonic() + self._timeout

    def _read(self, seconds: float) -> bool:
        """Wait for bytes from the child; return whether some of them belong to a message."""
        heard = False
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, 1 << 16)
            if key.fd == self._stderr:
                self._keep(data)
            elif data:
                heard = True
                try:
                    self._messages.extend(self._reader.feed(data))
                except ValueError as error:
                    raise self.failure(f"sent a message that cannot be read ({error})") from error
            else:
                raise self._death()
        return heard

    def _keep(self, data: bytes) -> None:
        """Add bytes from stderr to the log."""
        if not data:
            self._selector.unregister(self._stderr)
            return
        first, *others = data.decode("utf-8", "replace").split("\n")
        self._log[-1] = (self._log[-1] + first)[:2000]
        self._log.extend(line[:2000] for line in others)

    def _death(self) -> ModelError:
        """Return the error for a child that has closed its pipe."""
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return self.failure("closed its pipe without a message")
        if code >= 0:
            return self.failure(f"ended with exit code {code}")
        if -code == signal.SIGPROF:
            what = f"was ended: the chat template could not be rendered within {self._template_seconds:g} seconds"
            return self.failure(what, hint=protocol.TEMPLATE_HINT)
        name = signal.Signals(-code).name
        if any(protocol.OUT_OF_MEMORY.search(line) for line in list(self._log)[-_LOG_LINES:]):
            return self.failure(
                f"was killed by {name} because a device had no memory left",
                hint='lower model.context or engine.slots, set  [engine] kv_type = "q8_0", or fewer model.gpu_layers',
            )
        memory = "the system may have run out of memory: lower model.context or engine.slots"
        return self.failure(f"was killed by {name}", hint=memory if name == "SIGKILL" else "")

    def _silence(self, doing: str) -> ModelError:
        """Return the error for a child that has sent nothing within the timeout."""
        return self.failure(
            f"gave no sign of life for {self._timeout:g} seconds while {doing}",
            hint="raise engine.timeout in publisher.toml if the model is that slow",
        )

    def failure(self, what: str, *, hint: str = "") -> ModelError:
        """End the child and return an error with the last lines of its log."""
        self.kill()
        lines = [line for line in self._log if line.strip(". ")]
        return ModelError(
            f"the engine's process {what}",
            hint=hint or "publisher doctor --engine shows whether llama.cpp works on this machine",
            detail="\n".join(lines[-_LOG_LINES:]),
        )

    def stop(self) -> None:
        """Kill the process; the thread that receives from it does the rest."""
        self._process.kill()

    def kill(self) -> None:
        """End the process, read the rest of its stderr and close the pipes; a second call does nothing."""
        if self._to < 0:
            return
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError, KeyError):
            os.set_blocking(self._stderr, False)
            while data := os.read(self._stderr, 1 << 16):
                self._keep(data)
        self._selector.close()
        for descriptor in (self._to, self._from):
            os.close(descriptor)
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._to = self._from = -1


def child_environment(*, forced_tiling: bool = False) -> dict[str, str]:
    """Return a child's environment; `forced_tiling` is for reproducible mode.

    llama.cpp's threads wait for each other several hundred times per token. Left alone, OpenMP looks 300,000 times
    before it sleeps, some 30 ms. On a machine of its own a thread hardly ever waits for so long. But where other
    programs want the same processors, it takes the very time that the thread it waits for needs: a wait of more than
    `_SPINS` means that this thread is not running. How threads wait changes no sum, so it changes no bit of an answer.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {
        "GGML_NO_BACKTRACE": "1",  # else an abort starts a debugger
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # weights and cache in huge pages where the system has them
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        # A confined process can write no file, and what one model left in a cache must not reach the next.
        "CUDA_CACHE_DISABLE": "1",
        "MESA_SHADER_CACHE_DISABLE": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "__GL_SHADER_DISK_CACHE": "0",
    }
    if not environment.get("OMP_WAIT_POLICY"):  # what the user has set stays; an empty one sets nothing
        environment.setdefault("GOMP_SPINCOUNT", str(_SPINS))
    if forced_tiling:
        # ggml tiles large products only from 8 rows on; a row's bits must not depend on the number of rows.
        environment["GGML_CPU_TILED_MM_FORCE"] = "1"
    return environment
