from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from publisher.engine.fleet import Fleet
from publisher.engine.load import OtherLoad
from publisher.engine.process import EngineProcess, child_environment
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


def test_time_of_others_is_counted_and_ours_is_not() -> None:
    """A program that is no child of ours counts; a loop of our own does not."""
    with busy(1):
        load = OtherLoad()
        time.sleep(0.5)
        beside = load.processors()
    assert beside > 0.05
    load, begun, own = OtherLoad(), time.monotonic(), time.process_time()
    while time.process_time() < own + 0.3:
        pass
    seconds = time.monotonic() - begun
    assert load.processors() * seconds <= CORES * seconds - 0.2


def processor_seconds(threads: int) -> float:
    """Return the processor time that an engine takes for some samples."""
    with EngineProcess(options(threads=threads, slots=8)) as engine:
        child = psutil.Process(pid(engine))
        before = child.cpu_times()
        assert len(list(engine.generate(requests(48)))) == 48
        spent = child.cpu_times()
    return (spent.user - before.user) + (spent.system - before.system)


def test_threads_do_not_spin_away_the_time_of_others() -> None:
    """Beside busy programs, a small model's threads do not take dozens of times what one thread takes."""
    with busy(CORES):
        assert processor_seconds(2) < 12 * processor_seconds(1)


def test_the_record_says_how_busy_the_machine_was() -> None:
    """A run beside busy programs counts the processors that they took."""
    with busy(CORES), Fleet(options(threads=2)) as fleet:
        assert len(list(fleet.generate(requests(2)))) == 2
        assert fleet.statistics()["other_load"] > 0


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "PASSIVE"), ("GOMP_SPINCOUNT", "7")])
def test_what_the_user_sets_of_waiting_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Then nothing of ours stands beside it."""
    monkeypatch.setenv(name, value)
    found = child_environment()
    assert {one: found[one] for one in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if one in found} == {name: value}


def test_an_empty_wait_policy_sets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that passes a variable on without a value does not let threads spin."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    assert "GOMP_SPINCOUNT" in child_environment()
