"""Reads and checks the header of a GGUF file, before llama.cpp sees the file.

llama.cpp aborts on some broken headers and loads some senseless ones. Every length is checked against the file's size
before anything is read, so that a hostile file costs no more than its own bytes.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from publisher.engine.gguf_types import FILE_TYPES, TYPES
from publisher.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER = 256 << 20
MAX_STRING = 4 << 20
MAX_ARRAY = 10_000_000
MAX_PAIRS = 65_536
MAX_TENSORS = 65_536
MAX_NAME = 63
MAX_LAYERS = 512
MAX_DIMENSIONS = 4

_U8, _I8, _U16, _I16, U32, _I32, _F32, _BOOL, STRING, ARRAY, U64, _I64, _F64 = range(13)
SCALARS = {
    _U8: struct.Struct("<B"),
    _I8: struct.Struct("<b"),
    _U16: struct.Struct("<H"),
    _I16: struct.Struct("<h"),
    U32: struct.Struct("<I"),
    _I32: struct.Struct("<i"),
    _F32: struct.Struct("<f"),
    _BOOL: struct.Struct("<?"),
    U64: struct.Struct("<Q"),
    _I64: struct.Struct("<q"),
    _F64: struct.Struct("<d"),
}
_LENGTH = SCALARS[U64]
_TOKENS = "tokenizer.ggml.tokens"
_EXPERTS = re.compile(rb"blk\.(\d+)\.ffn_\w+_exps\.")
"""Tensors of a layer's experts, all of them side by side in one."""
_HINT = "fetch the file again; if it stays like this, its maker has to correct it"


@dataclass(frozen=True, slots=True)
class Header:
    """A checked GGUF header."""

    size: int
    version: int
    name: str
    architecture: str
    quantization: str
    parameters: int
    layers: int
    context_trained: int
    vocabulary: int
    chat_template: str
    values: dict[str, Any]
    """Every scalar and string by its key, without the arrays."""
    experts: dict[int, int] = field(default_factory=dict)
    """The bytes of the experts of each layer that is a mixture of them, by the layer's number."""

    @property
    def chat_template_sha256(self) -> str:
        """The digest of the chat template."""
        return hashlib.sha256(self.chat_template.encode()).hexdigest()


def read_header(descriptor: int) -> Header:
    """Return the checked header of the GGUF file that is open as `descriptor`; raises ModelError."""
    size = os.fstat(descriptor).st_size
    cursor = Cursor(descriptor, size)
    version, tensors, pairs = preamble(cursor)
    values, lengths = _pairs(cursor, pairs)
    parameters, experts = _tensors(cursor, tensors, alignment=alignment(values))
    return replace(_header(size, version, parameters, values, lengths), experts=experts)


def is_mixture(model: Path) -> bool:
    """Return whether a model is a mixture of experts; False for a file that cannot be read, which its engine reports.

    The number of rows that an expert multiplies depends on the other samples of a step.
    """
    with contextlib.suppress(ModelError, OSError), model.open("rb") as stream:
        return bool(read_header(stream.fileno()).experts)
    return False


class Cursor:
    """Reads a header from its start, never past the end of the file or the limit of a header."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._limit = min(size, MAX_HEADER)
        self._buffer = bytearray()
        self.size = size
        self.at = 0

    def need(self, length: int, what: str) -> int:
        """Read the next `length` bytes into the buffer, step over them and return where they start."""
        start, end = self.at, self.at + length
        if end > self._limit:
            beyond = "the file ends" if end > self.size else f"it is larger than the {MAX_HEADER >> 20} MiB allowed"
            raise broken(f"{beyond} within {what} at byte {start}")
        while len(self._buffer) < end:
            piece = os.pread(self._descriptor, max(1 << 20, end - len(self._buffer)), len(self._buffer))
            if not piece:
                raise broken(f"the file ends within {what} at byte {start}")
            self._buffer += piece
        self.at = end
        return start

    def since(self, start: int) -> bytes:
        """Return the bytes from `start` up to here."""
        return bytes(self._buffer[start : self.at])

    def scalar(self, kind: int, what: str) -> Any:
        """Return the next value of a fixed size."""
        form = SCALARS[kind]
        return form.unpack_from(self._buffer, self.need(form.size, what))[0]

    def string(self, what: str, limit: int = MAX_STRING) -> bytes:
        """Return the next string's bytes."""
        length = self.scalar(U64, what)
        if length > limit:
            raise broken(f"{what} has {length} bytes, more than the {limit} allowed")
        start = self.need(length, what)
        return bytes(self._buffer[start : start + length])

    def room(self, count: int, each: int, what: str) -> None:
        """Raise ModelError for a count of items, of at least `each` bytes, that the rest of the file cannot hold."""
        if count * each > self.size - self.at:
            raise broken(f"{what}: {count} of them do not fit into a file of {self.size} bytes")


def preamble(cursor: Cursor) -> tuple[int, int, int]:
    """Return the version and the counts of tensors and of pairs."""
    if cursor.size == 0:
        raise ModelError("the model file is empty", hint=_HINT)
    start = cursor.need(min(4, cursor.size), "the magic number")
    magic = cursor.since(start)
    if magic != MAGIC:
        raise ModelError(f"this is not a GGUF file: it starts with {magic!r}", hint=_magic_hint(magic))
    version = cursor.scalar(U32, "the version")
    if version not in VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS
        why = "it is big-endian" if swapped else f"version {version}, and this publisher reads 2 and 3"
        raise broken(why)
    tensors, pairs = cursor.scalar(U64, "the number of tensors"), cursor.scalar(U64, "the number of metadata pairs")
    if not 1 <= tensors <= MAX_TENSORS:
        raise broken(f"{tensors} tensors, where 1 to {MAX_TENSORS} are possible")
    if pairs > MAX_PAIRS:
        raise broken(f"{pairs} metadata pairs, more than the {MAX_PAIRS} allowed")
    cursor.room(pairs, 13, "metadata pairs")
    cursor.room(tensors, 32, "tensors")
    return version, tensors, pairs


def _magic_hint(magic: bytes) -> str:
    """Return the hint for a file of a kind that is often mistaken for a model."""
    if magic == b"vers":
        return "this looks like a Git LFS pointer: git lfs pull"
    if magic in {b"PK\x03\x04", b"\x80\x02}q"}:
        return "this looks like a PyTorch file: convert it with llama.cpp's convert_hf_to_gguf.py"
    return _HINT


def _pairs(cursor: Cursor, count: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Return every scalar and string by key, and the length of every array by key."""
    values: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    for number in range(count):
        key = cursor.string(f"the key of metadata pair {number}", 65_535).decode("utf-8", "replace")
        if key in values or key in lengths:
            raise broken(f"the key {key!r} occurs twice")
        kind = cursor.scalar(U32, f"the type of {key!r}")
        if kind == ARRAY:
            lengths[key] = array(cursor, key)
        elif kind == STRING:
            values[key] = cursor.string(repr(key)).decode("utf-8", "replace")
        elif kind in SCALARS:
            values[key] = cursor.scalar(kind, repr(key))
        else:
            raise broken(f"{key!r} has the unknown type {kind}")
    return values, lengths


def array(cursor: Cursor, key: str) -> int:
    """Step over an array and return its length."""
    kind, count = cursor.scalar(U32, f"the type of {key!r}"), cursor.scalar(U64, f"the length of {key!r}")
    if count > MAX_ARRAY:
        raise broken(f"{key!r} has {count} entries, more than the {MAX_ARRAY} allowed")
    if kind in SCALARS:
        cursor.need(count * SCALARS[kind].size, repr(key))
    elif kind == STRING:
        cursor.room(count, 8, repr(key))
        if key == _TOKENS:
            _check_tokens(cursor, count)
        else:
            _skip_strings(cursor, count, key)
    else:
        raise broken(f"{key!r} is an array of the unknown type {kind}")
    return int(count)


def _check_tokens(cursor: Cursor, count: int) -> None:
    """Step over the tokens' texts and check that they differ: llama.cpp aborts on duplicates.

    It reads them as C strings, so a zero byte ends a text; empty ones get names of their own there.
    """
    seen: set[bytes] = set()
    for number in range(count):
        token = cursor.string(f"token {number}").partition(b"\0")[0]
        if token in seen:
            raise broken(f"token {number} has the same text as another one: {token[:40]!r}")
        if token:
            seen.add(token)


def _skip_strings(cursor: Cursor, count: int, key: str) -> None:
    """Step over strings without keeping them."""
    what = f"an entry of {key!r}"
    for _ in range(count):
        length = cursor.scalar(U64, what)
        if length > MAX_STRING:
            raise broken(f"{what} has {length} bytes, more than the {MAX_STRING} allowed")
        cursor.need(length, what)


def alignment(values: dict[str, Any]) -> int:
    """Return the alignment of the tensors' data."""
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 8 or alignment > 1 << 20 or alignment & (alignment - 1):
        raise broken(f"general.alignment is {alignment!r}, where a power of two from 8 is needed")
    return alignment


def _tensors(cursor: Cursor, count: int, *, alignment: int) -> tuple[int, dict[int, int]]:
    """Check every tensor against the file; return the number of parameters, and the bytes of experts by layer."""
    seen: set[bytes] = set()
    parameters, experts = 0, dict[int, int]()
    ends: list[tuple[str, int]] = []
    for number in range(count):
        name = cursor.string(f"the name of tensor {number}", MAX_NAME)
        label = f"tensor {name.decode('utf-8', 'replace')!r}"
        if name in seen:
            raise broken(f"{label} occurs twice")
        seen.add(name)
        elements, length = shape(cursor, label)
        offset = cursor.scalar(U64, label)
        if offset % alignment:
            raise broken(f"{label} starts at {offset}, which is not a multiple of {alignment}")
        parameters += elements
        if found := _EXPERTS.match(name):
            experts[int(found[1])] = experts.get(int(found[1]), 0) + length
        ends.append((label, offset + length))
    data = -(-cursor.at // alignment) * alignment
    for label, end in ends:
        if data + end > cursor.size:
            raise broken(f"{label} ends at byte {data + end}, the file at {cursor.size}: it is cut short")
    return parameters, experts


def shape(cursor: Cursor, label: str) -> tuple[int, int]:
    """Return the number of values of the next tensor, and their size in bytes."""
    dimensions = cursor.scalar(U32, label)
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise broken(f"{label} has {dimensions} dimensions, where 1 to {MAX_DIMENSIONS} are possible")
    sizes = [cursor.scalar(U64, label) for _ in range(dimensions)]
    kind = cursor.scalar(U32, label)
    if kind not in TYPES:
        raise broken(f"{label} has the unknown type {kind}")
    block, width = TYPES[kind]
    elements = math.prod(sizes)
    if elements == 0 or max(sizes) >= 1 << 63 or sizes[0] % block:
        raise broken(f"{label} has the impossible shape {sizes}")
    return elements, elements // block * width


def _header(size: int, version: int, parameters: int, values: dict[str, Any], lengths: dict[str, int]) -> Header:
    """Check that the metadata describes a language model, and return the header."""
    architecture = _text(values, "general.architecture")
    if not architecture:
        raise broken("it does not name an architecture (general.architecture)")
    if values.get("split.count", 0) not in {0, 1}:
        raise ModelError(
            "the model is one part of a file that was split",
            hint="join the parts: llama-gguf-split --merge FIRST-PART.gguf WHOLE.gguf",
        )
    layers = _number(values, f"{architecture}.block_count")
    if not 1 <= layers <= MAX_LAYERS:
        raise broken(f"{architecture}.block_count is {layers}, where 1 to {MAX_LAYERS} are possible")
    vocabulary = lengths.get(_TOKENS, 0)
    if vocabulary == 0:
        raise broken("it has no tokens (tokenizer.ggml.tokens): is it a language model?")
    for key in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type"):
        if lengths.get(key, vocabulary) != vocabulary:
            raise broken(f"{key} has {lengths[key]} entries for {vocabulary} tokens")
    kind = _number(values, "general.file_type") if "general.file_type" in values else -1
    return Header(
        size=size,
        version=version,
        name=_text(values, "general.name"),
        architecture=architecture,
        quantization=FILE_TYPES.get(kind & ~1024, "unknown") if kind >= 0 else "unknown",
        parameters=parameters,
        layers=layers,
        context_trained=_number(values, f"{architecture}.context_length"),
        vocabulary=vocabulary,
        chat_template=_text(values, "tokenizer.chat_template"),
        values=values,
    )


def _number(values: dict[str, Any], key: str) -> int:
    """Return a whole number of the metadata; 0 where it is missing."""
    value = values.get(key, 0)
    if not isinstance(value, int):
        raise broken(f"{key} is {str(value)[:40]!r}, where a whole number is needed")
    return int(value)


def _text(values: dict[str, Any], key: str) -> str:
    """Return a string of the metadata; empty where it is missing."""
    value = values.get(key, "")
    if not isinstance(value, str):
        raise broken(f"{key} is {str(value)[:40]!r}, where a text is needed")
    return value


def broken(why: str) -> ModelError:
    """Return the error for a GGUF file that breaks the format's rules."""
    return ModelError(f"the GGUF file is broken: {why}", hint=_HINT)
