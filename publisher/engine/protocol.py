"""The messages between an engine's two processes, and the types that the rest of the program sees of an engine.

A message is a tagged msgspec struct, encoded as MessagePack and preceded by its length in four bytes (little-endian).
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from publisher.schema import Confinement, EngineIdentity, Sampling, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

GPU_KINDS = ("GPU", "IGPU")
"""What ggml calls cards, and graphics inside a processor."""

MAX_FRAME = 256 << 20
"""Bytes that a message may have; a longer one is an error."""

TEMPLATE_SECONDS = 5.0
"""Seconds of processor time that a model's chat template may take per prompt."""
TEMPLATE_HINT = "use a model file whose own chat template renders, or correct tokenizer.chat_template in it"

OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOf(?:Device|Host|Pool)Memory|failed to allocate|unable to allocate|memory allocation of size"
    r"|failed to reserve|exceeds? device memory|memory limit",
    re.IGNORECASE,
)
"""How the backends of ggml say in the log that a device has no memory left."""

Mode = Literal["reproducible", "fast"]
Finish = Literal["stop", "length", "error"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a model; with 0 for slots, threads and batch the engine chooses.

    `sha256` "" means that the file is not pinned. `workload` is the number of samples that will be asked for, where it
    is known: a context is not made larger than they need. `stop` ends a sample at a text, which is not part of it.
    `cells` is the size of the KV cache in fast mode, in tokens (0: chosen), `kv_type` its precision. `gpus` are the
    GPUs that the engine uses, as llama.cpp names them (empty: those that it chooses); `split_mode` says whether several
    of them share the layers or the rows of each matrix. `cpu_experts` is the number of layers whose experts stay on the
    processor. Without `ends`, each sample continues to its limit even where the model ends it, for measuring speed.
    `template_seconds` is the processor time that the chat template may take per prompt.
    """

    model: Path
    sha256: str
    context: int
    gpu_layers: int | Literal["all"]
    mode: Mode
    slots: int
    threads: int
    batch: int
    flash_attention: bool | Literal["auto"]
    timeout: float
    sampling: Sampling
    system: str
    template: str
    workload: int = 0
    stop: tuple[str, ...] = ()
    cells: int = 0
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    gpus: tuple[str, ...] = ()
    split_mode: Literal["layer", "row"] = "layer"
    cpu_experts: int | Literal["auto"] = "auto"
    ends: bool = True
    template_seconds: float = TEMPLATE_SECONDS


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A sample to generate; requests of one `group` have the same problem and so the same prompt.

    `max_tokens` 0 means the limit of the sampling options, `expected` 0 that nothing is known about the length.
    Requests of a lower `round` come first.
    """

    key: int
    problem: str
    seed: int
    group: str
    max_tokens: int = 0
    expected: int = 0
    round: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """A generated answer; durations are in seconds.

    `queue` is the time from the call of `generate` to the slot, `prompt_time` from the slot to the first token, and
    `latency` the time from then to the end. `reason` says why `finish` is "error".
    """

    key: int
    text: str
    finish: Finish
    prompt_tokens: int
    tokens: int
    latency: float
    queue: float
    prompt_time: float
    reason: str


LONGEST_RUNNING = "longest_running"
"""The figure of how many tokens the longest sample in progress has; it ends with the run, so no record has it."""

GPU_PEAK = "gpu_peak_memory."
"""Before a GPU's name: the most bytes that were in use there, by all processes, since the model was loaded."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model file says about itself, and the digest of the bytes that were loaded."""

    sha256: str
    size: int
    name: str
    architecture: str
    parameters: int
    quantization: str
    context_trained: int
    chat_template_sha256: str
    layers: int
    vocabulary: int


class InferenceEngine(Protocol):
    """What a run needs of whatever generates its samples; `Fleet` is the one that runs llama.cpp."""

    @property
    def facts(self) -> ModelFacts:
        """What the model's file says about itself."""

    @property
    def identity(self) -> EngineIdentity:
        """What calculates, as the record keeps it."""

    @property
    def at_once(self) -> int:
        """How many samples are generated side by side."""

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Yield one completion per request, in the order in which they finish; ModelError when the engine fails."""

    def changed(self, requests: Sequence[SampleRequest]) -> list[int]:
        """Generate the same samples twice and return the keys of those that differ."""

    def statistics(self) -> dict[str, float]:
        """Return the figures of the last `generate`; empty before the first."""

    def stop(self) -> None:
        """End generation now, from any thread: whoever waits for a completion gets a ModelError."""


class StartEngine(Protocol):
    """Starts an engine: called with its options, it is entered for the time of a run."""

    def __call__(self, options: EngineOptions, *, engines: int) -> AbstractContextManager[InferenceEngine]:
        """Return the engine; `engines` is the number of processes that the user asked for, 0 for a chosen one."""


class Message(msgspec.Struct, frozen=True, tag=True):
    """A message between the two processes."""


class Load(Message, frozen=True):
    """Parent: check and load the model that is open as descriptor `model`."""

    options: dict[str, Any]
    model: int


class Generate(Message, frozen=True):
    """Parent: answer these requests."""

    requests: list[SampleRequest]


class Reprompt(Message, frozen=True):
    """Parent: from now on put these texts around each problem, and end answers at these."""

    system: str
    template: str
    stop: tuple[str, ...]


class Loaded(Message, frozen=True):
    """Child: the model is loaded."""

    facts: ModelFacts
    identity: EngineIdentity


class Beat(Message, frozen=True):
    """Child: what it is working on, and the figures so far; also a sign of life."""

    doing: str
    statistics: dict[str, float] = {}


class Answer(Message, frozen=True):
    """Child: one request is finished."""

    completion: Completion


class Finished(Message, frozen=True):
    """Child: every request of a Generate is answered."""

    statistics: dict[str, float]


class Failed(Message, frozen=True):
    """Child: an expected failure, with the fields of a ModelError."""

    message: str
    hint: str = ""
    detail: str = ""


FromParent = Load | Generate | Reprompt
FromChild = Loaded | Beat | Answer | Finished | Failed

_LENGTH = struct.Struct("<I")
_ENCODER = msgspec.msgpack.Encoder()


def frame(message: Message) -> bytes:
    """Return the bytes of `message` for the pipe."""
    body = _ENCODER.encode(message)
    return _LENGTH.pack(len(body)) + body


def options_to_plain(options: EngineOptions) -> dict[str, Any]:
    """Return the options as values that MessagePack can encode."""
    plain: dict[str, Any] = msgspec.to_builtins(options, enc_hook=str)
    return plain


def options_from_plain(plain: dict[str, Any]) -> EngineOptions:
    """Return the options that `options_to_plain` encoded."""
    return msgspec.convert(plain, EngineOptions, dec_hook=lambda kind, value: kind(value))


class FrameReader:
    """Splits a stream of bytes into messages."""

    def __init__(self, kinds: Any) -> None:
        """Accept the messages of the union `kinds`."""
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kinds)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Take `data` and return the messages that it completes; raises ValueError for anything that is no message."""
        self._buffer += data
        messages = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise ValueError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            try:
                messages.append(self._decoder.decode(bytes(self._buffer[_LENGTH.size : end])))
            except msgspec.MsgspecError as error:
                raise ValueError(str(error)) from error
            del self._buffer[:end]
        return messages


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; a single write to a pipe may take only a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Device(Struct, frozen=True, kw_only=True):
    """A device that llama.cpp can calculate on; `memory` and `free` are in bytes.

    `backend` is the part of ggml that drives it, `pci` its bus id and `driver` the version of its driver; "" where
    nothing tells.
    """

    name: str
    description: str
    kind: str
    memory: int
    free: int
    backend: str = ""
    pci: str = ""
    driver: str = ""


def usable(devices: Sequence[Device]) -> list[Device]:
    """Return the GPUs to calculate on, each card once, as the first backend that drives it.

    Graphics inside the processor share its memory: they count only where there is no card of its own.
    """
    for kind in GPU_KINDS:
        found: list[Device] = []
        for device in devices:
            twice = any(
                device.pci and (device.pci, device.backend != other.backend) == (other.pci, True) for other in found
            )
            if device.kind == kind and not twice:
                found.append(device)
        if found:
            return found
    return []


class Library(Struct, frozen=True, kw_only=True):
    """What llama.cpp says about itself."""

    version: str
    build: str
    system_info: str
    library_sha256: str
    offload_supported: bool
    max_sequences: int
    devices: list[Device]
    confinement: Confinement
    """How the process that asked was confined; engines and graders are confined alike."""
