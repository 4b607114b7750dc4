from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from markdown_it import MarkdownIt

from publisher import schema
from publisher.config import Regression, Threshold
from publisher.files import canonical_json
from publisher.gate.report import report, wanted
from publisher.publishing.markdown import report_markdown
from publisher.publishing.report import report_lines
from publisher.schema import Report, StoppedEarly
from tests.gate_cases import drawn, policy, run_of, verdict_on
from tests.made import GitFolder
from tests.project import Project, config

RATES = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9] * 5
EVIL = "`x` | <img src=x onerror=alert(1)> [a](javascript:alert(1)) @you #1 https://evil.example\n# h\x1b[31m\u202e"


def made(rates: list[float], *, seed: int = 1, history: int = 8, **changes: Any) -> tuple[schema.Record, Report]:
    """Return a run of these rates after kept ones of RATES, and its report."""
    draw = random.Random(seed)  # noqa: S311 - a simulation
    before = [run_of(number, drawn(RATES, 16, draw), 16) for number in range(1, history + 1)]
    run = run_of(20, drawn(rates, 16, draw), 16, **changes)
    rules = policy(Regression(points=3.0), Threshold(min=1.0))
    verdict = verdict_on(run, before, rules)
    lines = [one.line for one in before]
    ids = wanted(run, lines, rules)
    records = {one.line.run_id: one.record for one in before if one.line.run_id in ids}
    return run.record, report(run, lines, rules, verdict, records=records)


def test_a_report_stands_beside_the_pooled_baseline() -> None:
    """The baseline is what the regression rule pools, with the same interval as the rule's."""
    _, found = made([max(0.0, rate - 0.3) for rate in RATES])
    (suite,) = found.baseline
    rule = found.verdict.rules[0]
    assert (len(suite.runs), rule.runs, found.verdict.verdict) == (8, 8, "rejected")
    assert suite.interval == rule.interval
    assert suite.turned_wrong
    assert suite.turned_wrong[0].base_drawn == 8 * 16


def test_a_report_says_what_the_gate_could_not_have_seen() -> None:
    """With a test the smallest drop that it finds; without one, that nothing tests the suite."""
    record, found = made(RATES)
    detectable = found.verdict.rules[0].detectable
    assert found.blind[0].detectable == detectable
    assert f"finds drops of {detectable:.1f} points or more" in "\n".join(report_lines(record, found))
    alone = msgspec.structs.replace(found, blind=[schema.Blind(suite="s", detectable=None)])
    assert "s was compared with no earlier run" in "\n".join(report_lines(record, alone))


def test_a_rejection_does_not_say_what_could_have_gone_unnoticed() -> None:
    """The loss was seen; how small a one is seen would only be taken for part of the reason."""
    record, found = made([max(0.0, rate - 0.3) for rate in RATES])
    assert found.blind
    assert "not seen" not in "\n".join(report_lines(record, found))
    assert "not seen" not in report_markdown(record, found)


def test_a_report_names_what_was_changed_and_what_early_looks_saved() -> None:
    """Against the newest kept run: a setting with both its values; and the share of samples that were not needed."""
    base = run_of(1, [1] * 30, 16).record
    early = StoppedEarly(look=2, share=0.125, samples=60, planned=480, why="because")
    model = msgspec.structs.replace(base.model, quantization="Q2_K")
    record, found = made(RATES, model=model, stopped_early=early)
    text = "\n".join(report_lines(record, found))
    assert f"model quantization {base.model.quantization} → Q2_K" in text
    assert "60 of 480 samples decided it, 88% were saved" in text
    assert found.previous is not None
    assert found.previous.base.run_id == "20261101T080000Z-0123456789ab-full"


def test_a_report_shows_the_last_kept_runs_as_a_chart() -> None:
    """Kept runs on the same problems, oldest first, and then this one; a first run has no chart."""
    record, found = made([rate / 2 for rate in RATES])
    assert found.trend[-1] == found.scores[found.verdict.headline].score
    assert len(found.trend) > 3
    points = ", ".join(f"{score:.1f}" for score in found.trend)
    assert (
        f'```mermaid\nxychart-beta\n  title "The last {len(found.trend) - 1} kept runs, and this one"'
        in report_markdown(record, found)
    )
    assert f"  line [{points}]" in report_markdown(record, found)
    assert "mermaid" not in report_markdown(record, msgspec.structs.replace(found, trend=found.trend[-1:]))


def test_a_first_run_has_nothing_beside_it() -> None:
    """Without a history there is no baseline, no comparison, and no error."""
    record, found = made(RATES, history=0)
    assert (found.baseline, found.previous, found.best) == ([], None, None)
    assert "none" in report_markdown(record, found)


def test_a_suite_of_one_letter_is_named_once() -> None:
    """Its name is set as code where it is a name, not wherever the letter occurs."""
    record, found = made([0.5] * 30, history=0)
    (blind,) = found.blind
    short = msgspec.structs.replace(found, blind=[msgspec.structs.replace(blind, suite="s")])
    assert "- not seen: `s` was compared with no earlier run" in report_markdown(record, short)


def test_a_report_survives_being_stored() -> None:
    """What is written is read back as it was."""
    _, found = made([rate / 2 for rate in RATES])
    assert schema.decode(canonical_json(found), Report, "report.json") == found


def test_strangers_text_stays_inert_in_markdown() -> None:
    """Names, reasons and subjects of the worst kind make no link, no HTML, no heading and no further table cell."""
    record, found = made([rate / 3 for rate in RATES])
    rule = msgspec.structs.replace(found.verdict.rules[0], reason=EVIL, rule=EVIL, suite=EVIL, unit=EVIL)
    suite = msgspec.structs.replace(
        found.baseline[0],
        suite=EVIL,
        turned_wrong=[msgspec.structs.replace(found.baseline[0].turned_wrong[0], problem=EVIL)],
    )
    assert found.previous is not None
    change = schema.Change(part="prompt", name=EVIL, before=EVIL, after=EVIL)
    evil = msgspec.structs.replace(
        found,
        verdict=msgspec.structs.replace(found.verdict, rules=[rule]),
        baseline=[suite],
        blind=[schema.Blind(suite=EVIL, detectable=None)],
        previous=msgspec.structs.replace(found.previous, changes=[change]),
    )
    commit = msgspec.structs.replace(record.commit, subject=EVIL)
    text = report_markdown(msgspec.structs.replace(record, commit=commit), evil)
    assert "\x1b" not in text
    assert "\u202e" not in text
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert not {tag for tag in ("<img", "<a ", "<h1", "<script") if tag in page}
    plain = re.sub(r"<code>.*?</code>", "", page)
    assert not {word for word in ("@you", "https:", "alert", "#1") if word in plain}
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count(" | ") for row in rows} <= {2, 3, 7}


@pytest.mark.model
def test_publish_and_gate_write_the_report_that_they_print(tmp_path: Path) -> None:
    """Markdown and JSON beside the terminal; a wrong ending is an error before anything is measured."""
    project = Project.create(tmp_path, remote=False)
    wrong = project.run("publish", "--report", "report.txt")
    assert (wrong.code, "FILE.md or FILE.json" in wrong.err) == (2, True)
    missing = project.run("publish", "--report", "no/such/report.md")
    assert (missing.code, "no folder" in missing.err) == (2, True)
    target = tmp_path / "report.json"
    done = project.run("publish", "--dry-run", "--report", str(target))
    assert done.code == 0, done.err
    found = json.loads(target.read_text())
    assert found["verdict"]["verdict"] == "kept"
    assert found["run"]["run_id"] in project.run("gate", "--json").out
    gate = project.run("gate", "--report", str(tmp_path / "report.md"))
    assert "verdict: kept" in gate.out
    assert (tmp_path / "report.md").read_text().startswith("### ✓ kept `")
    GitFolder(project.folder.path).commit({"publisher.toml": config("builtin:abacus@early")}, "Earlier")
    assert project.run("bench").code == 0
    diff = project.run("diff", "HEAD~1")
    assert diff.code == 0, diff.err
    assert "small: 100.0 → " in diff.out
    assert "model source: builtin:abacus@final → builtin:abacus@early" in diff.out
    assert project.run("diff", "HEAD~1", "--json").json["suites"][0]["meaning"] == "worse"
    lost = project.run("diff", "nothing-like-it")
    assert (lost.code, "names no run, snapshot, pin or commit" in lost.err) == (2, True)
