"""Samples as they are stored: a line of JSON each, compressed so that equal samples are equal bytes.

Neither packing nor unpacking holds all lines at once. A small compressed file can unpack to anything, so the length of
a line, the number of lines and their total size are bounded.

The words of a private suite's samples stay on the machine that measured them. The ledger gets *withheld* samples:
without words, but with a `proof` that only that machine can make, so that it can still tell whether a text is the same.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING

import msgspec

from publisher.errors import StorageError
from publisher.schema import Sample

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

FILE = "samples.jsonl.gz"
MAX_BYTES = 1 << 30
"""Bytes of all lines together."""
MAX_LINE = 8 << 20
"""Bytes of one line: the longest text that `[ledger] clip` allows, every character escaped, and its problem."""
MAX_SAMPLES = 2_000_000
_GZIP = 31  # zlib's number for a gzip wrapper with the largest window
_PIECE = 1 << 18
"""Bytes that are compressed or unpacked at a time."""


def without_text(sample: Sample) -> Sample:
    """Return a sample of a private suite as it may be shown: its id, outcome, counts and metrics, and no word of it.

    The grader's reason goes too, since it may quote the answer.
    """
    return msgspec.structs.replace(
        sample, statement="", expected="", answer="", reason="", text="", clipped=0, withheld=True
    )


def withhold(samples: Iterable[Sample], private: Collection[str], key: bytes) -> list[Sample]:
    """Return the samples as they may leave the machine that measured them; those of suites in `private` with proofs."""
    return [
        msgspec.structs.replace(without_text(one), proof=proof_of(one, key)) if one.suite in private else one
        for one in samples
    ]


def proof_of(sample: Sample, key: bytes) -> str:
    """Return what stands for the text of a sample: `KEY-ID:DIGEST`, both hexadecimal.

    The digest is keyed (HMAC-SHA256): a plain one of a short text could be found by trying the likely ones.
    """
    place = msgspec.json.encode([sample.suite, sample.problem, sample.sample, sample.text, sample.clipped])
    return f"{key_id(key)}:{hmac.new(key, place, hashlib.sha256).hexdigest()}"


def key_id(key: bytes) -> str:
    """Return what tells the key of one machine from another's, without giving it away."""
    return hashlib.sha256(b"key of proofs" + key).hexdigest()[:16]


def encode_samples(samples: Iterable[Sample]) -> Iterator[bytes]:
    """Yield the uncompressed lines."""
    return (msgspec.json.encode(sample) + b"\n" for sample in samples)


def samples_digest(samples: Iterable[Sample]) -> str:
    """Return the SHA-256 of the uncompressed lines: a record's `samples_sha256`."""
    digest = hashlib.sha256()
    for line in encode_samples(samples):
        digest.update(line)
    return digest.hexdigest()


def pack_samples(samples: Iterable[Sample]) -> bytes:
    """Return the samples as they are stored: compressed, without a time stamp."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    return b"".join([*(compressor.compress(line) for line in encode_samples(samples)), compressor.flush()])


def unpack_samples(data: bytes, limit: int = MAX_BYTES) -> Iterator[Sample]:
    """Yield stored samples; StorageError where they are broken, or larger than `limit` bytes uncompressed.

    What was yielded before the error is whole; only a caller that reads to the end knows that the file is.
    """
    for number, line in enumerate(_lines(data, limit), 1):
        if number > MAX_SAMPLES:
            raise StorageError(f"{FILE} holds more than {MAX_SAMPLES} samples")
        try:
            yield msgspec.json.decode(line, type=Sample)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise StorageError(f"{FILE} is broken in line {number}: {error}") from error


def answer_lengths(data: bytes, limit: int = MAX_BYTES) -> dict[str, list[int]]:
    """Return the tokens of each sample that counts, by suite, without making a value of every text; StorageError."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(_lines(data, limit), 1):
        if number > MAX_SAMPLES:
            raise StorageError(f"{FILE} holds more than {MAX_SAMPLES} samples")
        try:
            one = msgspec.json.decode(line, type=_Length)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise StorageError(f"{FILE} is broken in line {number}: {error}") from error
        if one.outcome != "error":
            found.setdefault(one.suite, []).append(one.tokens)
    return found


class _Length(msgspec.Struct):
    """The part of a sample that its length needs."""

    suite: str
    outcome: str
    tokens: int


def _lines(data: bytes, limit: int) -> Iterator[bytes]:
    """Yield the lines of a compressed file without their line breaks."""
    pending = b""
    for piece in _unpacked(data, limit):
        *lines, pending = (pending + piece).split(b"\n")
        yield from lines
        if len(pending) > MAX_LINE:
            raise StorageError(f"{FILE} has a line of more than {MAX_LINE} bytes")
    if pending:
        yield pending


def _unpacked(data: bytes, limit: int) -> Iterator[bytes]:
    """Yield what a compressed file holds, piece by piece."""
    decompressor = zlib.decompressobj(_GZIP)
    size = 0
    for start in range(0, len(data), _PIECE):
        rest = data[start : start + _PIECE]
        while rest and not decompressor.eof:
            try:
                piece = decompressor.decompress(rest, _PIECE)
            except zlib.error as error:
                raise StorageError(f"{FILE} is broken: {error}") from error
            rest = decompressor.unconsumed_tail
            size += len(piece)
            if size > limit:
                raise StorageError(f"{FILE} holds more than {limit} bytes")
            yield piece
        if decompressor.eof and (decompressor.unused_data or start + _PIECE < len(data)):
            raise StorageError(f"{FILE} has something after its end")
    if not decompressor.eof:
        raise StorageError(f"{FILE} is cut off")
