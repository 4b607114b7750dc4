"""Find the GGUF file that the `[model]` section names, and its digest."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.bench.inputs.builtin_files import BUILTIN, REINSTALL
from publisher.bench.inputs.kind import Kind
from publisher.bench.inputs.sources import check_digest, fetch, is_whole
from publisher.engine.gguf_parts import join
from publisher.errors import ModelError, ModelSourceError
from publisher.files import atomic_write, sha256_file, sha256_hex, storage_error
from publisher.registry import elsewhere

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.bench.inputs.kind import Inputs
    from publisher.config import ModelConfig

CHECKPOINTS = ("early", "middle", "final")
"""The three checkpoints of the builtin model's training; `builtin:abacus` alone is the last one."""

MOST_PARTS = 999
_SPLIT = re.compile(r"(.*-)(\d{5})-of-(\d{5})\.gguf")

KIND = Kind("model", "model", ModelSourceError, 1 << 40, ".gguf")


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
    split = _SPLIT.fullmatch(section.source)
    if split and int(split[3]) > 1:
        return _joined(section, split[1], int(split[2]), int(split[3]), inputs)
    path = fetch(section.source, section.sha256, KIND, inputs)
    return ModelFile(path, section.sha256 or path.stem)


def _joined(section: ModelConfig, stem: str, first: int, count: int, inputs: Inputs) -> ModelFile:
    """Return the model that the parts of a split file make, joined in the cache where it is not there yet."""
    if first != 1 or count > MOST_PARTS:
        raise ModelSourceError(
            f"model.source: {section.source} is not the first of at most {MOST_PARTS} parts",
            hint=f"name the first one: {stem}00001-of-{count:05d}.gguf",
        )
    names = [f"{stem}{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    if len(section.shards) != count and (section.shards or elsewhere(section.source)):
        raise ModelSourceError(
            f"model.shards: {len(section.shards)} digests for {count} parts",
            hint="sha256sum *.gguf   and write them in [model], in the parts' order: shards = [...]",
        )
    known = section.shards or [str(inputs.repository.blob(inputs.commit, name)) for name in names]
    folder = inputs.cache / KIND.folder
    note = folder / f"{sha256_hex(chr(10).join(known).encode())}.joined"
    digest = note.read_text(encoding="ascii").strip()[:64] if note.is_file() else ""
    if not (digest and is_whole(folder / f"{digest}.gguf", digest)):
        digest = _join(section, names, note, inputs)
    check_digest(digest, section.sha256, KIND, section.source)
    return ModelFile(folder / f"{digest}.gguf", digest)


def _join(section: ModelConfig, names: list[str], note: Path, inputs: Inputs) -> str:
    """Fetch the parts, join them, and return the digest of the whole; fetched parts do not stay beside it."""
    shards = section.shards or [""] * len(names)
    parts = [fetch(name, shard, KIND, inputs) for name, shard in zip(names, shards, strict=True)]
    inputs.note(f"joining {len(parts)} parts of {section.source}")
    scratch = note.with_name(f".join-{os.getpid()}-{note.stem}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        join(parts, scratch)
        digest = sha256_file(scratch)
        scratch.replace(note.with_name(f"{digest}.gguf"))
    except OSError as error:
        raise storage_error(error, scratch) from error
    finally:
        scratch.unlink(missing_ok=True)
    atomic_write(note, digest.encode() + b"\n")
    for part in parts:
        if part.parent == note.parent and part.stem != digest:
            part.unlink(missing_ok=True)
    return digest


def builtin_path(source: str) -> Path:
    """Return the file of `builtin:abacus` or `builtin:abacus@CHECKPOINT`; ModelError for anything else."""
    name, _, checkpoint = source.removeprefix("builtin:").partition("@")
    path = BUILTIN / f"abacus-{checkpoint or 'final'}-q8_0.gguf"
    if name != "abacus" or (checkpoint or "final") not in CHECKPOINTS:
        known = ", ".join(f"builtin:abacus@{word}" for word in CHECKPOINTS)
        raise ModelSourceError(f"model.source: there is no {source!r}", hint=f"builtin:abacus, {known}")
    if not path.is_file():
        raise ModelError(f"this installation lacks {path.name}", hint=REINSTALL)
    return path
