"""What people type in their first days: misspelt commands, HEAD for a run, a run beside itself."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import click
import msgspec
import pytest

from publisher.cli import COMMANDS, SECTIONS, group
from publisher.errors import DeployError, StorageError
from publisher.gate.compare import compare
from publisher.ledger import history
from publisher.ledger.store import Ledger
from publisher.publishing.difference import comparison_lines
from publisher.publishing.failures import CANARY, Failures
from publisher.publishing.project import Project as Opened
from publisher.publishing.trail import trail
from publisher.samples import pack_samples
from publisher.schema import BuildRequest
from tests import entered, made
from tests.gate_cases import run_of
from tests.pages import Pages, site_fixture
from tests.project import PUBLISHER, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from publisher.schema import Record
    from tests.made import GitFolder

__all__ = ["site_fixture"]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command and every command of a group, with what is typed for it."""
    top = click.Context(group, info_name="publisher")
    for name in COMMANDS:
        command = group.get_command(top, name)
        assert command is not None
        yield f"publisher {name}", command
        if isinstance(command, click.Group):
            yield from ((f"publisher {name} {one}", inner) for one, inner in command.commands.items())


def test_every_help_fits_80_columns_and_cuts_nothing_off() -> None:
    """On the narrowest terminal, in groups of commands too."""
    for typed, command in [("publisher", group), *commands()]:
        shown = click.Context(command, info_name=typed, terminal_width=80).get_help()
        assert max(map(len, shown.splitlines())) <= 80, typed
        assert "..." not in shown.replace("]...", "]"), typed


def test_the_first_command_of_all_is_the_one_to_begin_with() -> None:
    """The list is in parts, each with a heading, and `init` is not at its end."""
    shown = click.Context(group, info_name="publisher", terminal_width=80).get_help()
    places = [shown.index(f"\n{heading}:\n") for heading in SECTIONS]
    assert places == sorted(places)
    assert next(iter(COMMANDS)) == "init"


def test_a_reason_has_the_same_names_everywhere() -> None:
    """`--why` and `--reason` are one option, in every command that takes one."""
    named = [
        (typed, {"--why", "--reason"} <= set(parameter.opts))
        for typed, command in commands()
        for parameter in command.params
        if {"--why", "--reason"} & set(parameter.opts)
    ]
    assert len(named) > 8
    assert all(both for _, both in named), named


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("pubish", "publisher has no command 'pubish'; did you mean 'publish'?"),
        ("canary strat", "publisher canary has no command 'strat'; did you mean 'start'?"),
        ("help", "publisher has no command 'help'\nhint: publisher --help"),
        ("accept", "hint: publisher accept RUN --reason WHY   see publisher accept --help"),
        ("init", "hint: publisher init --site TEXT   see publisher init --help"),
        ("diff", "hint: publisher diff A   see publisher diff --help"),
    ],
)
def test_a_mistyped_command_says_what_to_type(typed: str, said: str) -> None:
    """The closest command, or all that a command cannot do without."""
    done = subprocess.run([PUBLISHER, *typed.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.fixture
def record(repository: GitFolder, site: Pages) -> Record:
    """Return the record of a run that is published."""
    found = entered.enter(repository, right=30)
    entered.publish(site, found)
    entered.receive(repository, found, site)
    return found


def test_head_names_a_run_to_every_command(repository: GitFolder, record: Record) -> None:
    """`label`, `accept` and the like take what git and `show` take, and say which run it is."""
    project = Project(repository)
    done = project.run("label", "HEAD", "handed-in")
    assert (done.code, record.run_id in done.out) == (0, True), done.err
    assert "handed-in" in project.run("label", record.commit.sha[:7]).out
    done = project.run("label", "HEAD~1", "x")
    assert (done.code, "'HEAD~1' names no run" in done.err) == (2, True), done.err


def test_a_commit_that_changed_nothing_stands_for_the_snapshot_that_it_shares(
    repository: GitFolder, record: Record
) -> None:
    """`cite HEAD` cites it; nobody is told that HEAD was never published."""
    commit = repository.commit({"README.md": "words"})
    again = made.record(commit, started="20261120T210000Z", right=30)
    verdict = msgspec.structs.replace(
        made.verdict(record), run_id=again.run_id, verdict="unchanged", same_as=record.run_id
    )
    assert Ledger(repository.opened).append(history.run_files(again, verdict, pack_samples([])), "Unchanged\n")
    for wanted in ("HEAD", again.run_id):
        done = Project(repository).run("cite", wanted, "--format", "bibtex")
        assert (done.code, f"Commit {record.commit.sha[:12]}" in done.out) == (0, True), done.err
    gone = Project(repository).run("takedown", "HEAD", "--reason", "x", "--dry-run")
    assert (gone.code, "names no published snapshot" in gone.err) == (2, True), gone.err


def test_a_run_is_not_compared_with_itself(repository: GitFolder, record: Record) -> None:
    """Two names of one run are an error that says so, where a table of zeros would look like a result."""
    done = Project(repository).run("diff", "HEAD", record.commit.sha[:12])
    assert (done.code, f"are the same run: {record.run_id}" in done.err) == (2, True), done.err


def test_a_difference_of_fewer_problems_says_of_which_it_is() -> None:
    """A smoke run beside a whole one: the difference is not that of the two scores, and it has no verdict to come."""
    base, part = run_of(1, [1] * 20 + [0] * 20, 1), run_of(2, [1] * 4, 1)
    found = compare(part, base)
    found = msgspec.structs.replace(found, run=msgspec.structs.replace(found.run, verdict="smoke"))
    shown = comparison_lines(found, shared=4)
    assert "smoke run" in shown[1]
    assert shown[2] == "4 answers are the same in both: one run took them over from the other"
    assert shown[4] == "s: 50.0 → 100.0"
    assert shown[5].startswith("  on the 4 problems that both answered: +0.0 points")


@pytest.mark.parametrize(
    ("typed", "offered", "absent"),
    [
        ("publisher show 2026", "{run_id}", "snapshot-{short}"),
        ("publisher cite ", "snapshot-{short}", "{run_id}"),
        ("publisher diff HEAD snap", "snapshot-{short}", "{run_id}"),
        ("publisher label x", "", "{run_id}"),
    ],
)
def test_shells_complete_runs_and_snapshots(
    repository: GitFolder, record: Record, typed: str, offered: str, absent: str
) -> None:
    """Those of this clone's ledger, without asking anybody; snapshots where only those will do."""
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_PUBLISHER_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [PUBLISHER], cwd=repository.path, env={**os.environ, **words}, capture_output=True, text=True, check=False
    )
    names = {"run_id": record.run_id, "short": record.commit.sha[:12]}
    assert (f"plain,{offered.format(**names)}" in done.stdout.splitlines()) == bool(offered), done.stderr
    assert f"plain,{absent.format(**names)}" not in done.stdout.splitlines()


def test_completion_outside_a_repository_offers_nothing(tmp_path: Path) -> None:
    """And prints no error into somebody's command line."""
    words = {"COMP_WORDS": "publisher show ", "COMP_CWORD": "2", "_PUBLISHER_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [PUBLISHER], cwd=tmp_path, env={**os.environ, **words}, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_what_is_no_run_is_not_to_be_given_up() -> None:
    """A canary that cannot be settled is named, without a command that knows no such run."""
    failures = Failures(lambda _: None)
    with failures.of(CANARY):
        raise StorageError("it cannot be reached")
    with pytest.raises(DeployError, match="not finished: the canary") as caught:
        failures.check("finished")
    assert "give-up" not in caught.value.hint
    with failures.of("20261120T201133Z-0123456789ab-full"):
        raise StorageError("it cannot be read")
    with pytest.raises(DeployError) as caught:
        failures.check("finished")
    assert "publisher give-up 20261120T201133Z-0123456789ab-full --reason WHY" in caught.value.hint


def test_the_audit_tells_a_verdict_before_the_request_that_follows_from_it(
    repository: GitFolder, record: Record
) -> None:
    """Entries of one second stand in the order in which they happen."""
    request = BuildRequest(
        run_id=record.run_id,
        branch=f"snapshot-{record.commit.sha[:12]}",
        commit="5" * 40,
        attempt=1,
        by="0" * 32,
        time=made.verdict(record).decided,
    )
    assert Ledger(repository.opened).append(history.request_file(request), "Request\n")
    project = Opened.open(repository.path, os.environ)
    project.ledger.sync()
    events = [event.event for event in trail(project)]
    assert events == ["verdict", "request", "receipt"]
