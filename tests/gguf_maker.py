"""Small GGUF files for tests: whole ones, and ones that break a rule."""

from __future__ import annotations

import math
import struct
from pathlib import Path

from publisher.bench.inputs.model_file import builtin_path
from publisher.engine import gguf as reader
from publisher.engine.gguf_types import TYPES

BUILTIN = builtin_path("builtin:abacus")
U32, STRING, ARRAY = 4, 8, 9


def text(value: str | bytes) -> bytes:
    """Return a GGUF string."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def pair(key: str, value: str | int | list[str]) -> bytes:
    """Return a metadata pair."""
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", U32, value)
    return text(key) + struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(text, value))


def tensor(name: str, *, sizes: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    """Return a tensor's entry."""
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def pairs(**changes: str | int | list[str]) -> dict[str, str | int | list[str]]:
    """Return the metadata of a small model; underscores in a name stand for dots, None takes a pair out."""
    whole: dict[str, str | int | list[str]] = {
        "general.architecture": "llama",
        "general.name": "Specimen",
        "general.file_type": 7,
        "llama.block_count": 2,
        "llama.context_length": 128,
        "tokenizer.chat_template": "{{ messages[0].content }}",
        "tokenizer.ggml.tokens": ["a", "b", "c"],
    }
    whole.update({key.replace("__", "."): value for key, value in changes.items()})
    return {key: value for key, value in whole.items() if value != ""}


def gguf(
    metadata: dict[str, str | int | list[str]] | None = None,
    tensors: list[bytes] | None = None,
    *,
    data: int = 128,
    version: int = 3,
    magic: bytes = b"GGUF",
) -> bytes:
    """Return a GGUF file with `data` bytes of tensors behind its header."""
    metadata = pairs() if metadata is None else metadata
    tensors = [tensor("output.weight")] if tensors is None else tensors
    header = magic + struct.pack("<IQQ", version, len(tensors), len(metadata))
    header += b"".join(pair(key, value) for key, value in metadata.items()) + b"".join(tensors)
    return header + bytes(-len(header) % 32) + bytes(data)


def builtin_with(path: Path, *, template: str | None = None, nan: bool = False) -> Path:
    """Write the builtin model to `path` with another chat template ("" for none), or with weights that are NaN."""
    whole = BUILTIN.read_bytes()
    start = whole.index(text("tokenizer.chat_template"))
    with BUILTIN.open("rb") as stream:
        cursor = reader.Cursor(stream.fileno(), len(whole))
        _, tensors, count = reader.preamble(cursor)
        reader._pairs(cursor, count)
        names = cursor.at
        reader._tensors(cursor, tensors, alignment=32)
    data = whole[-(-cursor.at // 32) * 32 :]
    header = whole[:names]
    if template is not None:
        header = whole[:start] + pair("tokenizer.chat_template" if template else "no.template", template or "none")
    header += whole[names : cursor.at]
    if nan:
        data = b"\xff" * len(data)
    path.write_bytes(header + bytes(-len(header) % 32) + data)
    return path


def open_descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def builtin_with_experts(path: Path, count: int) -> Path:
    """Write the builtin model to `path` as a mixture of `count` experts, each of which is its own feed-forward part.

    A router of zeros takes any two of them, with half the weight each: so it answers as the builtin model does.
    """
    whole = BUILTIN.read_bytes()
    with BUILTIN.open("rb") as stream:
        cursor = reader.Cursor(stream.fileno(), len(whole))
        _, tensors, metadata = reader.preamble(cursor)
        first = cursor.at
        values, _ = reader._pairs(cursor, metadata)
        names = cursor.at
        entries = [_entry(cursor) for _ in range(tensors)]
    start = -(-cursor.at // 32) * 32
    parts: list[tuple[str, tuple[int, ...], int, bytes]] = []
    for name, sizes, kind, offset, length in entries:
        data = whole[start + offset : start + offset + length]
        if ".ffn_" in name and "norm" not in name:
            stem, _, _ = name.rpartition(".")
            parts.append((f"{stem}_exps.weight", (*sizes, count), kind, data * count))
            if "gate" in name:
                parts.append((f"{stem}_inp.weight", (sizes[0], count), 0, bytes(4 * sizes[0] * count)))
        else:
            parts.append((name, sizes, kind, data))
    architecture = values["general.architecture"]
    more = pair(f"{architecture}.expert_count", count) + pair(f"{architecture}.expert_used_count", 2)
    body, described = b"", b""
    for name, sizes, kind, data in parts:
        described += tensor(name, sizes=sizes, kind=kind, offset=len(body))
        body += data + bytes(-len(data) % 32)
    header = whole[:8] + struct.pack("<QQ", len(parts), metadata + 2) + whole[first:names] + more + described
    path.write_bytes(header + bytes(-len(header) % 32) + body)
    return path


def _entry(cursor: reader.Cursor) -> tuple[str, tuple[int, ...], int, int, int]:
    """Return the next tensor's name, sizes, type, offset and length in bytes."""
    name = cursor.string("a name").decode()
    sizes = tuple(cursor.scalar(reader.U64, name) for _ in range(cursor.scalar(reader.U32, name)))
    kind, offset = cursor.scalar(reader.U32, name), cursor.scalar(reader.U64, name)
    block, width = TYPES[kind]
    return name, sizes, kind, offset, math.prod(sizes) // block * width
