"""Muon: momentum whose matrix updates are made orthogonal; about half the steps AdamW needs here.

PyTorch's own version computes in bfloat16, which most CPUs only emulate; this one stays in float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn

COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Optimizer for matrices, its step scaled so that AdamW's learning rates fit."""

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
    ) -> None:
        """Take the matrices to train."""
        super().__init__(list(weights), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override, unused-ignore] # noqa: ARG002
        """Update every matrix from its gradient; matrices of one shape together."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for weight in group["params"]:
                shapes[weight.shape].append(weight)
            for weights in shapes.values():
                self._update(weights, group)

    def _update(self, weights: list[nn.Parameter], group: dict[str, float]) -> None:
        lookahead = []
        for weight in weights:
            velocity = self.state[weight].setdefault("velocity", torch.zeros_like(weight))
            gradient = weight.grad if weight.grad is not None else torch.zeros_like(weight)
            velocity.lerp_(gradient, 1 - group["momentum"])
            lookahead.append(gradient.lerp(velocity, group["momentum"]))
        scale = 0.2 * max(weights[0].shape) ** 0.5
        for weight, update in zip(weights, orthogonal(torch.stack(lookahead)), strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrices: Tensor, *, rounds: int = 5) -> Tensor:
    """Bring the singular values of some matrices (count, rows, columns) near one, by Newton-Schulz."""
    tall = matrices.shape[1] > matrices.shape[2]
    start: Tensor = matrices.mT if tall else matrices
    result: Tensor = start / (start.norm(dim=(1, 2), keepdim=True) + 1e-7)
    first, second, third = COEFFICIENTS
    for _ in range(rounds):
        square: Tensor = result @ result.mT
        result = first * result + (second * square + third * square @ square) @ result
    turned: Tensor = result.mT if tall else result
    return turned
