"""What a run tells while it lasts: from its first second, in tokens, and never more than fits or than people read."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from publisher.cli.progress import Watch
from publisher.engine.protocol import LONGEST_RUNNING
from tests.made import GitFolder
from tests.measuring import Notes, job, model, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from publisher.schema import Sample

FIGURES = {
    "decode_tokens": 123_456_789.0,
    "seconds": 36_000.0,
    LONGEST_RUNNING: 40_960.0,
    "gpu_memory": 138.5 * 2**30,
}
RIGHT = cast("Sample", SimpleNamespace(outcome="right"))


def test_a_long_answer_does_not_look_like_a_hang(capfd: pytest.CaptureFixture[str]) -> None:
    """Plain lines come while no sample has finished: first of the model's loading, then with growing tokens."""
    tokens = iter(range(1000, 100_000, 1000))
    text = ""

    def wait_for(number: int, words: str) -> None:
        nonlocal text
        until = time.monotonic() + 60
        while text.count(words) < number:
            assert time.monotonic() < until, text
            time.sleep(0.02)
            text += capfd.readouterr().err

    with Watch(every=0.05) as watch:
        watch.planned("m", [("s", 1)], 1)
        wait_for(1, "loading m, ")
        watch.generating(lambda: {"decode_tokens": float(next(tokens)), "seconds": 1.0, LONGEST_RUNNING: 7.0})
        wait_for(2, "\n0/1 samples; ")
        watch.generated()
        told = (text + capfd.readouterr().err).splitlines()
        time.sleep(0.2)
    assert told[0] == "m: 1 samples of s (1)"
    assert any(line.startswith("loading m, ") for line in told)
    counted = [line for line in told if line.startswith("0/1 samples; ")]
    assert len(counted) > 1
    assert "1,000 tokens, 1,000 tokens/s, longest answer 7" in counted[0]
    assert counted[0] != counted[1]
    assert capfd.readouterr().err == ""


def test_plain_lines_come_at_a_bounded_rate(capfd: pytest.CaptureFixture[str]) -> None:
    """However fast samples finish, a job's log gets a line per interval, and one at the end."""
    with Watch(every=60.0) as watch:
        watch.planned("m", [("s", 500)], 500)
        watch.generating(dict)
        for _ in range(500):
            watch.sampled(RIGHT, {})
        watch.generated()
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 2
    assert told[1].startswith("500/500 samples, 100.0 % right; ")


def test_each_measurement_of_a_command_counts_from_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """Where tiers or extensions follow each other, done and planned are of the same measurement."""
    watch = Watch()
    for samples in (3, 2):
        watch.planned("m", [("s", samples)], samples)
        for _ in range(samples):
            watch.sampled(RIGHT, {})
        watch.generated()
    told = [line.split(",")[0] for line in capsys.readouterr().err.splitlines() if "/" in line]
    assert told == ["3/3 samples", "2/2 samples"]


def test_the_live_lines_fit_80_columns() -> None:
    """Two lines hold everything at the largest figures: counts and time above, tokens, speed, length, memory below."""
    screen = io.StringIO()
    watch = Watch(console=Console(file=screen, width=80, force_terminal=True))
    watch.planned("a model with a long name", [("aime24", 30_000)], 30_000)
    watch.generating(lambda: FIGURES)
    watch._begun -= 36_000
    watch.sampled(RIGHT, {"seconds_left": 86_340.0})
    first, second = str(watch.shown()).splitlines()
    assert max(len(first), len(second)) <= 80, second
    assert "longest answer 40,960" in second
    assert first.endswith("10 h 00 min · 23 h 59 min left")


@model
def test_tokens_are_counted_before_the_first_sample_ends(repository: GitFolder, tmp_path: Path) -> None:
    """The engine tells the length of its longest running sample while it generates; the record has no such figure."""
    heard: list[Mapping[str, float]] = []
    over = threading.Event()

    class Listening(Notes):
        def generating(self, figures: Callable[[], Mapping[str, float]]) -> None:
            super().generating(figures)
            thread.start()

    def listen() -> None:
        while not over.wait(0.002):
            heard.append(listening.figures())

    listening, thread = Listening(), threading.Thread(target=listen)
    try:
        done = run(job(repository, samples=8), tmp_path, listening)
    finally:
        over.set()
        thread.join()
    assert any(figures.get(LONGEST_RUNNING, 0.0) > 0 for figures in heard)
    assert LONGEST_RUNNING not in done.record.statistics
