"""Metrics of answers in the record, composites as scores, and rules on both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.bench.measure import Job, measure
from publisher.config import parse
from publisher.errors import ConfigError
from publisher.files import sha256_hex
from publisher.gate.baseline import Measured
from publisher.ledger.history import summarize
from tests.gate_cases import verdict_on
from tests.made import GitFolder
from tests.measuring import STARTED, SUITE, Notes, Parrot

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.schema import Verdict

CONFIG = """
[model]
name = "m"
source = "builtin:abacus@middle"
context = 512
[model.sampling]
temperature = 0.7
[prompt]
template = "{prompt} {{problem}}"
[suites.few]
source = "few.jsonl"
grader = "integer"
samples = 4
{score}
[metrics.useful]
product = ["right", "completeness"]
[gate]
rules = [{rules}]
"""
PROBLEMS = [msgspec.json.decode(line) for line in SUITE.splitlines()]


def measured(folder: GitFolder, workspace: Path, *, bare: bool, rules: str, score: str = "") -> Measured:
    """Measure a model that works half of the problems out, or one that guesses three quarters, without any working."""
    prompt = "Only the number." if bare else "Think."
    text = CONFIG.format(prompt=prompt, rules=rules, score=score).encode()
    commit = folder.commit({"publisher.toml": text, "few.jsonl": SUITE})
    job = Job(folder.opened, commit, parse(text), sha256_hex(text), "full", dirty=False, salt="", started=STARTED)
    known = PROBLEMS[: len(PROBLEMS) * 3 // 4] if bare else PROBLEMS[: len(PROBLEMS) // 2]
    answers = {
        one["problem"]: f"\\boxed{{{one['answer']}}}"
        if bare
        else f"First, {one['problem']}\nThen 1 + {one['answer']} - 1 = {one['answer']}.\n\\boxed{{{one['answer']}}}"
        for one in known
    }
    engine = Parrot("\\boxed{99999}" if bare else "First, 1 + 1 = 2.\nThen 2 = 2.\n\\boxed{99999}", answers)
    done = measure(job, start=engine, workspace=workspace, reusable=lambda _: (), observer=Notes())
    record = msgspec.structs.replace(done.record, run_id=f"{bare}-{done.record.run_id}")
    return Measured(msgspec.structs.replace(summarize(record), verdict="kept"), record)


def verdict(tmp_path: Path, rules: str, score: str = "") -> tuple[Verdict, Measured, Measured]:
    """Return the verdict on a commit that guesses more and works out nothing, with both runs."""
    folder = GitFolder.create(tmp_path / "repository")
    before = measured(folder, tmp_path / "1", bare=False, rules=rules, score=score)
    after = measured(folder, tmp_path / "2", bare=True, rules=rules, score=score)
    config = parse(CONFIG.format(prompt="", rules=rules, score=score).encode())
    return verdict_on(after, [before], config), before, after


def test_score_rises_while_completeness_falls_and_is_rejected(tmp_path: Path) -> None:
    """A budget on completeness rejects a commit that a rule on the score alone keeps."""
    found, before, after = verdict(
        tmp_path,
        '{ rule = "regression" }, { rule = "budget", metric = "completeness", percent = 10, alpha = 0.005 }',
    )
    old, new = before.record.results[0], after.record.results[0]
    assert new.score > old.score
    assert new.metrics["completeness"].value < old.metrics["completeness"].value
    assert found.verdict == "rejected"
    assert [rule.outcome for rule in found.rules] == ["pass", "fail"]
    assert "completeness" in found.rules[1].reason


def test_completeness_may_rise(tmp_path: Path) -> None:
    """A metric of which more is better fails no budget where it rises."""
    folder = GitFolder.create(tmp_path / "repository")
    rule = '{ rule = "budget", metric = "completeness", percent = 10 }'
    before = measured(folder, tmp_path / "1", bare=True, rules=rule)
    after = measured(folder, tmp_path / "2", bare=False, rules=rule)
    assert verdict_on(after, [before], parse(CONFIG.format(prompt="", rules=rule, score="").encode())).verdict == "kept"


def test_composite_is_the_headline(tmp_path: Path) -> None:
    """A suite that is scored by right × completeness has the composite's mean as its score, with its own interval."""
    rule = '{ rule = "max-drop", points = 5 }'
    found, before, after = verdict(tmp_path, rule, 'score = "useful"')
    assert before.record.suites[0].score == "right × completeness"
    assert before.line.scores["few"].score == pytest.approx(before.record.results[0].metrics["useful"].value)
    assert after.line.scores["few"].score < before.line.scores["few"].score
    assert found.verdict == "rejected"
    right = before.record.results[0].counts.right / before.record.results[0].counts.scored
    assert before.line.scores["few"].score <= 100 * right


@pytest.mark.parametrize(
    ("rules", "score", "message"),
    [
        ('{ rule = "budget", metric = "completness", limit = 3 }', "", "did you mean 'completeness'"),
        ('{ rule = "regression" }', 'score = "useful"', "tests right answers"),
        ('{ rule = "threshold", min = 3 }', 'score = "usefull"', "did you mean 'useful'"),
    ],
)
def test_rules_on_what_nothing_reports_are_mistakes(rules: str, score: str, message: str) -> None:
    """An unknown metric, an unknown composite and a test of right answers on a composite are found at load."""
    with pytest.raises(ConfigError, match=message):
        parse(CONFIG.format(prompt="", rules=rules, score=score).encode())


def test_tags_are_slices(tmp_path: Path) -> None:
    """Each tag of a problem is a slice of its own kind: topics are compared with topics, not with difficulties."""
    folder = GitFolder.create(tmp_path / "repository")
    suite = b"".join(
        msgspec.json.encode({**one, "kind": "", "tags": {"topic": "even" if place % 2 else "odd", "hard": "no"}})
        + b"\n"
        for place, one in enumerate(PROBLEMS)
    )
    text = CONFIG.format(prompt="", rules="", score="").encode()
    commit = folder.commit({"publisher.toml": text, "few.jsonl": suite})
    job = Job(folder.opened, commit, parse(text), sha256_hex(text), "full", dirty=False, salt="", started=STARTED)
    known = {one["problem"]: f"\\boxed{{{one['answer']}}}" for one in PROBLEMS[::2]}
    engine = Parrot("\\boxed{99999}", known)
    done = measure(job, start=engine, workspace=tmp_path / "w", reusable=lambda _: (), observer=Notes())
    assert done.record.results[0].metrics["slice-gap"].value == 100.0
