from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher.errors import DeployError, NetworkError
from publisher.publishing.failures import Failures
from tests.shelf import Shelf, shelf


@pytest.fixture(name="on")
def on_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf with two snapshots."""
    with shelf(tmp_path) as found:
        found.publish()
        found.publish()
        yield found


def test_a_bad_run_does_not_keep_the_others_from_being_verified(on: Shelf) -> None:
    """A run whose site does not exist is unfinished for ever: it is named, the others are done, the exit code is 3."""
    on.enter(more='[netlify.keep]\nlast = "many"')
    done = on.user.run("verify", "--all", "--repair")
    assert (done.code, done.out.count("✓")) == (3, 2), done.err
    bad = on.project.runs()[-1].run_id
    assert f"publisher give-up {bad}" in done.err
    assert on.user.run("give-up", bad, "--reason", "its configuration is wrong").code == 0
    assert on.user.run("verify", "--all", "--repair").code == 0


def test_repair_finishes_a_run_that_has_no_receipt(on: Shelf) -> None:
    """By name and with all; without --repair it is named on stderr and not passed over in silence."""
    run_id = on.enter()
    looked = on.user.run("verify")
    assert (looked.code, run_id in looked.err) == (0, True)
    done = on.user.run("verify", run_id, "--repair")
    assert done.code == 0, done.err
    run = on.project.run(run_id)
    assert run
    assert run.receipt
    assert on.shown(run.receipt.snapshot) == run.receipt.snapshot
    another = on.enter()
    assert on.user.run("verify", "--all", "--repair").code == 0
    finished = on.project.run(another)
    assert finished
    assert finished.receipt


def test_a_run_that_was_given_up_is_not_verified(on: Shelf) -> None:
    """Its damaged deploy is nobody's business any more."""
    run = on.project.runs()[0]
    for deploy in on.netlify.deploys(branch=run.line.snapshot):
        on.netlify.delete(deploy.id)
    assert on.user.run("verify", "--all").code == 3
    assert on.user.run("give-up", run.run_id, "--reason", "its problems are outdated").code == 0
    done = on.user.run("verify", "--all", "--repair")
    assert (done.code, done.out.count("✓")) == (0, 1)


def test_one_host_that_is_silent_is_a_failure_and_two_are_the_network() -> None:
    """One bad address must not stop an audit; where nothing answers, every other run would wait as long."""
    said: list[str] = []
    failures = Failures(said.append)

    def silent(name: str) -> None:
        with failures.of(name):
            raise NetworkError("no answer")

    silent("one")
    with failures.of("two"):
        pass
    silent("three")
    with pytest.raises(NetworkError):
        silent("four")
    assert list(failures.found) == ["one", "three"]
    with pytest.raises(DeployError, match="2 runs were not verified: one, three"):
        failures.check("verified")
