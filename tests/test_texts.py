"""Long answers wait on disk while a site is made."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest

from publisher.errors import StorageError
from publisher.render import build, texts
from publisher.render.whole import Files
from publisher.samples import pack_samples, unpack_samples
from publisher.schema import Sample
from tests.beside import add_report
from tests.trees import sample, snapshot_tree, source


def _answer(number: int, text: str) -> Sample:
    return msgspec.structs.replace(sample("words", number, 0, 0.5, public=True), text=text)


def test_a_long_text_comes_back_as_it_was() -> None:
    """Whatever characters it has, lone surrogates included; short ones stay where they are."""
    written = ["", "short", "x" * 5_000, "é\u202e\U0001f600" * 2_000, "\ud800" * 2_000]
    kept = texts.Texts()
    light = list(kept.without(_answer(number, text) for number, text in enumerate(written)))
    assert [kept.of(one) for one in light] == written
    assert [kept.stored(one) for one in light] == [text.encode("utf-8", "replace") for text in written]
    assert [kept.characters(one) for one in light] == [len(text) for text in written]
    assert [kept.size(one) for one in light] == [len(text.encode("utf-8", "replace")) for text in written]
    assert [bool(one.text) for one in light] == [False, True, False, False, False]


def test_a_link_to_a_file_does_not_make_it() -> None:
    """Whether there is a file is known without its bytes; they are made when somebody asks for them."""
    made: list[str] = []

    def text() -> bytes:
        made.append("b.txt")
        return b"text"

    files = Files({"a.html": b""}, {"b.txt": text})
    assert "b.txt" in files
    assert "c.txt" not in files
    assert made == []
    assert files["b.txt"] == b"text"
    assert made == ["b.txt"]


def test_a_site_is_the_same_wherever_its_texts_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every text on disk or none, each file has the same bytes: pages, whole answers, pairs, the page /try/."""
    tree = add_report(snapshot_tree(tmp_path, runs=8, problems=12))
    path = tree / "ledger/samples.jsonl.gz"
    told = [msgspec.structs.replace(one, text=one.text * 9) for one in unpack_samples(path.read_bytes())]
    path.write_bytes(pack_samples(told))
    made = []
    for short in (0, 1 << 30):
        monkeypatch.setattr(texts, "SHORT", short)
        made.append(build(source(tree)))
    assert made[0] == made[1]


def test_a_disk_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary file can be made, the error is one sentence with the folder in it."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(StorageError, match="/nowhere/at/all"):
        texts.Texts()
