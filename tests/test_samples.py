from __future__ import annotations

import gzip

import msgspec
import pytest

from publisher.errors import StorageError
from publisher.files import sha256_hex
from publisher.samples import encode_samples, pack_samples, unpack_samples
from publisher.schema import Sample

SAMPLE = Sample(
    suite="s",
    problem="p-1",
    sample=0,
    seed=7,
    outcome="right",
    answer="42",
    finish="stop",
    prompt_tokens=9,
    tokens=5,
    latency=0.25,
    text="so \u2028 \\boxed{42}\r\n",
)


def many(count: int) -> list[Sample]:
    """Return samples that differ in their number."""
    return [msgspec.structs.replace(SAMPLE, sample=number) for number in range(count)]


def test_samples_survive_packing() -> None:
    """What is packed comes back, line separators inside texts included."""
    assert unpack_samples(pack_samples(many(3)), 1 << 20) == many(3)


def test_equal_samples_are_equal_bytes() -> None:
    """The compressed form carries no time, so its digest is reproducible."""
    assert pack_samples(many(20)) == pack_samples(many(20))
    assert pack_samples(many(1))[4:8] == b"\0\0\0\0"


def test_the_digest_is_of_the_uncompressed_lines() -> None:
    """`encode_samples` is exactly what the compressed file holds."""
    assert sha256_hex(gzip.decompress(pack_samples(many(4)))) == sha256_hex(encode_samples(many(4)))


@pytest.mark.parametrize("cut", [0, 1, 10, 30, -8, -1])
def test_a_file_that_was_cut_is_refused(cut: int) -> None:
    """A truncated file is an error wherever it was cut, never fewer samples."""
    with pytest.raises(StorageError, match="samples"):
        unpack_samples(pack_samples(many(5))[:cut], 1 << 20)


def test_something_after_the_end_is_refused() -> None:
    """A second archive behind the first is not silently dropped."""
    with pytest.raises(StorageError, match="after its end"):
        unpack_samples(pack_samples(many(1)) * 2, 1 << 20)


def test_a_bomb_is_refused_at_its_limit() -> None:
    """A small file that grows beyond the limit is stopped there."""
    with pytest.raises(StorageError, match="more than 100000 bytes"):
        unpack_samples(gzip.compress(b" " * 50_000_000), 100_000)


def test_lines_of_something_else_are_refused() -> None:
    """Valid compression around something that is no sample is an error that says so."""
    with pytest.raises(StorageError, match="broken"):
        unpack_samples(gzip.compress(b'{"suite": "s"}\n'), 1000)


def test_no_samples_are_a_valid_file() -> None:
    """An empty list makes the round trip."""
    assert unpack_samples(pack_samples([]), 0) == []
