from __future__ import annotations

import pytest

from publisher.bench.generate import options_of, worded
from publisher.bench.measure import Job, plan
from publisher.bench.plan import seed_of
from publisher.errors import ConfigError
from tests.made import GitFolder
from tests.measuring import STARTED, SUITE, job


def test_a_tier_that_is_not_declared_is_refused(repository: GitFolder) -> None:
    """The hint names one that is."""
    work = job(repository)
    wrong = Job(work.repository, work.commit, work.config, "", "quik", dirty=False, salt="", started=STARTED)
    with pytest.raises(ConfigError) as caught:
        plan(wrong)
    assert caught.value.hint == "--tier full"


def test_the_fingerprint_covers_what_can_change_a_score(repository: GitFolder) -> None:
    """Sampling, prompt length, suite, k and grader change it; the commit and the number of threads do not."""
    base = plan(job(repository)).fingerprint
    assert plan(job(repository, threads=2)).fingerprint == base
    assert plan(job(repository, salt="x")).fingerprint == base
    others = [
        plan(job(repository, **change)).fingerprint
        for change in ({"temperature": 0.8}, {"context": 1024}, {"samples": 3}, {"grader": "math"}, {"mode": "fast"})
    ]
    assert len({base, plan(job(repository, SUITE + b"\n")).fingerprint, *others}) == 7


def test_the_generation_covers_what_can_change_a_text(repository: GitFolder) -> None:
    """Suites and graders are not in it, because samples may be used for either; in fast mode the threads are."""
    base = plan(job(repository)).generation
    assert plan(job(repository, SUITE + b"\n", grader="math", samples=5)).generation == base
    assert plan(job(repository, max_tokens=99)).generation != base
    fast = [plan(job(repository, mode="fast", threads=threads)).generation for threads in (1, 2)]
    assert len({base, *fast}) == 3


def test_a_seed_belongs_to_its_place() -> None:
    """Subject, suite, problem, number and salt each lead to another seed, which never changes and is never random."""
    first = seed_of("s" * 64, "a" * 64, "p-1", 0, "")
    assert first == 2038315866
    others = [
        seed_of("t" * 64, "a" * 64, "p-1", 0, ""),
        seed_of("s" * 64, "b" * 64, "p-1", 0, ""),
        seed_of("s" * 64, "a" * 64, "p-2", 0, ""),
        seed_of("s" * 64, "a" * 64, "p-1", 1, ""),
        seed_of("s" * 64, "a" * 64, "p-1", 0, "x"),
    ]
    assert len({first, *others}) == 6
    assert all(0 <= seed_of("s" * 64, "a" * 64, "p", number, "") < 0xFFFFFFFF for number in range(2000))


def test_runs_of_other_models_and_samplings_are_independent(repository: GitFolder) -> None:
    """The gate's tests take runs as independent: only what draws the same texts draws them by the same seeds."""
    seeds = [
        {one.seed for one in plan(job(repository, **change)).wanted}
        for change in ({}, {"temperature": 0.9}, {"max_tokens": 99}, {"threads": 2})
    ]
    assert seeds[0] == seeds[3]
    assert not seeds[0] & seeds[1]
    assert not seeds[0] & seeds[2]


def test_penalties_are_conditions_only_where_they_are_on(repository: GitFolder) -> None:
    """A penalty changes texts, and so the generation; runs from before there were any stay comparable."""
    base = plan(job(repository))
    assert plan(job(repository, sampling="penalty_window = 16")).generation == base.generation
    heavy = plan(job(repository, sampling="repetition_penalty = 1.2"))
    assert heavy.generation != base.generation
    assert '"repetition_penalty":1.2' in heavy.conditions["sampling"]
    assert "penalty" not in base.conditions["sampling"]


def test_a_suites_own_template_takes_the_place_of_the_prompts(repository: GitFolder) -> None:
    """Its problems are worded here, the engine adds nothing, and the generation is another one."""
    plain = job(repository)
    assert options_of(plain, plan(plain), 1).template == plain.config.prompt.template
    own = job(repository, public='true\ntemplate = "Q: {problem} A:"')
    planned = plan(own)
    first = planned.wanted[0]
    assert worded(first, planned, own.config.prompt.template) == f"Q: {first.problem.problem} A:"
    assert options_of(own, planned, 1).template == "{problem}"
    assert planned.generation != plan(plain).generation
    assert worded(first, plan(plain), "unused {problem}") == first.problem.problem
