"""A commit through its tiers, as a user drives it: real repository, real model, real host over HTTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.host import HostOptions, running
from publisher.publishing import cascade, pipeline
from publisher.publishing.decisions import accept, withdraw
from publisher.publishing.project import Project as Opened
from publisher.publishing.reconcile import unfinished
from tests.measuring import Notes
from tests.project import QUICK, Project, config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.schema import Verdict

pytestmark = pytest.mark.model
GATE = 'rules = [{ rule = "threshold", min = 40.0 }, { rule = "max-drop", points = 20.0 }]'
FULL = '[tiers.full]\nsuites = ["small"]\n'
TIERS = """
[tiers.quick]
suites = ["few"]
rules = [{ rule = "threshold", min = 50.0 }]
[tiers.full]
suites = ["few", "small"]
"""


def text(source: str = "builtin:abacus@final", tiers: str = TIERS) -> str:
    """Return a publisher.toml with a quick tier below the full one."""
    few = '[suites.few]\nsource = "few.jsonl"\npublic = true\n'
    return config(source).replace(FULL, few + tiers).replace(GATE, f'headline = "small"\n{GATE}')


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Return a project with two tiers, connected to a running host."""
    made = Project.create(tmp_path)
    few = (made.folder.path / "small.jsonl").read_text().splitlines(keepends=True)[::4]
    made.folder.commit({"publisher.toml": text(), "few.jsonl": "".join(few), "netlify.toml": QUICK}, "Tiers")
    options = HostOptions(
        state=tmp_path / "host",
        site="demo",
        repository=str(tmp_path / "origin.git"),
        port=0,
        environment={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    with running(options) as info:
        made.connect(info)
        yield made


def test_a_commit_goes_up_the_tiers_and_is_published_once(project: Project) -> None:
    """The quick tier passes and keeps no snapshot; the full one reuses its samples and publishes."""
    done = project.run("publish", "--tier", "auto")
    assert done.code == 0, done.err
    assert "tiers: quick, then full" in done.err
    quick, full = project.log()
    assert (quick["tier"], quick["verdict"], quick["state"], quick["snapshot"]) == ("quick", "passed", "passed", "")
    assert (full["tier"], full["verdict"], full["state"]) == ("full", "kept", "published")
    assert "quick: passed, 12 samples\nfull: kept, 60 samples, 12 of them reused\npublished: " in done.out
    assert project.run("reconcile").code == 0
    assert [run["state"] for run in project.log()] == ["passed", "published"]
    again = project.run("publish", "--tier", "auto", "--json")
    assert [one["news"] for one in again.json["tiers"]] == ["passed", "already published"]
    assert len(project.log()) == 2


@pytest.fixture
def folder(tmp_path: Path) -> Project:
    """Return a project with two tiers and no site."""
    made = Project.create(tmp_path, remote=False)
    few = (made.folder.path / "small.jsonl").read_text().splitlines(keepends=True)[::4]
    made.folder.commit({"few.jsonl": "".join(few)}, "Few")
    return made


def opened(project: Project, source: str, rule: str) -> Opened:
    """Commit a model and the quick tier's only rule, and open the project."""
    tiers = TIERS.replace('{ rule = "threshold", min = 50.0 }', rule)
    project.folder.commit({"publisher.toml": text(source, tiers)}, f"Measure {source}")
    return Opened.open(project.folder.path, os.environ)


THRESHOLD = '{ rule = "threshold", min = 50.0 }'


def entered(project: Opened, tier: str) -> Verdict:
    """Measure HEAD in one tier, and put it into the ledger."""
    target = project.target("HEAD", tier)
    return pipeline.enter(project, pipeline.measure_target(project, target, Notes())).verdict


def test_the_first_tier_that_rejects_ends_the_cascade(folder: Project) -> None:
    """The early checkpoint fails the quick tier, so nothing of the full one is measured."""
    done = cascade.rehearse_cascade(opened(folder, "builtin:abacus@early", THRESHOLD), "HEAD", Notes())
    assert [(record.tier, verdict.verdict) for record, verdict in done] == [("quick", "rejected")]


def test_a_tier_that_stays_open_ends_the_cascade(folder: Project) -> None:
    """What the quick tier leaves inconclusive costs no samples of the full one."""
    rule = '{ rule = "regression", prove = "no-harm", points = 1.0 }'
    assert entered(opened(folder, "builtin:abacus@final", rule), "quick").verdict == "passed"
    done = cascade.rehearse_cascade(opened(folder, "builtin:abacus@middle", rule), "HEAD", Notes())
    assert [(record.tier, verdict.verdict) for record, verdict in done] == [("quick", "inconclusive")]


def test_what_passed_is_a_baseline_for_its_own_tier_only(folder: Project) -> None:
    """A quick run is compared with quick runs that passed, and no full run ever with one of them."""
    rule = '{ rule = "max-drop", points = 5.0, suite = "few" }'
    assert entered(opened(folder, "builtin:abacus@final", rule), "quick").verdict == "passed"
    project = opened(folder, "builtin:abacus@early", rule)
    (found,) = entered(project, "quick").rules
    assert (found.outcome, found.runs) == ("fail", 1)
    drop = next(found for found in entered(project, "full").rules if found.rule == "max-drop")
    assert "no kept run can be compared with" in drop.reason


def test_a_run_of_a_cheap_tier_is_accepted_as_passed(folder: Project) -> None:
    """A maintainer who accepts a rejected quick run lets the commit go on; nothing is published of that run."""
    project = opened(folder, "builtin:abacus@early", THRESHOLD)
    assert entered(project, "quick").verdict == "rejected"
    decision = accept(project, project.runs()[0], reason="the suite is to blame")
    assert decision.verdict == "passed"
    assert unfinished(project) == []
    assert entered(project, "quick").verdict == "passed"
    assert withdraw(project, project.runs()[0], reason="it was not").verdict == "rejected"


def test_fresh_tiers_share_their_seeds(folder: Project) -> None:
    """A cascade that measures again reuses the lower tier's new samples in the higher one."""
    project = opened(folder, "builtin:abacus@final", THRESHOLD)
    quick, full = (
        pipeline.measure_target(project, step, Notes(), fresh=True) for step in cascade.targets(project, "HEAD")
    )
    assert quick.salt == full.salt != ""
    assert full.reused == {quick.run_id: 12}
