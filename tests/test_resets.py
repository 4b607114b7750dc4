"""A baseline that starts anew on purpose: by a commit's trailer, or by the policy; named in the verdict."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.config import MaxDrop, Regression, parse
from publisher.errors import ConfigError
from publisher.gate.baseline import Measured, Reset
from publisher.git.ancestry import containing, newest_with_trailer
from publisher.publishing import pipeline
from publisher.publishing.project import Project as Opened
from publisher.publishing.resets import reset_of
from tests.gate_cases import policy, run_of, verdict_on
from tests.measuring import Notes
from tests.project import Project, config

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.schema import Verdict
    from tests.made import GitFolder

WORSE = config("builtin:abacus@early").replace("min = 40.0", "min = 1.0")


def test_only_a_trailer_asks_for_a_reset(repository: GitFolder) -> None:
    """The newest one counts, whatever its case; a sentence about one does not."""
    first = repository.opened.resolve("HEAD")
    assert newest_with_trailer(repository.opened, first, "Baseline", "reset") == ""
    asking = repository.commit({"a": "1"}, "New prompt\n\nWhy.\n\nbaseline: Reset\nSigned-off-by: A <a@example.org>")
    quoting = repository.commit({"a": "2"}, "Document it\n\nBaseline: reset\n\nstarts a baseline anew.")
    assert newest_with_trailer(repository.opened, quoting, "Baseline", "reset") == asking
    assert containing(repository.opened, asking, {first, asking, quoting, "0" * 40}) == {asking, quoting}


def test_runs_before_a_reset_are_no_baseline() -> None:
    """The verdict says why nothing is compared, and later runs compare with those since the reset only."""
    old, new = run_of(1, [16] * 30, 16), run_of(2, [8] * 30, 16)
    why = "the baseline starts anew at 0123456789ab (Baseline: reset)"
    reset = Measured(new.line, new.record, Reset(why, frozenset({old.line.run_id}), "0" * 40))
    verdict = verdict_on(reset, [old], policy(Regression(), MaxDrop(points=5.0)))
    assert (verdict.verdict, verdict.baseline, verdict.reset) == ("kept", why, "0" * 40)
    assert all(f"no kept run can be compared with, because {why}" in rule.reason for rule in verdict.rules)


def test_the_ledger_remembers_a_reset() -> None:
    """A shallow clone does not see the commit that asked for it, and compares with the runs since all the same."""
    before = run_of(1, [16] * 30, 16)
    since = [run_of(number, [8] * 30, 16) for number in (2, 3)]
    since = [Measured(msgspec.structs.replace(one.line, reset="0" * 40), one.record) for one in since]
    verdict = verdict_on(run_of(4, [8] * 30, 16), [before, *since], policy(Regression()))
    assert (verdict.verdict, verdict.rules[0].runs) == ("kept", 2)


def measured(project: Opened) -> Verdict:
    """Measure HEAD and put it into the ledger."""
    return pipeline.enter(project, pipeline.bench(project, "HEAD", "full", Notes())).verdict


@pytest.mark.model
def test_a_commit_resets_the_baseline_with_its_trailer(tmp_path: Path) -> None:
    """A worse model on purpose is kept, the verdict names the commit, and the history remembers it."""
    project = Project.create(tmp_path, remote=False)
    opened = Opened.open(project.folder.path, os.environ)
    assert measured(opened).verdict == "kept"
    asking = project.folder.commit({"publisher.toml": WORSE}, "Smaller model\n\nBaseline: reset")
    verdict = measured(opened)
    assert (verdict.verdict, verdict.reset) == ("kept", asking)
    assert f"the baseline starts anew at {asking[:12]} (Baseline: reset)" in verdict.rules[1].reason
    assert opened.runs()[-1].line.reset == asking


@pytest.mark.model
def test_a_reset_counts_on_the_trusted_branch_only(tmp_path: Path) -> None:
    """A commit elsewhere cannot excuse itself, and its verdict says that its wish does not count."""
    project = Project.create(tmp_path, remote=False)
    assert measured(Opened.open(project.folder.path, os.environ)).verdict == "kept"
    project.folder.git("switch", "--quiet", "-c", "aside")
    project.folder.commit({"publisher.toml": WORSE}, "Smaller model\n\nBaseline: reset")
    opened = Opened.open(project.folder.path, os.environ, policy_ref="main")
    record = pipeline.bench(opened, "HEAD", "full", Notes())
    verdict = pipeline.verdict_of(opened, record)
    assert verdict.verdict == "rejected"
    assert verdict.baseline.endswith("does not count, because it is not on main")


def test_the_policy_may_name_where_the_baseline_starts(tmp_path: Path) -> None:
    """A run or a commit; what names neither is a mistake, found before anything is measured."""
    project = Project.create(tmp_path, remote=False)
    opened = Opened.open(project.folder.path, os.environ)
    first = project.folder.git("rev-parse", "HEAD")
    second = project.folder.commit({"note": "2"}, "Second")
    lines = [run_of(number, [8] * 30, 16).line for number in (1, 2)]
    lines = [msgspec.structs.replace(line, commit=sha) for line, sha in zip(lines, (first, second), strict=True)]
    for start in (second[:12], lines[1].run_id):
        found = reset_of(opened, second, policy(baseline=start), lines)
        assert found is not None
        assert found.before == {lines[0].run_id}
        assert f"the baseline starts at {start} ([gate] baseline)" == found.why
    with pytest.raises(ConfigError, match=r"gate\.baseline: '0123456789ab' is neither a run"):
        reset_of(opened, second, policy(baseline="0123456789ab"), lines)


@pytest.mark.parametrize("start", ["HEAD~1", "--all", "xyz", "01234"])
def test_only_a_commit_or_a_run_can_start_a_baseline(start: str) -> None:
    """Branches move, and a baseline that moves by itself is none."""
    with pytest.raises(ConfigError, match=r"gate\.baseline"):
        parse(config().replace("[gate]", f'[gate]\nbaseline = "{start}"').encode())
