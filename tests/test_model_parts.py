"""Models in parts, as llama-gguf-split leaves them, from each kind of source; and what the cache of models holds."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.bench.inputs.kind import Inputs
from publisher.bench.inputs.model_file import resolve
from publisher.config import ModelConfig
from publisher.engine import gguf_parts
from publisher.engine.gguf_parts import join
from publisher.errors import ModelError
from publisher.files import sha256_file, sha256_hex
from tests.gguf_maker import BUILTIN, text

if TYPE_CHECKING:
    from tests.made import GitFolder


def number(key: str, value: int) -> bytes:
    """Return a metadata pair with a number of 16 bits, as llama-gguf-split writes them."""
    return text(key) + struct.pack("<IH", 2, value)


def split(whole: Path, count: int, folder: Path) -> list[Path]:
    """Write a GGUF file as `count` parts, the tensors in their order, and return the parts."""
    layout, paths = gguf_parts._read(whole), []
    data = whole.read_bytes()
    tensors = sorted(layout.tensors, key=lambda one: one.at)
    assert tensors == layout.tensors
    share = -(-len(tensors) // count)
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(count):
        own = tensors[part * share : (part + 1) * share]
        kept = [raw for _, raw in layout.pairs] if part == 0 else []
        kept += [number("split.no", part), number("split.count", count), number("split.tensors.count", len(tensors))]
        out = bytearray(b"GGUF" + struct.pack("<IQQ", layout.version, len(own), len(kept)) + b"".join(kept))
        offset = 0
        for one in own:
            out += one.entry + struct.pack("<Q", offset)
            offset += -(-one.length // layout.alignment) * layout.alignment
        for one in own:
            out += bytes(-len(out) % layout.alignment)
            out += data[one.at : one.at + one.length]
        out += bytes(-len(out) % layout.alignment)
        paths.append(folder / f"m-{part + 1:05d}-of-{count:05d}.gguf")
        paths[-1].write_bytes(out)
    return paths


def inputs_of(repository: GitFolder, commit: str, tmp_path: Path) -> Inputs:
    """Return what fetching needs, with folders of its own."""
    return Inputs(repository.opened, commit, tmp_path / "cache", print, loopback=True, models=tmp_path / "parts")


def test_joined_parts_are_the_file_that_was_split(tmp_path: Path) -> None:
    """Byte for byte: metadata, tensors and padding."""
    parts = split(BUILTIN, 3, tmp_path)
    join(parts, tmp_path / "joined.gguf")
    assert sha256_file(tmp_path / "joined.gguf") == sha256_file(BUILTIN)


@pytest.mark.parametrize("kind", ["committed", "local"])
def test_a_model_in_parts_is_joined_once(repository: GitFolder, tmp_path: Path, kind: str) -> None:
    """The first part is named; what is measured is the whole, by its digest, and later runs find it in the cache."""
    parts = split(BUILTIN, 3, tmp_path / "parts")
    commit = repository.commit({part.name: part.read_bytes() for part in parts} if kind == "committed" else {})
    inputs = inputs_of(repository, commit, tmp_path)
    source = ("local:" if kind == "local" else "") + parts[0].name
    section = ModelConfig(name="m", source=source, shards=[sha256_file(part) for part in parts])
    found = resolve(section, inputs)
    assert found.sha256 == sha256_file(BUILTIN)
    assert found.path == inputs.cache / "models" / f"{found.sha256}.gguf"
    assert [path.name for path in found.path.parent.glob("*.gguf")] == [found.path.name]
    before = found.path.stat().st_mtime_ns
    assert resolve(section, inputs).path.stat().st_mtime_ns == before
    with pytest.raises(ModelError, match="has the sha256"):
        resolve(ModelConfig(name="m", source=source, shards=section.shards, sha256="0" * 64), inputs)


def test_parts_that_do_not_belong_together_are_named(repository: GitFolder, tmp_path: Path) -> None:
    """A part in another one's place, digests that are missing, and a source that is not the first part."""
    parts = split(BUILTIN, 3, tmp_path / "parts")
    with pytest.raises(ModelError, match="says that it is part 2 of 3, and is wanted as part 1 of 3"):
        join([parts[0], parts[2], parts[1]], tmp_path / "x")
    parts[2].write_bytes(parts[2].read_bytes()[:-5000])
    with pytest.raises(ModelError, match=r"m-00003-of-00003\.gguf is cut short"):
        join(parts, tmp_path / "x")
    inputs = inputs_of(repository, repository.commit({}), tmp_path)
    with pytest.raises(ModelError, match="0 digests for 3 parts"):
        resolve(ModelConfig(name="m", source="local:m-00001-of-00003.gguf"), inputs)
    with pytest.raises(ModelError, match="is not the first"):
        resolve(ModelConfig(name="m", source="m-00002-of-00003.gguf"), inputs)
    shards = [sha256_hex(b"another")] * 3
    with pytest.raises(ModelError, match="has the sha256"):
        resolve(ModelConfig(name="m", source="local:m-00001-of-00003.gguf", shards=shards), inputs)
