from __future__ import annotations

import gzip
import tracemalloc

import msgspec
import pytest

from publisher.errors import StorageError
from publisher.files import sha256_hex
from publisher.samples import key_id, pack_samples, proof_of, samples_digest, unpack_samples, withhold
from publisher.schema import Sample
from tests.made import SAMPLE

KEY = b"k" * 32


def many(count: int) -> list[Sample]:
    """Return samples that differ in their number."""
    return [msgspec.structs.replace(SAMPLE, sample=number) for number in range(count)]


def test_samples_survive_packing() -> None:
    """What is packed comes back, line separators inside texts included."""
    assert list(unpack_samples(pack_samples(many(3)))) == many(3)


def test_equal_samples_are_equal_bytes() -> None:
    """The compressed form carries no time, so its digest is reproducible."""
    assert pack_samples(many(20)) == pack_samples(many(20))
    assert pack_samples(many(1))[4:8] == b"\0\0\0\0"


def test_the_digest_is_of_the_uncompressed_lines() -> None:
    """`samples_digest` is that of exactly what the compressed file holds."""
    assert sha256_hex(gzip.decompress(pack_samples(many(4)))) == samples_digest(many(4))


@pytest.mark.parametrize("cut", [0, 1, 10, 30, -8, -1])
def test_a_file_that_was_cut_is_refused(cut: int) -> None:
    """A truncated file is an error wherever it was cut, never fewer samples."""
    with pytest.raises(StorageError, match="samples"):
        list(unpack_samples(pack_samples(many(5))[:cut]))


def test_something_after_the_end_is_refused() -> None:
    """A second archive behind the first is not silently dropped."""
    with pytest.raises(StorageError, match="after its end"):
        list(unpack_samples(pack_samples(many(1)) * 2))


def test_a_bomb_is_refused_at_its_limit() -> None:
    """A small file that grows beyond the limit is stopped there."""
    with pytest.raises(StorageError, match="more than 100000 bytes"):
        list(unpack_samples(gzip.compress(b" " * 50_000_000), 100_000))


@pytest.mark.parametrize("line", [b"\n", b"x", b"[", b'{"suite": "' + b"x" * 30_000_000 + b'"}\n'])
def test_what_unpacks_to_much_takes_little_memory(line: bytes) -> None:
    """Empty lines, endless ones and deep ones end at the first that is none, long before they fill the memory."""
    data = gzip.compress(line * (400_000_000 // len(line) // 10), compresslevel=1)
    tracemalloc.start()
    with pytest.raises(StorageError, match=r"samples\.jsonl\.gz"):
        list(unpack_samples(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


def test_samples_are_read_one_by_one() -> None:
    """The first is there before the last is unpacked, so that no run's samples need fit into memory."""
    samples = unpack_samples(pack_samples(many(20_000)) + b"x")
    assert next(samples) == many(1)[0]
    with pytest.raises(StorageError, match="after its end"):
        list(samples)


def test_too_many_samples_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of lines is bounded as well as their size."""
    monkeypatch.setattr("publisher.samples.MAX_SAMPLES", 3)
    with pytest.raises(StorageError, match="more than 3 samples"):
        list(unpack_samples(pack_samples(many(4))))


def test_a_withheld_sample_says_nothing_but_figures() -> None:
    """No word of a private suite leaves; what was public stays as it is."""
    told = msgspec.structs.replace(SAMPLE, suite="p", statement="ask", expected="42", reason="not 42")
    (hidden, shown) = withhold([told, SAMPLE], {"p"}, KEY)
    assert (hidden.text, hidden.answer, hidden.statement, hidden.expected, hidden.reason) == ("", "", "", "", "")
    assert (hidden.withheld, hidden.outcome, hidden.tokens, hidden.seed) == (True, "right", 5, 7)
    assert shown == SAMPLE


def test_a_proof_knows_a_text_again_and_gives_nothing_away() -> None:
    """Equal texts have equal proofs under one key; without the key nobody can try the likely answers."""
    assert proof_of(SAMPLE, KEY) == proof_of(msgspec.structs.replace(SAMPLE, latency=9.0), KEY)
    assert proof_of(SAMPLE, KEY) != proof_of(msgspec.structs.replace(SAMPLE, text="x"), KEY)
    assert proof_of(SAMPLE, KEY).split(":")[0] == key_id(KEY) != key_id(b"j" * 32)
    assert proof_of(SAMPLE, KEY).split(":")[1] != proof_of(SAMPLE, b"j" * 32).split(":")[1]


def test_lines_of_something_else_are_refused() -> None:
    """Valid compression around something that is no sample is an error that says so."""
    with pytest.raises(StorageError, match="broken"):
        list(unpack_samples(gzip.compress(b'{"suite": "s"}\n'), 1000))


def test_no_samples_are_a_valid_file() -> None:
    """An empty list makes the round trip."""
    assert list(unpack_samples(pack_samples([]), 0)) == []
