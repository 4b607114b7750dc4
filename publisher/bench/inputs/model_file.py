"""Find the GGUF file that the `[model]` section names, and its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.bench.inputs.builtin_files import BUILTIN, REINSTALL
from publisher.bench.inputs.kind import Kind
from publisher.bench.inputs.sources import check_digest, fetch
from publisher.errors import ModelError
from publisher.files import sha256_file

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.bench.inputs.kind import Inputs
    from publisher.config import ModelConfig

CHECKPOINTS = ("early", "middle", "final")
"""The three checkpoints of the builtin model's training; `builtin:abacus` alone is the last one."""

KIND = Kind("model", "model", ModelError, 1 << 40, ".gguf")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file on this machine, with the SHA-256 of its bytes."""

    path: Path
    sha256: str


def resolve(section: ModelConfig, inputs: Inputs) -> ModelFile:
    """Return the model file that `source` names, fetched or copied out of the commit where necessary.

    Raises ModelError when there is none or its digest is not the declared one, NetworkError or StorageError.
    """
    if section.source.startswith("builtin:"):
        path = builtin_path(section.source)
        digest = sha256_file(path)
        check_digest(digest, section.sha256, KIND, section.source)
        return ModelFile(path, digest)
    path = fetch(section.source, section.sha256, KIND, inputs)
    return ModelFile(path, section.sha256 or path.stem)


def builtin_path(source: str) -> Path:
    """Return the file of `builtin:abacus` or `builtin:abacus@CHECKPOINT`; ModelError for anything else."""
    name, _, checkpoint = source.removeprefix("builtin:").partition("@")
    path = BUILTIN / f"abacus-{checkpoint or 'final'}-q8_0.gguf"
    if name != "abacus" or (checkpoint or "final") not in CHECKPOINTS:
        known = ", ".join(f"builtin:abacus@{word}" for word in CHECKPOINTS)
        raise ModelError(f"model.source: there is no {source!r}", hint=f"builtin:abacus, {known}")
    if not path.is_file():
        raise ModelError(f"this installation lacks {path.name}", hint=REINSTALL)
    return path
