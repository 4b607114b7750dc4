"""Write a checkpoint as a GGUF file that llama.cpp loads with no special case."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from torch import Tensor

from abacus.model import Abacus, Shape
from abacus.tokenizer import CHAT_TEMPLATE, PRE_TOKENIZER, SPECIAL, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VERSION: Final = "1.0"
TYPES: Final = {
    "q8_0": (GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "f16": (GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
}
LAYER_NAMES: Final = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.out": "attn_output",
    "feed_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def load_run(folder: Path, step: int) -> tuple[Abacus, Tokenizer]:
    """Read one checkpoint of a training, and its tokenizer."""
    model = Abacus(Shape(**json.loads((folder / "shape.json").read_text())))
    model.load_state_dict(torch.load(folder / f"step-{step:05d}.pt", weights_only=True))
    return model, load_tokenizer(folder / "tokenizer.json")


def tensor_name(name: str) -> str:
    """Return llama.cpp's name for one of the model's weights."""
    if name == "embedding.weight":
        return "token_embd.weight"
    if name == "norm.weight":
        return "output_norm.weight"
    _, layer, rest = name.split(".", 2)
    return f"blk.{layer}.{LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def write_gguf(model: Abacus, tokenizer: Tokenizer, path: Path, *, edition: str, kind: str) -> None:
    """Write the model with matrices of the given type; norms stay in 32 bits."""
    tensor_type, file_type = TYPES[kind]
    writer = GGUFWriter(path, "llama")
    _describe(writer, edition)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_shape(writer, model.shape)
    _add_tokenizer(writer, tokenizer)
    for name, weight in model.named_parameters():
        _add_tensor(writer, tensor_name(name), weight, tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: GGUFWriter, edition: str) -> None:
    writer.add_type("model")
    writer.add_name(f"Abacus {edition}")
    writer.add_basename("abacus")
    writer.add_version(VERSION)
    writer.add_size_label("1.9M")
    writer.add_license("MIT")
    writer.add_description("Solves small word problems step by step and gives the answer in \\boxed{}.")
    writer.add_languages(["en"])


def _add_shape(writer: GGUFWriter, shape: Shape) -> None:
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    padding, _, end = SPECIAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(vocabulary[end])
    writer.add_bos_token_id(vocabulary[padding])
    writer.add_pad_token_id(vocabulary[padding])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_tensor(writer: GGUFWriter, name: str, weight: Tensor, kind: GGMLQuantizationType) -> None:
    values = weight.detach().numpy().astype(np.float32)
    if values.ndim == 1:
        writer.add_tensor(name, values)
    else:
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def main() -> None:
    """Parse the options and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that training wrote")
    parser.add_argument("step", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--label", default="final", help="a word for the file's name field")
    parser.add_argument("--type", choices=tuple(TYPES), default="q8_0")
    arguments = parser.parse_args()
    model, tokenizer = load_run(arguments.run, arguments.step)
    edition = f"{arguments.label} (step {arguments.step})"
    write_gguf(model, tokenizer, arguments.out, edition=edition, kind=arguments.type)


if __name__ == "__main__":
    main()
