"""The tokenizer: a byte-level BPE with single digits, split as llama.cpp does for `qwen2`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from abacus import problems, prompts

PRE_TOKENIZER: Final = "qwen2"
SPLIT: Final = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VOCABULARY: Final = 640
SPECIAL: Final = ("<|endoftext|>", prompts.START, prompts.END)
CHAT_TEMPLATE: Final = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def train_tokenizer(*, seed: int = 1, texts: int = 20_000) -> Tokenizer:
    """Learn the merges from rendered training examples."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    rng = random.Random(seed)
    tokenizer.train_from_iterator((_text(rng) for _ in range(texts)), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return tokenizer


def _text(rng: random.Random) -> str:
    problem = problems.training_problem(rng)
    prompt = prompts.training_prompt(rng)
    body = prompt.system + "\n" + prompt.template.replace("{problem}", problem.text)
    return f"system\nuser\nassistant\n{body}\n{problem.solution}"


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer that training saved."""
    return Tokenizer.from_file(str(path))
