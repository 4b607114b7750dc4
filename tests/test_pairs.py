from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from publisher.errors import StorageError
from publisher.render import build, links
from publisher.schema import Outlines
from publisher.schema.outline import LARGEST_OUTLINES
from tests.shelved import add_outlines
from tests.trees import HOSTILE, snapshot_tree, source


@pytest.fixture(name="tree")
def tree_fixture(tmp_path: Path) -> Path:
    """Return a small snapshot tree with outlines, which a test may change."""
    return add_outlines(snapshot_tree(tmp_path / "tree", runs=6, problems=12))


def changed(tree: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the outlines of a tree."""
    path = tree / "ledger/outlines.json"
    value = msgspec.json.decode(path.read_bytes())
    change(value)
    path.write_bytes(msgspec.json.encode(value))


def test_the_deploy_carries_its_own_outcomes_and_those_of_older_runs(tree: Path) -> None:
    """One file on the same site, and a page whose table needs no script; every link leads somewhere."""
    files = build(source(tree))
    found = msgspec.json.decode(files["compare/runs.json"], type=Outlines)
    assert len(found.runs) == 5
    assert len(files["compare/runs.json"]) <= LARGEST_OUTLINES
    page = files["compare/any/index.html"].decode()
    assert all(run.commit[:12] in page for run in found.runs)
    assert all(run.address in page for run in found.runs)
    assert 'href="../compare/any/"' in files["compare/index.html"].decode()
    assert links.check(files) == []


def test_a_snapshot_without_outlines_has_no_such_page(tree: Path) -> None:
    """Snapshots of older publishers render as they did."""
    (tree / "ledger/outlines.json").unlink()
    files = build(source(tree))
    assert "compare/runs.json" not in files
    assert "compare/any" not in files["compare/index.html"].decode()


def test_strangers_texts_are_visible_and_bounded(tmp_path: Path) -> None:
    """Controls are spelled, an address that is none is left out, and the file stays within its bound."""
    tree = add_outlines(snapshot_tree(tmp_path / "tree", runs=6, problems=12, hostile=True), hostile=True)

    def spoil(value: dict[str, object]) -> None:
        runs = value["runs"]
        assert isinstance(runs, list)
        runs[1] |= {"address": "javascript:alert(1)", "subject": HOSTILE * 99}
        assert isinstance(value["settings"], list)
        value["settings"][0][2] = "\x1b" * 70_000

    changed(tree, spoil)
    files = build(source(tree))
    data = files["compare/runs.json"]
    assert len(data) <= LARGEST_OUTLINES
    for bad in (b"javascript:", b"\x1b", b"\\u001b", "\u202e".encode(), "\u200b".encode()):
        assert bad not in data
    assert "<script>alert" not in files["compare/any/index.html"].decode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value["runs"][1]["settings"].append(10**6),
        lambda value: value["runs"][1]["suites"]["words"]["right"].append(1),
        lambda value: value["runs"][1]["suites"]["words"]["right"].__setitem__(0, 7),
        lambda value: value["runs"][1]["suites"]["words"]["right"].__setitem__(0, -1),
        lambda value: value["runs"][1]["suites"]["words"].update(score=10**400),
        lambda value: value["runs"].pop(0),
        lambda value: value.update(problems="x" * 2 * LARGEST_OUTLINES),
    ],
)
def test_outlines_that_cannot_be_are_an_error(tree: Path, spoil: Callable[[dict[str, object]], object]) -> None:
    """Counts, settings and runs that no ledger has, and a file that is too large: one message, no site."""
    changed(tree, spoil)
    with pytest.raises(StorageError, match=r"outlines\.json"):
        build(source(tree))


def test_the_page_loads_little(tree: Path) -> None:
    """At most 5 kB of compressed scripts, and the page itself stays light."""
    files = build(source(tree))
    page = files["compare/any/index.html"].decode()
    scripts = [data for name, data in files.items() if name.endswith(".js") and name in page]
    assert len(scripts) == 2
    assert sum(len(gzip.compress(data, 9)) for data in scripts) <= 5_000
    assert len(gzip.compress(files["compare/any/index.html"])) < 12_000


def test_two_snapshots_of_one_commit_are_told_apart(tree: Path) -> None:
    """They are named by their branches, so the page opens with both and each row leads to its own pair."""

    def same_commit(value: dict[str, object]) -> None:
        runs = value["runs"]
        assert isinstance(runs, list)
        commit = runs[0]["commit"]
        runs[0]["snapshot"] = f"snapshot-{commit[:12]}-2"
        runs[1] |= {"commit": commit, "snapshot": f"snapshot-{commit[:12]}"}

    changed(tree, same_commit)
    page = build(source(tree))["compare/any/index.html"].decode()
    before, now = re.findall(r'data-[ab]="([^"]*)"', page)
    assert now == f"{before}-2"
    assert f'href="?a={before}&amp;b={now}"' in page
