from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from publisher.engine.process import EngineProcess
from publisher.engine.quantize import quantize
from publisher.errors import ModelError, UsageError
from publisher.files import sha256_file
from tests.engines import options, requests
from tests.gguf_maker import BUILTIN, gguf

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")


def test_the_target_runs_and_names_its_origin(tmp_path: Path) -> None:
    """A quantized model loads, and the file beside it names its source."""
    target = tmp_path / "small.gguf"
    origin = quantize(BUILTIN, target, "Q4_K_M", allow_requantize=True)
    assert origin["sha256"] == sha256_file(target)
    assert (origin["source_sha256"], origin["quantization"]) == (sha256_file(BUILTIN), "Q4_K_M")
    assert origin["size"] < origin["source_size"]
    assert json.loads((tmp_path / "small.gguf.origin.json").read_text()) == origin
    with EngineProcess(options(model=target, sha256=origin["sha256"])) as engine:
        assert engine.facts.quantization == "Q4_K_M"
        assert len(list(engine.generate(requests(1)))) == 1


def test_quantizing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Quantizing is deterministic, so a quantized model's digest can be pinned."""
    first, second = (
        quantize(BUILTIN, tmp_path / name, "Q4_0", allow_requantize=True)["sha256"] for name in ("a.gguf", "b.gguf")
    )
    assert first == second


def test_a_quantized_source_needs_permission(tmp_path: Path) -> None:
    """Quantizing a quantized source is an error unless the caller allows it."""
    with pytest.raises(ModelError, match="quantized already"):
        quantize(BUILTIN, tmp_path / "small.gguf", "Q4_0")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_llama_cpp_rejects_leaves_nothing(tmp_path: Path) -> None:
    """A model that cannot be quantized is one error, and no half-written target stays."""
    source = tmp_path / "specimen.gguf"
    source.write_bytes(gguf())
    with pytest.raises(ModelError) as caught:
        quantize(source, tmp_path / "out.gguf", "Q8_0")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == [source]


def test_unknown_kinds_and_equal_paths_are_rejected(tmp_path: Path) -> None:
    """A misspelt quantization is answered with the known ones; a source is never overwritten."""
    with pytest.raises(UsageError, match="not a quantization") as caught:
        quantize(BUILTIN, tmp_path / "x.gguf", "Q4KM")
    assert "Q4_K_M" in caught.value.hint
    with pytest.raises(UsageError, match="overwrite"):
        quantize(BUILTIN, BUILTIN, "Q8_0")
