from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from publisher.errors import DeployError
from publisher.host import HostOptions, running
from publisher.ledger.store import Ledger
from publisher.publishing.notify import VARIABLE, announce, failure, messages, send
from publisher.schema import Notice, RuleResult, Verdict
from tests.made import GitFolder, record, verdict
from tests.project import Project, config
from tests.scripted import OK, answer, scripted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECRET = "canary-5f1e7"
RULE = RuleResult(rule="threshold", suite="abacus", outcome="fail", reason="abacus 39.6 is below the threshold 50.0")


def said(word: str, *rules: RuleResult) -> Verdict:
    """Return a verdict with rules."""
    return msgspec.structs.replace(verdict(record()), verdict=word, rules=list(rules))


def kinds(of: Verdict, before: str = "") -> list[str]:
    """Return what people hear of a run."""
    return [message.kind for message in messages(record(), of, before, "")]


def alert(name: str) -> RuleResult:
    """Return a failed rule that only raises an alert."""
    return msgspec.structs.replace(RULE, rule=name, effect="alert")


@pytest.mark.parametrize(
    ("of", "before", "heard"),
    [
        (said("rejected", RULE), "kept", ["rejected"]),
        (said("kept"), "rejected", ["recovered"]),
        (said("kept"), "kept", []),
        (said("kept", alert("declines")), "kept", ["alert"]),
        (said("kept", alert("drift"), alert("declines")), "kept", ["drift", "alert"]),
        (said("inconclusive"), "rejected", []),
    ],
)
def test_people_hear_of_rejections_alerts_and_recoveries(of: Verdict, before: str, heard: Sequence[str]) -> None:
    """And of nothing else: a run that was kept as the last one is no news."""
    assert kinds(of, before) == list(heard)


def test_a_message_tells_which_commit_what_score_and_why() -> None:
    """Its reasons are the gate's, and it ends with the address."""
    (message,) = messages(record(), said("rejected", RULE), "", "https://snapshot-1--demo.netlify.app")
    assert record().commit.sha[:12] in message.title
    assert "✗ threshold: abacus 39.6 is below the threshold 50.0" in message.body
    assert message.body.endswith("https://snapshot-1--demo.netlify.app")


def test_a_hostile_subject_addresses_nobody() -> None:
    """Control characters are spelled out, line breaks folded, and mentions made harmless."""
    made = record()
    commit = msgspec.structs.replace(made.commit, subject="@everyone <!channel>\n\x1b[2Jfree money")
    (message,) = messages(msgspec.structs.replace(made, commit=commit), said("rejected"), "", "")
    assert not {"@", "<!", "\x1b"} & set(message.body)
    assert "<!" not in message.body


def test_a_failed_deploy_says_what_went_wrong_and_what_to_do() -> None:
    """The error's message and hint."""
    message = failure(record(), DeployError("the build ended as error", hint="mend the build"))
    assert (message.kind, "the build ended as error" in message.body, "mend the build" in message.body) == (
        "failed",
        True,
        True,
    )


def test_every_target_is_told(repository: GitFolder) -> None:
    """A webhook gets one POST, and the ledger says how many were reached."""
    notes: list[str] = []
    with scripted(answer(200)) as server:
        environment = {VARIABLE: f"json://127.0.0.1:{server.port}/{SECRET}"}
        found = messages(record(), said("rejected", RULE), "", "")
        ledger = Ledger(repository.opened, None)
        announce(ledger, found, environment, now="2026-11-20T20:11:33Z", note=notes.append)
        assert [line.split()[:1] for line in server.asked] == [["POST"]]
    data = ledger.read(f"runs/{record().run_id}/notice-rejected.json")
    assert data is not None
    notice = msgspec.json.decode(data, type=Notice)
    assert (notice.targets, notice.reached, notes) == (1, 1, [])


@pytest.mark.parametrize(
    "target", ["json://127.0.0.1:{port}/{secret}", "nonsense-{secret}", "json://127.0.0.1:1/{secret}"]
)
def test_a_dead_target_is_a_warning_that_does_not_name_it(
    target: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that is printed, logged or noted holds its address."""
    notes: list[str] = []
    (message,) = messages(record(), said("rejected", RULE), "", "")
    with scripted(answer(500)) as server:
        address = target.format(port=server.port, secret=SECRET)
        assert send(message, [address], note=notes.append) == 0
    printed = capfd.readouterr()
    assert len(notes) == 1
    assert "target 1" in notes[0]
    assert SECRET not in notes[0] + printed.out + printed.err + caplog.text


def test_a_target_that_hangs_does_not_hold_up_the_command() -> None:
    """All targets together have one deadline."""
    notes: list[str] = []
    (message,) = messages(record(), said("rejected", RULE), "", "")
    with scripted("hang") as slow, scripted(OK) as quick:
        targets = [f"json://127.0.0.1:{slow.port}/", f"json://127.0.0.1:{quick.port}/"]
        assert send(message, targets, note=notes.append, deadline=2.0) == 1
    assert len(notes) == 1


def test_without_targets_nothing_is_written(repository: GitFolder) -> None:
    """The ledger gets no line where nobody was to be told."""
    ledger = Ledger(repository.opened, None)
    announce(ledger, messages(record(), said("rejected", RULE), "", ""), {}, now="", note=print)
    assert ledger.head is None


@pytest.mark.model
def test_publish_tells_about_a_rejection_once(tmp_path: Path) -> None:
    """A rejected commit is news, and the same command again is none; nothing that is printed names the target."""
    project = Project.create(tmp_path)
    project.folder.commit({"publisher.toml": config(source="builtin:abacus@early")}, "Worse")
    options = HostOptions(state=tmp_path / "host", site="demo", repository=str(tmp_path / "origin.git"), port=0)
    with scripted(answer(200)) as server, running(options) as host:
        project.connect(host)
        target = f"json://127.0.0.1:{server.port}/{SECRET}"
        first = project.run("publish", PUBLISHER_NOTIFY=target)
        again = project.run("publish", PUBLISHER_NOTIFY=target)
        assert (first.code, again.code, len(server.asked)) == (1, 1, 1)
    assert SECRET not in first.out + first.err + again.out + again.err
