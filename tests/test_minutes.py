"""A tier's minutes: forecast from what is recorded, refused or trimmed before anything runs, and enforced."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from publisher.bench.measure import measure
from publisher.bench.plan import Job
from publisher.config import parse
from publisher.engine.protocol import Completion, SampleRequest
from publisher.errors import ModelError, OutOfTimeError, UsageError
from publisher.files import sha256_hex
from publisher.publishing import pipeline
from publisher.publishing.project import Project as Opened
from tests.made import GitFolder
from tests.measuring import CONFIG, DEFAULTS, STARTED, SUITE, Notes, Parrot
from tests.project import Project, config

if TYPE_CHECKING:
    from pathlib import Path

TIER = '[tiers.full]\nsuites = ["small"]\n'


class Slow(Parrot):
    """It answers one request and then thinks until it is stopped."""

    def __init__(self, text: str) -> None:
        """Answer `text`."""
        super().__init__(text)
        self.stopped = threading.Event()

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Answer the first request."""
        yield from super().generate(requests[:1])
        assert self.stopped.wait(120), "nobody stopped it"
        raise ModelError("the engine was ended")

    def stop(self) -> None:
        """Stop thinking."""
        self.stopped.set()


def test_a_run_ends_with_its_minutes_and_continues(tmp_path: Path) -> None:
    """What was generated stays in the journal; the same command continues, with minutes of its own."""
    folder = GitFolder.create(tmp_path / "work")
    text = CONFIG.format(**DEFAULTS) + '[tiers.full]\nsuites = ["few"]\npublish = true\nminutes = 0.01\n'
    commit = folder.commit({"publisher.toml": text, "few.jsonl": SUITE})
    parsed = parse(text.encode())
    job = Job(folder.opened, commit, parsed, sha256_hex(text.encode()), "full", False, "", STARTED)
    with pytest.raises(OutOfTimeError, match=r"the tier full has used up its 0\.01 minutes") as caught:
        measure(job, start=Slow("42"), workspace=tmp_path, reusable=lambda _: (), observer=Notes())
    assert caught.value.exit_code == 4
    assert "the same command continues from here" in caught.value.hint
    notes = Notes()
    done = measure(job, start=Parrot("42"), workspace=tmp_path, reusable=lambda _: (), observer=notes)
    assert "continuing after 1 samples of an interrupted run" in notes.notes
    assert len(done.samples) == 2 * len(SUITE.splitlines())


class Stuck(Slow):
    """An engine that finishes no answer before it is stopped."""

    def generate(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """Finish none of them."""
        yield from Parrot.generate(self, requests[:0])
        assert self.stopped.wait(120), "nobody stopped it"
        raise ModelError("the engine was ended")


def test_minutes_in_which_nothing_was_finished_are_too_few(tmp_path: Path) -> None:
    """The same command would come no further, so that is not what the message says."""
    folder = GitFolder.create(tmp_path / "work")
    text = CONFIG.format(**DEFAULTS) + '[tiers.full]\nsuites = ["few"]\npublish = true\nminutes = 0.001\n'
    commit = folder.commit({"publisher.toml": text, "few.jsonl": SUITE})
    job = Job(folder.opened, commit, parse(text.encode()), sha256_hex(text.encode()), "full", False, "", STARTED)
    with pytest.raises(OutOfTimeError) as caught:
        measure(job, start=Stuck("42"), workspace=tmp_path, reusable=lambda _: (), observer=Notes())
    assert caught.value.hint.startswith("raise tiers.full.minutes")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with a recorded run of two samples per problem."""
    project = Project.create(tmp_path_factory.mktemp("minutes"), remote=False)
    commit(project, "")
    opened = Opened.open(project.folder.path, os.environ)
    pipeline.enter(opened, pipeline.bench(opened, "HEAD", "full", Notes()))
    return project


def commit(project: Project, more: str, samples: int = 2) -> None:
    """Commit a tier with `more` in it, and another prompt, so that nothing can be reused."""
    suites = f"[tiers.full]\nsuites = {{ small = {{ samples = {samples} }} }}\n"
    text = config(temperature=0.7).replace(TIER, suites + more)
    project.folder.commit({"publisher.toml": text.replace("helpful", f"helpful {len(more)}")}, f"Tier {more}")


def bench(project: Project) -> tuple[int, list[str]]:
    """Measure HEAD and return its samples per problem with the notes."""
    notes = Notes()
    record = pipeline.bench(Opened.open(project.folder.path, os.environ), "HEAD", "full", notes)
    return record.suites[0].samples, notes.notes


@pytest.mark.model
def test_a_tier_that_fits_says_so(recorded: Project) -> None:
    """The forecast is announced before anything is generated."""
    commit(recorded, "minutes = 60\n", samples=1)
    samples, notes = bench(recorded)
    assert samples == 1
    assert any("48 samples take about " in note and note.endswith("of 60") for note in notes)


@pytest.mark.model
def test_a_tier_that_does_not_fit_is_rejected_before_it_starts(recorded: Project) -> None:
    """By default nothing is generated, and the message says what to change."""
    commit(recorded, "minutes = 0.001\n", samples=64)
    with pytest.raises(
        UsageError, match=r"the tier full would take about .* minutes .*, and may take 0\.001"
    ) as caught:
        bench(recorded)
    assert 'over = "trim"' in caught.value.hint


@pytest.mark.model
def test_a_tier_may_be_trimmed_by_an_announced_rule(recorded: Project) -> None:
    """With `over = "trim"` each suite takes the same smaller share; a run that was interrupted keeps it."""
    minutes = forecast(recorded) / 100
    commit(recorded, f'minutes = {minutes:.6f}\nover = "trim"\n', samples=200)
    notes = Notes(stop=1)
    opened = Opened.open(recorded.folder.path, os.environ)
    with pytest.raises((KeyboardInterrupt, OutOfTimeError)):
        pipeline.bench(opened, "HEAD", "full", notes)
    assert any(note.startswith("trimmed to ") and "instead of 200 per problem of small" in note for note in notes.notes)
    again = Notes(stop=1)
    with pytest.raises((KeyboardInterrupt, OutOfTimeError)):
        pipeline.bench(opened, "HEAD", "full", again)
    assert any(note.startswith("continuing with ") for note in again.notes)
    commit(recorded, 'minutes = 0.0000001\nover = "trim"\n', samples=200)
    with pytest.raises(UsageError, match="even one sample per problem"):
        bench(recorded)


def forecast(project: Project) -> float:
    """Return the minutes that 200 samples per problem would take, as the message says."""
    commit(project, "minutes = 0.0001\n", samples=200)
    with pytest.raises(UsageError) as caught:
        bench(project)
    return float(caught.value.message.split("about ")[1].split(" ")[0])
