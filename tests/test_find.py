from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from publisher.files import canonical_json
from publisher.render import build, find, links, whole
from publisher.samples import pack_samples, unpack_samples
from tests.trees import snapshot_tree, source


@pytest.fixture(name="tree")
def tree_fixture(tmp_path: Path) -> Path:
    """Return a snapshot tree which a test may change."""
    return snapshot_tree(tmp_path / "tree", runs=4, problems=90)


def index_of(files: dict[str, bytes], suite: str) -> dict[str, Any]:
    """Return what the search of a suite reads."""
    return dict(msgspec.json.decode(files[f"samples/{suite}/find/find.json"]))


def test_every_problem_leads_to_its_answers(tree: Path) -> None:
    """From the list and from the file, over pages; and each answer has an address."""
    files = build(source(tree))
    problems = index_of(files, "words")["problems"]
    assert [problems[0][1], problems[-1][1]] == ["../#p1", "../2/#p90"]
    assert 'id="p90-1"' in files["samples/words/2/index.html"].decode()
    assert links.check(files) == []


def test_a_private_suite_gives_ids_and_outcomes_alone(tree: Path) -> None:
    """No statement and no file of answers; the form does not offer to search them."""
    files = build(source(tree))
    index = index_of(files, "hard")
    assert index["texts"] == []
    assert {problem[6] for problem in index["problems"]} == {""}
    assert {len(problem[2]) for problem in index["problems"]} == {8}
    assert "Search the answers" not in files["samples/hard/find/index.html"].decode()


def test_the_file_tells_where_every_answer_is(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read one after the other, the sizes give exactly the stored texts, over several files of a page."""
    monkeypatch.setattr(whole, "LARGEST", 4_000)
    files = build(source(tree))
    found = []
    for text in index_of(files, "words")["texts"]:
        data, at = files["samples/words/" + text["file"].removeprefix("../")], 0
        for gap, size in zip(text["sizes"][::2], text["sizes"][1::2], strict=True):
            found.append(data[at + gap : at + gap + size].decode())
            at += gap + size
    stored = unpack_samples((tree / "ledger/samples.jsonl.gz").read_bytes())
    assert found == [sample.text for sample in stored if sample.suite == "words"]


def test_no_more_is_searched_than_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files beyond the bound are not named, so a reader's search does not load them."""
    monkeypatch.setattr(whole, "LARGEST", 4_000)
    monkeypatch.setattr(find, "SEARCHED", 9_000)
    texts = index_of(build(source(tree)), "words")["texts"]
    assert 1 <= len(texts) <= 2


def test_five_hundred_problems_of_sixteen_answers_stay_light(tree: Path) -> None:
    """The page and its script are small, and the file is loaded on demand: each within its bound."""
    stored = tree / "ledger/samples.jsonl.gz"
    one = next(unpack_samples(stored.read_bytes()))
    samples = [
        msgspec.structs.replace(one, problem=f"problem-{place:04d}", sample=k, statement=f"{place} " + "word " * 300)
        for place in range(500)
        for k in range(16)
    ]
    stored.write_bytes(pack_samples(samples))
    path = tree / "ledger/record.json"
    record = msgspec.json.decode(path.read_bytes())
    names = sorted({sample.problem for sample in samples})
    record["results"] = [record["results"][0] | {"tagged": {"topic": {"a": names}, "year": {"b": names}}}]
    path.write_bytes(canonical_json(record))
    files = build(source(tree))
    page = files["samples/words/find/index.html"]
    assert len(gzip.compress(page)) < 40_000
    assert len(files["samples/words/find/find.json"]) < 500_000
    assert len(gzip.compress(files["samples/words/find/find.json"])) < 100_000
    scripts = [data for name, data in files.items() if name.endswith(".js") and name in page.decode()]
    assert sum(len(gzip.compress(data, 9)) for data in scripts) <= 5_000


def test_the_page_says_how_much_of_a_statement_is_searched(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where statements are longer than what can be searched of each, the field names the limit."""
    label = "first 10 characters of the statement"
    assert label not in build(source(tree))["samples/words/find/index.html"].decode()
    monkeypatch.setattr(find, "LONGEST_STATEMENT", 10)
    files = build(source(tree))
    assert label in files["samples/words/find/index.html"].decode()
    assert max(len(one[6]) for one in index_of(files, "words")["problems"]) == 10
    assert label not in files["samples/hard/find/index.html"].decode(), "a private suite has no statements"
