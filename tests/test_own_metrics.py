"""Metrics of the commit's own: numbers of a file, of a confined program, and what the answers cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.bench.measure import Job, Measurement, measure
from publisher.bench.measures import costs_of, unpriced
from publisher.bench.own_metrics import numbers
from publisher.config import Budget, PricesConfig, parse
from publisher.errors import ConfigError, GraderError, PublisherError
from publisher.files import sha256_hex
from publisher.gate.baseline import Measured
from publisher.gate.metrics import _joules
from publisher.ledger.history import summarize
from publisher.render.identity import _energy
from tests.gate_cases import made_record, policy, verdict_on
from tests.made import GitFolder
from tests.measuring import STARTED, SUITE, Notes, Parrot
from tests.test_shapes import gpu

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[model]
name = "m"
source = "builtin:abacus@middle"
[suites.few]
source = "few.jsonl"
[metrics.toxicity]
better = "lower"
unit = "%"
source = "{source}"
[prices]
hour = 3.6
"""
COUNTS = """
import json, os, sys
answers = [json.loads(line) for line in sys.stdin]
assert "CANARY" not in os.environ and not os.path.exists("/work") and not os.path.exists("/root")
print(json.dumps({"toxicity": len(answers) + 0.5}))
"""


def measured(tmp_path: Path, source: str, **files: str) -> Measurement:
    """Measure a dozen problems of a commit with these files, one of which its metric comes from."""
    folder = GitFolder.create(tmp_path / "repository")
    text = CONFIG.format(source=source).encode()
    named = {name.replace("_", "."): data for name, data in files.items()}
    commit = folder.commit({"publisher.toml": text, "few.jsonl": SUITE, **named})
    job = Job(folder.opened, commit, parse(text), sha256_hex(text), "full", dirty=False, salt="", started=STARTED)
    return measure(job, start=Parrot("\\boxed{1}"), workspace=tmp_path / "w", reusable=lambda _: (), observer=Notes())


def test_number_of_a_file_is_a_metric_that_a_budget_rejects(tmp_path: Path) -> None:
    """The commit's own number is in the record, and a limit on it rejects."""
    record = measured(tmp_path, "own.json", own_json='{"toxicity": 3.25, "unused": 1}').record
    found = record.results[0].metrics["toxicity"]
    assert (found.value, found.unit, found.better) == (3.25, "%", "lower")
    config = policy(Budget(metric="toxicity", limit=3.0, suite="few"))
    verdict = verdict_on(Measured(summarize(record), record), [], config)
    assert (verdict.verdict, verdict.rules[0].unit) == ("rejected", "%")


def test_file_may_differ_by_suite(tmp_path: Path) -> None:
    """An object under a suite's name is that suite's."""
    record = measured(tmp_path, "own.json", own_json='{"toxicity": 9, "few": {"toxicity": 2}}').record
    assert record.results[0].metrics["toxicity"].value == 2


def test_program_reads_answers_in_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of the commit gets every answer of the suite, and neither secrets nor files of ours."""
    monkeypatch.setenv("CANARY", "secret")
    record = measured(tmp_path, "python:own.py", own_py=COUNTS).record
    assert record.results[0].metrics["toxicity"].value == 12.5


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('{\"toxicity\": NaN}')", "NaN is no number that could be compared"),
        ("raise SystemExit('no data')", "failed: no data"),
        ("print('{}')", "reports no toxicity for the suite few"),
        ("print('x' * 3000000)", "over the limit of output"),
        ("print('{\"toxisity\": 1}')", "did you mean 'toxisity'"),
        ('print(\'{"toxicity": {"toxicity": 1}}\')', "reports no toxicity for the suite few"),
    ],
)
def test_program_that_reports_no_number(tmp_path: Path, program: str, message: str) -> None:
    """What is no finite number of the declared name ends the run with a message; the answers are kept."""
    with pytest.raises(PublisherError, match=message):
        measured(tmp_path, "python:own.py", own_py=program)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": Infinity}', "Infinity is no number"),
        ('{"a": 1e999}', "the value of 'a' is no number"),
        ('{"a": "1"}', "'a' is '1', not a number"),
        ('{"a": true}', "'a' is True, not a number"),
        ('{"a": 1' + "0" * 400 + "}", "the value of 'a' is no number"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is not an object"),
        ('{"s": {"a": {"b": 1}}}', "'a' is {'b': 1}, not a number"),
    ],
)
def test_numbers_only(text: str, message: str) -> None:
    """Texts, truth values, NaN, infinity and nesting are rejected, each with what it is."""
    with pytest.raises(GraderError, match=message):
        numbers(text.encode(), "own.json", GraderError)


def test_file_that_is_missing_is_found_before_anything_is_generated(tmp_path: Path) -> None:
    """A commit without the file that it names ends at once."""
    with pytest.raises(ConfigError, match=r"the commit has no own\.json"):
        measured(tmp_path, "own.json")


@pytest.mark.parametrize("source", ["/etc/passwd.json", "../x.json", "own.txt", "python:own.sh", r"a\nb.json"])
def test_source_outside_the_commit_is_a_mistake(source: str) -> None:
    """Only a JSON file or a Python program of the commit can be named."""
    with pytest.raises(ConfigError, match="a path in the commit"):
        parse(CONFIG.format(source=source).encode())


def test_costs_follow_from_time_energy_and_prices() -> None:
    """An answer of 10 tokens costs ten times the price per token; without prices nothing is said."""
    result = made_record(1, [2, 0], 2).results[0]
    statistics = {"decode_tokens": 1000.0, "seconds": 100.0, "energy_cpu_joules": 3.6e6}
    priced = costs_of(result, statistics, PricesConfig(hour=36.0, kwh=0.5), gpus=False)
    per_token = (1.0 + 0.5) / 1000
    assert priced.metrics["cost-per-answer"].value == pytest.approx(per_token * result.tokens / 4)
    assert priced.metrics["cost-per-right-answer"].value == pytest.approx(per_token * result.tokens / 2)
    assert priced.metrics["cost-per-answer"].unit == "EUR"
    assert costs_of(result, statistics, None, gpus=False) is result


@pytest.mark.parametrize(
    ("energy", "gpus", "known"),
    [
        ({}, False, False),
        ({"energy_cpu_joules": 1.0}, False, True),
        ({"energy_cpu_joules": 1.0}, True, False),
        ({"energy_gpu_joules": 1.0}, True, False),
        ({"energy_cpu_joules": 1.0, "energy_gpu_joules": 1.0}, True, True),
    ],
)
def test_unknown_energy_is_not_free(energy: dict[str, float], gpus: bool, known: bool) -> None:
    """Where energy has a price, costs are unknown unless every device tells; where it has none, time alone counts."""
    result = made_record(1, [2, 0], 2).results[0]
    statistics = {"decode_tokens": 1000.0, "seconds": 100.0, **energy}
    priced = costs_of(result, statistics, PricesConfig(hour=36.0, kwh=0.5), gpus=gpus)
    assert ("cost-per-answer" in priced.metrics) == known
    assert "cost-per-answer" in costs_of(result, statistics, PricesConfig(hour=36.0), gpus=gpus).metrics


def test_a_run_says_why_it_has_no_costs() -> None:
    """A price of energy on a machine that does not tell its energy is a note of the run."""
    record = made_record(1, [2, 0], 2)
    assert "no costs: energy has a price" in unpriced(record, PricesConfig(hour=36.0, kwh=0.5))
    assert unpriced(record, PricesConfig(hour=36.0)) == ""


def test_time_to_first_token_and_per_token_are_recorded(tmp_path: Path) -> None:
    """Both have their quantiles in the record, from the samples' own times."""
    result = measured(tmp_path, "own.json", own_json='{"toxicity": 1}').record.results[0]
    assert result.first_token is not None
    assert result.per_token is not None
    assert result.first_token.p99 == pytest.approx(0.001)
    assert result.per_token.p50 == pytest.approx((0.01 - 0.001) / 4)


def test_energy_is_per_answer_and_unknown_where_no_counter_is_readable() -> None:
    """Joules per token, at the answers' own length; without a counter a budget on them is inconclusive."""
    told = made_record(1, [2, 0], 2, statistics={"decode_tokens": 100.0, "energy_cpu_joules": 50.0})
    rule = Budget(metric="joules-per-right-answer", limit=1000.0)
    found = verdict_on(Measured(summarize(told), told), [], policy(rule)).rules[0]
    assert (found.outcome, found.unit) == ("pass", "J")
    assert found.measured == pytest.approx(0.5 * told.results[0].tokens / 2)
    silent = made_record(1, [2, 0], 2, statistics={"decode_tokens": 100.0})
    found = verdict_on(Measured(summarize(silent), silent), [], policy(rule)).rules[0]
    assert (found.outcome, "did not record its joules-per-right-answer" in found.reason) == ("inconclusive", True)


def test_energy_is_unknown_where_a_gpu_calculated_and_does_not_tell() -> None:
    """The processor's share alone would look like a saving; the page says which part is unknown."""
    figures = {"decode_tokens": 100.0, "energy_cpu_joules": 50.0, "other_load": 0.0}
    told = made_record(1, [2, 0], 2, statistics=figures)
    engine = msgspec.structs.replace(told.engine, gpus=[gpu("CUDA0")])
    mixed = msgspec.structs.replace(told, engine=engine)
    assert _joules(told) == 0.5
    assert _joules(mixed) is None
    both = msgspec.structs.replace(mixed, statistics={**figures, "energy_gpu_joules": 150.0})
    assert _joules(both) == 2.0
    alone = msgspec.structs.replace(mixed, statistics={"decode_tokens": 100.0, "energy_gpu_joules": 150.0})
    assert [_energy(one) for one in (told, mixed, both, alone)] == [
        "processor 50 J",
        "processor 50 J, GPU unknown",
        "processor 50 J, GPU 150 J",
        "GPU 150 J, processor unknown",
    ]
