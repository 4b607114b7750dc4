from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from publisher.engine.fleet import Fleet
from publisher.engine.load import OtherLoad, idle_processors
from tests.engines import options, pid, requests

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.model
pytest.importorskip("llama_cpp")


CORES = psutil.cpu_count() or 1


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep processors busy with programs that are not children of this one."""
    code = "import os\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\n    while True: pass"
    loops = []
    for _ in range(count):
        done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert done.stdout is not None
        loops.append(int(done.stdout.readline()))
        done.stdout.close()
        done.wait()
    try:
        yield
    finally:
        for loop in loops:
            os.kill(loop, signal.SIGKILL)


def test_busy_programs_leave_no_idle_processor() -> None:
    """What others use is not idle."""
    with busy(CORES):
        assert idle_processors(0.3) < 0.5 * CORES


def test_time_of_others_is_counted_and_ours_is_not() -> None:
    """A program that is no child of ours counts; a loop of our own does not."""
    with busy(1):
        load = OtherLoad()
        idle_processors(0.5)
        beside = load.processors()
    assert beside > 0.05
    load, begun, own = OtherLoad(), time.monotonic(), time.process_time()
    while time.process_time() < own + 0.3:
        pass
    seconds = time.monotonic() - begun
    assert load.processors() * seconds <= CORES * seconds - 0.2


def test_threads_sleep_while_they_wait_on_a_busy_machine() -> None:
    """With as many busy programs as processors, an engine of two threads waits without spinning, and says so."""
    with busy(CORES), Fleet(options(threads=2)) as fleet:
        environment = Path(f"/proc/{pid(fleet._engines[0])}/environ").read_bytes()
        assert len(list(fleet.generate(requests(2)))) == 2
        figures = fleet.statistics()
    assert b"OMP_WAIT_POLICY=PASSIVE" in environment
    assert figures["passive_waiting"] == 1.0
    assert figures["other_load"] > 0


def test_one_thread_waits_for_nobody() -> None:
    """Then nothing is changed, however busy the machine is."""
    with busy(CORES), Fleet(options(threads=1)) as fleet:
        environment = Path(f"/proc/{pid(fleet._engines[0])}/environ").read_bytes()
    assert b"OMP_WAIT_POLICY" not in environment
