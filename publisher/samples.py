"""Samples as they are stored: a line of JSON each, compressed so that equal samples are equal bytes."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import StorageError
from publisher.schema import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = "samples.jsonl.gz"
_GZIP = 31  # zlib's number for a gzip wrapper with the largest window


def without_text(sample: Sample) -> Sample:
    """Return a sample of a private suite as it may be shown: its id, outcome, counts and metrics, and no word of it.

    The grader's reason goes too, since it may quote the answer.
    """
    return msgspec.structs.replace(sample, statement="", expected="", answer="", reason="", text="", clipped=0)


def encode_samples(samples: Iterable[Sample]) -> bytes:
    """Return the uncompressed lines, whose SHA-256 is a record's `samples_sha256`."""
    return b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples)


def pack_samples(samples: Iterable[Sample]) -> bytes:
    """Return the samples as they are stored: compressed, without a time stamp."""
    return gzip.compress(encode_samples(samples), compresslevel=9, mtime=0)


def unpack_samples(data: bytes, limit: int) -> list[Sample]:
    """Return stored samples; StorageError when they are broken or larger than `limit` bytes uncompressed."""
    decompressor = zlib.decompressobj(_GZIP)
    try:
        lines = decompressor.decompress(data, limit + 1)
    except zlib.error as error:
        raise StorageError(f"{FILE} is broken: {error}") from error
    if len(lines) > limit:
        raise StorageError(f"{FILE} holds more than {limit} bytes")
    if not decompressor.eof or decompressor.unused_data:
        raise StorageError(f"{FILE} is cut off" if not decompressor.eof else f"{FILE} has something after its end")
    try:
        return [msgspec.json.decode(line, type=Sample) for line in lines.splitlines()]
    except msgspec.MsgspecError as error:
        raise StorageError(f"{FILE} is broken: {error}") from error
