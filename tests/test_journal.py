from __future__ import annotations

import multiprocessing
import resource
import signal
from pathlib import Path

import msgspec
import pytest

from publisher.bench.journal import Journal, journal_path
from publisher.errors import StorageError
from publisher.schema import Sample

SAMPLE = Sample(
    suite="s",
    problem="p-1",
    sample=0,
    seed=7,
    outcome="wrong",
    answer="41",
    finish="stop",
    prompt_tokens=9,
    tokens=5,
    latency=0.25,
    text="so \\boxed{41}",
)


def numbered(number: int) -> Sample:
    """Return the sample with another number."""
    return msgspec.structs.replace(SAMPLE, sample=number)


def filled(path: Path, count: int) -> None:
    """Leave a journal of `count` samples behind."""
    with Journal(path) as journal:
        for number in range(count):
            journal.append(numbered(number))


def test_a_journal_gives_back_what_was_appended(tmp_path: Path) -> None:
    """A later process finds every sample, in order, and continues after them."""
    path = tmp_path / "a" / "b.jsonl"
    filled(path, 3)
    with Journal(path) as journal:
        assert journal.samples == [numbered(0), numbered(1), numbered(2)]
        journal.append(numbered(3))
    with Journal(path) as journal:
        assert len(journal.samples) == 4


def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path: Path) -> None:
    """Wherever a crash cut the file, whole lines stay, the torn one is dropped, and appending works."""
    filled(tmp_path / "whole", 3)
    data = (tmp_path / "whole").read_bytes()
    for length in range(0, len(data), 5):
        path = tmp_path / "torn"
        path.write_bytes(data[:length])
        with Journal(path) as journal:
            assert journal.samples == [numbered(number) for number in range(data[:length].count(b"\n"))]
            journal.append(numbered(9))
        assert path.read_bytes().endswith(msgspec.json.encode(numbered(9)) + b"\n")


def test_what_follows_a_broken_line_is_not_believed(tmp_path: Path) -> None:
    """A line that is no sample ends the journal."""
    path = tmp_path / "j"
    filled(path, 2)
    path.write_bytes(path.read_bytes() + b'{"what": 1}\n' + msgspec.json.encode(numbered(5)) + b"\n")
    with Journal(path) as journal:
        assert len(journal.samples) == 2


def test_a_killed_process_leaves_every_finished_sample(tmp_path: Path) -> None:
    """SIGKILL loses nothing that `append` returned from, and the lock goes with the process."""
    context = multiprocessing.get_context("spawn")
    parent, child = context.Pipe()
    process = context.Process(target=_append_until_killed, args=(tmp_path / "j", child))
    process.start()
    while (count := parent.recv()) < 40:
        pass
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with Journal(tmp_path / "j") as journal:
        assert len(journal.samples) >= count


def _append_until_killed(path: Path, pipe: multiprocessing.connection.Connection) -> None:
    with Journal(path) as journal:
        for number in range(1_000_000):
            journal.append(numbered(number))
            pipe.send(number + 1)


def test_two_processes_cannot_hold_one_journal(tmp_path: Path) -> None:
    """The second is told that the commit is being measured, and the first is not disturbed."""
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(StorageError, match="another publisher is measuring"):
            Journal(tmp_path / "j")
        journal.append(numbered(0))


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    """Running out of space is a StorageError; the samples before it are whole and nothing half-written follows."""
    path = tmp_path / "j"
    filled(path, 2)
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Journal(path) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
            with pytest.raises(StorageError, match="cannot write"):
                journal.append(numbered(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.stat().st_size == size


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    """A file where the folder should be is a StorageError that names the journal."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        Journal(tmp_path / "file" / "j.jsonl")


def test_each_run_has_a_journal_of_its_own(tmp_path: Path) -> None:
    """Commit, tier, fingerprint and salt each lead to another file."""
    one = {"commit": "c", "tier": "t", "fingerprint": "f", "salt": ""}
    others = [journal_path(tmp_path, **{**one, key: "x"}) for key in one]
    assert len({journal_path(tmp_path, **one), *others}) == 5


def test_samples_of_other_choices_are_dropped(tmp_path: Path) -> None:
    """A run has the answers of one engine; the same choices keep them, and what decides nothing is not written."""
    path = tmp_path / "j"
    with Journal(path) as journal:
        assert journal.settle("64 slots")
        journal.append(numbered(0))
    with Journal(path) as journal:
        assert (journal.choices, journal.samples) == ("64 slots", [numbered(0)])
        assert journal.settle("64 slots")
        journal.append(numbered(1))
    with Journal(path) as journal:
        assert not journal.settle("32 slots")
        assert journal.samples == []
    with Journal(path) as journal:
        assert (journal.choices, journal.samples) == ("32 slots", [])
