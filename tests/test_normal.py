"""Rows of public benchmarks as suites: every form, every format, and what a hostile file can hold."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from publisher import registry
from publisher.bench.inputs import golds
from publisher.bench.inputs.normal import normalised
from publisher.bench.inputs.problems import parse
from publisher.bench.inputs.rows import MAX_ROW, rows
from publisher.config import parse as parse_config
from publisher.errors import ConfigError, SuiteError
from publisher.graders import grade, make, mistake_in
from publisher.registry import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.bench.inputs.problems import Problem
    from publisher.graders.code.sandbox import Sandbox

TOML = '[model]\nname = "m"\nsource = "builtin:abacus"\n[suites.s]\nuse = "{name}"\n{more}\n'


def made(path: Path, name: str, entry: Entry | None = None) -> tuple[Problem, ...]:
    """Return the problems that a file makes of a benchmark, looked at as a suite."""
    entry = entry or registry.suite(name)
    target = path.with_suffix(".made")
    target.write_bytes(b"".join(normalised(path, entry, name, path.name)))
    with target.open("rb") as stream:
        return parse(stream, name, entry.grader, public=True)


def file(path: Path, *found: dict[str, Any]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


@pytest.mark.parametrize("name", registry.suite_names())
def test_every_benchmark_of_the_registry_can_be_used(name: str) -> None:
    """Its grader exists, its preset is one, its template has a place for the problem, and its digest is whole."""
    entry = registry.suite(name)
    config = parse_config(TOML.format(name=name, more="").encode(), graders=mistake_in)
    section = config.suites["s"]
    assert (section.source, section.grader, section.samples) == (entry.source, entry.grader, entry.samples)
    assert section.public is entry.republish
    assert entry.preset in registry.preset_names()
    assert "{problem}" in entry.template


def test_keys_beside_use_override_what_the_registry_says() -> None:
    """k, grader and privacy are the project's to choose; an unknown name comes back with a suggestion."""
    config = parse_config(TOML.format(name="gsm8k", more="samples = 3\npublic = false").encode(), graders=mistake_in)
    assert (config.suites["s"].samples, config.suites["s"].public) == (3, False)
    with pytest.raises(ConfigError, match="did you mean 'gsm8k'"):
        parse_config(TOML.format(name="gsm8", more="").encode(), graders=mistake_in)
    with pytest.raises(ConfigError, match="beside use it can only be a path"):
        parse_config(TOML.format(name="gsm8k", more='source = "hf:o/private@main/x"').encode(), graders=mistake_in)


def test_a_sampling_preset_is_spelled_out_and_can_be_overridden() -> None:
    """Temperature 0.7, top_p 0.95, 512 tokens and a penalty of 1.2; what the file gives beside it counts."""
    text = TOML.format(name="gsm8k", more='[model.sampling]\npreset = "short-penalized"\nmax_tokens = 99')
    found = parse_config(text.encode(), graders=mistake_in).model.sampling
    assert (found.temperature, found.top_p, found.max_tokens, found.repetition_penalty) == (0.7, 0.95, 99, 1.2)
    with pytest.raises(ConfigError, match=r"model\.sampling\.preset: 'short' is none of"):
        parse_config(text.replace("short-penalized", "short").encode(), graders=mistake_in)


@pytest.mark.parametrize("name", ["aime24", "aime25", "hmmt_feb_2025", "gsm8k"])
def test_answers_of_public_benchmarks_verify_against_themselves(shared: Path, name: str) -> None:
    """Each is right by its own grader, and an answer that is off by one is not."""
    files = {"gsm8k": "gsm8k_test"}
    found = made(shared / "data" / f"{files.get(name, name)}.jsonl", name)
    assert len(found) == registry.suite(name).problems
    some = found[:: max(1, len(found) // 60)]
    assert golds.failing(some, registry.suite(name).grader, programs=False) == {}
    with make(registry.suite(name).grader) as grader:
        numbers = [one.answer for one in some if one.answer.isdigit()]
        wrong = [grade(grader, f"\\boxed{{{int(answer) + 1}}}", answer, "stop") for answer in numbers]
    assert numbers
    assert {one.outcome for one in wrong} == {"wrong"}


def test_humaneval_takes_its_original_fields_and_gzip(shared: Path, tmp_path: Path) -> None:
    """The file beside the checkout, and the same rows under OpenAI's own names and packed, make the same suite."""
    ours = [json.loads(line) for line in (shared / "data" / "humaneval.jsonl").read_text().splitlines()]
    names = {"id": "task_id", "problem": "prompt", "answer": "canonical_solution"}
    theirs = [{names.get(key, key): value for key, value in row.items()} for row in ours]
    packed = tmp_path / "HumanEval.jsonl.gz"
    packed.write_bytes(gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in theirs)))
    found = made(packed, "humaneval")
    assert [one.id for one in found[:2]] == ["humaneval-0", "humaneval-1"]
    assert len(found) == 164
    assert found == made(file(tmp_path / "ours.jsonl", *ours), "humaneval")


def test_solutions_of_humaneval_pass_in_the_sandbox(sandbox: Sandbox, shared: Path, tmp_path: Path) -> None:
    """What `publisher suites check` does, with a few of them; the solution of another problem does not pass."""
    assert sandbox
    found = made(file(tmp_path / "a.jsonl", *[json.loads(line) for line in _lines(shared)[:30:10]]), "humaneval")
    assert golds.failing(found, "python-tests", programs=True) == {}
    swapped = [replace(one, solution=found[number - 1].solution) for number, one in enumerate(found)]
    assert golds.failing(swapped, "python-tests", programs=True).keys() == {one.id for one in found}


def _lines(shared: Path) -> list[str]:
    return (shared / "data" / "humaneval.jsonl").read_text().splitlines()


def test_gsm8k_takes_what_follows_the_hashes(tmp_path: Path) -> None:
    """Thousands separators go; the row's number, from 0, is its id."""
    row = {"question": "How much?", "answer": "She makes 9 * 2 = <<9*2=18>>18.\n#### 1,018"}
    (found,) = made(file(tmp_path / "g.jsonl", row), "gsm8k")
    assert (found.id, found.answer) == ("gsm8k-test-0", "1018")


def test_mbpp_keeps_its_test_split_and_finds_the_function(tmp_path: Path) -> None:
    """Task 10 is not in the split; the tests call `is_even`, which `bool` around it does not hide."""
    row = {"task_id": 11, "text": "Say if even.", "code": "def is_even(n):\r\n    return n % 2 == 0"}
    row |= {"test_list": ["assert bool(is_even(2)) == True"], "test_setup_code": ""}
    (found,) = made(file(tmp_path / "m.jsonl", {**row, "task_id": 10}, row), "mbpp")
    assert found.id == "mbpp-11"
    assert json.loads(found.answer)["function"] == "is_even"
    assert "\r" not in found.solution


def lcb(**changes: Any) -> dict[str, Any]:
    """Return a row of LiveCodeBench with one public and one private test."""
    tests = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
    private = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()
    row = {"question_id": "abc_1", "question_content": "Add.", "starter_code": "", "contest_date": "2025-03-01T00:00"}
    row |= {"public_test_cases": json.dumps(tests), "private_test_cases": private, "metadata": "{}"}
    return {**row, "difficulty": "easy", "platform": "atcoder", **changes}


def test_livecodebench_keeps_its_dates_and_its_packed_tests(sandbox: Sandbox, tmp_path: Path) -> None:
    """Only the three months of v6 count; private tests are unpacked without pickle, and grade a program."""
    assert sandbox
    early, late = lcb(contest_date="2025-01-31T00:00"), lcb(contest_date="2025-05-01T00:00")
    function = {"starter_code": "class Solution:\n    def twice(self, n):", "metadata": '{"func_name": "twice"}'}
    calls = json.dumps([{"input": "4", "output": "8"}])
    second = lcb(question_id="2", **function, public_test_cases=calls, private_test_cases=calls)
    found = made(file(tmp_path / "l.jsonl", early, lcb(), late, second), "livecodebench_v6")
    assert [(one.id, one.tags["difficulty"]) for one in found] == [
        ("abc_1", "easy"),
        ("livecodebench_v6-2", "easy"),
    ]
    assert "class Solution:" in found[1].problem
    programs = {"right": "a, b = map(int, input().split()); print(a + b)", "wrong": "print(4)"}
    with make("livecodebench") as grader:
        assert {grader.compare(text, found[0].answer).outcome: text for text in programs.values()} == programs
        twice = "class Solution:\n    def twice(self, n):\n        return 2 * n\n"
        assert grader.compare(twice, found[1].answer).outcome == "right"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a": ' * 100_000, "line 1: not a JSON object"),
        (b"x" * (MAX_ROW + 2), f"line 1: a line of more than {MAX_ROW} bytes"),
        (gzip.compress(b"{}\n" * 100_002, mtime=0), "line 100001: more rows than are read"),
        (gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-20], "cannot be unpacked"),
        (b"PAR1 and nothing behind it", "not a Parquet file that can be read"),
        (b'{"a": 1}\n[1]\n', "line 2: not a JSON object"),
    ],
)
def test_a_hostile_source_is_bounded(tmp_path: Path, data: bytes, said: str) -> None:
    """Deep nesting, endless lines, bombs and broken files end in one message with the line."""
    path = tmp_path / "hostile"
    path.write_bytes(data)
    with pytest.raises(SuiteError) as caught:
        list(rows(path, "hostile"))
    assert said in caught.value.message


def test_a_wrong_gold_is_named(tmp_path: Path) -> None:
    """An answer that its own grader does not take for itself scores every model down."""
    path = file(tmp_path / "a.jsonl", {"id": "a-1", "problem": "?", "answer": "42"})
    problems = made(path, "aime25")
    golds.require(problems, "integer", "suite", public=True)
    broken = [type(problems[0])("a-2", "?", "4 + ", "")]
    with pytest.raises(SuiteError, match="1 expected answers are not right") as caught:
        golds.require(broken, "integer", "suite", public=True)
    assert "a-2" in caught.value.message
