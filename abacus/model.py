"""The transformer: exactly what llama.cpp computes for the architecture `llama`, as small as it gets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The model's dimensions; all of them multiples of 256 where a quantization works in blocks of 256."""

    vocabulary: int = 640
    width: int = 256
    layers: int = 3
    heads: int = 8
    key_heads: int = 4
    hidden: int = 512
    context: int = 1024
    rope_base: float = 10_000.0
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """Numbers a head works on."""
        return self.width // self.heads


Cache = list[tuple[Tensor, Tensor]]
"""Keys and values so far, a pair a layer."""


class Attention(nn.Module):
    """Causal attention with grouped keys and rotary positions in interleaved pairs."""

    def __init__(self, shape: Shape) -> None:
        """Make the four projections."""
        super().__init__()
        self.shape = shape
        narrow = shape.key_heads * shape.head_width
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, narrow, bias=False)
        self.value = nn.Linear(shape.width, narrow, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(
        self, states: Tensor, rotation: Tensor, mask: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the mixed states and the keys and values to keep."""
        batch, length, _ = states.shape
        query = self._split(self.query(states), self.shape.heads)
        key = self._split(self.key(states), self.shape.key_heads)
        value = self._split(self.value(states), self.shape.key_heads)
        query, key = rotate(query, rotation), rotate(key, rotation)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        groups = self.shape.heads // self.shape.key_heads
        mixed = functional.scaled_dot_product_attention(
            query,
            key.repeat_interleave(groups, 1),
            value.repeat_interleave(groups, 1),
            attn_mask=mask,
            is_causal=mask is None and past is None,
        )
        merged = mixed.transpose(1, 2).reshape(batch, length, self.shape.width)
        result: Tensor = self.out(merged)
        return result, (key, value)

    def _split(self, states: Tensor, heads: int) -> Tensor:
        batch, length, _ = states.shape
        return states.view(batch, length, heads, self.shape.head_width).transpose(1, 2)


class Layer(nn.Module):
    """Attention and a gated feed-forward network, each behind its norm."""

    def __init__(self, shape: Shape) -> None:
        """Make the parts."""
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.attention = Attention(shape)
        self.feed_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(
        self,
        states: Tensor,
        rotation: Tensor,
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
        wanted: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the new states (only the wanted ones, if so) and the keys and values to keep."""
        mixed, kept = self.attention(self.attention_norm(states), rotation, mask, past)
        states = states + mixed
        if wanted is not None:
            states = states[wanted]
        feed = self.feed_norm(states)
        return states + self.down(functional.silu(self.gate(feed)) * self.up(feed)), kept


class Abacus(nn.Module):
    """The language model; the embedding is also the output matrix."""

    def __init__(self, shape: Shape) -> None:
        """Make the layers and draw the first weights from the global seed."""
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.register_buffer("rotations", rotations(shape), persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                last = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / ((2 * shape.layers) ** 0.5 if last else 1.0))

    def states(
        self,
        tokens: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        past: Cache | None = None,
        wanted: Tensor | None = None,
    ) -> tuple[Tensor, Cache]:
        """Return the last states (batch, length, width) and the cache; positions default to 0, 1, ...

        With `wanted` (batch, length; boolean) the states are only those (wanted, width), which spares the
        last layer the work on tokens that nobody asks about.
        """
        table: Tensor = self.get_buffer("rotations")
        rotation = table[: tokens.shape[1]] if positions is None else table[positions].unsqueeze(1)
        states = self.embedding(tokens)
        kept: Cache = []
        for number, layer in enumerate(self.layers):
            chosen = wanted if number == self.shape.layers - 1 else None
            states, pair = layer(states, rotation, mask, None if past is None else past[number], chosen)
            kept.append(pair)
        return self.norm(states), kept

    def logits(self, states: Tensor) -> Tensor:
        """Score every token of the vocabulary."""
        return functional.linear(states, self.embedding.weight)


def rotations(shape: Shape) -> Tensor:
    """Return cosine and sine by position and pair: (context, head_width / 2, 2)."""
    pairs = torch.arange(0, shape.head_width, 2) / shape.head_width
    angles = torch.outer(torch.arange(shape.context).float(), shape.rope_base**-pairs)
    return torch.stack([angles.cos(), angles.sin()], -1)


def rotate(heads: Tensor, rotation: Tensor) -> Tensor:
    """Turn neighbouring numbers as pairs: (batch, heads, length, head_width)."""
    even, odd = heads[..., 0::2], heads[..., 1::2]
    cosine, sine = rotation[..., 0], rotation[..., 1]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], -1).flatten(-2)
