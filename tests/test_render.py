from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from publisher.files import canonical_json
from publisher.render import build, feeds, links, render, text
from publisher.samples import pack_samples, unpack_samples
from publisher.visible import visible
from tests.trees import BRANCH, MAIN, sha, snapshot_tree, source

PIN = f"https://{BRANCH}--word-problems.netlify.app"
WORDS = ("statement", "expected", "answer", "reason", "text")
TEXTS = (".html", ".json", ".xml", ".svg", ".txt")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a believable snapshot tree; tests do not change it."""
    return snapshot_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def files(tree: Path) -> dict[str, bytes]:
    """Return the site of that tree."""
    return build(source(tree))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the site of a tree whose every text was written by a stranger."""
    return build(source(snapshot_tree(tmp_path_factory.mktemp("hostile"), hostile=True)))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a small snapshot tree that a test may change."""
    return snapshot_tree(tmp_path / "tree", runs=3, problems=8)


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, page: bytes) -> None:
        """Parse a page."""
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.all.append((tag, dict(attrs)))


def pages(site: dict[str, bytes]) -> dict[str, str]:
    """Return the HTML pages of a site as text."""
    return {name: data.decode() for name, data in site.items() if name.endswith(".html")}


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
    )
    named = {
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
    page = files["history/index.html"].decode()
    for line in json.loads((tree / "ledger/history.json").read_bytes())["lines"]:
        expected = {2, 3} if line["verdict"] == "kept" else {0}  # the table, the wide chart, and perhaps the phone's
        if line["commit"] != sha("this"):
            assert page.count(f'href="https://snapshot-{line["commit"][:12]}--') in expected


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
    assert files["history.json"] == (tree / "ledger/history.json").read_bytes()
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


def test_assets_are_named_by_their_contents(files: dict[str, bytes]) -> None:
    """Each asset's name holds its digest, and the pages use that name."""
    for name in (name for name in files if name.startswith("assets/")):
        assert hashlib.sha256(files[name]).hexdigest()[:12] in name
        assert name.encode() in files["index.html"]


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
                    assert re.fullmatch(r"(\.\./|\./|/)*assets/site\.[0-9a-f]{12}\.js", attributes["src"] or ""), name


def test_hostile_text_is_escaped_and_its_controls_are_spelled_out(hostile: dict[str, bytes]) -> None:
    """Markup arrives as text, and control, bidirectional and invisible characters as their names."""
    invisible = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]")
    for name, data in hostile.items():
        if name.endswith((".html", ".xml", ".svg")):
            page = data.decode()
            assert "<script>alert" not in page, name
            assert not invisible.search(page), name
            assert "javascript:" not in page, name
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


def test_no_word_of_a_private_suite_is_in_any_file(own: Path, tmp_path: Path) -> None:
    """Where the samples file still has them, statement, expected answer, answer, reason and text reach no byte."""
    path = own / "ledger/samples.jsonl.gz"
    told = [
        msgspec.structs.replace(item, **{name: f"CANARY-{item.suite}-{name}" for name in WORDS})
        for item in unpack_samples(path.read_bytes(), 1 << 30)
    ]
    path.write_bytes(pack_samples(told))
    render(source(own), tmp_path / "dist")
    everything = b"".join(path.read_bytes() for path in (tmp_path / "dist").rglob("*") if path.is_file())
    assert {name: f"CANARY-words-{name}".encode() in everything for name in WORDS} == dict.fromkeys(WORDS, True)
    assert b"CANARY-hard" not in everything


def test_the_page_of_a_private_suite_says_why_it_has_no_text(files: dict[str, bytes]) -> None:
    """One sentence explains it; ids, outcomes and figures are there, and nothing that opens to nothing."""
    page = files["samples/hard/index.html"].decode()
    assert "This suite is private, so only outcomes and figures are published" in page
    assert "hard-0000" in page
    assert "tokens · " in page
    assert "<details" not in page
    assert "private" not in files["samples/words/index.html"].decode()


# -- answers ----------------------------------------------------------------------------------------------------------


def test_many_problems_are_cut_into_pages_that_fit_together(tmp_path: Path) -> None:
    """130 problems take three pages; the overview on the first leads to each of them."""
    site = build(source(snapshot_tree(tmp_path, problems=130)))
    assert "samples/words/3/index.html" in site
    assert "samples/words/4/index.html" not in site
    assert site["samples/words/index.html"].count(b'class="tile ') == 130
    assert links.check(site) == []


def test_a_long_answer_keeps_its_beginning_and_end(own: Path) -> None:
    """What is left out of a page is counted, and the way to the whole text is given."""
    path = own / "ledger/samples.jsonl.gz"
    long = "BEGIN" + "x" * 50_000 + "END"
    samples = [
        msgspec.structs.replace(item, text=long, clipped=7) for item in unpack_samples(path.read_bytes(), 1 << 30)
    ]
    path.write_bytes(pack_samples(samples[:3]))
    page = build(source(own))["samples/words/index.html"].decode()
    assert "BEGINx" in page
    assert "xEND" in page
    assert "30\u202f015 characters left out" in page
    assert f"git show {'a' * 40}:ledger/samples.jsonl.gz" in page


def test_an_answer_says_when_its_first_token_came(own: Path) -> None:
    """Beside an answer's time stands how long its first token took; samples of older runs do not know it."""
    assert b"first after" not in build(source(own))["samples/words/index.html"]
    path = own / "ledger/samples.jsonl.gz"
    samples = [msgspec.structs.replace(one, prompt_time=0.04) for one in unpack_samples(path.read_bytes(), 1 << 30)]
    path.write_bytes(pack_samples(samples))
    assert "ms, first after 40 ms · seed" in build(source(own))["samples/words/index.html"].decode()


def test_pages_keep_to_their_budget(tmp_path: Path, files: dict[str, bytes]) -> None:
    """Compressed: 40 kB a page, 10 kB of style, 5 kB of script; also with 1,600 runs and long answers."""
    many = build(source(snapshot_tree(tmp_path, runs=1_600)))
    for site in (files, many):
        for name, data in site.items():
            limit = {".html": 40_000, ".css": 10_000, ".js": 5_000}.get(Path(name).suffix)
            assert limit is None or len(gzip.compress(data)) <= limit, name
    assert "history/all/index.html" in many
    assert "history/11/index.html" not in many
    assert b"101 older runs left out" in many["history/10/index.html"]
    assert links.check(many) == []


def test_the_first_snapshot_stands_alone(tmp_path: Path) -> None:
    """With no older run there is nothing to compare with, and the site says so."""
    site = build(source(snapshot_tree(tmp_path, runs=0, problems=8)))
    assert b"there is nothing to compare it with yet" in site["compare/index.html"]
    assert b"Every run so far was kept" in site["rejected/index.html"]
    for name in ("index.html", "history/index.html"):
        assert b'class="chart ' not in site[name]
        assert b"the second run of the full tier" in site[name] or b"This is the first run" in site[name]
    assert links.check(site) == []


def test_the_first_screen_says_what_changed_and_what_the_words_mean(tree: Path, files: dict[str, bytes]) -> None:
    """Beside the score stand the verdict and the change since the last snapshot, with "within the noise" explained."""
    page = files["index.html"].decode()
    badge = page[page.index('class="outcome"') :].partition("</p>")[0]
    assert "kept" in badge
    assert "+6.1 ± 5.3 against the previous kept snapshot, within the noise" in badge
    assert "Within the noise: the difference is less than twice its standard error" in page
    assert "120 problems × 1 sample" in page


def test_pages_have_one_word_for_a_run_that_was_not_kept(files: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """It is rejected, on every page; and rates are given per problem, per answer, per second."""
    for site in (files, hostile):
        for name, page in pages(site).items():
            assert not re.search(r"(?i)refus|tokens an? |squares? a problem", page), name


def test_a_caption_says_what_is_drawn_at_its_width(tmp_path: Path) -> None:
    """The phone's chart shows fewer runs than the wide one, and so does its caption."""
    page = build(source(snapshot_tree(tmp_path, runs=40)))["index.html"].decode()
    assert 'class="for-wide">words: score of 41 runs (' in page
    assert 'class="for-narrow">words: score of 24 runs (' in page


def test_a_rule_shows_its_unit_its_change_and_whether_it_can_reject(own: Path) -> None:
    """Figures other than points have their unit; a comparison has its interval; an alert is marked as one."""
    path = own / "ledger/verdict.json"
    verdict = json.loads(path.read_bytes())
    verdict["stopped_early"] = "words cannot reach 60.0 any more"
    verdict["rules"] += [
        {"rule": "budget", "suite": "words", "outcome": "fail", "effect": "alert", "reason": "too slow"}
        | {"measured": 900.0, "limit": 1100.0, "unit": "tokens/s", "difference": -300.0},
        {"rule": "regression", "suite": "words", "outcome": "pass", "reason": "no loss is shown", "detectable": 2.5}
        | {"measured": 80.0, "difference": -1.25, "interval": {"low": -3.5, "high": 1.0}},
    ]
    path.write_bytes(canonical_json(verdict))
    page = build(source(own))["index.html"].decode()
    gate = page[page.index('class="rules"') :].partition("</table>")[0]
    for shown in (
        "900.0 tokens/s",
        "−300.0 tokens/s",
        '<span class="tag">alert</span>',
        "−1.2 [−3.5, 1.0]",
        "This test finds a loss of 2.5 points in four runs of five",
    ):
        assert shown in gate, shown
    assert "stopped before it was complete: words cannot reach 60.0 any more" in page


def test_a_verdict_that_was_overruled_says_so(own: Path) -> None:
    """Where a maintainer kept what the gate rejected, the page shows their word, their name and their reason."""
    for name, change in (("verdict", {"verdict": "rejected"}), ("history", None)):
        path = own / f"ledger/{name}.json"
        value = json.loads(path.read_bytes())
        if change:
            value |= change
        else:
            value["lines"][-1]["decision"] = {
                "schema": 1,
                "run_id": value["lines"][-1]["run_id"],
                "number": 1,
                "verdict": "kept",
                "reason": "the suite has a mistake <b>",
                "who": "Grace",
                "time": "2026-11-20T21:00:00Z",
            }
        path.write_bytes(canonical_json(value))
    site = build(source(own))
    page = site["index.html"].decode()
    assert "The gate said rejected. Grace decided kept: the suite has a mistake &lt;b&gt;" in page
    assert "kept" in page[page.index('class="outcome"') :].partition("</p>")[0]
    assert "kept by Grace: the suite has a mistake" in site["history/index.html"].decode()


@pytest.mark.parametrize(
    ("field", "word"), [("pruned", "pruned"), ("taken_down", "taken down"), ("given_up", "given up")]
)
def test_a_snapshot_that_is_gone_is_named_and_not_linked(own: Path, field: str, word: str) -> None:
    """Where pages were removed, the history says when, and no link of any page or feed leads there."""
    path = own / "ledger" / "history.json"
    history = json.loads(path.read_text(encoding="utf-8"))
    older = next(line for line in history["lines"] if line["address"])
    older[field] = "2026-11-20T20:11:33Z"
    path.write_bytes(canonical_json(history))
    site = build(source(own))
    assert f"{word} 20 Nov 2026" in site["history/index.html"].decode()
    for name in ("index.html", "history/index.html", "compare/index.html", "feed.xml"):
        assert older["address"] not in site[name].decode()


def test_the_keyboard_can_skip_charts_and_maps(files: dict[str, bytes]) -> None:
    """Before each drawing with many links stands a link behind it."""
    for name, target in (("index.html", "after-chart"), ("samples/words/index.html", "problems")):
        page = files[name].decode()
        assert page.index(f'class="skip" href="#{target}"') < page.index(f'id="{target}"')


def test_an_answer_says_what_was_taken_out_of_it(own: Path) -> None:
    """Where a team's pattern replaced passages, the page says how many; nobody takes the rest for the whole."""
    path = own / "ledger/samples.jsonl.gz"
    samples = [msgspec.structs.replace(one, redacted=2) for one in unpack_samples(path.read_bytes(), 1 << 30)]
    path.write_bytes(pack_samples(samples))
    site = build(source(own))
    assert b"2 passages replaced before this answer was stored" in site["samples/words/index.html"]
    assert b"passages replaced" not in site["samples/hard/index.html"]
