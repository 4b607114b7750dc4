"""Reviews in the terminal: who is shown what, what is kept, what a sitting that ends early leaves, and agreement."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from publisher.gate.agreement import alpha
from publisher.ledger import canaries, history
from publisher.ledger.store import Ledger
from publisher.publishing import project as opened
from publisher.publishing import reviewing
from publisher.samples import pack_samples, without_text
from publisher.schema import Receipt, Review, Sample, SnapshotName
from tests.made import GitFolder, record, verdict
from tests.project import PUBLISHER, Project

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED = (  # a reviewer per line, 0 where they did not rate: Krippendorff (2011), section C
    (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
    (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
)
CONFIG = '[model]\nname = "m"\nsource = "builtin:abacus"\n[suites.s]\nsource = "s.jsonl"\n'
MOMENT = "2026-11-20T20:11:33Z"
HOSTILE = "\x1b[2Jcleared \u202e txet ::error::no"


def sample(number: int, text: str, **more: Any) -> Sample:
    """Return an answer to the problem of this number."""
    given: dict[str, Any] = {
        "suite": "s",
        "problem": f"p{number}",
        "sample": 0,
        "seed": 100 + number,
        "outcome": "right",
        "answer": "4",
        "finish": "stop",
        "prompt_tokens": 1,
        "tokens": 2,
        "latency": 0.1,
        "text": text,
        "statement": f"What is {number} + 1?",
        "expected": str(number + 1),
    }
    return Sample(**{**given, **more})


def named(receipt: Receipt) -> dict[str, bytes]:
    """Return the ledger's files of a snapshot that is published."""
    name = SnapshotName(run_id=receipt.run_id, branch=receipt.snapshot, commit=receipt.commit, address=receipt.address)
    return history.snapshot_file(name) | history.receipt_file(receipt)


@dataclass
class Shown:
    """A project with two published snapshots of six answers each: the first one's say ALPHA, the other's BETA."""

    user: Project
    snapshots: list[str]

    @property
    def ledger(self) -> Ledger:
        """The project's ledger."""
        return Ledger(self.user.folder.opened)

    def reviews(self, number: int = 0) -> list[Review]:
        """Return what the ledger has of one of the two runs."""
        return canaries.reviews(self.ledger, history.read_runs(self.ledger)[number].run_id)

    def review(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """Run `publisher review`, with what somebody types."""
        command = [str(PUBLISHER), "--repo", str(self.user.folder.path), "review", *arguments]
        done = subprocess.run(command, input=said, capture_output=True, text=True, check=False, timeout=120)
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture(name="on")
def on_fixture(tmp_path: Path) -> Shown:
    """Return a project with two published snapshots."""
    folder = GitFolder.create(tmp_path / "work")
    folder.git("config", "user.name", "Ada")
    found = Shown(Project(folder), [])
    for number, word in enumerate(("ALPHA", "BETA")):
        commit = folder.commit({"publisher.toml": CONFIG, "n": str(number)}, f"Number {number}")
        run = record(commit, started=f"2026110{number + 1}T000000Z")
        samples = [sample(at, f"{word} {HOSTILE} {at}") for at in range(6)]
        receipt = Receipt(
            run_id=run.run_id,
            snapshot=f"snapshot-{commit[:12]}",
            commit=commit,
            deploy_id="d",
            permalink="https://d",
            address="https://a",
            manifest_sha256="a" * 64,
            files=1,
            via="api",
            requested=MOMENT,
            ready=MOMENT,
            verified=MOMENT,
        )
        files = history.run_files(run, verdict(run), pack_samples(samples))
        found.ledger.append(files | named(receipt), "kept\n")
        found.snapshots.append(receipt.snapshot)
    return found


@pytest.mark.parametrize(("rows", "expected"), [(PUBLISHED, 0.815), (PUBLISHED[:2], None), (PUBLISHED[1:3], None)])
def test_agreement_is_krippendorffs(rows: tuple[tuple[int, ...], ...], expected: float | None) -> None:
    """The published example with four reviewers gives 0.815; two of them the value of the definition written out."""
    units = [[value for value in column if value] for column in zip(*rows, strict=True)]
    found = alpha(units)
    assert found is not None
    assert found == pytest.approx(expected or by_pairs(units), abs=0.0005)


def by_pairs(units: list[list[int]]) -> float:
    """Return alpha from its definition for two reviewers: every pair of values, nothing cleverer."""
    paired = [unit for unit in units if len(unit) == 2]
    values = sorted(value for unit in paired for value in unit)

    def squared(one: int, other: int) -> float:
        low, high = sorted((one, other))
        inside = sum(low <= value <= high for value in values)
        return float((inside - (values.count(low) + values.count(high)) / 2) ** 2) if low != high else 0.0

    seen = sum(squared(*unit) for unit in paired) / len(paired)
    chance = [squared(one, other) for at, one in enumerate(values) for other in values[at + 1 :]]
    return 1 - seen / (sum(chance) / len(chance))


@pytest.mark.parametrize("units", [[], [[3]], [[3], [4]], [[3, 3], [3, 3]]])
def test_nothing_to_agree_on(units: list[list[int]]) -> None:
    """Where nobody rated what another did, or every rating is the same, nothing is said of agreement."""
    assert alpha(units) is None


def test_agreement_has_its_ends() -> None:
    """The same ratings agree perfectly; opposite ones agree less than chance."""
    assert alpha([[1, 1], [3, 3], [5, 5]]) == 1
    assert (alpha([[1, 5], [5, 1], [2, 4]]) or 0) < 0


def test_a_sitting_enters_the_ledger_once(on: Shown) -> None:
    """Each answer is rated once: rating, remark and name are kept, and the same command asks nothing more."""
    done = on.review(on.snapshots[0], "--sample", "3", said="5\n2w the sum is off\nnonsense\n4 fine\n")
    assert done.returncode == 0, done.stderr
    assert "3 ratings by Ada in the ledger" in done.stdout
    found = on.reviews()
    assert sorted(one.rating for one in found) == [2, 4, 5]
    assert [(one.wrong, one.note) for one in found if one.rating == 2] == [(True, "the sum is off")]
    assert {(one.reviewer, one.blind) for one in found} == {("Ada", False)}
    head = on.ledger.head
    again = on.review(on.snapshots[0], "--sample", "3")
    assert "everything is rated" in again.stdout
    assert on.ledger.head == head


def test_a_sitting_that_is_left_continues(on: Shown) -> None:
    """What was said before q is kept; the next sitting asks the rest."""
    on.review(on.snapshots[0], "--sample", "4", said="5\nq\n")
    assert len(on.reviews()) == 1
    done = on.review(on.snapshots[0], "--sample", "4", said="1\n2\n")  # and there the input ends
    assert "3 of 4 problems are left for Ada" in done.stdout
    assert [one.rating for one in on.reviews()] == [5, 1, 2]


def test_a_killed_sitting_loses_no_rating(on: Shown) -> None:
    """Ratings are on this machine before they are in the ledger: a later sitting enters them, a cut line aside."""
    project = opened.Project.open(on.user.folder.path, {})
    sitting = reviewing.Sitting.open(project, "Ada")
    run = project.runs()[0]
    (task, *_) = reviewing.tasks(project, [run], "Ada", count=1)
    said = Review(
        run_id=run.run_id, suite="s", problem=task.answers[0].sample.problem,
        seed=task.answers[0].sample.seed, reviewer="Ada", rating=4, time=MOMENT,
    )  # fmt: skip
    sitting.add(said)
    with sitting.path.open("ab") as stream:
        stream.write(b'\n{"run_id": "cut')
    on.review(on.snapshots[0], "--sample", "2", said="2\n")
    assert sorted(one.rating for one in on.reviews()) == [2, 4]
    assert not sitting.path.exists()


def test_a_comparison_is_blind(on: Shown) -> None:
    """Two snapshots are shown without their names, in an order that differs from answer to answer."""
    typed = "5\n1\n" * 6
    done = on.review(on.snapshots[0], "--against", on.snapshots[1], "--sample", "6", said=typed)
    assert done.returncode == 0, done.stderr
    asked = done.stdout.split("12 ratings by Ada")[0]
    assert not any(name in asked for name in on.snapshots)
    firsts = re.findall(r"── answer A ──\n(\w+)", asked)
    assert set(firsts) == {"ALPHA", "BETA"}
    own, other = on.reviews(0), on.reviews(1)
    assert all(one.blind for one in [*own, *other])
    better = reviewing.preference(own, other)
    assert (better.better, better.worse) == (firsts.count("ALPHA"), firsts.count("BETA"))
    assert f"blind: {better.better} better, 0 alike, {better.worse} worse" in done.stdout


def test_half_a_comparison_is_not_kept(on: Shown) -> None:
    """A reviewer who leaves between the two answers has said nothing of either."""
    on.review(on.snapshots[0], "--against", on.snapshots[1], said="5\nq\n")
    assert on.reviews(0) + on.reviews(1) == []


def test_hostile_answers_are_shown_harmless(on: Shown) -> None:
    """No control character of an answer, and no command of a runner, reaches the terminal."""
    done = on.review(on.snapshots[0], "--sample", "1", said="q\n")
    assert "\\x1b[2Jcleared" in done.stdout
    assert not {"\x1b", "\u202e"} & set(done.stdout)


def test_reviewers_are_shown_the_same_and_compared(on: Shown) -> None:
    """Two people rate the same answers, and the report says how far they agree, also as JSON."""
    for name, typed in (("Ada", "1\n3\n5\n"), ("Grace", "1\n3\n5\n")):
        assert on.review(on.snapshots[0], "--sample", "3", "--as", name, said=typed).returncode == 0
    done = on.review(on.snapshots[0], "--report")
    assert "agreement 1.00 (Krippendorff's alpha, ordinal) on 3 answers" in done.stdout
    shown = json.loads(on.review(on.snapshots[0], "--json").stdout)["snapshots"][0]
    assert (shown["mean"], shown["reviewers"], shown["shared"]) == (3.0, {"Ada": 3, "Grace": 3}, 3)


def test_private_answers_need_their_machine(on: Shown) -> None:
    """Withheld answers cannot be reviewed: that is said, and nothing is asked."""
    folder = on.user.folder
    run = record(folder.commit({"n": "private"}, "Private"), started="20261109T000000Z")
    withheld = [without_text(sample(at, "secret")) for at in range(3)]
    files = history.run_files(run, verdict(run), pack_samples(withheld))
    receipt = msgspec.json.decode(on.ledger.read(receipt_of(on)) or b"", type=Receipt)
    own = msgspec.structs.replace(receipt, run_id=run.run_id, snapshot="snapshot-" + run.commit.sha[:12])
    on.ledger.append(files | named(own), "kept\n")
    done = on.review(own.snapshot, said="5\n")
    assert done.returncode == 2
    assert "on the machine that measured them" in done.stderr


def receipt_of(on: Shown) -> str:
    """Return the path of the first run's receipt."""
    return next(path for path in on.ledger.paths(below="runs/") if "receipt" in path)


@pytest.mark.parametrize("arguments", [["--as", " "], ["--as", "x" * 101], ["--sample", "0"], ["--suite", "nowhere"]])
def test_wrong_words_are_usage_errors(on: Shown, arguments: list[str]) -> None:
    """A name that cannot be kept, no problems at all, and a suite that is not there: exit code 2."""
    on.user.folder.git("config", "user.name", "")
    done = on.review(on.snapshots[0], *arguments, said="5\n")
    assert done.returncode == 2, done.stderr
