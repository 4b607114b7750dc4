from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from publisher import schema
from publisher.files import canonical_json
from publisher.render import build, instances, machines
from tests.shelved import add_outlines
from tests.site_fixtures import files_fixture, hostile_fixture, own_fixture, tree_fixture
from tests.trees import BRANCH, snapshot_tree, source

__all__ = ["files_fixture", "hostile_fixture", "own_fixture", "tree_fixture"]
INSTANCE = Path(__file__).parent / "schemas" / "every_eval_ever_instance-0.3.0.json"
STATEMENT = Path(__file__).parent / "schemas" / "in-toto-test-result-0.1.json"
SHARED = Path(__file__).parent / "schemas" / "every_eval_ever-0.3.0.json"


def test_the_result_is_in_the_schema_that_evaluation_tools_share(
    files: dict[str, bytes], hostile: dict[str, bytes]
) -> None:
    """Both a believable and a strangers' run fit Every Eval Ever's published schema; the score is the suite's own."""
    schema = json.loads(SHARED.read_bytes())
    for site in (files, hostile):
        jsonschema.validate(json.loads(site["every_eval_ever.json"]), schema)
    shown = json.loads(files["every_eval_ever.json"])
    words = json.loads(files["snapshot.json"])["record"]["results"][0]
    assert shown["evaluation_results"][0]["score_details"]["score"] == words["score"]
    assert shown["source_metadata"]["additional_details"]["permanent_address"].startswith(f"https://{BRANCH}--")


def test_every_answer_of_a_public_suite_is_in_the_shared_schema_too(
    files: dict[str, bytes], hostile: dict[str, bytes]
) -> None:
    """Each line fits the instance-level schema and belongs to the aggregate; a private suite has none."""
    validator = jsonschema.Draft7Validator(json.loads(INSTANCE.read_bytes()))
    for site in (files, hostile):
        data = site["every_eval_ever_samples.jsonl"]
        rows = [json.loads(line) for line in data.splitlines()]
        for row in rows:
            validator.validate(row)
        whole = json.loads(site["every_eval_ever.json"])
        told = whole["detailed_evaluation_results"]
        assert (told["total_rows"], told["checksum"]) == (len(rows), hashlib.sha256(data).hexdigest())
        results = {one["evaluation_result_id"]: one for one in whole["evaluation_results"]}
        assert {row["evaluation_id"] for row in rows} == {whole["evaluation_id"]}
        assert {row["evaluation_name"] for row in rows} == {"words"}
        (result_id,) = {row["evaluation_result_id"] for row in rows}
        right = sum(row["evaluation"]["is_correct"] for row in rows)
        assert results[result_id]["score_details"]["details"]["right"] == str(right)


def test_the_file_of_answers_is_bounded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where answers are many their beginnings are left out, then whole answers, and the aggregate says how many."""
    monkeypatch.setattr(instances, "LARGEST", 60_000)
    site = build(source(tree))
    rows = [json.loads(line) for line in site["every_eval_ever_samples.jsonl"].splitlines()]
    told = json.loads(site["every_eval_ever.json"])["detailed_evaluation_results"]
    assert len(site["every_eval_ever_samples.jsonl"]) <= 60_000
    assert len(rows) + int(told["additional_details"]["answers_left_out"]) == 120
    assert all(len(row["output"]["raw"][0]) <= instances.SHORTEST for row in rows)


@pytest.mark.parametrize("name", ["snapshot.json", "history.json", "manifest.json", "deploy.json"])
def test_each_file_fits_the_schema_beside_it(files: dict[str, bytes], name: str) -> None:
    """The JSON Schema that is published beside a file is a schema, and the file fits it."""
    schema = json.loads(files[f"schemas/{name}"])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(files[name]), schema)


def test_the_outcomes_of_older_runs_fit_their_schema(tmp_path: Path) -> None:
    """`compare/runs.json` has a schema of its own, which a site without the file does not have."""
    tree = snapshot_tree(tmp_path, runs=4)
    assert "schemas/runs.json" not in build(source(tree))
    site = build(source(add_outlines(tree)))
    jsonschema.validate(json.loads(site["compare/runs.json"]), json.loads(site["schemas/runs.json"]))


def test_each_part_of_the_history_fits_its_schema(files: dict[str, bytes]) -> None:
    """The schema `lines.json` is that of every file in `lines/`, and the index names exactly those."""
    schema = json.loads(files["schemas/lines.json"])
    parts = {name: json.loads(data) for name, data in files.items() if name.startswith("lines/")}
    for part in parts.values():
        jsonschema.validate(part, schema)
    index = json.loads(files["history.json"])
    assert [f"lines/{part['sha256']}.json" for part in index["parts"]] == list(parts) != []
    assert index["runs"] == len(index["lines"]) + sum(len(part["lines"]) for part in parts.values())


def test_a_monitor_can_read_the_metrics(files: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """Prometheus's own parser of OpenMetrics takes every line; each family comes once, and the end is marked."""
    for site in (files, hostile):
        said = site["metrics.txt"].decode()
        parsed = {family.name: family for family in text_string_to_metric_families(said)}  # type: ignore[no-untyped-call]
        record = json.loads(site["snapshot.json"])["record"]
        assert {one.labels["suite"]: one.value for one in parsed["snapshot_score"].samples} == {
            result["suite"]: result["score"] for result in record["results"]
        }
        (finished,) = parsed["snapshot_finished_timestamp_seconds"].samples
        assert finished.value == datetime.fromisoformat(record["finished"]).timestamp()
        assert said.endswith("# EOF\n")
        label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
        sample = re.compile(rf"[a-z_0-9]+(?:\{{{label}(?:,{label})*\}})? -?[0-9.e+-]+")
        rest = [line for line in said.splitlines() if not line.startswith("# ")]
        assert [line for line in rest if not sample.fullmatch(line)] == []
        types = re.findall(r"# TYPE (\S+) gauge", said)
        assert len(types) == len(set(types))
        assert {re.split(r"[{ ]", line)[0] for line in rest} == set(types)
    assert 'snapshot_score{suite="words"} 80.0\n' in files["metrics.txt"].decode()
    assert "snapshot_finished_timestamp_seconds 17" in files["metrics.txt"].decode()


def test_a_suite_from_the_hub_has_a_file_for_the_models_card(own: Path) -> None:
    """It names dataset, score, date and permanent address; private suites and those from elsewhere have none."""
    assert not any(name.startswith("eval_results/") for name in build(source(own)))
    path = own / "ledger/record.json"
    record = json.loads(path.read_bytes())
    for suite in record["suites"]:
        suite["source"] = "hf:MathArena/aime_2025@main/data/train.parquet"
    path.write_bytes(canonical_json(record))
    site = build(source(own))
    assert [name for name in site if name.startswith("eval_results/")] == ["eval_results/words.yaml"]
    (row,) = yaml.safe_load(site["eval_results/words.yaml"])
    assert row["dataset"] == {"id": "MathArena/aime_2025", "task_id": "words"}
    assert row["value"] == round(record["results"][0]["score"], 2)
    assert row["date"] == record["finished"][:10]
    assert row["source"]["url"].startswith(f"https://{BRANCH}--")


def test_a_citation_names_address_commit_and_record(files: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """Plain text, BibTeX and CFF have them, and a hostile name of a model breaks none of the three."""
    snapshot = json.loads(files["snapshot.json"])
    page = files["cite/index.html"].decode()
    assert page.count(snapshot["record_sha256"]) == 3
    assert page.count(snapshot["commit"]) >= 3
    assert f"@misc{{{BRANCH}," in page
    strange = hostile["cite/index.html"].decode()
    cff = re.search(r"<code>(cff-version.*?)</code>", strange, re.DOTALL)
    assert cff
    assert yaml.safe_load(cff[1].replace("&quot;", '"'))["cff-version"] == "1.2.0"
    assert strange.count("{") - strange.count("}") == page.count("{") - page.count("}")


def test_the_sitemap_names_every_page_by_its_permanent_address(files: dict[str, bytes]) -> None:
    """It is XML of the protocol's namespace, and each address is a page of the deploy; `robots.txt` leads to it."""
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    root = ET.fromstring(files["sitemap.xml"])  # noqa: S314 - our own file
    pin = f"https://{BRANCH}--"
    found = [str(place.text) for place in root.iter(f"{space}loc")]
    assert all(address.startswith(pin) for address in found)
    pages = {path for path in files if path.endswith("/index.html") or path == "index.html"}
    assert {f"{address.split('/', 3)[3]}index.html" for address in found} == pages
    assert f"Sitemap: {found[0]}sitemap.xml" in files["robots.txt"].decode()


def test_llms_txt_says_what_is_there(files: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """It has one title, a summary with the score, and links to files that exist; names from outside are text alone."""
    shown = files["llms.txt"].decode()
    assert shown.startswith("# Abacus-2M\n\n> Abacus-2M at commit ")
    for site in (files, hostile):
        lines = site["llms.txt"].decode().splitlines()
        links = [line for line in lines if line.startswith("- ")]
        paths = [re.fullmatch(r"- \[[^\]]+\]\(https://[^/]+/([^)]*)\)(: [^\[\]<>`]*)?", line) for line in links]
        assert all(path is not None for path in paths), links
        assert {
            path[1] + "index.html" if path[1].endswith("/") or not path[1] else path[1] for path in paths if path
        } <= set(site)
        assert len([line for line in lines if line.startswith("#")]) == 3


def test_the_verdict_is_an_in_toto_statement(files: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """It has the form of a Statement v1 with a test result; its subjects are the record and the commit."""
    schema = json.loads(STATEMENT.read_bytes())
    for site in (files, hostile):
        jsonschema.Draft202012Validator(schema).validate(json.loads(site["attestation.json"]))
    shown, own = json.loads(files["attestation.json"]), json.loads(files["snapshot.json"])
    subjects = {one["name"]: one["digest"] for one in shown["subject"]}
    assert subjects == {"record.json": {"sha256": own["record_sha256"]}, "commit": {"gitCommit": own["commit"]}}
    rules = own["verdict"]["rules"]
    told = shown["predicate"]
    assert told["result"] == "PASSED"
    assert len(rules) == sum(len(told[f"{word}Tests"]) for word in ("passed", "warned", "failed"))


def test_answers_that_were_not_scored_are_not_counted_as_evidence(own: Path) -> None:
    """The shared schema asks on how many samples a score's error rests: errors of the machinery are none."""
    path = own / "ledger/record.json"
    record = json.loads(path.read_bytes())
    record["results"][0]["counts"] |= {"right": 70, "wrong": 10, "unanswered": 5, "truncated": 5, "error": 30}
    path.write_bytes(canonical_json(record))
    shown = json.loads(build(source(own))["every_eval_ever.json"])["evaluation_results"][0]
    assert shown["score_details"]["uncertainty"]["num_samples"] == 90


@pytest.mark.parametrize("indent", ["", "    "])
def test_a_schema_does_not_depend_on_the_version_of_python(indent: str) -> None:
    """From 3.13 on a docstring has no indentation; the same snapshot gives the same bytes with any version."""

    class Value(schema.Struct, frozen=True):
        word: str

    Value.__doc__ = f"The first line.\n\n{indent}The rest of it."
    assert (
        json.loads(machines.schema_of(Value))["$defs"]["Value"]["description"] == "The first line.\n\nThe rest of it."
    )
