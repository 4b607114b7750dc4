from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from publisher.bench.measure import Measurement
from publisher.bench.workspace import proof_key, whole_samples
from publisher.errors import GraderError, StorageError
from publisher.publishing.pipeline import bench, enter
from publisher.publishing.project import Project
from publisher.publishing.reproduce import reproduce
from publisher.samples import pack_samples, unpack_samples
from tests.made import GitFolder
from tests.measuring import Notes, Parrot, job, model, run

SECRET = "CANARY"
"""Stands in the statement, the expected answer, the text and the grader's reason."""
SUITE = b"".join(
    json.dumps({"id": f"p-{n}", "problem": f"{SECRET} {n}?", "answer": f"\\text{{{SECRET} {n}}}"}).encode() + b"\n"
    for n in range(3)
)
TEXT = rf"It is \boxed{{\text{{{SECRET} 1}}}}"


def private(repository: GitFolder, workspace: Path) -> Measurement:
    """Measure a private suite of three problems, of which one is answered right."""
    return run(job(repository, SUITE, grader="math", samples=1, public="false"), workspace, start=Parrot(TEXT))


def test_no_word_of_a_private_suite_leaves_the_bench_machine(repository: GitFolder, tmp_path: Path) -> None:
    """Record and published samples have ids, outcomes and figures; the whole samples stay in the workspace."""
    done = private(repository, tmp_path)
    stored = msgspec.json.encode(done.record) + msgspec.json.encode(list(unpack_samples(done.packed)))
    assert SECRET.encode() not in stored
    assert [(one.problem, one.outcome, one.tokens, one.withheld) for one in unpack_samples(done.packed)] == [
        ("p-0", "wrong", 5, True),
        ("p-1", "right", 5, True),
        ("p-2", "wrong", 5, True),
    ]
    kept = whole_samples(tmp_path, done.record.run_id)
    assert [one.text for one in unpack_samples(kept.read_bytes())] == [TEXT] * 3
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_public_suite_is_published_whole(repository: GitFolder, tmp_path: Path) -> None:
    """Then nothing is kept a second time."""
    done = run(job(repository, SUITE, grader="math", samples=1), tmp_path, start=Parrot(TEXT))
    assert done.published == done.samples
    assert not whole_samples(tmp_path, done.record.run_id).exists()


def test_a_withheld_sample_is_never_reused(repository: GitFolder, tmp_path: Path) -> None:
    """It has no text that could be graded, so the sample is generated; a whole one is graded again."""
    earlier = private(repository, tmp_path / "a")
    again = job(repository, SUITE, grader="math", samples=1, public="false")
    notes = Notes()
    assert run(again, tmp_path / "b", notes, earlier.published, Parrot(TEXT)).record.reused == {}
    assert notes.total == 3
    later = run(again, tmp_path / "c", notes, earlier.samples, Parrot("other"))
    assert (notes.total, later.record.reused) == (0, {"earlier": 3})
    assert [one.outcome for one in later.samples] == ["wrong", "right", "wrong"]


def test_this_machine_reuses_what_it_kept_and_another_does_not(repository: GitFolder, tmp_path: Path) -> None:
    """A project reads whole samples where they are, and the published ones elsewhere."""
    project = Project.open(repository.path, {})
    done = private(repository, project.workspace)
    project.pending.store(done.record, done.packed)
    ((_, _, here),) = project.reusable(done.record.generation)
    assert [one.text for one in here] == [TEXT] * 3
    whole_samples(project.workspace, done.record.run_id).unlink()
    ((_, _, elsewhere),) = project.reusable(done.record.generation)
    assert [one.text for one in elsewhere] == [""] * 3


def test_a_key_is_made_once_and_kept_to_oneself(tmp_path: Path) -> None:
    """The next run finds the same one; a damaged one is named, with what to type."""
    path = tmp_path / "samples" / "key"
    assert proof_key(tmp_path) == proof_key(tmp_path)
    assert (len(proof_key(tmp_path)), path.stat().st_mode & 0o777) == (32, 0o600)
    assert [file.name for file in path.parent.iterdir()] == ["key"]
    path.write_bytes(b"short")
    with pytest.raises(StorageError, match="is not a key") as caught:
        proof_key(tmp_path)
    assert caught.value.hint.startswith(f"rm {path}")


def test_samples_that_cannot_be_read_are_passed_over(repository: GitFolder, tmp_path: Path) -> None:
    """A broken file of an earlier run costs its samples, not the new run; a note says so."""
    project = Project.open(repository.path, {})
    work = job(repository, SUITE, grader="math", samples=1)
    done = run(work, tmp_path, start=Parrot(TEXT))
    project.pending.store(done.record, pack_samples(done.samples)[:12])
    notes = Notes()
    later = run(work, tmp_path / "b", notes, start=Parrot(TEXT), reusable=project.reusable)
    assert [one.outcome for one in later.samples] == ["wrong", "right", "wrong"]
    assert any("are not reused" in note for note in notes.notes)


def test_an_error_does_not_quote_a_private_answer(repository: GitFolder, tmp_path: Path) -> None:
    """The message that ends a run goes to logs that others read."""
    suite = SUITE.replace(b"\\\\text{", b"\\\\oops{").replace(b'}"}', b'}^"}')
    with pytest.raises(GraderError, match="could not be graded") as caught:
        run(job(repository, suite, grader="math", samples=1, public="false"), tmp_path, start=Parrot(r"\boxed{x+1}"))
    assert SECRET not in caught.value.message + caught.value.hint + caught.value.detail


@model
def test_a_private_run_is_reproduced_by_its_proofs(repository: GitFolder) -> None:
    """The machine that measured it compares the texts by their proofs; another one says what it could not compare."""
    project = Project.open(repository.path, {})
    work = job(repository, samples=1, public="false", max_tokens=60)
    record = enter(project, bench(project, work.commit, "full", Notes())).record
    found = reproduce(project, record.run_id, Notes())
    assert (found.same, found.unproven, found.different) == (12, 0, [])
    (project.workspace / "samples" / "key").unlink()
    found = reproduce(project, record.run_id, Notes())
    assert (found.same, found.unproven) == (12, 12)
