from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from publisher.errors import ModelError
from publisher.schema import Sample
from tests.made import GitFolder
from tests.measuring import SUITE, Notes, essence, job, model, run


@model
def test_an_interrupted_run_continues_where_it_was(repository: GitFolder, tmp_path: Path) -> None:
    """What was finished is not generated again, and the result is that of a run without interruption."""
    work = job(repository)
    with pytest.raises(KeyboardInterrupt):
        run(work, tmp_path / "torn", Notes(stop=7))
    notes = Notes()
    done = run(work, tmp_path / "torn", notes)
    assert "continuing after 7 samples of an interrupted run" in notes.notes
    assert (notes.total, len(notes.samples)) == (17, 17)
    assert essence(done.samples) == essence(run(work, tmp_path / "whole").samples)


@model
def test_the_journal_stays_until_it_is_forgotten(repository: GitFolder, tmp_path: Path) -> None:
    """A crash between the run and the storing of its record costs nothing."""
    work = job(repository)
    done = run(work, tmp_path)
    notes = Notes()
    assert run(work, tmp_path, notes).samples == done.samples
    assert notes.total == 0
    done.forget_journal()
    assert list((tmp_path / "journal").iterdir()) == []


@model
def test_samples_of_an_equal_generation_are_reused(repository: GitFolder, tmp_path: Path) -> None:
    """A later commit that does not change the model generates nothing; its record names the run that did."""
    earlier = run(job(repository), tmp_path / "a")
    notes = Notes()
    later = run(job(repository), tmp_path / "b", notes, earlier.samples)
    assert (notes.total, later.samples) == (0, earlier.samples)
    assert later.record.reused == {"earlier": 24}
    assert later.record.commit.sha != earlier.record.commit.sha
    assert later.record.fingerprint == earlier.record.fingerprint


@model
def test_only_what_is_missing_is_generated(repository: GitFolder, tmp_path: Path) -> None:
    """With more samples per problem, those of an earlier run are kept and only the others are generated."""
    earlier = run(job(repository, samples=1), tmp_path / "a")
    notes = Notes()
    later = run(job(repository, samples=2), tmp_path / "b", notes, earlier.samples)
    assert (notes.total, later.record.reused) == (12, {"earlier": 12})
    assert essence(later.samples) == essence(run(job(repository, samples=2), tmp_path / "c").samples)


@model
def test_reused_samples_are_graded_again(repository: GitFolder, tmp_path: Path) -> None:
    """An old outcome is not believed. Where the text was cut, the stored answer is compared again."""
    earlier = run(job(repository), tmp_path / "a")
    false = [msgspec.structs.replace(one, outcome="wrong") for one in earlier.samples]
    assert essence(run(job(repository), tmp_path / "b", None, false).samples) == essence(earlier.samples)
    cut = [msgspec.structs.replace(one, text=one.text[:5], clipped=len(one.text) - 5) for one in false]
    again = run(job(repository), tmp_path / "c", None, cut)
    assert [one.outcome for one in again.samples] == [one.outcome for one in earlier.samples]


@model
def test_samples_of_other_seeds_are_not_reused(repository: GitFolder, tmp_path: Path) -> None:
    """A changed suite has other seeds, so no sample of the old one is mixed in."""
    earlier = run(job(repository, samples=1), tmp_path / "a")
    notes = Notes()
    run(job(repository, SUITE + b"\n", samples=1), tmp_path / "b", notes, earlier.samples)
    assert notes.total == 12


class Killer(Notes):
    """An observer that kills the engine's process once a few samples are done."""

    def sampled(self, sample: Sample, statistics: Mapping[str, float]) -> None:
        """Count, and kill what runs the engine."""
        super().sampled(sample, statistics)
        if len(self.samples) == 3:
            for children in Path("/proc/self/task").glob("*/children"):
                for child in children.read_text().split():
                    if b"engine.child.main" in Path(f"/proc/{child}/cmdline").read_bytes():
                        os.kill(int(child), signal.SIGKILL)


@model
def test_a_crash_of_the_engine_keeps_what_was_finished(repository: GitFolder, tmp_path: Path) -> None:
    """The run ends in a ModelError; the next one continues after the finished samples."""
    work = job(repository, samples=8)
    with pytest.raises(ModelError, match="SIGKILL"):
        run(work, tmp_path, Killer())
    notes = Notes()
    run(work, tmp_path, notes)
    assert 3 <= 96 - notes.total < 96


def test_a_run_continues_only_with_an_engine_of_the_same_shapes(repository: GitFolder, tmp_path: Path) -> None:
    """Fast answers depend on the slots: an interrupted run keeps its samples where they are the same, else none."""
    wanted = job(repository, mode="fast")
    with pytest.raises(KeyboardInterrupt):
        run(wanted, tmp_path, Notes(stop=7))
    (journal,) = (tmp_path / "journal").iterdir()
    whole = journal.read_bytes()
    assert whole.startswith(b'{"choices":')
    again = Notes()
    run(wanted, tmp_path, again)
    assert "continuing after 7 samples of an interrupted run" in again.notes
    assert not any("starts anew" in note for note in again.notes)
    head, _, samples = whole.partition(b"\n")
    journal.write_bytes(head.replace(b"slots", b"other") + b"\n" + samples)
    anew = Notes()
    done = run(wanted, tmp_path, anew)
    assert any("starts anew" in note for note in anew.notes)
    assert len(anew.samples) == len(done.samples) == 24
