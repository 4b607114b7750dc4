"""What becomes of a run beside kept and rejected: unchanged, held, accepted, withdrawn, measured further."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.config import Regression, Threshold
from publisher.host import HostOptions, running
from publisher.publishing import pipeline
from publisher.publishing.extend import extended, extension, has
from publisher.publishing.project import Project as Opened
from publisher.schema import RuleResult
from tests.gate_cases import policy, run_of, verdict_on
from tests.measuring import Notes
from tests.project import QUICK, Project, config

if TYPE_CHECKING:
    from publisher.gate.baseline import Measured

GOOD, POOR = [15] * 30, [5] * 30
OTHER = "f" * 40


def like(run: Measured, number: int, right: list[int]) -> Measured:
    """Return a run of another commit that measured the same as `run`."""
    again = run_of(number, right, 16, fingerprint=run.line.fingerprint, generation=run.line.generation)
    commit = msgspec.structs.replace(again.record.commit, sha=OTHER)
    return type(run)(
        msgspec.structs.replace(again.line, commit=OTHER), msgspec.structs.replace(again.record, commit=commit)
    )


def test_a_commit_that_measures_the_same_is_unchanged() -> None:
    """Whatever the rules say: a corrected README is neither a gain nor a loss."""
    first = run_of(1, GOOD, 16)
    verdict = verdict_on(like(first, 2, GOOD), [first], policy(Regression(prove="gain")))
    assert (verdict.verdict, verdict.same_as) == ("unchanged", first.line.run_id)


def test_going_back_to_an_older_good_run_shares_its_snapshot() -> None:
    """Where the rules would keep it."""
    old, new = run_of(1, GOOD, 16), run_of(2, GOOD, 16)
    verdict = verdict_on(like(old, 3, GOOD), [old, new], policy(Threshold(min=50.0)))
    assert (verdict.verdict, verdict.same_as) == ("unchanged", old.line.run_id)


def test_going_back_to_a_worse_model_is_rejected() -> None:
    """It was kept once, and the model has become better since."""
    old, new = run_of(1, POOR, 16), run_of(2, GOOD, 16)
    assert verdict_on(like(old, 3, POOR), [old, new], policy(Threshold(min=50.0))).verdict == "rejected"


def test_a_project_can_want_a_snapshot_of_every_commit() -> None:
    """With `unchanged = "publish"` the rules alone decide."""
    first = run_of(1, GOOD, 16)
    wanted = policy(Threshold(min=50.0), unchanged="publish")
    assert verdict_on(like(first, 2, GOOD), [first], wanted).verdict == "kept"


def test_a_pruned_snapshot_is_not_shared() -> None:
    """There is nothing to lead to any more."""
    first = run_of(1, GOOD, 16)
    gone = type(first)(msgspec.structs.replace(first.line, pruned="2026-11-20T20:11:33Z"), first.record)
    assert verdict_on(like(first, 2, GOOD), [gone], policy(Threshold(min=50.0))).verdict == "kept"


@pytest.mark.parametrize(
    "changes",
    [
        {"given_up": "2026-11-20T00:00:00Z"},
        {"taken_down": "2026-11-20T00:00:00Z"},
        {"address": "https://snapshot-0123--wrong.netlify.app"},
    ],
)
def test_a_snapshot_that_is_never_there_is_not_shared(changes: dict[str, str]) -> None:
    """Of a run that was given up or taken down, or on a site whose name the commit corrects."""
    first = run_of(1, GOOD, 16)
    gone = type(first)(msgspec.structs.replace(first.line, **changes), first.record)
    wanted = policy(Threshold(min=50.0))
    wanted = msgspec.structs.replace(wanted, netlify=msgspec.structs.replace(wanted.netlify, site="right"))
    assert verdict_on(like(first, 2, GOOD), [gone], wanted).verdict == "kept"
    here = msgspec.structs.replace(first.line, address="https://snapshot-0123--right.netlify.app")
    assert verdict_on(like(first, 2, GOOD), [type(first)(here, first.record)], wanted).verdict == "unchanged"


def test_another_model_waits_for_approval() -> None:
    """Only where the policy asks for that, and only what it would keep."""
    first, second = run_of(1, GOOD, 16), run_of(2, GOOD, 16)
    model = msgspec.structs.replace(second.record.model, sha256="e" * 64)
    second = type(second)(second.line, msgspec.structs.replace(second.record, model=model))
    held = verdict_on(second, [first], policy(Threshold(min=50.0), approval=["model"]))
    assert held.verdict == "held"
    assert next(rule for rule in held.rules if rule.rule == "approval").reason.startswith("the model differs from")
    assert verdict_on(second, [first], policy(Threshold(min=50.0), approval=["prompt"])).verdict == "kept"
    assert verdict_on(second, [first], policy(Threshold(min=99.0), approval=["model"])).verdict == "rejected"


def undecided(most: int, k: int) -> dict[str, int]:
    """Return the extension of a run whose regression rule wants more samples."""
    run = run_of(1, GOOD, k)
    wants = RuleResult(rule="regression", suite="s", outcome="inconclusive", reason="", wants_samples=True)
    verdict = verdict_on(run, [], policy(Threshold(min=1.0)))
    verdict = msgspec.structs.replace(verdict, verdict="inconclusive", rules=[wants])
    return extension(verdict, run.record, policy(Regression(max_samples=most)))


@pytest.mark.parametrize(("most", "k", "wanted"), [(64, 16, {"s": 32}), (24, 16, {"s": 24}), (16, 16, {}), (0, 16, {})])
def test_an_undecided_run_gets_twice_as_many_samples(most: int, k: int, wanted: dict[str, int]) -> None:
    """Up to what the policy allows, and no more at that."""
    assert undecided(most, k) == wanted


def test_a_longer_tier_takes_more_samples_of_the_same_suites() -> None:
    """Everything else of the configuration stays."""
    longer = extended(policy(), "full", {"s": 32})
    assert (longer.tier("full"), longer.suites) == ({"s": 32}, policy().suites)
    assert has(run_of(1, GOOD, 32).record, {"s": 32})
    assert not has(run_of(1, GOOD, 16).record, {"s": 32})


RULES = '[{ rule = "threshold", min = 40.0 }, { rule = "max-drop", points = 20.0 }]'


@pytest.mark.model
def test_a_rejected_run_is_accepted_and_a_kept_one_withdrawn(tmp_path: Path) -> None:
    """By name and reason, on top of what the gate said; the baseline follows, and the stored verdict never changes."""
    project = Project.create(tmp_path, remote=False)
    strict = config("builtin:abacus@early").replace(RULES, '[{ rule = "threshold", min = 99.0 }]\nearly = false')
    project.folder.commit({"publisher.toml": strict}, "Ask for too much")
    opened = Opened.open(project.folder.path, os.environ)
    entry = pipeline.enter(opened, pipeline.bench(opened, "HEAD", "full", Notes()))
    run_id = entry.record.run_id
    assert project.run("accept", run_id).code == 2, "a reason is needed"
    done = project.run("accept", run_id, "--reason", "traded accuracy for speed")
    assert done.code == 0, done.err
    assert "overrules threshold: " in done.out
    (line,) = [run.line for run in Opened.open(project.folder.path, os.environ).runs()]
    assert line.decision is not None
    assert (line.verdict, line.decision.reason) == ("kept", "traded accuracy for speed")
    assert project.run("accept", run_id, "--reason", "again").code == 2
    assert project.run("reject", run_id, "--reason", "it answers in French").code == 0
    reopened = Opened.open(project.folder.path, os.environ)
    assert [run.line.verdict for run in reopened.runs()] == ["rejected"]
    assert pipeline.stored_verdict(reopened, run_id).verdict == "rejected"
    assert project.run("approve", run_id, "--reason", "x").code == 2, "it is not held"


@pytest.mark.model
def test_an_unchanged_commit_answers_with_the_address_of_what_it_shares(tmp_path: Path) -> None:
    """No call of the build hook, no move of the live site, exit code 0."""
    project = Project.create(tmp_path)
    shares = config().replace('unchanged = "publish"\n', "")
    project.folder.commit({"publisher.toml": shares, "netlify.toml": QUICK}, "First")
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    options = HostOptions(
        state=tmp_path / "host", site="demo", repository=str(tmp_path / "origin.git"), port=0, environment=path
    )
    with running(options) as info:
        project.connect(info)
        assert project.run("publish").code == 0
        (first,) = project.log()
        project.folder.commit({"README.md": "corrected"}, "Correct the README")
        done = project.run("publish", "--json")
        effects = project.run("live", "--json").json
    assert done.code == 0, done.err
    assert (done.json["news"], done.json["verdict"]["same_as"]) == ("unchanged", first["run_id"])
    assert done.json["receipt"]["address"] == first["address"]
    assert effects["run_id"] == first["run_id"]
    assert [run["verdict"] for run in project.log()] == ["kept", "unchanged"]


@pytest.mark.model
def test_more_samples_decide_what_few_left_open(tmp_path: Path) -> None:
    """A significant loss that is smaller than the policy minds asks for more, and takes over what is there."""
    project = Project.create(tmp_path, remote=False)
    rules = '[{ rule = "regression", prove = "no-harm", points = 3.0, max_samples = 4 }]\nearly = false'
    text = config(temperature=1.0).replace(RULES, rules)
    project.folder.commit({"publisher.toml": text}, "First")
    opened = Opened.open(project.folder.path, os.environ)
    pipeline.enter(opened, pipeline.bench(opened, "HEAD", "full", Notes()))
    project.folder.commit({"publisher.toml": text.replace("a helpful assistant", "a careful assistant")}, "Second")
    notes = Notes()
    record = pipeline.measure_decided(opened, opened.target("HEAD", "full"), notes)
    assert record.suites[0].samples == 4
    assert sum("the gate is undecided" in note for note in notes.notes) == 2
    assert len(list(opened.pending.records())) == 1, "only the longest run is left"
