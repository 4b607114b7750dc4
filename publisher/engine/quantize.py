"""Quantizes models with llama.cpp's own function, in a confined process.

The target appears whole or not at all. `<target>.origin.json` beside it names the source and the version used.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from publisher import confine
from publisher.engine.gguf import read_header
from publisher.engine.gguf_types import FILE_TYPES
from publisher.engine.process import child_environment
from publisher.errors import ModelError, ModelSourceError, UsageError
from publisher.files import atomic_write, canonical_json, sha256_file, storage_error, sync_folder

KINDS = {name: number for number, name in FILE_TYPES.items()}
"""Name of a quantization -> llama.cpp's number."""
_LOG_LINES = 15


def quantize(source: Path, target: Path, kind: str, *, allow_requantize: bool = False) -> dict[str, Any]:
    """Write `source` as `target` in the quantization `kind` (such as "Q4_K_M"); return the target's origin.

    A source that is quantized itself needs `allow_requantize`, because the errors of both quantizations add up. Raises
    UsageError for an unknown kind or two equal paths, ModelError where llama.cpp fails.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is not a quantization", hint=f"one of {', '.join(KINDS)}")
    if source.resolve() == target.resolve():
        raise UsageError("the quantized model would overwrite its source", hint="choose another target")
    before = _header_of(source)
    started = time.monotonic()
    _write(source, target, kind, allow_requantize=allow_requantize)
    after = _header_of(target)
    origin = {
        "schema": 1,
        "sha256": sha256_file(target),
        "size": after["size"],
        "quantization": after["quantization"],
        "source": source.name,
        "source_sha256": sha256_file(source),
        "source_size": before["size"],
        "source_quantization": before["quantization"],
        "llama_cpp": _version(),
        "seconds": round(time.monotonic() - started, 1),
    }
    atomic_write(target.with_name(f"{target.name}.origin.json"), canonical_json(origin))
    return origin


def _header_of(path: Path) -> dict[str, Any]:
    """Return the size and the quantization in a GGUF file's checked header."""
    try:
        with path.open("rb") as stream:
            header = read_header(stream.fileno())
    except OSError as error:
        raise ModelSourceError(f"cannot open the model {path}: {error.strerror}", hint="is the path right?") from error
    return {"size": header.size, "quantization": header.quantization}


def _write(source: Path, target: Path, kind: str, *, allow_requantize: bool) -> None:
    """Write the target through a temporary file in its folder."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:80]}.")
    except OSError as error:
        raise storage_error(error, target) from error
    partial = Path(name)
    try:
        confine.lend(handle)
        _run(source, handle, kind, allow_requantize=allow_requantize)
        confine.take_back(handle)
        os.fchmod(handle, 0o644)
        os.fsync(handle)
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        os.close(handle)
        partial.unlink(missing_ok=True)


def _run(source: Path, target: int, kind: str, *, allow_requantize: bool) -> None:
    """Quantize into the open file `target`, in a child process; raises ModelError with the end of its log."""
    confine.hide()
    with source.open("rb") as stream:
        numbers = [stream.fileno(), target, KINDS[kind], int(allow_requantize), os.getpid()]
        done = subprocess.run(
            [sys.executable, "-P", "-s", "-m", "publisher.engine.child.quantizing", *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            pass_fds=numbers[:2],
            env=child_environment(),
        )
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip(". ")]
    detail = "\n".join(lines[-_LOG_LINES:])
    hint = "start from an F16 or BF16 file of the model"
    if "requantizing from type" in detail:
        raise ModelSourceError(
            f"{source.name} is quantized already", hint=f"{hint}, or allow requantizing", detail=detail
        )
    raise ModelError(f"llama.cpp could not quantize {source.name} to {kind}", hint=hint, detail=detail)


def _version() -> str:
    """Return the version of llama-cpp-python, without importing it."""
    from importlib.metadata import version  # noqa: PLC0415 - costs 10 ms that only this needs

    return version("llama-cpp-python")
