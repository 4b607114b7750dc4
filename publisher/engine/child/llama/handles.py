"""llama.cpp's log, model and context as Python objects."""

from __future__ import annotations

import ctypes
import os
import re
from collections import deque
from typing import TYPE_CHECKING, Any

from publisher.engine.child.llama.binding import function, llama
from publisher.engine.protocol import OUT_OF_MEMORY
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OFFLOADED = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")
_BUFFER = re.compile(r" (\w+) +(?:model|KV|RS|output|compute) buffer size = +([\d.]+) MiB")
_LATEST = 40
"""Lines of the log that belong to what failed last."""
_TYPES = {"f16": llama.GGML_TYPE_F16, "q8_0": llama.GGML_TYPE_Q8_0, "q4_0": llama.GGML_TYPE_Q4_0}


class Log:
    """llama.cpp's log: keeps the last lines, and writes every line to stderr for the parent process.

    Lines leave the process at once, because after an abort or a crash nothing can be asked any more.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=2000)
        self._partial = ""
        self._callback = llama.llama_log_callback(self._take)
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, _level: int, text: bytes, _data: Any) -> None:
        os.write(2, text)
        *whole, self._partial = (self._partial + text.decode("utf-8", "replace")).split("\n")
        self.lines.extend(whole)

    def tail(self, count: int = 20) -> str:
        """Return the last lines, without the dots of the loading bar."""
        lines = [line for line in [*self.lines, self._partial] if line.strip(". ")]
        return "\n".join(lines[-count:])

    def offloaded(self) -> tuple[int, int]:
        """Return the number of layers on a GPU and of all layers, from the log; (0, 0) where it has none."""
        found = [match for line in self.lines if (match := _OFFLOADED.search(line))]
        return (int(found[-1][1]), int(found[-1][2])) if found else (0, 0)

    def out_of_memory(self) -> bool:
        """Return whether the last lines say that a device or the system had no memory left."""
        return any(OUT_OF_MEMORY.search(line) for line in [*self.lines][-_LATEST:])

    def host_buffers(self) -> int:
        """Return the bytes of host memory that llama.cpp allocated: weights, cache, results and compute buffers."""
        found = self.buffers()
        return sum(size for name, size in found.items() if name.startswith("CPU") or name.endswith("_Host"))

    def buffers(self) -> dict[str, int]:
        """Return the bytes that llama.cpp allocated for weights, cache, results and calculation, by device."""
        sizes: dict[str, int] = {}
        for match in filter(None, map(_BUFFER.search, self.lines)):
            sizes[match[1]] = sizes.get(match[1], 0) + int(float(match[2]) * (1 << 20))
        return sizes


class _Override(ctypes.Structure):
    """`llama_model_tensor_buft_override`: the tensors of a pattern go into buffers of a type."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffers", ctypes.c_void_p))


def _kept_on_processor(layers: int) -> ctypes.Array[_Override]:
    """Return what keeps the experts of the first layers in the processor's memory, ended by an empty entry."""
    memory = function("ggml_backend_cpu_buffer_type", ctypes.c_void_p)()
    patterns = (rf"blk\.{layer}\.ffn_(up|down|gate|gate_up)_(ch|)exps".encode() for layer in range(layers))
    return (_Override * (layers + 1))(*(_Override(pattern, memory) for pattern in patterns))


class Model:
    """A loaded model with its vocabulary."""

    def __init__(
        self,
        path: str,
        log: Log,
        *,
        gpu_layers: int,
        repack: bool,
        mapped: bool,
        beat: Callable[[str], None],
        devices: Sequence[int] = (),
        shares: Sequence[int] = (),
        rows: bool = False,
        experts: int = 0,
    ) -> None:
        """Load the file at `path`; `beat` is called while it loads. Raises ModelError with llama.cpp's reason.

        `devices` are the addresses of the GPUs to use; with none of them llama.cpp uses the processor alone, otherwise
        it would still multiply large batches on a GPU. Layers are split over several by their `shares`. These are given
        because llama.cpp would go by the bytes that are free, which are others each time. With `rows`, each matrix is
        split instead of the layers, where the backend can. The experts of the first `experts` layers stay on the
        processor.

        Weights that are not `mapped` are read into allocated memory, which Linux can back with huge pages
        (`process.child_environment` asks for them): 2 to 5 % more tokens per second with a 0.5B model on a CPU.
        """
        parameters = llama.llama_model_default_params()
        if not mapped:
            parameters.load_mode = llama.LLAMA_LOAD_MODE_NONE
        parameters.n_gpu_layers = gpu_layers
        chosen = (ctypes.c_void_p * (len(devices) + 1))(*devices, None)
        parameters.devices = ctypes.cast(chosen, ctypes.c_void_p)
        if len(devices) > 1:
            split = (ctypes.c_float * max(len(devices), llama.llama_max_devices()))(*shares)
            parameters.tensor_split = ctypes.cast(split, ctypes.POINTER(ctypes.c_float))
            parameters.split_mode = llama.LLAMA_SPLIT_MODE_ROW if rows else llama.LLAMA_SPLIT_MODE_LAYER
        kept = _kept_on_processor(experts)
        if experts:
            parameters.tensor_buft_overrides = ctypes.cast(kept, ctypes.c_void_p)
        parameters.use_extra_bufts = repack

        def progress(_share: float, _data: Any) -> bool:
            beat("loading the model")
            return True

        self._progress = llama.llama_progress_callback(progress)
        parameters.progress_callback = self._progress
        self.pointer: Any = llama.llama_model_load_from_file(path.encode(), parameters)
        if not self.pointer:
            raise _not_loaded(log)
        self.vocabulary: Any = llama.llama_model_get_vocab(self.pointer)
        self.tokens = int(llama.llama_vocab_n_tokens(self.vocabulary))
        self._pieces: dict[int, bytes] = {}
        ends = (token for token in range(self.tokens) if llama.llama_vocab_is_eog(self.vocabulary, token))
        self.ends = frozenset(ends)

    def close(self) -> None:
        """Free the model."""
        if self.pointer:
            llama.llama_model_free(self.pointer)
            self.pointer = None

    @property
    def layers(self) -> int:
        """The number of layers."""
        return int(llama.llama_model_n_layer(self.pointer))

    @property
    def cell(self) -> int:
        """The number of values that the KV cache holds per token."""
        heads, kv_heads = llama.llama_model_n_head(self.pointer), llama.llama_model_n_head_kv(self.pointer)
        width = llama.llama_model_n_embd(self.pointer) // max(1, heads)
        return int(2 * self.layers * max(1, kv_heads) * width)

    @property
    def attention(self) -> int:
        """The number of products that a row computes per cell that it attends to."""
        return 2 * self.layers * int(llama.llama_model_n_embd(self.pointer))

    def text_of(self, token: int) -> str:
        """Return a special token as templates write it; empty for none."""
        text = llama.llama_vocab_get_text(self.vocabulary, token) if 0 <= token < self.tokens else None
        return text.decode("utf-8", "replace") if text else ""

    @property
    def bos(self) -> str:
        """The token that begins a text, as text."""
        return self.text_of(llama.llama_vocab_bos(self.vocabulary))

    @property
    def eos(self) -> str:
        """The token that ends a text, as text."""
        return self.text_of(llama.llama_vocab_eos(self.vocabulary))

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of a rendered prompt: special tokens are recognized, and BOS is not added a second time."""
        data = text.encode()
        special = not (self.bos and text.startswith(self.bos))
        room = len(data) + 8
        buffer = (llama.llama_token * room)()
        count = llama.llama_tokenize(self.vocabulary, data, len(data), buffer, room, special, True)
        if count < 0:
            raise ModelError("llama.cpp cannot tokenize the prompt", hint="is the model's tokenizer complete?")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """Return a token's bytes; control tokens have none."""
        known = self._pieces.get(token)
        if known is None:
            room = 64
            buffer = ctypes.create_string_buffer(room)
            length = llama.llama_token_to_piece(self.vocabulary, token, buffer, room, 0, False)
            if length < 0:
                room = -length
                buffer = ctypes.create_string_buffer(room)
                length = llama.llama_token_to_piece(self.vocabulary, token, buffer, room, 0, False)
            known = self._pieces[token] = buffer.raw[: max(0, length)]
        return known

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`; their bytes are joined first, because a character may span several tokens."""
        return b"".join(map(self.piece, tokens)).decode("utf-8", "replace")


def _not_loaded(log: Log) -> ModelError:
    """Return the error for a model that llama.cpp has not loaded, for the reason that its log gives."""
    if log.out_of_memory():
        return ModelError(
            "the device has too little memory for the model's weights",
            hint="set  [model] gpu_layers  to fewer layers than the model has, or use a smaller quantization",
            detail=log.tail(),
        )
    if "does not support split buffers" in log.tail(5):
        return ModelError(
            "this GPU's backend cannot split the rows of a matrix",
            hint='set  [engine] split_mode = "layer"',
            detail=log.tail(5),
        )
    return ModelError(
        "llama.cpp cannot load the model",
        hint="is the file whole, and its architecture known to this llama-cpp-python?",
        detail=log.tail(),
    )


class Context:
    """A KV cache and compute buffers for a model.

    With `separate`, each sequence has a cache of its own; otherwise all sequences use one cache and can share cells.
    """

    def __init__(
        self,
        model: Model,
        log: Log,
        *,
        cells: int,
        sequences: int,
        batch: int,
        threads: int,
        separate: bool,
        flash_attention: bool,
        kv_type: str,
    ) -> None:
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = parameters.n_ubatch = max(batch, sequences)
        parameters.n_seq_max = sequences
        parameters.n_outputs_max = sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = not separate
        parameters.flash_attn_type = int(flash_attention)
        parameters.type_k = parameters.type_v = _TYPES[kv_type]
        parameters.no_perf = True
        self.pointer: Any = llama.llama_init_from_model(model.pointer, parameters)
        if not self.pointer:
            what = f"a context of {cells} cells for {sequences} sequences"
            if log.out_of_memory():
                raise ModelError(
                    f"the device has too little memory for {what}",
                    hint='lower model.context or engine.slots, or set  [engine] kv_type = "q8_0"',
                    detail=log.tail(),
                )
            raise ModelError(
                f"llama.cpp cannot make {what}",
                hint="lower model.context or engine.slots in publisher.toml",
                detail=log.tail(),
            )
        self.memory: Any = llama.llama_get_memory(self.pointer)
        self.sequences = sequences

    def close(self) -> None:
        """Free the cache and the buffers."""
        if self.pointer:
            llama.llama_free(self.pointer)
            self.pointer = None

    def forget(self, sequence: int, start: int = 0) -> None:
        """Remove a sequence's cells from position `start` on."""
        llama.llama_memory_seq_rm(self.memory, sequence, start, -1)

    def share(self, source: int, target: int, end: int) -> None:
        """Let `target` use the cells of `source` up to position `end`, without copying them (shared cache only)."""
        llama.llama_memory_seq_cp(self.memory, source, target, 0, end)

    def save(self, sequence: int) -> Any:
        """Return a sequence's cells as bytes that `restore` puts back, bit for bit, into any sequence."""
        size = llama.llama_state_seq_get_size(self.pointer, sequence)
        data = (ctypes.c_uint8 * size)()
        llama.llama_state_seq_get_data(self.pointer, data, size, sequence)
        return data

    def restore(self, data: Any, sequence: int) -> bool:
        """Put saved cells into an empty sequence; return false where there is no room for them."""
        return bool(llama.llama_state_seq_set_data(self.pointer, data, len(data), sequence))
