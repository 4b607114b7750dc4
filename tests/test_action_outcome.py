"""What the action's last step says of a run: outputs, annotations, and whether the job fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from publisher.files import canonical_json
from publisher.gate.baseline import Measured
from publisher.gate.compare import identity
from publisher.ledger.history import summarize
from publisher.schema import Report
from tests import made
from tests.test_report import RATES
from tests.test_report import made as reported


@pytest.mark.parametrize(
    ("word", "no_gain", "code", "failed"),
    [("passed", False, "0", 0), ("rejected", False, "1", 1), ("rejected", True, "0", 0), ("rejected", True, "1", 1)],
)
def test_the_job_fails_as_the_gate_does(tmp_path: Path, word: str, no_gain: bool, code: str, failed: int) -> None:
    """A tier that publishes nothing has an output too; a missing gain fails the job where the policy says so."""
    run = made.record()
    verdict = msgspec.structs.replace(made.verdict(run, word), no_gain=no_gain)
    told = identity(Measured(summarize(run), run))
    report = Report(run=told, verdict=verdict, scores={}, baseline=[], blind=[], samples=1, planned=1)
    (tmp_path / "report.json").write_bytes(canonical_json(report))
    (tmp_path / "report.md").write_text("x")
    # A link may lead to what has no end.
    (tmp_path / "publisher.toml").symlink_to("/dev/zero")
    output = tmp_path / "output"
    environment = {"GITHUB_OUTPUT": str(output), "GITHUB_WORKSPACE": str(tmp_path), "CODE": code}
    command = [sys.executable, "-m", "publisher.cli.github", "outcome", "report.json", "outcome.json"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == failed, done.stderr
    assert f"verdict={word}\n" in output.read_text()


@pytest.mark.parametrize(
    ("word", "fail_on", "code"),
    [
        ("rejected", "rejected", 1),
        ("inconclusive", "rejected", 0),
        ("inconclusive", "rejected, inconclusive", 1),
        ("held", "held", 1),
        ("kept", "rejected,inconclusive,held", 0),
    ],
)
def test_fail_on_names_the_verdicts_that_fail_the_job(tmp_path: Path, word: str, fail_on: str, code: int) -> None:
    """What is undecided fails a job only where that was asked for; the outputs are written in any case."""
    _, report = reported([rate / 2 for rate in RATES])
    changed = msgspec.structs.replace(report, verdict=msgspec.structs.replace(report.verdict, verdict=word))
    (tmp_path / "report.json").write_bytes(canonical_json(changed))
    (tmp_path / "report.md").write_text("x")
    done = outcome_step(tmp_path, FAIL_ON=fail_on)
    assert done.returncode == code, done.stderr
    assert f"verdict={word}\n" in (tmp_path / "output").read_text()


def test_a_failed_step_before_sets_no_output(tmp_path: Path) -> None:
    """Without a report there is one message, the exit code of a wrong use, and no output at all."""
    done = outcome_step(tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "report.json" in done.stderr
    assert not (tmp_path / "output").exists()


def test_text_from_outside_becomes_no_command(tmp_path: Path) -> None:
    """A reason with line breaks, percent signs and commands is one annotation; strange words are no outputs."""
    _, report = reported([rate / 2 for rate in RATES])
    evil = "%0A::set-output name=x::y\n::error::z\r\x1b[31m"
    rule = msgspec.structs.replace(report.verdict.rules[0], reason=evil, rule="x,line=9::\n", outcome="fail")
    verdict = msgspec.structs.replace(report.verdict, rules=[rule])
    run = msgspec.structs.replace(report.run, run_id="x\nverdict=kept")
    (tmp_path / "report.json").write_bytes(canonical_json(msgspec.structs.replace(report, verdict=verdict, run=run)))
    (tmp_path / "report.md").write_text("x")
    done = outcome_step(tmp_path)
    (line,) = done.stdout.splitlines()
    assert line.startswith("::error file=publisher.toml,line=1,title=x%2Cline=9")
    assert "%250A" in line
    names = [entry.partition("=")[0] for entry in (tmp_path / "output").read_text().splitlines()]
    assert sorted(names) == ["interval", "report", "score", "verdict"]


def outcome_step(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the step that sets the outputs on the report in `folder`."""
    own = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_WORKSPACE": str(folder), **environment}
    command = [sys.executable, "-m", "publisher.cli.github", "outcome", "report.json", "outcome.json"]
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
