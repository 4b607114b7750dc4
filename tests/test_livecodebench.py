"""LiveCodeBench's tests, which come packed and from strangers."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import Any

import pytest

from publisher.errors import SuiteError
from publisher.graders.code import livecodebench, programs
from publisher.graders.code.sandbox import Sandbox


def packed(value: Any) -> str:
    """Return a value as LiveCodeBench packs its private tests."""
    return squeezed(pickle.dumps(value))


def squeezed(data: bytes) -> str:
    """Return a pickle as LiveCodeBench stores it."""
    return base64.b64encode(zlib.compress(data)).decode()


def row(**changes: Any) -> dict[str, Any]:
    """Return a row in LiveCodeBench's form."""
    public = json.dumps([{"input": "3\n", "output": "9\n", "testtype": "stdin"}])
    private = packed(json.dumps([{"input": "4\n", "output": "16\n", "testtype": "stdin"}]))
    return {"public_test_cases": public, "private_test_cases": private, "metadata": "{}", **changes}


def test_livecodebench_tests_are_unpacked(sandbox: Sandbox) -> None:
    """Public ones come first, then the private ones; a function's name makes them functional."""
    tests = livecodebench.tests_of(row(), "row 1")
    assert (tests.kind, [test.output for test in tests.tests]) == ("stdin", ["9\n", "16\n"])
    assert programs.run(sandbox, "print(int(input())**2)", tests).outcome == "right"
    assert livecodebench.tests_of(row(metadata='{"func_name": "f"}'), "row 1").kind == "functional"


class Dangerous:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Call print."""
        return (print, ("owned",))


@pytest.mark.parametrize(
    ("private", "why"),
    [
        (packed(Dangerous()), "are no text"),
        (squeezed(b"\x80\x05\x96" + (1 << 62).to_bytes(8, "little") + b"."), "cannot be unpacked"),
        (squeezed(b"\x80\x02N)R."), "are no text"),
        (squeezed(b"\x80\x04X\x03\x00\x00\x00\xed\xa0\x80."), "surrogates"),
        (5, "has no attribute"),
        (packed(["a list"]), "are no text"),
        ("!!!", "cannot be unpacked"),
        (base64.b64encode(b"junk").decode(), "cannot be unpacked"),
    ],
)
def test_hostile_private_tests_run_nothing(private: Any, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A pickle may hold text and nothing else."""
    with pytest.raises(SuiteError, match=why):
        livecodebench.tests_of(row(private_test_cases=private), "row 1")
    assert "owned" not in capsys.readouterr().out


def test_a_pickle_of_private_tests_takes_no_memory() -> None:
    """It is not loaded: six bytes that name a place in a table of 16 gigabytes make no such table."""
    found = livecodebench.unpacked(squeezed(b"\x80\x04X\x01\x00\x00\x00ar\xff\xff\xff\x7f."), "row 1")
    assert found == "a"


def test_a_bomb_of_private_tests_is_bounded() -> None:
    """What they unpack to has a limit."""
    with pytest.raises(SuiteError, match="more than 1 MiB"):
        livecodebench.unpacked(packed("x" * (2 << 20)), "row 1", largest=1 << 20)
