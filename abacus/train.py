"""Train the model from scratch on CPU and keep a checkpoint every so many steps."""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import torch
from torch import Tensor, nn
from torch.nn import functional

from abacus.data import IGNORED, Batch, batches
from abacus.generate import greedy
from abacus.model import Abacus, Shape
from abacus.muon import Muon
from abacus.problems import KINDS, Problem, make_suite
from abacus.prompts import DEFAULT, END
from abacus.tokenizer import train_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SEED = 20261120
QUICK_SEED = 7
QUICK_PER_KIND = 25


def optimizers(model: nn.Module, *, kind: str, rate: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the hidden matrices and AdamW for the rest, or AdamW for all."""
    named = list(model.named_parameters())
    hidden = [weight for name, weight in named if weight.ndim == 2 and "embedding" not in name]
    others = [weight for name, weight in named if weight.ndim == 1 or "embedding" in name]
    if kind == "adamw":
        return [torch.optim.AdamW([*hidden, *others], lr=rate, betas=(0.9, 0.98), weight_decay=0.05)]
    return [
        Muon(hidden, lr=rate),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate_factor(step: int, *, steps: int, warmup: int = 60) -> float:
    """Warm up linearly, then follow half a cosine down to a fiftieth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def loss_of(model: Abacus, batch: Batch) -> Tensor:
    """Return the mean cross-entropy over the answers' tokens."""
    learnt = batch.targets != IGNORED
    states, _ = model.states(batch.tokens, wanted=learnt)
    return functional.cross_entropy(model.logits(states), batch.targets[learnt])


def accuracy(model: Abacus, tokenizer: Tokenizer, suite: list[Problem]) -> dict[str, float]:
    """Return the share of right greedy answers by kind, with the default prompt."""
    texts = greedy(model, tokenizer, [DEFAULT.render(problem.text) for problem in suite])
    right = dict.fromkeys(KINDS, 0)
    for problem, text in zip(suite, texts, strict=True):
        right[problem.kind] += problem.boxed in text
    return {kind: right[kind] * len(KINDS) / len(suite) for kind in KINDS}


def save(model: Abacus, folder: Path, step: int) -> None:
    """Write one checkpoint."""
    torch.save(model.state_dict(), folder / f"step-{step:05d}.pt")


def train(arguments: argparse.Namespace) -> None:
    """Run the whole training; progress goes to `log.jsonl` in the output folder."""
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(SEED)
    tokenizer = train_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    shape = Shape(vocabulary=tokenizer.get_vocab_size())
    (folder / "shape.json").write_text(json.dumps(asdict(shape)))
    model = Abacus(shape)
    chosen = optimizers(model, kind=arguments.optimizer, rate=arguments.rate)
    suite = make_suite(seed=QUICK_SEED, per_kind=QUICK_PER_KIND)
    source = batches(tokenizer, seed=SEED, tokens=arguments.tokens)
    started = time.monotonic()
    with (folder / "log.jsonl").open("w") as log:
        total = 0.0
        for step in range(1, arguments.steps + 1):
            for optimizer in chosen:
                for group in optimizer.param_groups:
                    group["lr"] = arguments.rate * rate_factor(step, steps=arguments.steps)
            loss = loss_of(model, next(source))
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in chosen:
                optimizer.step()
                optimizer.zero_grad()
            total += loss.item()
            if step % arguments.every == 0 or step == arguments.steps:
                save(model, folder, step)
                scores = accuracy(model, tokenizer, suite)
                _log(
                    log,
                    step=step,
                    loss=total / (step % arguments.every or arguments.every),
                    seconds=time.monotonic() - started,
                    scores=scores,
                )
                total = 0.0


def _log(log: TextIO, *, step: int, loss: float, seconds: float, scores: dict[str, float]) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    entry = {
        "step": step,
        "loss": round(loss, 4),
        "seconds": round(seconds),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime),
        "right": round(sum(scores.values()) / len(scores), 3),
        **scores,
    }
    print(json.dumps(entry), file=log, flush=True)


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=f"A text ends with {END}.")
    parser.add_argument("out", type=Path, help="folder for checkpoints, tokenizer and log")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--tokens", type=int, default=5000, help="tokens a step, padding included")
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--optimizer", choices=("muon", "adamw"), default="muon")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--threads", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
