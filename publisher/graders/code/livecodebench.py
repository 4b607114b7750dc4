"""LiveCodeBench's problems as this project's: their tests, public and private, to the JSON of `programs.Cases`.

Private tests are base64 of zlib of a pickle of a JSON text. A pickle can run code when it is loaded, so it is read by
an unpickler that knows no class and no function: a text needs none. What is unpacked is bounded.
Source: https://github.com/LiveCodeBench/LiveCodeBench (lcb_runner/benchmarks/code_generation.py).
"""

from __future__ import annotations

import base64
import binascii
import io
import pickle
import zlib
from typing import Any, NoReturn

import msgspec

from publisher.errors import SuiteError
from publisher.graders.code.programs import Case, Cases

_PACKED = "zlib:"
LARGEST = 256 << 20
"""Bytes that one problem's tests may unpack to."""


class _Text(pickle.Unpickler):
    """Reads a pickle that holds nothing but text."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse whatever would be called."""
        raise pickle.UnpicklingError(f"{module}.{name}")


def tests_of(row: dict[str, Any], where: str) -> Cases:
    """Return the tests of a row of LiveCodeBench; SuiteError, naming `where`, when it is no such row."""
    try:
        tests = _decoded(row["public_test_cases"], where) + _decoded(row["private_test_cases"], where)
        function = str(msgspec.json.decode(row.get("metadata") or "{}", type=dict[str, Any]).get("func_name") or "")
    except (KeyError, TypeError, msgspec.MsgspecError, RecursionError) as error:
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
        found = _Text(io.BytesIO(data)).load()
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError) as error:
        raise SuiteError(f"{where}: its private tests cannot be unpacked ({type(error).__name__})") from error
    if not isinstance(found, str):
        raise SuiteError(f"{where}: its private tests are no text")
    return found
