"""Measures the engine beside programs that keep the processors busy, with ways in which its threads can wait.

    python benchmarks/contended.py MODEL [--loops 0,4,12] [--repeat 5] [--json OUT]

Ways take turns in a random order. The fair time is the quiet one divided by the share that the engine's threads would
get of the processors if the kernel dealt them out evenly. Where it may, the program gives its own session, the busy
loops included, all of the machine (`/proc/self/autogroup`), so that whatever else runs there hardly counts; start it
with `setsid -w` for a session of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from publisher.engine import machine, process
from publisher.engine.process import EngineProcess
from publisher.engine.protocol import EngineOptions, SampleRequest
from publisher.schema import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Turns = dict[tuple[int, str], list[tuple[float, float]]]

WAYS = {
    "as libgomp comes": {"GOMP_SPINCOUNT": "300000"},
    "ours": {},
    "sleeping at once": {"OMP_WAIT_POLICY": "PASSIVE"},
}
SAMPLES = 8


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep processors busy with `count` endless loops."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def options(model: Path, threads: int, tokens: int) -> EngineOptions:
    """Return options for samples of equal length, in the mode that committed scores have."""
    return EngineOptions(
        model=model,
        sha256="",
        context=512,
        gpu_layers=0,
        mode="reproducible",
        slots=SAMPLES,
        threads=threads,
        batch=0,
        flash_attention=False,
        timeout=600,
        sampling=Sampling(temperature=1.0, max_tokens=tokens),
        system="",
        template="{problem}",
        ends=False,
    )


def started(stack: contextlib.ExitStack, chosen: EngineOptions) -> dict[str, EngineProcess]:
    """Start an engine for each way of waiting: libgomp reads it from the environment, once."""
    known: Callable[..., dict[str, str]] = process.child_environment
    engines = {}
    for way, variables in WAYS.items():
        process.child_environment = lambda _more=variables, **how: known(**how) | _more
        engines[way] = stack.enter_context(EngineProcess(chosen))
    process.child_environment = known
    return engines


def timed(engine: EngineProcess) -> tuple[float, float]:
    """Return the seconds that one job takes, and the processor seconds of the engine's process."""
    words = "How many apples are on the table, and who has put them there?"
    wanted = [SampleRequest(number, words, number, "a") for number in range(SAMPLES)]
    begun, spent = time.monotonic(), processor_seconds(engine)
    for _ in engine.generate(wanted):
        pass
    return time.monotonic() - begun, processor_seconds(engine) - spent


def processor_seconds(engine: EngineProcess) -> float:
    """Return the processor time that an engine's process has used."""
    child = engine._child._process.pid if engine._child else os.getpid()  # noqa: SLF001 - looked at from outside
    spent = psutil.Process(child).cpu_times()
    return spent.user + spent.system


def measure(engines: dict[str, EngineProcess], loops: list[int], repeat: int) -> Turns:
    """Return the times of each number of loops and way."""
    found: Turns = {}
    for engine in engines.values():
        timed(engine)
    for _ in range(repeat):
        for count in loops:
            with busy(count):
                time.sleep(0.2)  # until all of them run
                for way in random.sample(sorted(engines), len(engines)):
                    found.setdefault((count, way), []).append(timed(engines[way]))
    return found


def main() -> None:
    """Measure what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--loops", type=lambda text: [int(one) for one in text.split(",")], default=[0, 4, 12])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--json", type=Path, help="write the figures there")
    chosen = parser.parse_args()
    threads = machine.cores()
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("-19")
    with contextlib.ExitStack() as stack:
        engines = started(stack, options(chosen.model, threads, chosen.tokens))
        found = measure(engines, [0, *(one for one in chosen.loops if one)], chosen.repeat)
    middle = {key: statistics.median(seconds for seconds, _ in turns) for key, turns in found.items()}
    quiet = middle[0, "as libgomp comes"]
    print(f"{'loops':>5}  {'threads wait':20}{'seconds':>9}{'processor s':>13}{'to fair':>9}")
    for (count, way), turns in sorted(found.items()):
        fair = quiet * max(1.0, (count + threads) / threads)
        used = statistics.median(spent for _, spent in turns)
        print(f"{count:>5}  {way:20}{middle[count, way]:9.2f}{used:13.2f}{middle[count, way] / fair:9.2f}")
    if chosen.json:
        chosen.json.write_text(json.dumps({f"{count} {way}": turns for (count, way), turns in found.items()}, indent=1))


if __name__ == "__main__":
    main()
