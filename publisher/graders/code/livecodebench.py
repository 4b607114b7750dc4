"""LiveCodeBench's problems as this project's: their tests, public and private, to the JSON of `programs.Cases`.

Private tests are base64 of zlib of a pickle of a JSON text. A pickle can run code when it is loaded, and ask for any
amount of memory, so none is loaded: it must be one text, which is read from it. What is unpacked is bounded.
Source: https://github.com/LiveCodeBench/LiveCodeBench (lcb_runner/benchmarks/code_generation.py).
"""

from __future__ import annotations

import base64
import binascii
import io
import pickletools
import zlib
from typing import Any

import msgspec

from publisher.errors import SuiteError
from publisher.graders.code.programs import Case, Cases

_PACKED = "zlib:"
LARGEST = 256 << 20
"""Bytes that one problem's tests may unpack to."""


_FRAME = {"PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"}
"""What stands around the text in a pickle of one: nothing that builds a value."""
_TEXT = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}


def tests_of(row: dict[str, Any], where: str) -> Cases:
    """Return the tests of a row of LiveCodeBench; SuiteError, naming `where`, when it is no such row."""
    try:
        tests = _decoded(row["public_test_cases"], where) + _decoded(row["private_test_cases"], where)
        function = str(msgspec.json.decode(row.get("metadata") or "{}", type=dict[str, Any]).get("func_name") or "")
    except (KeyError, TypeError, AttributeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise SuiteError(
            f"{where} is no problem of LiveCodeBench: {error}", hint="is it the file test6.jsonl?"
        ) from error
    return Cases(kind="functional" if function else "stdin", tests=tests, function=function, seconds=6.0)


def packed(cases: Cases) -> str:
    """Return tests as a suite stores them: one problem's can have 100 MB, and all must fit into a file."""
    return _PACKED + base64.b64encode(zlib.compress(msgspec.json.encode(cases), 9)).decode()


def readable(expected: str, largest: int = LARGEST) -> str:
    """Return the JSON of an expected answer, packed or not; ValueError when it is broken or unpacks to too much."""
    if not expected.startswith(_PACKED):
        return expected
    try:
        data = _inflated(expected.removeprefix(_PACKED), largest)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"packed tests that cannot be unpacked ({type(error).__name__})") from error
    if data is None:
        raise ValueError(f"tests of more than {largest >> 20} MiB")
    return data.decode()


def _inflated(text: str, largest: int) -> bytes | None:
    """Return what is in base64 of zlib, None where it has more than `largest` bytes."""
    engine = zlib.decompressobj()
    data = engine.decompress(base64.b64decode(text, validate=True), largest)
    return None if engine.unconsumed_tail else data


def _decoded(text: str, where: str) -> list[Case]:
    """Return tests that are JSON, or packed as the private ones are."""
    if not text.lstrip().startswith("["):
        text = unpacked(text, where)
    return [Case(test["input"], test["output"]) for test in msgspec.json.decode(text, type=list[dict[str, str]])]


def unpacked(text: str, where: str, largest: int = LARGEST) -> str:
    """Return the text in base64 of zlib of a pickle; SuiteError when it is too large or anything but a text."""
    try:
        data = _inflated(text, largest)
        if data is None:
            raise SuiteError(f"{where}: its private tests unpack to more than {largest >> 20} MiB")
        found = _pickled_text(data)
    except (zlib.error, ValueError) as error:
        raise SuiteError(f"{where}: its private tests cannot be unpacked ({type(error).__name__})") from error
    if found is None:
        raise SuiteError(f"{where}: its private tests are no text")
    return found


def _pickled_text(data: bytes) -> str | None:
    """Return the text that a pickle consists of, without loading it; None where it holds anything else."""
    texts: list[str] = []
    for code, argument, _ in pickletools.genops(io.BytesIO(data)):
        if code.name in _TEXT:
            texts.append(str(argument))
        elif code.name not in _FRAME:
            return None
    return texts[0] if len(texts) == 1 else None
