from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from publisher.bench.forecast import Forecast
from publisher.engine import devices, fleet, machine
from publisher.engine.fleet import Fleet, merged, plan_engines, share_out
from publisher.engine.protocol import Completion, Device, SampleRequest
from publisher.errors import ModelError
from publisher.schema import Sampling
from tests.engines import WARM, options, sampled_requests, texts

GPUS = tuple(
    Device(name=f"CUDA{number}", description="H200", kind="GPU", memory=100 << 30, free=99 << 30, backend="CUDA")
    for number in range(4)
)


def children() -> list[int]:
    """Return the processes that this one has started and that still live."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_a_problems_samples_stay_together_where_answers_are_short() -> None:
    """Short answers are dealt by problem, long ones one by one; the longest goes first, to the least busy engine."""
    wanted = [SampleRequest(number, "", 0, str(number // 4), expected=1 + number // 4) for number in range(24)]
    short = share_out(wanted, 2, limit=100)
    assert sorted(request.key for share in short for request in share) == list(range(24))
    assert not {request.group for request in short[0]} & {request.group for request in short[1]}
    assert [request.group for share in short for request in share[::4]] == ["5", "2", "1", "4", "3", "0"]
    long = share_out(wanted, 2, limit=4096)
    assert {request.group for request in long[0]} == {request.group for request in long[1]}
    work = [sum(request.expected for request in share) for share in long]
    assert abs(work[0] - work[1]) <= 1


def test_each_gpu_has_an_engine_where_the_model_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With several GPUs each engine has its own, or several where fewer engines are asked for."""
    monkeypatch.setattr(devices, "gpus", lambda: GPUS)
    wanted = options(gpu_layers="all", workload=1000)
    assert [one.gpus for one in plan_engines(wanted, 0)] == [("CUDA0",), ("CUDA1",), ("CUDA2",), ("CUDA3",)]
    assert [one.gpus for one in plan_engines(wanted, 2)] == [("CUDA0", "CUDA2"), ("CUDA1", "CUDA3")]
    assert [one.gpus for one in plan_engines(wanted, 1)] == [("CUDA0", "CUDA1", "CUDA2", "CUDA3")]
    assert len(plan_engines(options(gpu_layers="all", workload=30), 0)) == 1, "too little work"
    assert len(plan_engines(options(gpu_layers=4, workload=1000), 0)) == 1, "the rest of the model is on the host"
    assert [one.gpus for one in plan_engines(options(gpu_layers=0), 1)] == [()], "no layer, no GPU"
    monkeypatch.setattr(fleet, "_GPU_SHARE", 1e-9)
    assert len(plan_engines(wanted, 0)) == 1, "the model does not fit on one of them"


def test_a_small_model_has_an_engine_for_each_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many engines as processors, one thread each, if there are enough samples and no option sets the threads."""
    monkeypatch.setattr(machine, "cores", lambda: 4)
    found = plan_engines(options(threads=0, workload=1000), 0)
    assert [(one.threads, one.workload) for one in found] == [(1, 250)] * 4
    assert len(plan_engines(options(threads=0, workload=60), 0)) == 2
    assert len(plan_engines(options(threads=4, workload=1000), 0)) == 1
    assert [one.threads for one in plan_engines(options(threads=0, workload=0), 2)] == [2, 2]


def test_two_engines_give_the_same_texts_as_one() -> None:
    """In reproducible mode a sample has the same text from every engine."""
    wanted = sampled_requests(16, 3)
    with Fleet(options(sampling=WARM), engines=2) as two:
        found = {completion.key: completion.text for completion in two.generate(wanted)}
        figures = two.statistics()
    assert (two.identity.engines, len(found)) == (2, 48)
    assert found == texts(wanted, sampling=WARM)
    assert figures["decode_tokens"] >= sum(len(text) > 0 for text in found.values())
    assert 0 < figures["occupancy"] <= 1


def test_an_engine_that_dies_ends_the_run_and_what_was_finished_is_there() -> None:
    """After one of two engines is killed, its completions are delivered, one error is raised, and no child is left."""
    wanted = sampled_requests(32, 4)
    before = set(children())
    found: list[Completion] = []
    with Fleet(options(sampling=WARM), engines=2) as two:
        running = two.generate(wanted)
        found += islice(running, 10)
        os.kill(max(set(children()) - before), signal.SIGKILL)
        with pytest.raises(ModelError, match="killed by SIGKILL"):
            found.extend(running)
    assert len({completion.key for completion in found}) == len(found) >= 10
    assert set(children()) == before


def test_leaving_a_run_early_leaves_no_process() -> None:
    """Closing the generator in the middle ends both engines."""
    before = set(children())
    with Fleet(options(sampling=WARM), engines=2) as two:
        running = two.generate(sampled_requests(32, 4))
        assert len(list(islice(running, 3))) == 3
        del running
    assert set(children()) == before


def test_samples_are_proved_by_generating_them_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal seeds generate equal samples; samples that differ the second time are named."""
    wanted = sampled_requests(4, 2)
    with Fleet(options(sampling=Sampling(temperature=2.0, max_tokens=40)), engines=2) as two:
        assert two.changed(wanted) == []
        generate, times = two.generate, iter([0, 1])

        def other_seeds(asked: list[SampleRequest]) -> object:
            shift = next(times)
            return generate([SampleRequest(one.key, one.problem, one.seed + shift, one.group) for one in asked])

        monkeypatch.setattr(two, "generate", other_seeds)
        assert len(two.changed(wanted)) >= 6


def test_figures_of_engines_are_put_together() -> None:
    """Tokens add up, seconds are the mean, and an engine that is finished early idles until the end."""
    one = {
        "prompt_tokens": 10.0,
        "prompt_seconds": 1.0,
        "prompt_tokens_per_second": 10.0,
        "decode_tokens": 100.0,
        "decode_seconds": 2.0,
        "decode_tokens_per_second": 50.0,
        "steps": 10.0,
        "occupancy": 1.0,
        "occupancy_before_tail": 1.0,
        "kv_high_water": 7.0,
        "preemptions": 0.0,
        "tail_seconds": 0.5,
        "seconds": 3.0,
    }
    both = merged([one, {**one, "seconds": 4.0, "occupancy": 0.5, "steps": 30.0}])
    assert (both["decode_tokens"], both["decode_seconds"], both["decode_tokens_per_second"]) == (200.0, 2.0, 100.0)
    assert (both["seconds"], both["tail_seconds"]) == (4.0, 1.0)
    assert (both["occupancy"], both["kv_high_water"]) == (0.625, 14.0)
    assert merged([one]) == one
    assert merged([{}, {}]) == {}


def errors(shape: str, seed: int) -> list[float]:
    """Return the relative errors of the time left in a run of 16 slots which generate a token a second each."""
    generator = random.Random(seed)  # noqa: S311 - lengths, no secret
    count, slots = 2000, 16
    free, ends = [0.0] * slots, []
    lengths = [SHAPES[shape](generator) for _ in range(count)]
    for key, length in enumerate(lengths):
        slot = free.index(min(free))
        free[slot] += length
        ends.append((free[slot], key))
    whole, forecast = max(free), Forecast(dict.fromkeys(range(count), 1))
    found = []
    for number, (now, key) in enumerate(sorted(ends), 1):
        forecast.finished(key, lengths[key])
        if count // 10 <= number <= count * 9 // 10 and number % 100 == 0:
            found.append(forecast.left(now, slots * now, slots) / (whole - now) - 1)
    return found


SHAPES: dict[str, Callable[[random.Random], int]] = {
    "equal": lambda _: 200,
    "uniform": lambda generator: generator.randint(50, 350),
    "exponential": lambda generator: 1 + int(generator.expovariate(1 / 200)),
    "heavy": lambda generator: min(2000, int(generator.lognormvariate(5.0, 0.8))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_time_left_is_right_within_a_fifth_after_the_first_tenth(shape: str) -> None:
    """From a tenth to nine tenths of 2,000 answers whose lengths nobody knew, all but one forecast in fifty is good."""
    found = [error for seed in range(6) for error in errors(shape, seed)]
    assert len(found) == 102
    assert sum(abs(error) > 0.2 for error in found) <= 2
