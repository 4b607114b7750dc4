from __future__ import annotations

import random
from dataclasses import replace

import pytest

from publisher.engine.protocol import SampleRequest

pytest.importorskip("llama_cpp")

from publisher.engine.child.schedule.scheduler import Queue, RunningSample

LIMIT = 100


def samples(*wanted: tuple[str, int], own: bool = False) -> list[RunningSample]:
    """Return a waiting sample for each (problem, expected length)."""
    return [
        RunningSample(
            SampleRequest(key, "", key, group, max_tokens=expected if own else 0, expected=expected), [1, 2], LIMIT, 0.0
        )
        for key, (group, expected) in enumerate(wanted)
    ]


def order(queue: Queue) -> list[int]:
    """Return the keys of the waiting samples in order."""
    return [sample.request.key for sample in queue.upcoming()]


def finish(queue: Queue, sample: RunningSample, tokens: int) -> None:
    """Let a sample end after so many tokens."""
    sample.out = [7] * tokens
    queue.finished(queue.take(sample))


def test_the_longest_expected_come_first_whatever_their_problem() -> None:
    """A sample is placed by its own expected length; one of which nothing is known may reach the limit."""
    queue = Queue(samples(("a", 10), ("a", 50), ("b", 30), ("b", 0), ("c", 40)))
    assert order(queue) == [3, 1, 4, 2, 0]


def test_samples_that_are_expected_equal_stay_with_their_problem() -> None:
    """Otherwise a problem's prompt would be kept longer than necessary."""
    queue = Queue(samples(("a", 10), ("b", 10), ("a", 10), ("c", 20), ("b", 10)))
    assert order(queue) == [3, 0, 2, 1, 4]


def test_taking_one_from_the_middle_leaves_the_others_in_order() -> None:
    """The counts per problem and in total are updated."""
    waiting = samples(("a", 10), ("b", 30), ("a", 20))
    queue = Queue(waiting)
    assert queue.take(waiting[2]) is waiting[2]
    assert (order(queue), queue.waiting, queue.left("a"), queue.left("b"), queue.left("c")) == ([1, 0], 2, 1, 1, 0)
    queue.take(waiting[0])
    assert (order(queue), queue.left("a")) == ([1], 0)


def test_lengths_that_were_seen_replace_what_was_expected() -> None:
    """After sixteen samples the problem whose answers were long goes before the one that was expected to be."""
    waiting = samples(*[("short", 50)] * 20, *[("long", 10)] * 20)
    queue = Queue(waiting)
    for short, long in zip(waiting[:8], waiting[20:28], strict=True):
        finish(queue, short, 5)
        finish(queue, long, 90)
    assert order(queue) == [*range(28, 40), *range(8, 20)]


def test_samples_with_their_own_limits_keep_their_own_order() -> None:
    """The lengths of samples that their own limits cut say nothing about other samples of the problem."""
    lengths = random.Random(5).sample(range(1, LIMIT), 40)  # noqa: S311 - lengths, no secret
    waiting = samples(*(("ab"[length % 2], length) for length in lengths), own=True)
    queue = Queue(waiting)
    for sample in list(queue.upcoming())[:30]:
        finish(queue, sample, sample.request.expected)
    assert [lengths[key] for key in order(queue)] == sorted(lengths, reverse=True)[30:]


def test_a_lower_round_comes_before_a_longer_answer() -> None:
    """Within a round the longest come first."""
    waiting = samples(("a", 10), ("b", 50), ("c", 30))
    for sample, number in zip(waiting, (0, 1, 0), strict=True):
        sample.request = replace(sample.request, round=number)
    assert order(Queue(waiting)) == [2, 0, 1]
