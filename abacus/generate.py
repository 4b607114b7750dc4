"""Greedy answers from the model in training, many at once, so that training can watch itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from abacus.prompts import END

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from abacus.model import Abacus


@torch.no_grad()
def greedy(model: Abacus, tokenizer: Tokenizer, prompts: list[str], *, limit: int = 160) -> list[str]:
    """Return the model's greedy answer to each rendered prompt."""
    stop = tokenizer.token_to_id(END)
    asked = [tokenizer.encode(prompt).ids for prompt in prompts]
    longest = max(map(len, asked))
    # Padding goes to the left, so that every row's last token is its prompt's last.
    empty = torch.tensor([longest - len(ids) for ids in asked])
    tokens = torch.tensor([[0] * (longest - len(ids)) + ids for ids in asked])
    shown = torch.arange(longest + limit)[None] >= empty[:, None]
    causal = torch.ones(longest, longest).tril().bool()
    mask = (shown[:, None, :longest] & causal) | torch.eye(longest).bool()
    positions = (torch.arange(longest)[None] - empty[:, None]).clamp(min=0)
    states, past = model.states(tokens, positions=positions, mask=mask[:, None])
    answers: list[list[int]] = [[] for _ in prompts]
    done = torch.zeros(len(prompts), dtype=torch.bool)
    for length in range(longest, longest + limit):
        following = model.logits(states[:, -1]).argmax(-1)
        done |= following == stop
        if done.all():
            break
        for row in (~done).nonzero().flatten().tolist():
            answers[row].append(int(following[row]))
        positions = (length - empty)[:, None]
        mask = shown[:, None, None, : length + 1]
        states, past = model.states(following[:, None], positions=positions, mask=mask, past=past)
    texts: list[str] = tokenizer.decode_batch(answers)
    return texts
