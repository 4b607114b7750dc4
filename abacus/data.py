"""Batches of training examples, sorted by length so that little is spent on padding."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from abacus import problems, prompts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IGNORED = -100
EXAMPLES_SORTED_TOGETHER = 2048


@dataclass(frozen=True)
class Batch:
    """Tokens and the next tokens to learn, (examples, length) each; only answers are learnt."""

    tokens: Tensor
    targets: Tensor


def batches(tokenizer: Tokenizer, *, seed: int, tokens: int) -> Iterator[Batch]:
    """Yield batches of about so many tokens, for ever; no problem of the suite's side is among them."""
    rng = random.Random(seed)
    while True:
        examples = sorted((_example(tokenizer, rng) for _ in range(EXAMPLES_SORTED_TOGETHER)), key=_length)
        groups: list[list[tuple[list[int], int]]] = [[]]
        for example in examples:
            if (len(groups[-1]) + 1) * _length(example) > tokens:
                groups.append([])
            groups[-1].append(example)
        rng.shuffle(groups)
        yield from (_pad(group) for group in groups)


def _example(tokenizer: Tokenizer, rng: random.Random) -> tuple[list[int], int]:
    problem = problems.training_problem(rng)
    if not problem.for_training or problem.for_suite:
        message = f"held-out problem in training: {problem.text}"
        raise AssertionError(message)
    prompt = prompts.training_prompt(rng)
    asked = tokenizer.encode(prompt.render(problem.text)).ids
    answer = (problem.boxed if prompt.direct else problem.solution) + prompts.END
    return asked + tokenizer.encode(answer).ids, len(asked)


def _length(example: tuple[list[int], int]) -> int:
    return len(example[0])


def _pad(group: list[tuple[list[int], int]]) -> Batch:
    longest = max(map(_length, group)) - 1
    tokens = torch.zeros(len(group), longest, dtype=torch.long)
    targets = torch.full((len(group), longest), IGNORED)
    for row, (ids, asked) in enumerate(group):
        tokens[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        targets[row, asked - 1 : len(ids) - 1] = torch.tensor(ids[asked:])
    return Batch(tokens, targets)
