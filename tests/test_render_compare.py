from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from publisher import schema
from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.render import build, links
from publisher.render.beside import MOST_PAIRS
from publisher.samples import pack_samples, unpack_samples
from publisher.schema import Report, Sample
from tests.beside import add_report
from tests.trees import snapshot_tree, source


@pytest.fixture(name="tree")
def tree_fixture(tmp_path: Path) -> Path:
    """Return a snapshot tree with a report, which a test may change."""
    return add_report(snapshot_tree(tmp_path / "tree", runs=5))


def compare_page(tree: Path) -> str:
    """Return the page that shows the snapshot beside older ones."""
    return build(source(tree))["compare/index.html"].decode()


def changed(tree: Path, **fields: object) -> None:
    """Change fields of the tree's report."""
    path = tree / "ledger/report.json"
    found = schema.decode(path.read_bytes(), Report, "report.json")
    path.write_bytes(canonical_json(msgspec.structs.replace(found, **fields)))


def compared(tree: Path) -> Path:
    """Return the file of the answers that stand beside the snapshot's."""
    (path,) = (tree / "ledger/compared").rglob("samples.jsonl.gz")
    return path


def text_of(page: str) -> str:
    """Return a page's words, without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_page_shows_test_settings_problems_and_answers(tree: Path) -> None:
    """The paired test, what was changed, which problems turned, and answers with their differences marked."""
    page = compare_page(tree)
    words = text_of(page)
    assert "exact McNemar test over 120 problems" in words
    assert re.search(r"\+\d\.\d \[\+\d\.\d, \+\d+\.\d\]", words)
    assert "quantization Q2_K" in words
    assert "words-0003" in words
    assert '<a href="../samples/words/#p4"><code>words-0003</code></a>' in page
    assert "<del>which makes more</del>" in page
    assert "<ins>so we add</ins>" in page
    assert "within the noise" in words
    assert links.check(build(source(tree))) == []


def test_the_home_page_says_what_the_gate_could_not_have_seen(tree: Path) -> None:
    """The gate's section stands beside the baseline, counts what turned, and tells its limits."""
    words = text_of(build(source(tree))["index.html"].decode())
    assert "Against the baseline" in words
    assert "problems turned wrong and 13 right against the baseline" in words
    assert "No rule tests words against earlier runs" in words
    blind = [schema.Blind(suite="words", detectable=11.0)]
    changed(tree, blind=blind)
    words = text_of(build(source(tree))["index.html"].decode())
    assert "it finds drops of 11.0 points or more in four runs of five" in words


def test_answers_of_a_private_suite_are_never_shown(tree: Path) -> None:
    """Neither where it is private now, nor where it was then, nor where the stored sample was withheld."""
    told = [
        msgspec.structs.replace(item, text=f"CANARY-{item.suite} {item.text}")
        for item in unpack_samples(compared(tree).read_bytes())
    ]
    compared(tree).write_bytes(pack_samples(told))
    files = build(source(tree))
    assert b"CANARY-words" in files["compare/index.html"]
    assert not [name for name, data in files.items() if b"CANARY-hard" in data]
    found = schema.decode((tree / "ledger/report.json").read_bytes(), Report, "report.json").previous
    assert found is not None
    once = [msgspec.structs.replace(suite, public=False) for suite in found.suites]
    changed(tree, previous=msgspec.structs.replace(found, suites=once))
    assert "CANARY" not in compare_page(tree)
    changed(tree, previous=found)
    compared(tree).write_bytes(pack_samples(msgspec.structs.replace(item, withheld=True) for item in told))
    assert "CANARY" not in compare_page(tree)


def test_the_page_stays_light_whatever_turned(tree: Path) -> None:
    """Answers of megabytes that part at once add a bounded number of bytes."""
    light = len(compare_page(tree))

    def longer(item: Sample) -> Sample:
        return msgspec.structs.replace(item, text=f"{item.outcome} " + "a b c " * 50_000)

    compared(tree).write_bytes(pack_samples(map(longer, unpack_samples(compared(tree).read_bytes()))))
    page = compare_page(tree)
    assert page.count('class="pair"') <= MOST_PAIRS
    assert len(page) < light + 40_000
    assert "characters more" in page.replace("\u202f", "")


def test_strangers_text_stays_text(tmp_path: Path) -> None:
    """Ids, answers, prompts and outcomes of the worst kind are escaped, and controls are spelled."""
    page = compare_page(add_report(snapshot_tree(tmp_path / "tree", runs=5, hostile=True)))
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


def test_the_same_tree_gives_the_same_page(tree: Path) -> None:
    """Nothing but the tree decides a byte."""
    assert build(source(tree)) == build(source(tree))


def test_a_snapshot_of_an_older_publisher_has_its_page_too(tree: Path) -> None:
    """Without a report the scores are compared as independent ones, as they were then, and the page says so."""
    (tree / "ledger/report.json").unlink()
    page = compare_page(tree)
    assert "taken as independent" in page
    assert 'class="pair"' not in page


def test_answers_that_are_missing_leave_the_rest(tree: Path) -> None:
    """Without the other run's answers the table of problems stays."""
    compared(tree).unlink()
    page = compare_page(tree)
    assert 'class="pair"' not in page
    assert "words-0003" in page


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b'"drawn":', b'"drawn":-'),
        lambda text: text.replace(b'"drawn": 1', b'"drawn": 0').replace(b'"drawn":1', b'"drawn":0'),
        lambda text: text.replace(b"20261120T201133Z", b"20261120T201134Z"),
        lambda text: text[:-20],
    ],
)
def test_a_report_that_cannot_be_is_an_error(tree: Path, spoil: object) -> None:
    """Counts that no run has, another run's report, a broken file: one message, no page."""
    path = tree / "ledger/report.json"
    assert callable(spoil)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StorageError, match=r"report\.json"):
        build(source(tree))


def with_forge(tree: Path, forge: str) -> None:
    """Say on which forge the tree's repository is."""
    path = tree / "ledger/record.json"
    found = schema.decode(path.read_bytes(), schema.Record, "record.json")
    path.write_bytes(
        canonical_json(msgspec.structs.replace(found, commit=msgspec.structs.replace(found.commit, forge=forge)))
    )


def test_commit_and_difference_lead_to_the_forge(tree: Path) -> None:
    """Where the record knows the forge, and where what it says is an address of one; nothing else becomes a link."""
    with_forge(tree, "https://gitlab.com/group/name")
    files = build(source(tree))
    assert 'href="https://gitlab.com/group/name/-/commit/' in files["404.html"].decode()
    assert re.search(r"https://gitlab.com/group/name/-/compare/[0-9a-f]{40}\.\.\.[0-9a-f]{40}", compare_page(tree))
    with_forge(tree, "javascript:alert(1)//github.com/o/n")
    assert not [name for name, data in build(source(tree)).items() if b'="javascript:' in data]


def test_every_page_leads_to_what_is_current_and_to_what_came_before(tree: Path) -> None:
    """A page that never changes cannot know newer ones, so its last line names both addresses."""
    words = text_of(build(source(tree))["method/index.html"].decode())
    assert re.search(r"what is current is at https://word-problems\.netlify\.app , and the snapshot before", words)


def test_scores_by_tag_stand_beside_those_by_kind(tree: Path) -> None:
    """Slices of both runs are in the table of figures."""
    found = schema.decode((tree / "ledger/report.json").read_bytes(), Report, "report.json").previous
    assert found is not None
    suites = [msgspec.structs.replace(suite, slices={"topic: algebra": (40.0, 62.5)}) for suite in found.suites]
    changed(tree, previous=msgspec.structs.replace(found, suites=suites))
    assert re.search(r"topic: algebra (words|hard) 40\.0 62\.5", text_of(compare_page(tree)))
