"""How fast the engine is, beside llama.cpp's own programs, on the same models, prompts, lengths and threads.

    benchmarks/build_peers PEERS && python benchmarks/engine.py --peers PEERS --models MODELS [--json OUT] [--gpu]

Medians of `--repeat` runs. Sampling in ours is seeded, one chain a sequence; llama-batched-bench samples nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from contenders import Job, Setting, batched_bench, measure_ours, measure_sequential, server

import publisher.bench

BUILTIN = Path(publisher.bench.__file__).parent / "builtin" / "abacus-final-q8_0.gguf"
WORDS = "the number of apples in the basket and the price of a ticket for two days is how many coins on the table"


def words(count: int, seed: int) -> str:
    """Return a text of some words."""
    generator = random.Random(seed)  # noqa: S311 - filler, no secret
    return " ".join(generator.choice(WORDS.split()) for _ in range(count))


def steady(sequences: int, tokens: int) -> Job:
    """Return one problem of which `sequences` samples run side by side, all equally long."""
    return Job("", (words(24, 1),), ((tokens,) * sequences,))


def whole(problems: int, samples: int, low: int, high: int) -> Job:
    """Return problems with samples of mixed lengths and a shared system prompt."""
    generator = random.Random(7)  # noqa: S311 - lengths, no secret
    lengths = tuple(tuple(generator.randint(low, high) for _ in range(samples)) for _ in range(problems))
    return Job(words(20, 2), tuple(words(8, 10 + number) for number in range(problems)), lengths)


def even(problems: int, samples: int, tokens: int) -> Job:
    """Return problems whose samples are equally long, as llama-server's n_cmpl needs."""
    job = whole(problems, samples, 1, 2)
    return Job(job.system, job.problems, ((tokens,) * samples,) * problems)


class Table:
    """Collects figures and prints them as they come."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, Any]] = {}

    def add(self, name: str, values: list[float]) -> float:
        """Add the runs of one measurement and return their median."""
        median = statistics.median(values)
        self.figures[name] = {"median": median, "runs": [round(value, 2) for value in values]}
        print(f"{name:58} {median:10.1f} tok/s   ({min(values):.1f} to {max(values):.1f})", flush=True)
        return median

    def ratio(self, name: str, ours: float, theirs: float, wanted: float) -> None:
        """Add how many times as fast ours is, and what was wanted."""
        value = ours / theirs
        self.figures[name] = {"ratio": value, "wanted": wanted}
        print(f"  {name:56} {value:10.3f} x       (wanted {wanted})", flush=True)


def decode(table: Table, title: str, setting: Setting, options: argparse.Namespace, *, tokens: int) -> None:
    """Measure steady decoding at several numbers of sequences."""
    size: dict[str, Any] = {"prompt": 128, "tokens": tokens, "sequences": options.sequences, "repeat": options.repeat}
    shared = batched_bench(options.peers, setting, **size, unified=True)
    apart = batched_bench(options.peers, setting, **size, unified=False)
    for count in options.sequences:
        theirs = max(
            table.add(f"{title} {count:3} llama-batched-bench -kvu", shared[count]),
            table.add(f"{title} {count:3} llama-batched-bench", apart[count]),
        )
        job = steady(count, tokens)
        fast = measure_ours(setting, "fast", count, job, repeat=options.repeat)
        ours = table.add(f"{title} {count:3} ours, fast", [one["decode"] for one in fast])
        exact = measure_ours(setting, "reproducible", count, job, repeat=options.repeat)
        slow = table.add(f"{title} {count:3} ours, reproducible", [one["decode"] for one in exact])
        table.ratio(f"{title} {count:3} fast / batched-bench, better", ours, theirs, 0.96)
        table.ratio(f"{title} {count:3} reproducible / fast", slow, ours, 0.5 if "builtin" in title else 0.92)


def jobs(table: Table, title: str, setting: Setting, options: argparse.Namespace, size: tuple[int, int, int]) -> None:
    """Measure whole jobs of `size`: problems, samples each, tokens of the longest."""
    problems, samples, longest = size
    mixed, equal = whole(problems, samples, longest // 8, longest), even(problems, samples, longest // 2)
    runs = measure_ours(setting, "fast", options.slots, mixed, repeat=options.repeat)
    ours = table.add(f"{title} job ours, fast", [one["total"] for one in runs])
    busy = statistics.median(one["occupancy_before_tail"] for one in runs)
    table.figures[f"{title} job occupancy"] = {"ratio": busy, "wanted": 0.9}
    print(f"  {'occupancy until the queue is empty':56} {busy:10.3f}")
    runs = measure_ours(setting, "reproducible", options.slots, mixed, repeat=options.repeat)
    table.add(f"{title} job ours, reproducible", [one["total"] for one in runs])
    alone = table.add(f"{title} job llama_cpp.Llama", measure_sequential(setting, mixed, repeat=options.repeat))
    table.ratio(f"{title} job fast / Llama", ours, alone, 2.5 if "builtin" in title else 2.1)
    best = max(
        table.add(
            f"{title} job llama-server -np {slots}",
            server(options.peers, setting, mixed, slots=slots, repeat=options.repeat),
        )
        for slots in options.server_slots
    )
    table.ratio(f"{title} job fast / llama-server, best", ours, best, 1.8)
    runs = measure_ours(setting, "fast", options.slots, equal, repeat=options.repeat)
    ours = table.add(f"{title} equal job ours, fast", [one["total"] for one in runs])
    shared = table.add(
        f"{title} equal job llama-server -np {options.slots} n_cmpl",
        server(options.peers, setting, equal, slots=options.slots, repeat=options.repeat, share=True),
    )
    table.ratio(f"{title} equal job fast / llama-server n_cmpl", ours, shared, 0.97)


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="what build_peers made")
    parser.add_argument("--models", type=Path, required=True, help="cache for the models that are made")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument(
        "--sequences", type=lambda text: [int(one) for one in text.split(",")], default=[1, 4, 8, 16, 32]
    )
    parser.add_argument("--server-slots", type=lambda text: [int(one) for one in text.split(",")], default=[4, 8, 16])
    parser.add_argument("--only", choices=["0.5b", "builtin"], help="measure one model only")
    parser.add_argument("--part", choices=["decode", "jobs"], help="measure one part only")
    parser.add_argument(
        "--gpu", action="store_true", help="offload everything; a 1.5B shape at 32, 64 and 128 sequences"
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    if options.gpu:
        options.sequences, options.server_slots, options.slots = [32, 64, 128], [32, 64], 64
    table = Table()
    for title, setting, tokens, size in _models(options):
        if options.part != "jobs":
            decode(table, title, setting, options, tokens=tokens)
        if options.part != "decode":
            jobs(table, title, setting, options, size)
    if options.json:
        options.json.write_text(json.dumps(table.figures, indent=1))


def _models(options: argparse.Namespace) -> list[tuple[str, Setting, int, tuple[int, int, int]]]:
    """Return the models to measure: title, setting, tokens of the steady part, size of the job."""
    layers = 99 if options.gpu else 0
    chosen = []
    if options.only != "builtin":
        from models import model  # noqa: PLC0415 - needs the package gguf, the builtin model does not

        name = "qwen2.5-1.5b" if options.gpu else "qwen2.5-0.5b"
        setting = Setting(str(model(name, options.models)), 512, options.threads, layers)
        chosen.append((name, setting, 32, (8, 4, 64)))
    if options.only != "0.5b":
        chosen.append(("builtin", Setting(str(BUILTIN), 512, min(1, options.threads), layers), 128, (64, 4, 64)))
    return chosen


if __name__ == "__main__":
    main()
