from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from publisher.files import canonical_json
from publisher.render import build
from tests.site_fixtures import files_fixture, hostile_fixture, own_fixture, tree_fixture
from tests.trees import BRANCH, source

__all__ = ["files_fixture", "hostile_fixture", "own_fixture", "tree_fixture"]
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


@pytest.mark.parametrize("name", ["snapshot.json", "history.json", "manifest.json", "deploy.json"])
def test_each_file_fits_the_schema_beside_it(files: dict[str, bytes], name: str) -> None:
    """The JSON Schema that is published beside a file is a schema, and the file fits it."""
    schema = json.loads(files[f"schemas/{name}"])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(files[name]), schema)


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
    """Every line has OpenMetrics' form, each family comes once with its samples, and the end is marked."""
    for site in (files, hostile):
        said = site["metrics.txt"].decode()
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
