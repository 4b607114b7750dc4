from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.errors import ConfigError, PublisherError, StorageError, UsageError
from publisher.render import build, links, render, site_folder
from publisher.render.gather import gather
from publisher.render.pages import PAGES
from publisher.samples import pack_samples
from tests.site_fixtures import own_fixture
from tests.trees import BRANCH, sample, sha, snapshot_tree, source

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["own_fixture"]


# -- a team's own site ------------------------------------------------------------------------------------------------


def override(tree: Path, name: str, data: str) -> None:
    """Put a file into the tree's own site."""
    path = tree / "site" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data, encoding="utf-8")


def test_a_tree_replaces_and_adds_site_files_one_by_one(own: Path) -> None:
    """One template, one asset and one page of prose are the tree's; everything else stays ours."""
    override(
        own, "templates/404.html", '{% extends "base.html" %}{% block main %}Ours: {{ site.branch }}{% endblock %}'
    )
    override(own, "assets/site.css", "body { background: url(dot.svg) }")
    override(own, "assets/dot.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")
    override(
        own,
        "content/team.md",
        "# The team\n\nSee [the history](../history/) of `{{ commit }}`. <img src=x onerror=alert(1)>",
    )
    site = build(source(own))
    assert f"Ours: {BRANCH}" in site["404.html"].decode()
    assert sha("this") in site["team/index.html"].decode()
    assert b"onerror" not in site["team/index.html"]
    sheet = next(data for name, data in site.items() if name.endswith(".css"))
    dot = next(name for name in site if "assets/dot." in name)
    assert sheet.decode() == f"body {{ background: url({dot.removeprefix('assets/')}) }}"
    assert b"The team" in site["index.html"]
    assert links.check(site) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("templates/404.html", "{{ site.nonsense }}", "nonsense"),
        ("templates/404.html", "a\n{% if %}", "line 2"),
        ("templates/404.html", '{% include "gone.html" %}', "gone.html"),
        ("content/pin.md", "# Pin\n\n{{ pinn }}", "pinn"),
        ("content/pin.md", "no title", "no title"),
        ("content/pin.md", "# Pin\n" + "- " * 3000 + "x", "nested too deeply"),
        ("content/history.md", "# History\n", "taken"),
        ("content/A b.md", "# A b\n", "only a-z"),
        ("templates/404.html", "\n\n{{ 1 // 0 }}", "line 3: ZeroDivisionError"),
        ("templates/404.html", '\n{% include "404.html" %}', "line 2: it includes or calls itself without end"),
        ("templates/404.html", "\n{% macro x() %}{{ x() }}{% endmacro %}{{ x() }}", "calls itself without end"),
        ("templates/404.html", "{{ ''.__class__.__mro__ }}", "line 1: access to attribute '__class__'"),
        ("templates/404.html", "{{ lipsum(n=99999) }}", "'lipsum' is undefined"),
        ("templates/_chart.html", "{% macro trend(x) %}\n{{ [1][x] }}{% endmacro %}", "line 2"),
    ],
)
def test_a_mistake_in_an_overriding_file_names_the_file(own: Path, name: str, data: str, message: str) -> None:
    """Undefined names, bad syntax and missing parts are one clear error each, with the file's name."""
    override(own, name, data)
    with pytest.raises(ConfigError, match=re.escape(name)) as caught:
        build(source(own))
    assert message in caught.value.message + caught.value.hint


def test_names_of_a_teams_pages_follow_from_the_table_of_pages(own: Path) -> None:
    """No page of prose can take the place of a kind of page, and each kind in the navigation is on every page."""
    site = build(source(own))
    for kind in (kind for kind in PAGES if kind.section):
        (own / "site" / "content").mkdir(parents=True, exist_ok=True)
        path = own / "site" / "content" / f"{kind.section}.md"
        path.write_text("# Title\n", encoding="utf-8")
        with pytest.raises(ConfigError, match="taken"):
            build(source(own))
        path.unlink()
        there = kind.shown(gather(source(own)))
        assert not kind.label or (f">{kind.label}</a>" in site["404.html"].decode()) == there
        assert any(name.startswith(kind.folder) for name in site) == there


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="/nowhere/">x</a>', "there is no such file"),
        ('<a href="/#gone">x</a>', "no such anchor"),
        ('<a href="javascript:alert(1)">x</a>', "not a web address"),
        ('<p style="color: red">x</p>', "inline style"),
        ("<script>1</script>", "inline script"),
        ('<p onclick="x()">x</p>', "inline handler"),
        ('<p id="a"></p><p id="a"></p>', "twice"),
        ('<p id="a"></p><i class="x" id=a></i>', "twice"),
        ("<A title='>' HREF=nowhere/>x</A>", "there is no such file"),
        ('<!-- <a href="gone/">x</a> --><iframe hidden></iframe>', "<iframe>"),
    ],
)
def test_what_would_not_work_fails_before_anything_is_written(own: Path, tmp_path: Path, page: str, fault: str) -> None:
    """A dead link or anything that the policy blocks fails the rendering and leaves the old folder alone."""
    into = tmp_path / "dist"
    before = render(source(own), into)
    override(own, "templates/404.html", page)
    with pytest.raises(ConfigError) as caught:
        render(source(own), into)
    assert fault in caught.value.detail
    assert hashlib.sha256((into / "manifest.json").read_bytes()).hexdigest() == before.manifest_sha256
    assert len(render(source(own), into, strict=False).warnings) == 1


# -- bad input --------------------------------------------------------------------------------------------------------


def test_a_tree_without_a_snapshot_is_a_clear_error(tmp_path: Path) -> None:
    """The main branch of a team that has published nothing yet: usage, not a traceback."""
    with pytest.raises(UsageError, match=r"has no ledger/record\.json"):
        build(source(tmp_path))


def _newer(tree: Path) -> None:
    path = tree / "ledger/history.json"
    path.write_bytes(
        path.read_bytes().replace(b'"schema": 2,', b'"schema": 99,').replace(b'"schema": 2\n', b'"schema": 99\n')
    )


def _other_verdict(tree: Path) -> None:
    path = tree / "ledger/verdict.json"
    path.write_bytes(path.read_bytes().replace(b"-full", b"-quick"))


def _cut(tree: Path) -> None:
    path = tree / "ledger/samples.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])


def _no_line(tree: Path) -> None:
    path = tree / "ledger/history.json"
    run = json.loads((tree / "ledger/record.json").read_bytes())["run_id"]
    path.write_bytes(path.read_bytes().replace(run.encode(), b"another"))


def _part(tree: Path) -> Path:
    """Give a tree a history that is long enough for a part, and return the part's file."""
    (part,) = (snapshot_tree(tree, problems=8) / "ledger/lines").iterdir()
    return part


def _no_part(tree: Path) -> None:
    _part(tree).unlink()


def _other_part(tree: Path) -> None:
    part = _part(tree)
    part.write_bytes(part.read_bytes().replace(b"kept", b"rejected"))


def _elsewhere(tree: Path) -> None:
    path = tree / "ledger/history.json"
    name = _part(tree).stem.encode()
    path.write_bytes(path.read_bytes().replace(name, b"../record"))


def _too_few(tree: Path) -> None:
    path = tree / "ledger/history.json"
    _part(tree)
    path.write_bytes(path.read_bytes().replace(b'"runs": 25', b'"runs": 26'))


def _climbing(tree: Path) -> None:
    samples = [sample("../../etc", 1, 0, 0.5, public=True)]
    (tree / "ledger/samples.jsonl.gz").write_bytes(pack_samples(samples))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_newer, "newer publisher"),
        (_other_verdict, "is about the run"),
        (_cut, "samples.jsonl.gz"),
        (_no_line, "no line"),
        (_no_part, "missing"),
        (_other_part, "is not the part that it names"),
        (_elsewhere, "names parts that cannot be its own"),
        (_too_few, "says that there are 26 runs, and 25 are there"),
        (_climbing, "names a suite"),
    ],
)
def test_broken_parts_are_named(own: Path, break_it: Callable[[Path], None], message: str) -> None:
    """A part that is broken, missing or of another run is one clear error."""
    break_it(own)
    with pytest.raises(PublisherError, match=re.escape(message)):
        build(source(own))


@pytest.mark.parametrize("address", ["word-problems", "ftp://x", "https://x/y?z", "https://", "https://a b"])
def test_an_address_that_is_none(own: Path, address: str) -> None:
    """A main address is scheme and host; anything else is a usage error."""
    with pytest.raises(UsageError, match="is not the address of a site"):
        build(source(own, address=address))


# -- writing ----------------------------------------------------------------------------------------------------------


def test_rendering_replaces_the_whole_folder(own: Path, tmp_path: Path) -> None:
    """What an earlier rendering left is gone, and no temporary folder stays."""
    into = tmp_path / "dist"
    render(source(own), into)
    (into / "stale.html").write_text("old")
    done = render(source(own), into)
    assert not (into / "stale.html").exists()
    assert done.files == sum(path.is_file() for path in into.rglob("*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "tree"]


def test_a_folder_that_is_not_a_site_is_not_replaced(own: Path, tmp_path: Path) -> None:
    """Somebody's work in the output folder is safe."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/thesis.txt").write_text("years")
    with pytest.raises(StorageError, match="is not a rendered site"):
        render(source(own), tmp_path / "dist")
    assert (tmp_path / "dist/thesis.txt").read_text() == "years"


def test_a_full_disk_leaves_the_old_site(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails half-way, the folder is as it was and the message says what to do."""
    into = tmp_path / "dist"
    before = render(source(own), into)

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        render(source(own), into)
    assert "free some space" in caught.value.hint
    assert hashlib.sha256((into / "manifest.json").read_bytes()).hexdigest() == before.manifest_sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "tree"]


def test_our_own_site_is_found() -> None:
    """The templates are where the code looks for them."""
    assert (site_folder() / "templates/base.html").is_file()
