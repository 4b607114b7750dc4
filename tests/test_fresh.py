from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from publisher.publishing.pipeline import bench, enter, measure_target, publish
from publisher.publishing.project import Project
from tests.made import GitFolder
from tests.measuring import Notes, job, model

pytestmark = model


HOOK = "http://127.0.0.1:9/build_hooks/" + "0" * 24
POLICY = """20_000
[netlify]
site = "demo"
[gate]
rules = [{ rule = "threshold", min = 100.0 }]"""
"""Rejects what this model measures, so that nothing is published."""


def project_of(repository: GitFolder) -> tuple[Project, str]:
    """Return a project with a dozen problems, and its commit."""
    work = job(repository, samples=1, max_tokens=60, clip=POLICY)
    return Project.open(
        repository.path, {"NETLIFY_API_URL": "http://127.0.0.1:9/api/v1", "NETLIFY_BUILD_HOOK": HOOK}
    ), work.commit


def test_a_fresh_measurement_that_was_interrupted_continues(repository: GitFolder) -> None:
    """The same command finds the finished samples; once it is through, the next one draws new seeds."""
    project, commit = project_of(repository)
    with pytest.raises(KeyboardInterrupt):
        bench(project, commit, "full", Notes(stop=5), fresh=True)
    notes = Notes()
    record = bench(project, commit, "full", notes, fresh=True)
    assert notes.total == 7
    assert record.salt
    other = bench(project, commit, "full", Notes(), fresh=True)
    assert other.salt != record.salt


@pytest.mark.parametrize("steps", ["measured", "entered"])
def test_a_fresh_publication_that_was_killed_makes_one_run(repository: GitFolder, steps: str) -> None:
    """Before or after the ledger has its run, the same command continues with that; the next one makes another."""
    project, commit = project_of(repository)
    killed = measure_target(project, project.target(commit, "full"), Notes(), fresh=True)
    if steps == "entered":
        enter(project, killed)
    notes = Notes()
    assert publish(project, commit, "full", notes, fresh=True).record.run_id == killed.run_id
    assert (notes.total, len(project.runs())) == (-1, 1)
    publish(project, commit, "full", Notes(), fresh=True)
    assert len(project.runs()) == 2


def test_two_runs_of_one_second_have_ids_of_their_own(repository: GitFolder) -> None:
    """A run is named by the second in which it began; the second of two is named by the next one."""
    project, commit = project_of(repository)
    times = itertools.count()
    frozen = replace(project, clock=lambda: 1_800_000_000.0 + next(times) / 1000)
    first = bench(frozen, commit, "full", Notes(), fresh=True)
    second = bench(frozen, commit, "full", Notes(), fresh=True)
    assert first.run_id != second.run_id
