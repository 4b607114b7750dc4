"""Joins the parts of a split GGUF file (`-00001-of-00003.gguf`) into one, piece by piece.

The engine then opens, hashes and confines one file, wherever its parts came from. The first part has the metadata; the
joined file has it without the `split.*` keys, every part's tensors in their order, and new offsets. Joining what was
split from a file whose tensors lie in their order gives that file again, byte for byte.
Source: tools/gguf-split/gguf-split.cpp of llama.cpp.
"""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from publisher.engine import gguf
from publisher.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PIECE = 4 << 20
_SPLIT = ("split.no", "split.count", "split.tensors.count")


class _Tensor(NamedTuple):
    entry: bytes
    """Its name, shape and type, as the header has them."""
    at: int
    """Where its data begin in the part's file."""
    length: int


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    version: int
    alignment: int
    pairs: list[tuple[str, bytes]]
    split: dict[str, Any]
    tensors: list[_Tensor]


def join(paths: Sequence[Path], target: Path) -> None:
    """Write the file that `paths`, in order, are the parts of; ModelError where they are not the parts of one file."""
    parts = [_read(path) for path in paths]
    first = parts[0]
    for number, part in enumerate(parts):
        _check(part, number, len(parts), first)
    tensors = [(part, tensor) for part in parts for tensor in part.tensors]
    if first.split.get("split.tensors.count") not in {None, len(tensors)}:
        raise gguf.broken(f"its parts have {len(tensors)} tensors, not {first.split['split.tensors.count']}")
    kept = [data for key, data in first.pairs if key not in _SPLIT]
    with target.open("wb") as stream:
        stream.write(gguf.MAGIC + struct.pack("<IQQ", first.version, len(tensors), len(kept)))
        stream.writelines(kept)
        offset = 0
        for _, tensor in tensors:
            stream.write(tensor.entry + struct.pack("<Q", offset))
            offset += _padded(tensor.length, first.alignment)
        _pad(stream, first.alignment)
        with contextlib.ExitStack() as stack:
            opened = {part.path: stack.enter_context(part.path.open("rb")) for part in parts}
            for part, tensor in tensors:
                _copy(opened[part.path], stream, tensor)
                _pad(stream, first.alignment)
        stream.flush()
        os.fsync(stream.fileno())


def _read(path: Path) -> _Part:
    """Return the layout of one part; only its header is read."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        cursor = gguf.Cursor(stream.fileno(), size)
        version, tensors, pairs = gguf.preamble(cursor)
        found, values = [], {}
        for number in range(pairs):
            start = cursor.at
            key = cursor.string(f"the key of metadata pair {number}", 65_535).decode("utf-8", "replace")
            value = _value(cursor, key)
            found.append((key, cursor.since(start)))
            if value is not None:
                values[key] = value
        alignment = gguf.alignment(values)
        entries = []
        for number in range(tensors):
            start = cursor.at
            label = f"tensor {number} of {path.name}"
            cursor.string(label, gguf.MAX_NAME)
            _, length = gguf.shape(cursor, label)
            entry = cursor.since(start)
            entries.append((entry, cursor.scalar(gguf.U64, label), length))
        data = _padded(cursor.at, alignment)
    for _, offset, length in entries:
        if data + offset + length > size:
            raise gguf.broken(f"{path.name} is cut short")
    split = {key: values[key] for key in _SPLIT if key in values}
    placed = [_Tensor(entry, data + offset, length) for entry, offset, length in entries]
    return _Part(path, version, alignment, found, split, placed)


def _value(cursor: gguf.Cursor, key: str) -> int | None:
    """Step over the next value, and return it where it is a whole number."""
    kind = cursor.scalar(gguf.U32, f"the type of {key!r}")
    if kind == gguf.ARRAY:
        gguf.array(cursor, key)
    elif kind == gguf.STRING:
        cursor.string(repr(key))
    elif kind in gguf.SCALARS:
        value = cursor.scalar(kind, repr(key))
        return value if isinstance(value, int) else None
    else:
        raise gguf.broken(f"{key!r} has the unknown type {kind}")
    return None


def _check(part: _Part, number: int, count: int, first: _Part) -> None:
    """Raise ModelError where a part is not the one of this number, or of another file than the first."""
    said = part.split.get("split.no"), part.split.get("split.count")
    if said != (number, count):
        raise ModelError(
            f"{part.path.name} says that it is part {said[0]} of {said[1]}, and is wanted as part {number} of {count}",
            hint="name the first part, ...-00001-of-..., and keep the names that llama-gguf-split gave",
        )
    if (part.version, part.alignment) != (first.version, first.alignment):
        raise gguf.broken(f"{part.path.name} is of another version or alignment than the first part")


def _padded(length: int, alignment: int) -> int:
    return -(-length // alignment) * alignment


def _pad(stream: BinaryIO, alignment: int) -> None:
    stream.write(bytes(_padded(stream.tell(), alignment) - stream.tell()))


def _copy(source: BinaryIO, stream: BinaryIO, tensor: _Tensor) -> None:
    """Copy a tensor's data, a piece at a time."""
    source.seek(tensor.at)
    left = tensor.length
    while left:
        piece = source.read(min(_PIECE, left))
        if not piece:
            raise gguf.broken("a part became shorter while it was read")
        stream.write(piece)
        left -= len(piece)
