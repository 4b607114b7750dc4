"""Runs that are stopped by the gate: the real model, the real repository, no site."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from publisher.errors import LostRaceError
from publisher.publishing import pipeline
from publisher.publishing.compare import new_report
from publisher.publishing.decisions import withdraw
from publisher.publishing.project import Project as Opened
from publisher.publishing.report import report_lines
from tests.measuring import Notes
from tests.project import Project, config

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.schema import Record, Verdict

pytestmark = pytest.mark.model
RULES = '[{ rule = "threshold", min = 40.0 }, { rule = "max-drop", points = 20.0 }]'


def policy(text: str, rules: str) -> str:
    """Return a publisher.toml with another policy."""
    return text.replace(RULES, rules)


def judged(opened: Opened, *, complete: bool = False) -> tuple[Record, Verdict]:
    """Measure HEAD with looks and put it into the ledger."""
    record = pipeline.bench(opened, "HEAD", "full", Notes(), until="complete" if complete else "decided")
    entry = pipeline.enter(opened, record)
    return entry.record, entry.verdict


def test_a_broken_model_is_rejected_with_a_part_of_its_samples(tmp_path: Path) -> None:
    """One look is enough for the early checkpoint; completing the run makes another one, with the same verdict."""
    project = Project.create(tmp_path, remote=False)
    rules = '[{ rule = "regression" }]'
    project.folder.commit({"publisher.toml": policy(config(), rules)}, "Test for regressions")
    opened = Opened.open(project.folder.path, os.environ)
    good, verdict = judged(opened)
    assert (verdict.verdict, good.stopped_early) == ("kept", None)
    project.folder.commit({"publisher.toml": policy(config("builtin:abacus@early"), rules)}, "Worse")
    bad, verdict = judged(opened)
    assert bad.stopped_early is not None
    assert bad.stopped_early.share <= 0.5
    assert bad.results[0].counts.scored == bad.stopped_early.samples < 48
    assert verdict.verdict == "rejected"
    assert verdict.stopped_early.startswith("regression: ")
    again, _ = judged(opened)
    assert again.run_id == bad.run_id, "the verdict is there: nothing is measured again"
    whole, verdict = judged(opened, complete=True)
    assert (whole.stopped_early, whole.reused) == (None, {bad.run_id: bad.stopped_early.samples})
    assert whole.fingerprint != bad.fingerprint
    assert verdict.verdict == "rejected"
    lines = [run.line for run in opened.runs()]
    assert [(line.verdict, bool(line.stopped_early)) for line in lines] == [
        ("kept", False),
        ("rejected", True),
        ("rejected", False),
    ]


def test_a_look_compares_with_what_the_ledger_holds(tmp_path: Path) -> None:
    """Also on a machine whose clock is behind, so that the kept run has a later name."""
    project = Project.create(tmp_path, remote=False)
    rules = '[{ rule = "regression" }]'
    project.folder.commit({"publisher.toml": policy(config(), rules)}, "Test for regressions")
    opened = Opened.open(project.folder.path, os.environ)
    judged(opened)
    project.folder.commit({"publisher.toml": policy(config("builtin:abacus@early"), rules)}, "Worse")
    bad, verdict = judged(replace(opened, clock=lambda: time.time() - 3600))
    assert bad.run_id < opened.runs()[0].run_id, "the kept run, entered first, has the later name"
    assert bad.stopped_early is not None
    assert verdict.verdict == "rejected"


def test_without_early_verdicts_every_sample_is_taken(tmp_path: Path) -> None:
    """`early = false` leaves the run complete, and rejected all the same."""
    project = Project.create(tmp_path, remote=False)
    rules = '[{ rule = "threshold", min = 99.0 }]\nearly = false'
    project.folder.commit({"publisher.toml": policy(config("builtin:abacus@early"), rules)}, "Worse")
    record, verdict = judged(Opened.open(project.folder.path, os.environ))
    assert record.stopped_early is None
    assert verdict.verdict == "rejected"


def test_a_look_that_would_not_reject_any_more_ends_nothing(tmp_path: Path) -> None:
    """The baseline has changed since: the run continues from its samples, and its verdict is a complete run's."""
    project = Project.create(tmp_path, remote=False)
    rules = '[{ rule = "regression" }]'
    project.folder.commit({"publisher.toml": policy(config(), rules)}, "Test for regressions")
    opened = Opened.open(project.folder.path, os.environ)
    good, _ = judged(opened)
    project.folder.commit({"publisher.toml": policy(config("builtin:abacus@early"), rules)}, "Worse")
    stopped = pipeline.bench(opened, "HEAD", "full", Notes(), until="decided")
    assert stopped.stopped_early is not None
    run = opened.run(good.run_id)
    assert run is not None
    withdraw(opened, run, reason="it was measured with the wrong prompt")
    with pytest.raises(LostRaceError, match="the baseline has changed"):
        pipeline.enter(opened, stopped)
    again = pipeline.bench(opened, "HEAD", "full", Notes(), until="decided")
    assert (again.stopped_early, again.reused) == (None, {stopped.run_id: stopped.stopped_early.samples})
    assert [record.run_id for record in opened.pending.records()] == [again.run_id]
    assert pipeline.enter(opened, again).verdict.verdict == "kept"


def test_completing_keeps_a_verdict_that_was_not_recorded_yet(tmp_path: Path) -> None:
    """A rehearsal stops at a look; `--complete` records that rejection first, and so the whole run is rejected."""
    project = Project.create(tmp_path, remote=False)
    rules = '[{ rule = "regression" }]'
    project.folder.commit({"publisher.toml": policy(config(), rules)}, "Test for regressions")
    opened = Opened.open(project.folder.path, os.environ)
    judged(opened)
    project.folder.commit({"publisher.toml": policy(config("builtin:abacus@early"), rules)}, "Worse")
    stopped = pipeline.bench(opened, "HEAD", "full", Notes(), until="decided")
    whole = pipeline.measure_decided(opened, opened.target("HEAD", "full"), Notes(), until="complete")
    assert whole.stopped_early is None
    last = opened.runs()[-1]
    assert (last.run_id, last.line.verdict) == (stopped.run_id, "rejected")
    assert any(rule.rule == "look" for rule in pipeline.enter(opened, whole).verdict.rules)


def test_what_was_spent_counts_unfinished_answers(tmp_path: Path) -> None:
    """The tokens of a stopped run are at least those of the answers that its look saw."""
    project = Project.create(tmp_path, remote=False)
    rules = '[{ rule = "threshold", min = 99.0 }]'
    project.folder.commit({"publisher.toml": policy(config("builtin:abacus@early"), rules)}, "Worse")
    opened = Opened.open(project.folder.path, os.environ)
    record, verdict = judged(opened)
    assert record.stopped_early is not None
    assert record.statistics["decode_tokens"] >= record.results[0].tokens
    said = "\n".join(report_lines(record, new_report(opened, record, verdict)))
    assert f"{record.statistics['decode_tokens']:,.0f} tokens were decoded" in said
