from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from publisher.errors import DeployError, NetworkError
from publisher.ledger import history
from publisher.netlify.client import Netlify, Settings
from publisher.publishing import deliver, live
from publisher.publishing.failures import Failures
from publisher.publishing.turns import Patience
from tests.scripted import drip, scripted
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


def with_address(on: Shelf, address: str) -> None:
    """Give the first snapshot another receipt, as everybody can who may push to the ledger."""
    run = on.project.runs()[0]
    assert run.receipt
    receipt = msgspec.structs.replace(run.receipt, number=2, address=address)
    on.forge({f"{history.folder(run.run_id)}/receipt-2.json": receipt})


@pytest.mark.parametrize(
    "address",
    ["https://elsewhere.example", "http://snapshot-0--other.localhost:{port}", "http://[", "https://demo:x@y"],
)
def test_a_receipt_cannot_send_verify_to_another_host(on: Shelf, address: str) -> None:
    """The address is that of the site which the run's commit names, whatever the ledger says; nobody else is asked."""
    with_address(on, address.format(port=on.info.port))
    done = on.user.run("verify")
    assert (done.code, done.out.count("✓"), "its site is" in done.err) == (3, 1, True), done.err


def test_a_host_on_this_machine_may_have_another_port_since(on: Shelf) -> None:
    """What was published under the old port is found under the new one."""
    branch = on.project.runs()[0].line.snapshot
    with_address(on, f"http://{branch}--demo.localhost:1")
    done = on.user.run("verify")
    assert (done.code, done.out.count("✓")) == (0, 2), done.err


def test_a_snapshot_on_this_machine_is_not_looked_for_on_netlify(on: Shelf) -> None:
    """Without the host's address in the environment, the message says what to set."""
    del on.user.environment["NETLIFY_API_URL"], on.user.environment["NETLIFY_BUILD_HOOK"]
    done = on.user.run("verify")
    assert (done.code, "set NETLIFY_API_URL" in done.err) == (3, True), done.err


def test_a_run_that_was_named_under_another_port_is_finished(on: Shelf) -> None:
    """The ledger keeps the name that it has; the snapshot is the same one."""
    run_id = on.enter()
    project = on.project
    away = Netlify(Settings("demo", api_url="http://127.0.0.1:1"))
    deliver.name_snapshot(project, away, project.record(run_id))
    done = on.user.run("reconcile")
    assert done.code == 0, done.err
    assert on.user.run("verify").code == 0


def test_a_rollback_does_not_wait_for_an_old_snapshot_that_drips(on: Shelf) -> None:
    """What was live before is looked at once and briefly: until then the ledger does not know of the move."""
    with scripted(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + bytes(9000))) as server:
        on.user.environment["NETLIFY_API_URL"] = server.url
        on.user.environment["NETLIFY_BUILD_HOOK"] = ""
        on.patience = Patience(look=0.3)
        began = time.monotonic()
        assert live._served(on.project, on.project.runs()[0]) is None
        assert time.monotonic() - began < 5
