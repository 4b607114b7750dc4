"""The history in parts: what successive snapshots share, and what is read back."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import msgspec
import pytest

from publisher import shards
from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.render import build
from publisher.schema import History
from tests.trees import history_line, history_of, snapshot_tree, source

LINES = [history_line(number, 600) for number in range(600)]


def _history(runs: int) -> History:
    return History(site="https://x.invalid", headline="words", lines=LINES[:runs])


@pytest.mark.parametrize("runs", [0, 1, 15, 16, 17, 255, 256, 257, 272, 600])
def test_a_history_in_parts_is_read_back(runs: int) -> None:
    """Whatever its length, the same lines come back in their order, and its files are those that were read."""
    files = shards.split(_history(runs))
    found, read = shards.join(files["history.json"], files.__getitem__)
    assert found == _history(runs)
    assert read == files


def test_a_run_is_stored_a_few_times_whatever_follows_it() -> None:
    """600 snapshots, each with all runs until then, store under four bytes for each byte of the longest history."""
    stored: dict[str, int] = {}
    for runs in range(1, 601):
        files = shards.split(_history(runs))
        assert len(files) <= 1 + 600 // 256 + 256 // 16
        stored |= {f"{runs} {path}" if path == "history.json" else path: len(data) for path, data in files.items()}
    parts = sum(size for path, size in stored.items() if path.startswith("lines/"))
    longest = sum(map(len, shards.split(_history(600)).values()))
    assert parts < 2.2 * longest
    assert max(size for path, size in stored.items() if path.endswith("history.json")) < 30_000


def test_a_line_that_changes_renews_one_part() -> None:
    """A snapshot that is deleted long after it was published changes the index and the part that its line is in."""
    changed = _history(600)
    changed.lines[100] = msgspec.structs.replace(LINES[100], pruned="2026-11-20T20:11:33Z")
    before, after = (set(shards.split(history).items()) for history in (_history(600), changed))
    assert len(after - before) == 2


def test_a_history_in_one_piece_still_renders(tmp_path: Path) -> None:
    """A snapshot of an older publisher shows the same pages, and its history.json has the schema of its form."""
    own = snapshot_tree(tmp_path, problems=8)
    new = build(source(own))
    history = history_of(own)
    for part in (own / "ledger/lines").iterdir():
        part.unlink()
    (own / "ledger/history.json").write_bytes(canonical_json(history))
    old = build(source(own))
    pages = [name for name in new if name.endswith(".html")]
    assert [name for name in pages if new[name] != old[name]] == []
    assert not any(name.startswith("lines/") for name in old)
    assert "parts" not in json.loads(old["schemas/history.json"])["$defs"]["History"]["properties"]
    assert old["history.json"] == (own / "ledger/history.json").read_bytes()


def test_what_is_not_the_history_is_an_error() -> None:
    """Too many parts, a part of another content and an index of another version are named, and nothing is shown."""
    files = shards.split(_history(40))
    index = json.loads(files["history.json"])
    many = {**index, "parts": list(itertools.repeat(index["parts"][0], shards.MOST_PARTS + 1))}
    with pytest.raises(StorageError, match="cannot be its own"):
        shards.join(canonical_json(many), files.__getitem__)
    with pytest.raises(StorageError, match="is not the part"):
        shards.join(files["history.json"], lambda _: b"{}")
    with pytest.raises(StorageError, match="newer publisher"):
        shards.join(canonical_json({**index, "schema": 3}), files.__getitem__)
