"""Benchmarks by name as a user gets them: the real client of Hugging Face against a hub on loopback."""

from __future__ import annotations

import io
import json
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from publisher.bench.inputs.builtin_files import BUILTIN
from publisher.files import sha256_hex
from publisher.ledger import history
from publisher.publishing.project import Project as Opened
from publisher.samples import pack_samples
from publisher.schema import Sample
from tests.hub import Hub, hub
from tests.made import record, verdict
from tests.project import Project, config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("huggingface_hub")
AIME = "MathArena/aime_2025/data/train-00000-of-00001.parquet"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project without a remote, whose cache is its own."""
    made = Project.create(tmp_path, remote=False)
    made.environment = {"PUBLISHER_CACHE": str(tmp_path / "cache")}
    return made


@pytest.fixture
def served(project: Project) -> Iterator[Hub]:
    """Serve a hub with AIME 2025 as made-up problems, and point the project there."""
    with hub() as found:
        found.files[AIME] = parquet(problems())
        project.environment |= found.environment
        yield found


def problems(count: int = 30, **changes: Any) -> list[dict[str, Any]]:
    """Return rows as MathArena has them; `changes` are made to the fourth."""
    rows = [{"problem_idx": n, "problem": f"What is {n} + {n}?", "answer": 2 * n} for n in range(1, count + 1)]
    rows[3] |= changes
    return rows


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as a Parquet file."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), stream)
    return stream.getvalue()


def test_a_benchmark_is_added_by_name_and_then_needs_no_network(project: Project, served: Hub) -> None:
    """It is fetched once, pinned in publisher.toml, and every later command takes it from the cache."""
    done = project.run("suites", "add", "aime25")
    assert done.code == 0, done.err
    written = tomllib.loads((project.folder.path / "publisher.toml").read_text())["suites"]["aime25"]
    assert written == {"use": "aime25", "sha256": written["sha256"]}
    project.folder.commit({}, "Add AIME")
    asked = len(served.asked)
    again = project.run("suites", "fetch", HF_HUB_OFFLINE="1")
    assert f"aime25: 30 problems, sha256 {written['sha256']}" in again.out
    assert len(served.asked) == asked
    [shown] = [one for one in project.run("suites", "list", "--json").json if one["name"] == "aime25"]
    assert shown["pinned"] == written["sha256"]
    assert "0 answers are not right by 'integer'" in project.run("suites", "check", "aime25").out


def test_a_benchmark_that_changed_upstream_is_rejected_until_it_is_pinned_anew(project: Project, served: Hub) -> None:
    """The message has both digests and what to type; with --renew the new one is another version."""
    first = project.run("suites", "fetch", "aime25").out.split()[-1]
    old, new = served.files[AIME], parquet(problems(answer=9))
    (project.folder.path.parent / "cache" / "suites" / f"{first}.jsonl").unlink()
    served.files[AIME] = new
    done = project.run("suites", "fetch", "aime25")
    assert done.code == 2
    assert sha256_hex(old) in done.err
    assert sha256_hex(new) in done.err
    assert "publisher suites fetch aime25 --renew" in done.err
    assert project.run("suites", "fetch", "aime25", "--renew").out.split()[-1] != first


def test_a_benchmark_that_is_gone_or_offline_says_so(project: Project, served: Hub) -> None:
    """A dataset without the file, and a machine that must not ask, are two messages without a traceback."""
    del served.files[AIME]
    gone = project.run("suites", "fetch", "aime25")
    assert gone.code == 3
    assert "cannot fetch hf:MathArena/aime_2025@main" in gone.err
    offline = project.run("suites", "fetch", "aime25", HF_HUB_OFFLINE="1")
    assert offline.code == 3
    assert "HF_HUB_OFFLINE" in offline.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": None}, "row 4 (problem 4): it has no answer"),
        ({"problem": "$\frac{1}{2}$"}, r"line 4: the problem of 'aime25-4' has the control character U+000C"),
        ({"problem_idx": 3}, "line 4: the id 'aime25-3' was used in line 3 already"),
        ({"problem": " "}, "line 4: the problem of 'aime25-4' is empty"),
    ],
)
def test_a_malformed_benchmark_names_file_line_and_problem(
    project: Project, served: Hub, change: dict[str, Any], said: str
) -> None:
    """Each defect is one message, and nothing is pinned."""
    served.files[AIME] = parquet(problems(**change))
    done = project.run("suites", "fetch", "aime25")
    assert done.code == 2
    assert said in done.err
    assert "hf:MathArena/aime_2025@main/data/train-00000-of-00001.parquet" in done.err
    assert not (project.folder.path.parent / "cache" / "pins").exists()


def test_statements_that_may_not_be_republished_stay_private(project: Project) -> None:
    """publisher.toml cannot make such a suite public, and without the key its samples are withheld."""
    extra = '[suites.aime25]\nuse = "aime25"\npublic = true\n'
    project.folder.commit({"publisher.toml": config(more=extra.replace("[netlify]", ""))})
    done = project.run("suites", "fetch")
    assert done.code == 2
    assert "suites.aime25.public: the statements of aime25 may not be republished" in done.err


def test_a_public_file_takes_the_place_of_a_download(project: Project, shared: Path) -> None:
    """The files beside the checkout are whole benchmarks: each answer is right by the suite's own grader."""
    for name in ("aime24", "aime25", "hmmt_feb_2025"):
        done = project.run("suites", "add", name, "--file", str(shared / "data" / f"{name}.jsonl"))
        assert done.code == 0, done.err
        assert "is known with" not in done.err
    written = tomllib.loads((project.folder.path / "publisher.toml").read_text())["suites"]
    assert {"aime24", "aime25", "hmmt_feb_2025"} <= written.keys()


def test_versions_of_a_suite_are_compared_by_problem(project: Project, tmp_path: Path) -> None:
    """Reworded, regraded, added and removed problems are listed; the rest can be compared."""
    rows = [{"id": f"p-{n}", "problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(6)]
    changed = [*rows[1:], {"id": "p-9", "problem": "9 + 1?", "answer": "10"}]
    changed[0] = {**changed[0], "answer": "3"}
    changed[1] = {**changed[1], "problem": "2 plus 1?"}
    for name, some in (("a", rows), ("b", changed)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    found = project.run("suites", "diff", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"), "--json").json
    assert found["same"] == ["p-3", "p-4", "p-5"]
    assert (found["reworded"], found["regraded"]) == (["p-2"], ["p-1"])
    assert (found["added"], found["removed"]) == (["p-9"], ["p-0"])


PRESET = """
[model]
name = "abacus"
source = "builtin:abacus"
context = 1024
[model.sampling]
preset = "vibethinker-math"
max_tokens = 512
[prompt]
system = "You are a helpful assistant."
[suites.aime25]
use = "aime25"
source = "three.jsonl"
samples = 2
"""


@pytest.mark.model
def test_a_benchmark_is_measured_with_its_template_and_preset(project: Project) -> None:
    """AIME with VibeThinker's settings, cut to three problems, k = 2 and 512 tokens: the record says what was asked."""
    known = [json.loads(line) for line in (BUILTIN / "abacus.jsonl").read_text().splitlines()[:3]]
    rows = [{**row, "id": f"aime25-{n}", "tags": {"n": n}} for n, row in enumerate(known, 2)]
    project.folder.commit({"publisher.toml": PRESET, "three.jsonl": "".join(json.dumps(row) + "\n" for row in rows)})
    done = project.run("bench", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["sampling_given"] == {"temperature": 1.0, "top_p": 0.95, "top_k": 0, "max_tokens": 512}
    (suite,), (result,) = found["suites"], found["results"]
    assert (suite["problems"], suite["samples"], suite["grader"], suite["public"]) == (3, 2, "integer", False)
    assert suite["sha256"] in project.run("suites", "fetch").out
    assert result["counts"]["right"] >= 1
    assert result["slices"]["n"].keys() == {"2", "3", "4"}
    assert result["problem_digests"].keys() == {"aime25-2", "aime25-3", "aime25-4"}


@pytest.fixture
def measured(project: Project) -> tuple[Project, list[str]]:
    """Return a project with two runs of the suite `s` in its ledger, 30 and 12 of 40 right, and their ids."""
    rows = "".join(json.dumps({"id": str(n), "problem": f"{n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(40))
    text = '[model]\nname = "m"\nsource = "builtin:abacus"\n[suites.s]\nsource = "s.jsonl"\ngrader = "integer"\n'
    opened, ids = Opened.open(project.folder.path, project.environment), []
    for number, right in enumerate((30, 12)):
        commit = project.folder.commit({"publisher.toml": text, "s.jsonl": rows, "n": str(number)})
        run = record(commit, started=f"20261120T20113{number}Z", right=right)
        run = msgspec.structs.replace(run, generation=f"{number:064x}")
        sample = Sample(
            suite="s",
            problem="7",
            sample=0,
            seed=1,
            outcome="wrong",
            answer="9",
            finish="stop",
            prompt_tokens=1,
            tokens=1,
            latency=0.1,
            text="9",
        )
        files = history.run_files(run, verdict(run), pack_samples([sample]))
        opened.ledger.append(files, "run\n")
        ids.append(run.run_id)
    return project, ids


def test_problems_of_past_runs_are_weighed_and_proposed(measured: tuple[Project, list[str]]) -> None:
    """The 18 problems that were lost between the runs found the loss; some of them make a suite of their own."""
    project, _ = measured
    found = project.run("suites", "value", "--json").json
    assert found["runs"] == 2
    lost = {str(n) for n in range(12, 30)}
    assert {one["problem"] for one in found["problems"][:18]} == lost
    quick = project.folder.path / "quick.jsonl"
    done = project.run("suites", "value", "s", "--write", str(quick))
    assert set(found["proposal"]["problems"]) <= lost
    assert "[suites.s-quick]" in done.out
    assert {json.loads(line)["id"] for line in quick.read_text().splitlines()} == set(found["proposal"]["problems"])
    assert "0 answers are not right" in project.run("suites", "check", str(quick), "--grader", "integer").out


def test_runs_are_compared_and_a_flagged_sample_is_promoted(measured: tuple[Project, list[str]]) -> None:
    """`diff` takes two runs; `promote` takes the problem from the commit's suite, not from what the model wrote."""
    project, (old, new) = measured
    (compared,) = project.run("suites", "diff", old, new, "--json").json
    assert (compared["old"], compared["new"], compared["shared"]) == (75.0, 30.0, 40)
    done = project.run("suites", "promote", new, "s/7", "--reason", "off by one")
    assert done.code == 0, done.err
    golden = json.loads((project.folder.path / "golden.jsonl").read_text())
    assert (golden["problem"], golden["answer"], golden["reason"]) == ("7 + 1?", "8", "off by one")
    assert golden["origin"] == f"{new} s/7#1"
    again = project.run("suites", "promote", new, "s/7")
    assert again.code == 2
    assert "asks that question already" in again.err
    assert project.run("suites", "promote", new, "s/8").code == 2
