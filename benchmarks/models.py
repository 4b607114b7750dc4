"""Makes models for measuring speed: shapes of known models with random weights, kept in a cache folder.

    python benchmarks/models.py FOLDER [qwen2.5-0.5b | qwen2.5-1.5b | tiny]

Random weights take as much time per token as trained ones. Needs the package `gguf` (the extra `train`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from publisher.engine.quantize import quantize

CHATML = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Shape:
    """A Qwen2 model's sizes."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int
    kind: str
    tied: bool = True


SHAPES = {
    "qwen2.5-0.5b": Shape(24, 896, 14, 2, 4864, 151_936, "Q4_K_M"),
    "qwen2.5-1.5b": Shape(28, 1536, 12, 2, 8960, 151_936, "Q8_0"),
    "tiny": Shape(4, 192, 6, 2, 512, 1024, "Q8_0"),
}


def model(name: str, folder: Path) -> Path:
    """Return the file of a model; the first call makes it."""
    shape = SHAPES[name]
    target = folder / f"{name}-{shape.kind.lower()}.gguf"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / f"{name}-f16.gguf"
        _write(source, name, shape)
        quantize(source, target, shape.kind)
        source.unlink()
    return target


def _write(path: Path, name: str, shape: Shape) -> None:
    """Write the F16 model."""
    import gguf  # noqa: PLC0415 - a model that is in the cache does not need it

    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_name(f"random weights in the shape of {name}")
    writer.add_file_type(1)
    writer.add_block_count(shape.layers)
    writer.add_context_length(32_768)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1_000_000.0)
    _add_tokenizer(writer, shape.vocabulary)
    generator = np.random.default_rng(5)

    def matrix(title: str, rows: int, columns: int, scale: float = 0.02) -> None:
        values = generator.standard_normal((rows, columns), dtype=np.float32) * scale
        writer.add_tensor(title, values.astype(np.float16))

    def vector(title: str, length: int, value: float) -> None:
        writer.add_tensor(title, np.full(length, value, dtype=np.float32))

    kv_width = shape.width // shape.heads * shape.kv_heads
    matrix("token_embd.weight", shape.vocabulary, shape.width)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        vector(f"{block}.attn_norm.weight", shape.width, 1.0)
        vector(f"{block}.ffn_norm.weight", shape.width, 1.0)
        for part, rows in (("q", shape.width), ("k", kv_width), ("v", kv_width)):
            matrix(f"{block}.attn_{part}.weight", rows, shape.width)
            vector(f"{block}.attn_{part}.bias", rows, 0.01)
        matrix(f"{block}.attn_output.weight", shape.width, shape.width)
        matrix(f"{block}.ffn_gate.weight", shape.inner, shape.width)
        matrix(f"{block}.ffn_up.weight", shape.inner, shape.width)
        matrix(f"{block}.ffn_down.weight", shape.width, shape.inner)
    vector("output_norm.weight", shape.width, 1.0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any, size: int) -> None:
    """Add a byte-level tokenizer; the tokens that a trained one would have beyond bytes are placeholders."""
    import gguf  # noqa: PLC0415

    symbols = _byte_symbols()
    merges = [f"{symbols[ord(first)]} {symbols[ord(second)]}" for first, second in zip("teaoi", "hrnfs", strict=True)]
    tokens = [*symbols, *(merge.replace(" ", "") for merge in merges), *SPECIAL]
    kinds = [gguf.TokenType.NORMAL] * (len(tokens) - len(SPECIAL)) + [gguf.TokenType.CONTROL] * len(SPECIAL)
    kinds += [gguf.TokenType.UNUSED] * (size - len(tokens))
    tokens += [f"[PAD{number}]" for number in range(size - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)


def _byte_symbols() -> list[str]:
    """Return GPT-2's printable stand-in for each byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    stand_ins = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(stand_ins)) for byte in range(256)]


if __name__ == "__main__":
    print(model(sys.argv[2] if len(sys.argv) > 2 else "qwen2.5-0.5b", Path(sys.argv[1])))
