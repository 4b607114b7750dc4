from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from publisher.files import canonical_json
from publisher.render import build, feeds, links, text
from publisher.visible import visible
from tests.shelved import add_outlines
from tests.site_fixtures import Tags, files_fixture, hostile_fixture, own_fixture, pages, tree_fixture
from tests.trees import BRANCH, MAIN, history_of, sha, snapshot_tree, source

__all__ = ["files_fixture", "hostile_fixture", "own_fixture", "tree_fixture"]
PIN = f"https://{BRANCH}--word-problems.netlify.app"


# -- the same input, the same bytes -----------------------------------------------------------------------------------


def test_the_site_does_not_depend_on_hash_seed_time_zone_locale_or_folder(tree: Path, tmp_path: Path) -> None:
    """Two processes with different surroundings write the same bytes."""
    program = (
        "import sys; from pathlib import Path; from publisher.render import Source, render\n"
        "tree, address, branch, into = sys.argv[1:]\n"
        "render(Source(Path(tree), address, branch, 'a' * 40), Path(into))"
    )
    surroundings = (
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
        {"PYTHONHASHSEED": "77", "TZ": "America/New_York", "LC_ALL": "C"},
    )
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, variables in zip(folders, surroundings, strict=True):
        (tmp_path / f"cwd-{folder.name}").mkdir()
        environment = {**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-c", program, str(tree), MAIN, BRANCH, str(folder)]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path / f"cwd-{folder.name}", capture_output=True)
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    )
    assert first == second


def test_only_deploy_json_knows_the_deploy(tree: Path, files: dict[str, bytes]) -> None:
    """Two deploys of one snapshot differ in that file alone."""
    other = build(source(tree, deploy_id="66aa00112233445566778899", deploy_url=f"https://66aa--{MAIN[8:]}"))
    assert {name for name in files if files[name] != other[name]} == {"deploy.json"}
    assert json.loads(other["deploy.json"])["permalink"] == f"https://66aa--{MAIN[8:]}"
    assert json.loads(build(source(tree, deploy_id="66bb"))["deploy.json"])["permalink"] == f"https://66bb--{MAIN[8:]}"


def test_a_build_of_the_live_branch_gives_the_same_bytes(tree: Path, files: dict[str, bytes]) -> None:
    """The snapshot's branch is read from the tree's own history, so what is checked out does not matter."""
    assert build(source(tree, branch="live")) == files


def test_without_an_address_the_history_knows_the_site(tree: Path, files: dict[str, bytes]) -> None:
    """The main address that the snapshot was made for is in its own tree."""
    assert build(source(tree, address="")) == files


# -- what is in it ----------------------------------------------------------------------------------------------------


def test_every_documented_file_is_there(files: dict[str, bytes]) -> None:
    """The pages and the files for programs that the design promises exist."""
    folders = (
        "",
        "samples/",
        "samples/words/",
        "samples/hard/",
        "history/",
        "compare/",
        "rejected/",
        "method/",
        "pin/",
        "rollback/",
        "about/",
        "cite/",
        "card/",
    )
    named = {
        "metrics.txt",
        "attestation.json",
        "every_eval_ever.json",
        "every_eval_ever_samples.jsonl",
        "schemas/snapshot.json",
        "snapshot.json",
        "history.json",
        "manifest.json",
        "deploy.json",
        "badge.svg",
        "badge.json",
        "feed.xml",
        "404.html",
        "robots.txt",
        "_headers",
        "_redirects",
    }
    assert {f"{folder}index.html" for folder in folders} | named <= set(files)


def test_the_first_page_says_score_interval_verdict_and_identity(tree: Path, files: dict[str, bytes]) -> None:
    """Headline with error and interval, each rule's reason, and the full identity are on the first page."""
    page, shown = files["index.html"].decode(), json.loads((tree / "ledger/record.json").read_bytes())
    result = shown["results"][0]
    assert f"<b>{result['score']:.1f}</b> <span>± {result['stderr']:.1f}</span>" in page
    assert f"{result['interval']['low']:.1f}–{result['interval']['high']:.1f}" in page
    assert "at least 60.0 is asked for" in page
    for identity in (
        shown["commit"]["sha"],
        shown["model"]["sha256"],
        "Q8_0",
        "llama.cpp 0.3.36",
        "AMD EPYC 9654",
        PIN,
    ):
        assert identity in page


def test_older_snapshots_are_linked_from_table_and_chart(tree: Path, files: dict[str, bytes]) -> None:
    """Each kept line of history leads to its own permanent address, twice; a rejected one leads nowhere."""
    page = files["history/index.html"].decode().partition("<main")[2].partition("</main>")[0]
    for line in history_of(tree).lines:
        expected = {2, 3} if line.verdict == "kept" else {0}  # the table, the wide chart, and perhaps the phone's
        if line.commit != sha("this"):
            assert page.count(f'href="https://snapshot-{line.commit[:12]}--') in expected


def test_an_unreadable_run_is_a_tombstone(files: dict[str, bytes]) -> None:
    """A run that cannot be read is shown as one, with the reason, and takes nothing down."""
    for name in ("history/index.html", "rejected/index.html"):
        assert "record.json is not readable: unexpected end" in files[name].decode()


def test_the_manifest_lists_every_file_that_can_be_fetched(files: dict[str, bytes]) -> None:
    """Digests and sizes are right; the manifest, deploy.json and the host's configuration are not among the files."""
    manifest = json.loads(files["manifest.json"])
    assert manifest["schema"] == 1
    assert set(manifest["files"]) == set(files) - {"manifest.json", "deploy.json", "_headers", "_redirects"}
    for name, entry in {**manifest["files"], **manifest["config"]}.items():
        assert entry == {"sha256": hashlib.sha256(files[name]).hexdigest(), "size": len(files[name])}
    assert files["manifest.json"] == canonical_json(manifest)


def test_the_files_for_programs_can_be_read(tree: Path, files: dict[str, bytes]) -> None:
    """JSON, feed and badge parse, and name the record's digest and the permanent address."""
    snapshot = json.loads(files["snapshot.json"])
    assert snapshot["record_sha256"] == hashlib.sha256((tree / "ledger/record.json").read_bytes()).hexdigest()
    assert snapshot["links"]["permanent"] == f"{PIN}/"
    for path in (tree / "ledger/history.json", *(tree / "ledger/lines").iterdir()):
        assert files[path.relative_to(tree / "ledger").as_posix()] == path.read_bytes()
    assert json.loads(files["badge.json"])["schemaVersion"] == 1
    feed = ET.fromstring(files["feed.xml"])  # noqa: S314 - our own
    assert len(feed.findall("{http://www.w3.org/2005/Atom}entry")) == 18
    assert ET.fromstring(files["badge.svg"]).tag.endswith("svg")  # noqa: S314 - our own


def test_headers_and_redirects(files: dict[str, bytes], tree: Path) -> None:
    """The policy allows nothing inline, JSON is open to other sites, and named-by-contents files are kept for ever."""
    headers = files["_headers"].decode()
    policy = re.search(r"Content-Security-Policy: (.*)", headers)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy[1]
    assert "frame-ancestors 'none'; upgrade-insecure-requests" in policy[1]
    for name in feeds.OPEN:
        assert f"/{name}\n  Access-Control-Allow-Origin: *" in headers
    assert "/assets/*\n  Cache-Control: public, max-age=31536000, immutable" in headers
    assert f"/permalink/* {PIN}/:splat 302" in files["_redirects"].decode()
    plain = build(source(tree, address="http://demo.localhost:8888"))
    assert b"upgrade-insecure-requests" not in plain["_headers"]
    assert f"http://{BRANCH}--demo.localhost:8888/".encode() in plain["index.html"]


def test_each_file_has_one_policy_and_only_the_card_may_be_framed(files: dict[str, bytes]) -> None:
    """No two rules of `_headers` give one path a policy, since a host might join them; `/card/` alone may be framed."""
    blocks = (block.splitlines() for block in files["_headers"].decode().split("\n\n"))
    policies = {
        block[0]: line for block in blocks for line in block[1:] if line.startswith("  Content-Security-Policy: ")
    }
    for path in {""} | set(files) - {"_headers", "_redirects", "manifest.json", "deploy.json"}:
        rules = [
            rule
            for rule in policies
            if rule == f"/{path}" or (rule.endswith("/*") and f"/{path}".startswith(rule[:-1]))
        ]
        assert len(rules) == 1, path
        assert ("frame-ancestors *" in policies[rules[0]]) == path.startswith("card/"), path
        assert ("frame-ancestors 'none'" in policies[rules[0]]) != path.startswith("card/"), path


def test_assets_are_named_by_their_contents(tmp_path: Path) -> None:
    """Each asset's name holds its digest, and a page uses that name."""
    files = build(source(add_outlines(snapshot_tree(tmp_path, runs=6, problems=12))))
    used = "".join(pages(files).values())
    for name in (name for name in files if name.startswith("assets/")):
        assert hashlib.sha256(files[name]).hexdigest()[:12] in name
        assert name in used


# -- hostile text -----------------------------------------------------------------------------------------------------


def test_no_page_has_anything_inline(files: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """No style attribute or element, no inline script, no handler, nothing from elsewhere."""
    for site in (files, hostile):
        assert links.check(site) == []
        for name, page in pages(site).items():
            for tag, attributes in Tags(page.encode()).all:
                assert tag not in {"style", "base", "iframe", "object", "img"}, name
                assert not any(key == "style" or key.startswith("on") for key in attributes), name
                if tag == "script":
                    assert re.fullmatch(
                        r"(\.\./|\./|/)*assets/(site|find)\.[0-9a-f]{12}\.js", attributes["src"] or ""
                    ), name


def test_hostile_text_is_escaped_and_its_controls_are_spelled_out(hostile: dict[str, bytes]) -> None:
    """Markup arrives as text, and control, bidirectional and invisible characters as their names."""
    invisible = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]")
    for name, data in hostile.items():
        if name.endswith((".html", ".xml", ".svg")):
            page = data.decode()
            assert "<script>alert" not in page, name
            assert not invisible.search(page), name
            values = (value for _, given in Tags(data).all for value in given.values())
            assert not any("javascript:" in (value or "") for value in values), name
            assert "49" not in re.findall(r"\{\{ (.*?) \}\}", page), name
    answers = hostile["samples/words/index.html"].decode()
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;&lt;/pre&gt;\\x1b[31m\\u202egnp.exe\\u200b{{ 7*7 }}"
        in answers
    )
    ET.fromstring(hostile["feed.xml"])  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb", "a\nb"),
        ("\x1b]52;c;x\x07", "\\x1b]52;c;x\\x07"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("x\U000e0041", "x\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("\ufeff", "\\ufeff"),
        ("π ≤ 4 é 漢字 😀", "π ≤ 4 é 漢字 😀"),
    ],
)
def test_visible(given: str, shown: str) -> None:
    """What could hide or reorder text is spelled out; what people write stays."""
    assert visible(given) == shown


def test_numbers_times_and_addresses() -> None:
    """Figures are formatted in one way, and only plain addresses are links."""
    assert [text.points(-0.04), text.points(-1.25), text.change(0.04), text.change(2.0)] == [
        "0.0",
        "−1.2",
        "0.0",
        "+2.0",
    ]
    assert [text.duration(0.41), text.duration(59.4), text.duration(61), text.duration(7300)] == [
        "410 ms",
        "59.4 s",
        "1 min 01 s",
        "2 h 01 min",
    ]
    assert [text.size(0), text.size(1500), text.size(2_000_000), text.size(1 << 34)] == [
        "0 B",
        "1.5 kB",
        "2.0 MB",
        "17.2 GB",
    ]
    assert [text.time("2026-11-20T20:11:33Z"), text.date("20261120T201133Z"), text.date("x\x1b")] == [
        "20 Nov 2026, 20:11 UTC",
        "20 Nov 2026",
        "x\\x1b",
    ]
    assert [text.address(item) for item in ("https://a--b.c/", "http://x.localhost:88")] == [
        "https://a--b.c",
        "http://x.localhost:88",
    ]
    assert not any(text.address(item) for item in ("javascript:1", "https://a/b", "https://u@h", "//h", "http://a\n"))
    assert text.line("a\n b\x00", 4) == "a b…"
