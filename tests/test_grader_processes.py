from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from publisher.graders.comparison import Match
from publisher.graders.math.grader import MathGrader
from publisher.graders.workers import ExceededError, LostError, Pool

ENDLESS = r"\sum_{a=1}^{1000}\sum_{b=1}^{1000}\sum_{c=1}^{1000} \sin(a+b+c)"
"""A formula of short sums that takes hours of processor time."""
SYMBOLIC = "publisher.graders.math.symbolic"


def test_an_answer_that_uses_up_its_processor_time_is_wrong_and_the_next_one_works() -> None:
    """It must not become an error, which no score counts: otherwise such a formula would be better than a guess."""
    with MathGrader(1, seconds=0.5) as grader:
        assert grader.compare(ENDLESS, "42") == Match("wrong", "takes more than 0.5 s of processor time")
        assert grader.compare("2x", "x+x").outcome == "right"


def test_the_limit_of_processor_time_holds_where_the_parent_ignores_its_signal() -> None:
    """A profiler may have it ignored, which a process passes on to those that it starts."""
    before = signal.signal(signal.SIGPROF, signal.SIG_IGN)
    try:
        with MathGrader(1, seconds=0.3, patience=4) as grader:
            assert grader.compare(ENDLESS, "42").outcome == "wrong"
    finally:
        signal.signal(signal.SIGPROF, before)


def test_an_expected_answer_that_uses_up_its_processor_time_is_an_error() -> None:
    """Then no answer could be right, and the suite is to blame."""
    with MathGrader(1, seconds=0.5) as grader:
        found = grader.compare(r"\sqrt{2}", ENDLESS)
        assert (found.outcome, "the expected answer takes more than" in found.reason) == ("error", True)


def test_running_out_of_wall_clock_time_alone_is_an_error_that_is_not_remembered() -> None:
    """A busy machine is nobody's fault; the process is replaced and the same comparison is tried again."""
    with MathGrader(1, seconds=60, patience=0.3) as grader:
        assert grader.compare(ENDLESS, "42").reason.startswith("grader_timeout")
        begun = time.monotonic()
        assert grader.compare(ENDLESS, "42").outcome == "error"
        assert time.monotonic() - begun > 0.2


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_an_answer_that_crashes_its_process_is_wrong(number: signal.Signals) -> None:
    """A signal that a calculation earns is an answer; one that comes from outside (SIGKILL) is not."""
    pool = Pool(SYMBOLIC, 1, seconds=60, patience=60)
    assert pool.ask(["2x", "x+x"])["said"] == "equal"
    (worker,) = pool._live
    threading.Timer(0.5, os.kill, (worker._process.pid, number)).start()
    with pytest.raises(ExceededError, match=number.name):
        pool.ask(["42", ENDLESS])
    pool.close()


def test_a_worker_that_is_killed_is_an_error_and_the_next_one_works() -> None:
    """A kill from outside costs one comparison, which says so; after the end of a run there is none."""
    pool = Pool(SYMBOLIC, 1, seconds=60, patience=60)
    assert pool.ask(["2x", "x+x"])["said"] == "equal"
    for worker in pool._live:
        worker.kill()
    with pytest.raises(LostError):
        pool.ask(["2x", "x+x"])
    assert pool.ask(["2x", "x+x"])["said"] == "equal"
    pool.close()
    with pytest.raises(LostError):
        pool.ask(["2x", "x+x"])


def test_a_question_that_needs_too_much_memory_is_wrong() -> None:
    """Two gigabytes of address space are the kernel's limit, which no library can talk its way around."""
    pool = Pool("tests.probe", 1, seconds=60, patience=60)
    with pytest.raises(ExceededError, match="memory"):
        pool.ask(["memory", 3 << 30])
    assert pool.ask(["memory", 10]) == 10
    pool.close()


def test_a_grader_process_reaches_no_network() -> None:
    """What a formula might make a library do ends at the process: it opens no connection, not even on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = Pool("tests.probe", 1, seconds=60, patience=60)
        assert pool.ask(["connect", server.getsockname()[1]]) == "PermissionError"
        pool.close()


def test_a_grader_process_is_confined_like_an_engine() -> None:
    """It is not root, its system calls are filtered, and it dies with its parent."""
    pool = Pool(SYMBOLIC, 1, seconds=60, patience=60)
    assert pool.ask(["2x", "x+x"])["said"] == "equal"
    (worker,) = pool._live
    status = Path(f"/proc/{worker._process.pid}/status").read_text()
    pool.close()
    assert "Uid:\t0\t" not in status
    assert "Seccomp:\t2" in status
