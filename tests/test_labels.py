from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from publisher.errors import UsageError
from publisher.ledger import history
from publisher.ledger.labels import label_file
from publisher.ledger.store import Ledger
from publisher.publishing.trail import Event, as_csv, moment
from publisher.samples import pack_samples
from publisher.schema import Label, LiveMove
from tests.made import GitFolder, record, verdict
from tests.project import Project

if TYPE_CHECKING:
    from pathlib import Path

IDS = ["20261120T200000Z-0123456789ab-full", "20261120T210000Z-0123456789ab-full"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with two kept runs; the second was live until somebody rolled back to the first."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({"README.md": "x"})
    ledger = Ledger(folder.opened, None)
    for run_id in IDS:
        made = msgspec.structs.replace(record(), run_id=run_id)
        ledger.append(history.run_files(made, verdict(made), pack_samples([])), f"{run_id}\n")
    for number, (run_id, why) in enumerate([(IDS[1], "newest kept run"), (IDS[0], "it answers in French")], 1):
        move = LiveMove(
            snapshot="snapshot-0123456789ab",
            commit="a" * 40,
            run_id=run_id,
            deploy_id="d" * 24,
            previous="",
            who="Ada",
            why=why,
            time=f"2026-11-20T2{number}:30:00Z",
            via="api",
        )
        ledger.append(history.live_file(move, number), "Live\n")
    return Project(folder)


def log(project: Project, label: str) -> list[str]:
    """Return the ids of the runs with a label."""
    return [run["run_id"] for run in json.loads(project.run("log", "--json", "--label", label).out)]


def test_labels_follow_from_verdicts_and_moves(project: Project) -> None:
    """Kept, passed, live, and the one that was rolled back from."""
    assert log(project, "kept") == log(project, "passed-full") == IDS
    assert (log(project, "live"), log(project, "rolled-back")) == ([IDS[0]], [IDS[1]])


def test_a_free_label_is_attached_and_taken_off(project: Project) -> None:
    """Both are entries that stay, and doing the same twice changes nothing."""
    assert project.run("label", IDS[0], "good-on-gsm8k", "--reason", "seen by eye").code == 0
    assert "as before" in project.run("label", IDS[0], "good-on-gsm8k").out
    assert log(project, "good-on-gsm8k") == [IDS[0]]
    assert "good-on-gsm8k" in project.run("label", IDS[0]).out
    assert project.run("label", IDS[0], "good-on-gsm8k", "--remove").code == 0
    assert log(project, "good-on-gsm8k") == []
    words = [event["event"] for event in audit(project) if event["what"] == "good-on-gsm8k"]
    assert words == ["label", "unlabel"]


@pytest.mark.parametrize("name", ["kept", "passed-quick", "live", "Upper", "", "a" * 64, "x-", "../x", "a b"])
def test_a_label_that_cannot_be_attached_is_a_usage_error(project: Project, name: str) -> None:
    """Names that follow from the ledger, and what would not do as a file name."""
    assert project.run("label", IDS[0], name).code == 2


def audit(project: Project, *arguments: str) -> list[dict[str, Any]]:
    """Return the audit trail."""
    found: list[dict[str, Any]] = json.loads(project.run("audit", "--json", *arguments).out)
    return found


def test_the_audit_tells_who_did_what_and_why_in_order(project: Project) -> None:
    """Verdicts are the gate's, moves have a name and a reason."""
    events = audit(project)
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    moves = [(event["who"], event["why"]) for event in events if event["event"] == "live"]
    assert moves == [("Ada", "newest kept run"), ("Ada", "it answers in French")]
    assert {event["who"] for event in events if event["event"] == "verdict"} == {"the gate"}


def test_the_audit_can_begin_at_a_time(project: Project) -> None:
    """Dates, times and durations; anything else is a usage error."""
    assert [event["why"] for event in audit(project, "--since", "2026-11-20T22:00:00Z")] == ["it answers in French"]
    assert project.run("audit", "--since", "yesterday").code == 2
    assert project.run("audit", "--json", "--csv").code == 2


def test_a_damaged_entry_is_left_out(project: Project) -> None:
    """One bad file does not end the command."""
    ledger = Ledger(project.folder.opened, None)
    ledger.append(
        {f"labels/{IDS[0]}/x-1.json": b"[" * 50_000, f"labels/{IDS[0]}/../y-1.json".replace("..", "z"): b"{}"}, "x\n"
    )
    done = project.run("log", "--label", "kept")
    assert (done.code, "Traceback" in done.err) == (0, False)


@pytest.mark.parametrize("spoiled", ["label", "verdict"])
def test_a_time_that_nobody_wrote_forges_no_line(project: Project, spoiled: str) -> None:
    """An entry whose time holds a line break is left out of the trail."""
    forged = "2026-11-20T20:00:00Z\nforged"
    ledger = Ledger(project.folder.opened, None)
    if spoiled == "label":
        entry = Label(run_id=IDS[0], name="x", number=1, on=True, who="Eve", why="", time=forged)
        ledger.append(label_file(entry), "x\n")
    else:
        made = msgspec.structs.replace(record(), run_id=IDS[0].replace("T20", "T19"))
        decided = msgspec.structs.replace(verdict(made), decided=forged)
        ledger.append(history.run_files(made, decided, pack_samples([])), "x\n")
    done = project.run("audit")
    assert (done.code, "forged" in done.out) == (0, False)
    assert "it answers in French" in done.out


def test_one_huge_verdict_does_not_end_the_audit(project: Project) -> None:
    """It is left out, unread."""
    made = msgspec.structs.replace(record(), run_id=IDS[0].replace("T20", "T19"))
    files = history.run_files(made, verdict(made), pack_samples([]))
    name = f"{history.folder(made.run_id)}/verdict.json"
    Ledger(project.folder.opened, None).append(files | {name: b" " * (129 << 20)}, "x\n")
    assert {event["run_id"] for event in audit(project) if event["event"] == "verdict"} == set(IDS)


def test_csv_cannot_carry_formulas() -> None:
    """A cell that a spreadsheet would calculate becomes text."""
    text = as_csv([Event("t", "label", "r", "c", "=cmd()", "@x", "plain")])
    (row,) = list(csv.DictReader(io.StringIO(text)))
    assert (row["who"], row["what"], row["why"]) == ("'=cmd()", "'@x", "plain")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("30d", "2026-10-21T12:00:00Z"),
        ("2h", "2026-11-20T10:00:00Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("2026-11-01T02:00:00+02:00", "2026-11-01T00:00:00Z"),
        ("0999-01-01", "0999-01-01T00:00:00Z"),
    ],
)
def test_moments_are_dates_times_and_durations(text: str, found: str) -> None:
    """All come out in UTC."""
    assert moment(text, dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)) == found


@pytest.mark.parametrize("text", ["99999w", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_the_calendar_is_a_usage_error(text: str) -> None:
    """More digits than anybody means, and dates that no calendar has in UTC."""
    with pytest.raises(UsageError):
        moment(text, dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC))
