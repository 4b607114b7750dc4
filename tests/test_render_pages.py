from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import msgspec
import pytest

from publisher.files import canonical_json
from publisher.render import build, links, render, text
from publisher.samples import pack_samples, unpack_samples
from tests.beside import add_report
from tests.site_fixtures import files_fixture, hostile_fixture, own_fixture, pages, tree_fixture
from tests.trees import history_of, snapshot_tree, source, write_history

__all__ = ["files_fixture", "hostile_fixture", "own_fixture", "tree_fixture"]
WORDS = ("statement", "expected", "answer", "reason", "text")


# -- private suites ---------------------------------------------------------------------------------------------------


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
    assert "history/8/index.html" not in many
    assert b"551 older runs left out" in many["history/7/index.html"]
    assert links.check(many) == []


# -- the snapshot's own page and its lists -----------------------------------------------------------------------------


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
    badge = re.sub(r"<[^>]*>", "", badge)
    assert "+6.1 ± 5.3 against the previous kept snapshot, within the noise" in badge
    assert "Within the noise: chance alone makes differences of this size" in page
    assert "120 problems, 1 sample each" in page


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


def test_drift_checks_are_a_series_of_their_own(own: Path) -> None:
    """The history shows each check of the live commit: its score, the answers that differ and what has changed."""
    path = own / "ledger/history.json"
    history = json.loads(path.read_bytes())
    score = {"then": 80.0, "now": 71.5, "low": 60.0, "high": 80.0, "p_value": 0.001}
    check = {"schema": 1, "run_id": "r", "number": 1, "time": "2026-11-21T06:00:00Z", "same": 110, "different": 10}
    check |= {"scores": {"words": score}, "changed": ["GPUs and drivers was <1>, is 2"], "dropped": ["words"]}
    history["drift"] = [check, check | {"scores": {}}]
    path.write_bytes(canonical_json(history))
    page = build(source(own))["history/index.html"].decode()
    drift = page[page.index('id="drift"') :]
    assert drift.count('<th scope="row">') == 1
    for shown in ("<b>71.5</b>, was 80.0", "10 of 120", "GPUs and drivers was &lt;1&gt;, is 2", "worse"):
        assert shown in drift, shown


def test_metrics_of_answers_are_on_the_first_page(own: Path) -> None:
    """Each metric has its value and unit, and a hostile name is shown as text."""
    path = own / "ledger/record.json"
    record = json.loads(path.read_bytes())
    record["suites"][0]["score"] = "right × completeness"
    record["results"][0]["metrics"] = {
        "completeness": {"value": 48.61, "unit": "%", "better": "higher"},
        "<b>own</b>": {"value": 0.0123, "unit": "<i>", "better": "lower"},
    }
    path.write_bytes(canonical_json(record))
    page = build(source(own))["index.html"].decode()
    assert "<dt>completeness</dt><dd>48.6\u202f%</dd>" in page
    assert "<dt>&lt;b&gt;own&lt;/b&gt;</dt><dd>0.0123\u202f&lt;i&gt;</dd>" in page
    assert "scored by right × completeness" in page


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
        "900.0\u202ftokens/s",
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
    history = history_of(own)
    place, older = next((place, line) for place, line in enumerate(history.lines) if line.address)
    history.lines[place] = msgspec.structs.replace(older, **{field: "2026-11-20T20:11:33Z"})
    write_history(own, history)
    site = build(source(own))
    assert f"{word} 20 Nov 2026" in site["history/index.html"].decode()
    for name in ("index.html", "history/index.html", "compare/index.html", "feed.xml"):
        assert older.address not in site[name].decode()


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


def test_a_suite_of_classes_shows_what_was_answered_for_what(own: Path) -> None:
    """The confusion matrix is on the first page, answers of no class included; that of a private suite is not."""
    path = own / "ledger/record.json"
    record = json.loads(path.read_bytes())
    for found in record["results"]:
        found["classes"] = {"cat<b>": {"cat<b>": 7, "dog": 2, "": 1}, "dog": {"dog": 9}}
    path.write_bytes(canonical_json(record))
    page = build(source(own))["index.html"].decode()
    assert page.count('<table class="matrix">') == 1
    row = page.split('<th scope="row">cat&lt;b&gt;</th>')[1].split("</tr>")[0]
    assert re.findall(r">(\d+)</td>", row) == ["7", "2", "1"]
    assert ">no class</th>" in page


def test_the_engine_says_how_it_was_confined(own: Path) -> None:
    """What the kernel kept from the model's processes stands with the engine; what it could not keep is said too."""
    path = own / "ledger/record.json"
    record = json.loads(path.read_bytes())
    record["engine"]["confinement"] = {"user": 65534, "landlock": 4, "calls": True, "missing": ["the network is open"]}
    path.write_bytes(canonical_json(record))
    assert b"files (Landlock 4) and system calls confined; the network is open" in build(source(own))["index.html"]


def test_a_run_that_was_stopped_early_does_not_claim_every_answer(own: Path) -> None:
    """Its score rests on a part of the answers that were planned, and its row says so."""
    history = history_of(own)
    line = msgspec.structs.replace(history.lines[0], stopped_early="regression: a loss is shown")
    write_history(own, msgspec.structs.replace(history, lines=[line, *history.lines[1:]]))
    page = build(source(own))["history/index.html"].decode()
    assert page.count("stopped early, planned: 120 problems, 1 sample each") == 1


@pytest.mark.parametrize(("runs", "words"), [(12, "1 older run<"), (13, "2 older runs<")])
def test_the_runs_that_are_left_out_are_counted_in_words(tmp_path: Path, runs: int, words: str) -> None:
    """One is in the singular."""
    assert words in build(source(snapshot_tree(tmp_path, runs=runs, problems=4)))["index.html"].decode()


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_outside_of_the_calendar_is_shown_as_it_stands(stamp: str) -> None:
    """Such a stamp of a record ends no build."""
    assert text.date(stamp) == stamp
    assert text.machine_time(stamp) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(("seconds", "words"), [(0.9996, "1.0 s"), (59.97, "1 min 00 s"), (0.25, "250 ms")])
def test_a_duration_is_rounded_before_its_unit_is_chosen(seconds: float, words: str) -> None:
    """No page says 60.0 s or 1000 ms."""
    assert text.duration(seconds) == words


def test_problems_that_the_report_does_not_list_are_counted(own: Path) -> None:
    """Which way those turned is not known, so no page gives a number for each way."""
    path = add_report(own) / "ledger/report.json"
    report = json.loads(path.read_bytes())
    assert "turned wrong and" in build(source(own))["index.html"].decode()
    report["baseline"][0]["unlisted"] = 400
    path.write_bytes(canonical_json(report))
    listed = sum(len(suite[word]) for suite in report["baseline"] for word in ("turned_wrong", "turned_right"))
    page = build(source(own))["index.html"].decode()
    assert f"{400 + listed} problems turned against the baseline" in page
    assert "turned wrong and" not in page
