"""Compares the engine's speed with llama.cpp's own programs: same models, prompts, lengths and threads.

    benchmarks/build_peers PEERS && python benchmarks/engine.py --peers PEERS --models MODELS [--json OUT] [--gpu]

All contenders take turns, `--repeat` times, because a machine's speed drifts; a ratio is the median of the turns'
ratios. Our engine samples with a seed per sequence; llama-batched-bench does not sample.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contenders import Job, Ours, Sequential, Server, Setting, batched_bench
from models import model

from publisher.bench.inputs.model_file import builtin_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Turns = dict[str, list[float]]

BUILTIN = builtin_path("builtin:abacus")
WORDS = "the number of apples in the basket and the price of a ticket for two days is how many coins on the table"


def words(count: int, seed: int) -> str:
    """Return a text of some words."""
    generator = random.Random(seed)  # noqa: S311 - filler, no secret
    return " ".join(generator.choice(WORDS.split()) for _ in range(count))


def steady(sequences: int, tokens: int) -> Job:
    """Return one problem of which `sequences` samples run side by side, all equally long."""
    return Job("", (words(24, 1),), ((tokens,) * sequences,))


def whole(turn: int, problems: int, samples: int, low: int, high: int) -> Job:
    """Return problems with samples of mixed lengths and a shared beginning.

    Each turn has other texts, because a server still has those of the last turn in its cache.
    """
    generator = random.Random(7)  # noqa: S311 - lengths, no secret
    lengths = tuple(tuple(generator.randint(low, high) for _ in range(samples)) for _ in range(problems))
    return Job(words(20, -turn), tuple(words(8, 1000 * turn + number) for number in range(problems)), lengths)


def even(turn: int, problems: int, samples: int, tokens: int) -> Job:
    """Return problems whose samples are equally long, which llama-server's n_cmpl needs."""
    job = whole(turn + 1000, problems, samples, 1, 2)
    return Job(job.system, job.problems, ((tokens,) * samples,) * problems)


class Table:
    """Collects figures and prints them as they come."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, Any]] = {}

    def turns(self, title: str, contenders: Mapping[str, Callable[[int], float]], repeat: int) -> Turns:
        """Let every contender run turn 1, then turn 2, up to `repeat`; print and return tokens per second."""
        found: Turns = {name: [] for name in contenders}
        for turn in range(1, repeat + 1):
            for name, run in contenders.items():
                found[name].append(run(turn))
        for name, values in found.items():
            median = statistics.median(values)
            self.figures[f"{title} {name}"] = {"median": median, "runs": [round(value, 2) for value in values]}
            print(f"{title} {name:40} {median:10.1f} tok/s   ({min(values):.1f} to {max(values):.1f})", flush=True)
        return found

    def ratio(self, title: str, turns: Turns, ours: str, peers: list[str], wanted: float) -> None:
        """Print the median ratio of our speed to that of the peer with the best median."""
        best = max(peers, key=lambda name: statistics.median(turns[name]))
        value = statistics.median(one / other for one, other in zip(turns[ours], turns[best], strict=True))
        self.figure(f"{title} {ours} / {best}", value, wanted)

    def figure(self, name: str, value: float, wanted: float) -> None:
        """Print a ratio and the target."""
        self.figures[name] = {"ratio": value, "wanted": wanted}
        print(f"  {name:56} {value:8.3f}   (wanted {wanted})", flush=True)


def same(run: Callable[[], float]) -> Callable[[int], float]:
    """Return a contender that runs the same job in each turn."""
    return lambda _: run()


def on(jobs: Callable[[int], Job], run: Callable[[Job], float]) -> Callable[[int], float]:
    """Return a contender that runs each turn's job."""
    return lambda turn: run(jobs(turn))


def exact_to_fast(title: str, options: argparse.Namespace) -> float:
    """Return how fast reproducible mode is to be, relative to fast mode."""
    if options.gpu:
        return 0.9
    return 0.5 if "builtin" in title else 0.92


def decode(table: Table, title: str, setting: Setting, options: argparse.Namespace, *, tokens: int) -> None:
    """Measure steady decoding at several numbers of sequences, each with an engine of as many slots."""
    for count in options.sequences:
        job, name = steady(count, tokens), f"{title} decode {count:3}"
        with Ours(setting, "fast", count, tokens) as fast, Ours(setting, "reproducible", count, tokens) as exact:
            for one in (fast, exact):
                one.run(steady(count, 4))

            prompt = 1 + round(fast.figures[-1]["prompt_tokens"])  # the last token of a prompt is decoded
            bench = partial(batched_bench, options.peers, setting, prompt=prompt, tokens=tokens, sequences=count)
            turns = table.turns(
                name,
                {
                    "batched-bench -kvu": same(partial(bench, unified=True)),
                    "fast": same(partial(fast.run, job, "decode")),
                    "batched-bench": same(partial(bench, unified=False)),
                    "reproducible": same(partial(exact.run, job, "decode")),
                },
                options.repeat,
            )
        table.ratio(name, turns, "fast", ["batched-bench -kvu", "batched-bench"], 0.96)
        table.ratio(name, turns, "reproducible", ["fast"], exact_to_fast(title, options))


def jobs(table: Table, title: str, setting: Setting, options: argparse.Namespace, size: tuple[int, int, int]) -> None:
    """Measure whole jobs of `size`: problems, samples each, tokens of the longest."""
    problems, samples, longest = size
    mixed = partial(whole, problems=problems, samples=samples, low=longest // 8, high=longest)
    equal = partial(even, problems=problems, samples=samples, tokens=longest // 2)
    engines = options.engines or (setting.threads if "builtin" in title else 1)
    with contextlib.ExitStack() as stack:
        fast = stack.enter_context(Ours(setting, "fast", options.slots, longest, engines=engines))
        exact = stack.enter_context(Ours(setting, "reproducible", options.slots, longest, engines=engines))
        alone = stack.enter_context(Sequential(setting))
        servers = {slots: stack.enter_context(Server(options.peers, setting, slots)) for slots in options.server_slots}
        fast.run(steady(1, 4))
        exact.run(steady(1, 4))
        alone.run(steady(1, 4))
        for server in servers.values():
            server.run(steady(1, 4))
        named = {f"llama-server -np {slots}": server for slots, server in servers.items()}
        turns = table.turns(
            f"{title} job",
            {
                "fast": on(mixed, fast.run),
                "reproducible": on(mixed, exact.run),
                "llama_cpp.Llama": on(mixed, alone.run),
                **{name: on(mixed, server.run) for name, server in named.items()},
            },
            options.repeat,
        )
        to_alone = 10 if options.gpu else 2.5 if "builtin" in title else 2.1
        table.ratio(f"{title} job", turns, "fast", ["llama_cpp.Llama"], to_alone)
        table.ratio(f"{title} job", turns, "fast", list(named), 1.8)
        table.ratio(f"{title} job", turns, "reproducible", ["fast"], exact_to_fast(title, options))
        _figures(table, title, fast, exact)
        shared = {f"{name} n_cmpl": on(equal, partial(server.run, share=True)) for name, server in named.items()}
        turns = table.turns(f"{title} equal job", {"fast": on(equal, fast.run), **shared}, options.repeat)
        table.ratio(f"{title} equal job", turns, "fast", list(shared), 0.97)


def _figures(table: Table, title: str, fast: Ours, exact: Ours) -> None:
    """Print the occupancy while samples wait, and memory relative to what llama.cpp allocated."""
    for mode, one in (("fast", fast), ("reproducible", exact)):
        last = one.figures[-1]
        table.figure(f"{title} {mode}: occupancy while samples wait", last["occupancy_before_tail"], 0.9)
        if "builtin" not in title:  # two megabytes of weights say nothing beside Python's forty
            share = last["peak_memory"] / last["planned_memory"]
            table.figure(f"{title} {mode}: memory / llama.cpp's buffers", share, 1.1)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers: Any = {"type": lambda text: [int(one) for one in text.split(",")]}
    parser.add_argument("--peers", type=Path, required=True, help="what build_peers made")
    parser.add_argument("--models", type=Path, required=True, help="cache for the models that are made")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engines", type=int, default=0, help="of ours in jobs; 0: builtin has one a thread")
    parser.add_argument("--slots", type=int, default=16, help="of each of our engines in jobs")
    parser.add_argument("--sequences", **numbers, default=[1, 4, 8, 16, 32])
    parser.add_argument("--server-slots", **numbers, default=[4, 8, 16])
    parser.add_argument(
        "--flash",
        choices=["default", "on", "off"],
        default="default",
        help="flash attention for all contenders; default: as each of them comes",
    )
    parser.add_argument("--only", choices=["0.5b", "builtin"], help="measure one model only")
    parser.add_argument("--part", choices=["decode", "jobs"], help="measure one part only")
    parser.add_argument(
        "--gpu", action="store_true", help="offload everything; shapes of 0.5B and 1.5B, 1 to 256 sequences"
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    if options.gpu:
        options.sequences, options.server_slots, options.slots = [1, 8, 32, 64, 128, 256], [32, 64], 64
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
        for name in ("qwen2.5-0.5b", "qwen2.5-1.5b")[: 2 if options.gpu else 1]:
            setting = Setting(str(model(name, options.models)), 512, options.threads, layers, options.flash)
            # On a GPU, enough samples to fill 64 slots several times.
            chosen.append((name, setting, 32, (64, 4, 128) if options.gpu else (8, 4, 64)))
    if options.only != "0.5b":
        setting = Setting(str(BUILTIN), 512, options.threads, layers, options.flash)
        chosen.append(("builtin", setting, 128, (64, 4, 64)))
    return chosen


if __name__ == "__main__":
    main()
