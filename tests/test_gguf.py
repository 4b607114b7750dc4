from __future__ import annotations

import ctypes
import os
import random
import re
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from publisher.engine.gguf import Header, read_header
from publisher.engine.gguf_types import FILE_TYPES, TYPES
from publisher.errors import ModelError
from tests.gguf_maker import BUILTIN, gguf, pair, pairs, tensor, text

if TYPE_CHECKING:
    from pathlib import Path


def read(data: bytes) -> Header:
    """Read the header of a file with these bytes."""
    descriptor = os.memfd_create("specimen")
    try:
        os.write(descriptor, data)
        return read_header(descriptor)
    finally:
        os.close(descriptor)


def header_size(path: Path) -> int:
    """Return about how many bytes of a model file are header: up to the last tensor's name."""
    return path.read_bytes().rindex(b"output_norm.weight") + 64


def test_a_header_says_what_the_model_is() -> None:
    """Name, architecture, quantization, size and template come out of a whole file."""
    header = read(gguf())
    assert (header.name, header.architecture, header.quantization) == ("Specimen", "llama", "Q8_0")
    assert (header.parameters, header.layers, header.context_trained, header.vocabulary) == (32, 2, 128, 3)
    assert header.chat_template == "{{ messages[0].content }}"


def test_the_builtin_model_is_read() -> None:
    """The builtin model's header says what its card says."""
    descriptor = os.open(BUILTIN, os.O_RDONLY)
    try:
        header = read_header(descriptor)
    finally:
        os.close(descriptor)
    assert (header.architecture, header.quantization, header.layers) == ("llama", "Q8_0", 3)
    assert header.parameters > 1_900_000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"GG", "not a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a GGUF file"),
        (gguf(magic=b"GGML"), "not a GGUF file"),
        (gguf(version=1), "version 1"),
        (gguf(version=99), "version 99"),
        (gguf()[:4] + struct.pack(">I", 3) + gguf()[8:], "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "0 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 62, 0), "tensors, where"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1 << 62), "metadata pairs, more than"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 60_000), "do not fit"),
        (gguf()[:150], "the file ends"),
        (gguf()[:-40], "cut short"),
        (gguf(pairs(general__architecture="")), "does not name an architecture"),
        (gguf(pairs(general__architecture=7)), "where a text is needed"),
        (gguf(pairs(llama__block_count=0)), "block_count is 0"),
        (gguf(pairs(llama__block_count=100_000)), "block_count is 100000"),
        (gguf(pairs(llama__block_count="many")), "where a whole number is needed"),
        (gguf(pairs(tokenizer__ggml__tokens=["a", "b", "a"])), "token 2 has the same text as another one"),
        (gguf(pairs(tokenizer__ggml__tokens=["a", "b", "a\0c"])), "token 2 has the same text as another one"),
        (gguf(pairs(tokenizer__ggml__tokens="")), "no tokens"),
        (gguf(pairs(tokenizer__ggml__scores=["1"])), "1 entries for 3 tokens"),
        (gguf(pairs(general__alignment=24)), "general.alignment is 24"),
        (gguf(pairs(split__count=4)), "one part of a file that was split"),
        (gguf(tensors=[tensor("a"), tensor("a", offset=128)], data=256), "occurs twice"),
        (gguf(tensors=[tensor("a" * 64)]), "64 bytes, more than the 63"),
        (gguf(tensors=[tensor("a", sizes=(1 << 40, 1 << 40))]), "cut short"),
        (gguf(tensors=[tensor("a", sizes=(0,))]), "impossible shape"),
        (gguf(tensors=[tensor("a", sizes=(33,), kind=8)]), "impossible shape"),
        (gguf(tensors=[tensor("a", sizes=(1, 1, 1, 1, 1))]), "5 dimensions"),
        (gguf(tensors=[tensor("a", kind=4)]), "unknown type 4"),
        (gguf(tensors=[tensor("a", offset=16)]), "not a multiple of 32"),
        (gguf(tensors=[tensor("a", offset=1 << 60)]), "cut short"),
    ],
)
def test_a_broken_file_is_refused_with_its_reason(data: bytes, message: str) -> None:
    """Each broken rule is named, and every error has a hint."""
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        read(data)
    assert caught.value.hint


def test_an_absurd_array_costs_nothing() -> None:
    """A file of 43 bytes that announces 2^63 entries is rejected at once."""
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text("a") + struct.pack("<IIQ", 9, 8, 1 << 63)
    before = time.process_time()
    with pytest.raises(ModelError):
        read(data + bytes(40))
    assert time.process_time() - before < 0.1


def test_a_key_that_occurs_twice_is_refused() -> None:
    """A key with two values is an error: llama.cpp and this reader could use different ones."""
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + pair("a", 1) + pair("a", 2) + bytes(64)
    with pytest.raises(ModelError, match="occurs twice"):
        read(data)


def test_every_cut_is_a_clear_error() -> None:
    """A file that ends anywhere within its header or its data is rejected, never misread."""
    whole = gguf()
    for end in range(len(whole)):
        with pytest.raises(ModelError):
            read(whole[:end])


def test_tensor_types_are_those_of_ggml() -> None:
    """The block sizes agree with the library's own table."""
    llama_cpp = pytest.importorskip("llama_cpp")
    library = llama_cpp.llama_cpp._lib
    library.ggml_blck_size.restype = ctypes.c_int64
    library.ggml_type_size.restype = ctypes.c_size_t
    for kind, (block, width) in TYPES.items():
        assert (library.ggml_blck_size(kind), library.ggml_type_size(kind)) == (block, width), kind


def test_quantization_names_are_those_of_llama_cpp() -> None:
    """The names of quantizations agree with the binding's constants."""
    llama_cpp = pytest.importorskip("llama_cpp")
    for number, name in FILE_TYPES.items():
        constant = "ALL_F32" if name == "F32" else f"MOSTLY_{name}"
        assert getattr(llama_cpp, f"LLAMA_FTYPE_{constant}") == number


def mutated(generator: random.Random, whole: bytes, limit: int) -> bytes:
    """Return the file with a few bytes, a number or a stretch of its header changed, or cut off."""
    data = bytearray(whole)
    for _ in range(generator.choice((1, 1, 1, 2, 4, 16))):
        at = generator.randrange(limit)
        kind = generator.randrange(5)
        if kind == 0:
            data[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            data[at] = generator.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            number = generator.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1))
            data[at : at + 8] = struct.pack("<Q", number)
        elif kind == 3:
            length = generator.randrange(1, 64)
            start = generator.randrange(limit)
            data[at : at + length] = data[start : start + length]
        elif generator.random() < 0.3:
            del data[at:]
            break
    return bytes(data)


LOADER = """
import os, sys
import llama_cpp
for line in sys.stdin:
    path = line.strip()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        parameters = llama_cpp.llama_model_default_params()
        model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        os._exit(0 if model else 1)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.mark.model
def test_two_thousand_mutated_headers(tmp_path: Path) -> None:
    """Each mutated header is a clear error, or a file that llama.cpp loads or rejects without crashing."""
    pytest.importorskip("llama_cpp")
    generator = random.Random(4)  # noqa: S311 - mutations, not secrets
    whole, limit = BUILTIN.read_bytes(), header_size(BUILTIN)
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    loader = subprocess.Popen(
        [sys.executable, "-c", LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert loader.stdin is not None
    assert loader.stdout is not None
    passed, died = 0, []
    with loader:
        for number in range(2000):
            data = mutated(generator, whole, limit)
            try:
                read(data)
            except ModelError:
                continue
            passed += 1
            path = tmp_path / "mutated.gguf"
            path.write_bytes(data)
            print(path, file=loader.stdin, flush=True)
            if (code := int(loader.stdout.readline())) < 0:
                died.append((number, code))
    assert passed > 100, "the mutations are too coarse to say anything"
    assert not died, f"{len(died)} of {passed} files that were let through killed llama.cpp"
