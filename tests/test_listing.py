from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from publisher.ledger import history
from publisher.ledger.history import Run
from publisher.publishing.listing import Shown, runs_table, state_of, state_words
from publisher.schema import GivenUp, HistoryLine, TakenDown
from tests import made
from tests.shelf import Shelf, shelf

RUN = made.RECEIPT.run_id
SCHEMA = Path(__file__).parent / "schemas" / "log.json"
LINE = made.line(RUN, 75.0, subject="Change", snapshot="snapshot-0123456789ab")
RECEIPT = made.RECEIPT
GIVEN_UP = GivenUp(run_id=RUN, who="Ada", why="no site", time="2026-11-20T20:11:33Z")
TAKEN_DOWN = TakenDown(
    run_id=RUN, snapshot="snapshot-0123456789ab", commit="a" * 40, who="", why="private", time="2026-11-20T20:11:33Z"
)


def line(**changes: object) -> HistoryLine:
    """Return the line of history with some fields changed."""
    return msgspec.structs.replace(LINE, **changes)


@pytest.mark.parametrize(
    ("run", "state"),
    [
        (Run(LINE), "unfinished"),
        (Run(LINE, last_receipt=RECEIPT), "published"),
        (Run(line(pruned="2026-11-20"), last_receipt=RECEIPT), "pruned"),
        (Run(LINE, given_up=GIVEN_UP), "given up"),
        (Run(LINE, last_receipt=RECEIPT, taken_down=TAKEN_DOWN), "taken down"),
        (Run(line(verdict="rejected")), "rejected"),
        (Run(line(verdict="inconclusive")), "inconclusive"),
        (Run(line(verdict="unreadable")), "unreadable"),
    ],
)
def test_every_state_has_its_own_word(run: Run, state: str) -> None:
    """What was kept, published, left unfinished or ended can be told apart."""
    assert state_of(run) == state
    assert state_words(run, Shown()).endswith(state)


def test_live_and_pinned_are_said() -> None:
    """A snapshot can be both."""
    run = Run(LINE, last_receipt=RECEIPT)
    assert state_words(run, Shown(live=RUN)) == "● live"
    assert state_words(run, Shown(pins={RUN: ["math"]})) == "✓ pinned"
    assert state_words(run, Shown(live=RUN, pins={RUN: ["math"]})) == "● live, pinned"
    assert state_words(run, Shown(live=RUN, pins={RUN: ["math"]}, locked=True)) == "● live, pinned, locked"
    assert state_words(run, Shown(pins={RUN: ["math"]}, locked=True)) == "✓ pinned"


def test_the_table_fits_80_columns_whatever_the_ledger_says() -> None:
    """Long subjects, tiers and reasons are cut; only an address is whole."""
    hostile = "\x1b]0;title\x07\u202e" + "long " * 100
    runs = [
        Run(line(subject=hostile, tier="t" * 60, verdict="rejected", why=hostile)),
        Run(line(subject=hostile), last_receipt=RECEIPT),
    ]
    shown = Shown(live=RUN, pins={RUN: ["math"]}, locked=True)
    text = runs_table(runs, shown, headline="h" * 60)
    assert max(map(len, text.splitlines())) <= 80, text
    assert not any(ord(letter) < 32 for letter in text.replace("\n", ""))
    listed = runs_table(runs, shown, addresses=True).splitlines()
    assert listed[listed.index(f"  {RECEIPT.address}") + 1] == "  pinned: math"


def test_a_score_on_another_version_of_a_suite_is_marked() -> None:
    """The newest run's version counts; the legend says what the mark means, and is absent without one."""
    (name, score), *_ = LINE.scores.items()
    other = msgspec.structs.replace(score, suite="f" * 64)
    old, new = Run(line(scores={name: other})), Run(LINE)
    rows = runs_table([old, new], Shown()).splitlines()
    assert [f"{score.stderr:.1f}*" in row for row in rows if RUN.split("-")[1] in row] == [True, False]
    assert rows[-1].startswith("* another version")
    assert "*" not in runs_table([new], Shown())


def test_the_headline_suite_is_listed_where_a_run_has_it() -> None:
    """Whatever the order of its suites; a run that did not measure it shows another one, marked as such."""
    (score,) = LINE.scores.values()
    second = msgspec.structs.replace(score, score=12.0)
    rows = runs_table(
        [Run(LINE), Run(line(scores={"s": score, "head": second}))], Shown(), headline="head"
    ).splitlines()
    assert "head " in rows[0]
    assert f"{score.score:.1f} ± {score.stderr:.1f}†" in rows[2]
    assert f"12.0 ± {score.stderr:.1f} " in rows[3]
    assert rows[-1].startswith("† of the run's first suite")


def test_the_form_of_json_is_published_and_stays(on: Shelf) -> None:
    """What `log --json` prints is what `publisher schema log` says, and that is the file beside this test."""
    text = on.user.run("schema", "log").out
    assert text == SCHEMA.read_text(encoding="utf-8"), "a change of --json: write it into the changelog, and this file"
    for command in ("log", "snapshots"):
        Draft202012Validator(json.loads(text)).validate(on.user.run(command, "--json").json)
    required = json.loads(text)["$defs"]["ListedRun"]["required"]
    assert {"run_id", "state", "live", "locked", "pins", "ended", "receipt"} <= set(required)


@pytest.fixture(name="on", scope="module")
def shelf_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Return a shelf with a kept and a rejected run of different days; only the last test publishes a third."""
    with shelf(tmp_path_factory.mktemp("listing")) as on:
        on.enter(started="20261118T100000Z")
        on.enter("rejected", started="20261119T100000Z")
        yield on


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ([], 2),
        (["--verdict", "kept"], 1),
        (["--state", "unfinished"], 1),
        (["--state", "live"], 0),
        (["--suite", "s", "--tier", "full"], 2),
        (["--since", "2026-11-19"], 1),
        (["--until", "2026-11-18"], 1),
        (["--until", "2026-11-18T09:00"], 0),
        (["--label", "rejected"], 1),
    ],
)
def test_runs_are_filtered(on: Shelf, arguments: list[str], count: int) -> None:
    """By verdict, state, suite, tier, time and label; a date as an end means the whole day."""
    done = on.user.run("log", "--json", *arguments)
    assert (done.code, len(done.json)) == (0, count), done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tier", "ful"], "did you mean full?"),
        (["--suite", "zebra"], "there are: s"),
        (["--branch", "main"], "no run has it"),
        (["--label", "gold"], "no run has it"),
        (["--verdict", "refused"], "'rejected'"),
        (["--since", "yesterday"], "2026-11-20"),
    ],
)
def test_a_filter_that_no_run_has_is_an_error(on: Shelf, arguments: list[str], words: str) -> None:
    """A word that was mistyped must not look like an empty ledger."""
    done = on.user.run("log", *arguments)
    assert (done.code, words in done.err) == (2, True), done.err


def test_a_run_remembers_its_branch() -> None:
    """The line of history has the branch of the record; older records have none."""
    run = made.record("a" * 40)
    commit = msgspec.structs.replace(run.commit, branch="experiment/x")
    assert history.summarize(msgspec.structs.replace(run, commit=commit)).branch == "experiment/x"
    assert history.summarize(run).branch == ""


def test_live_says_whether_it_is_locked(on: Shelf) -> None:
    """With a token the host is asked; without one that is said."""
    receipt = on.publish()
    assert "not locked" in on.user.run("live").out
    on.netlify.lock(receipt.deploy_id)
    assert on.user.run("live", "--json").json["locked"] is True
    assert "● live, locked" in on.user.run("log").out
    assert [one["locked"] for one in on.user.run("log", "--json", "--state", "locked").json] == [True]
    assert "locked" not in on.user.run("log", NETLIFY_API_URL="http://127.0.0.1:9").out
    assert on.user.run("live", "--unlock").out.splitlines()[-1].startswith("not locked")
    assert "not known" in on.user.run("live", NETLIFY_AUTH_TOKEN="").out


def test_the_branch_is_the_one_that_is_checked_out(on: Shelf) -> None:
    """A commit that is checked out by itself has none, unless the caller says where it was pushed to."""
    assert on.project.target("HEAD", "").branch == "main"
    on.folder.git("checkout", "--quiet", "--detach")
    assert (on.project.target("HEAD", "").branch, on.project.target("HEAD", "", "release/1").branch) == (
        "",
        "release/1",
    )
    on.folder.git("checkout", "--quiet", "main")
