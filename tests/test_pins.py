from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publisher.files import canonical_json
from tests.project import PUBLISHER
from tests.shelf import Shelf, shelf


@pytest.fixture(name="on")
def on_fixture(tmp_path: Path) -> Iterator[Shelf]:
    """Return a shelf with two snapshots."""
    with shelf(tmp_path) as found:
        found.publish()
        found.publish()
        yield found


def names(on: Shelf) -> list[str]:
    """Return the snapshots' branches, oldest first."""
    return [run.line.snapshot for run in on.project.runs()]


def claimed(on: Shelf, name: str, number: int = 0, **changes: Any) -> dict[str, bytes]:
    """Return the ledger file of a pin that has come no further than its entry."""
    run = on.project.runs()[number]
    assert run.receipt
    entry = {
        "schema": 1,
        "name": name,
        "number": 1,
        "snapshot": run.line.snapshot,
        "run_id": run.run_id,
        "commit": run.receipt.commit,
        "address": on.netlify.settings.address_of(name),
        "who": "",
        "time": "2026-11-20T20:11:33Z",
    }
    return {f"pins/{name}-1.json": canonical_json(entry | changes)}


def entries(on: Shelf, part: str) -> list[str]:
    """Return the files of the remote's ledger that have `part` in their paths."""
    return [path for path in on.remote("ls-tree", "-r", "--name-only", "ledger").splitlines() if part in path]


def ready(on: Shelf, branch: str) -> int:
    """Return how many ready deploys a branch has."""
    return len([deploy for deploy in on.netlify.deploys(branch=branch) if deploy.ready])


def test_equal_pins_at_once_are_one_pin(on: Shelf) -> None:
    """Three publishers pin the same snapshot to the same name: all succeed, with one entry, one call and one deploy."""
    oldest = names(on)[0]
    command = [str(PUBLISHER), "--repo", str(on.folder.path), "pin", oldest, "math"]
    environment = {**os.environ, **on.user.environment}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    assert entries(on, "/request-")[:1] == ["calls/pins/math-1/request-1.json"]
    assert [path for path in entries(on, "pins/") if path.startswith("pins/")] == ["pins/math-1.json"]
    assert (ready(on, "math"), on.shown("math")) == (1, oldest)


def test_a_pin_that_was_interrupted_is_finished_by_the_same_command(on: Shelf) -> None:
    """Its entry is there, its branch is not: the rest follows, and there is still one entry."""
    on.forge(claimed(on, "math"))
    assert on.user.run("pin", names(on)[0], "math").code == 0
    assert on.shown("math") == names(on)[0]
    assert entries(on, "pins/math-")[-1:] == ["pins/math-1.json"]
    before = on.remote("for-each-ref")
    assert on.user.run("pin", names(on)[0], "math").code == 0
    assert (on.remote("for-each-ref") == before, ready(on, "math")) == (True, 1)


def test_a_pin_that_was_interrupted_does_not_block_its_name(on: Shelf) -> None:
    """Another snapshot takes the name as it would from any pin: with --move."""
    on.forge(claimed(on, "math"))
    newest = names(on)[1]
    refused = on.user.run("pin", newest, "math")
    assert (refused.code, "--move" in refused.err) == (2, True)
    assert on.user.run("pin", newest, "math", "--move").code == 0
    assert on.shown("math") == newest


def test_a_pin_moves_on_a_remote_that_accepts_fast_forwards_only(on: Shelf) -> None:
    """The default of shared bare repositories is no obstacle: the branch is made anew."""
    oldest, newest = names(on)
    assert on.user.run("pin", oldest, "math").code == 0
    on.remote("config", "receive.denyNonFastForwards", "true")
    done = on.user.run("pin", newest, "math", "--move")
    assert (done.code, on.shown("math")) == (0, newest), done.err


def test_a_forged_pin_overwrites_nobodys_branch(on: Shelf) -> None:
    """An entry that says that `release` was a pin at its present commit does not make it one."""
    tip = on.folder.git("rev-parse", "HEAD")
    on.folder.git("push", "--quiet", "origin", "HEAD:refs/heads/release")
    on.forge(claimed(on, "release", commit=tip))
    done = on.user.run("pin", names(on)[1], "release", "--move")
    assert (done.code, "no pin" in done.err) == (2, True)
    assert on.remote("rev-parse", "release") == tip


def test_pins_keep_to_the_budget(tmp_path: Path) -> None:
    """The build of a pin counts as any other; where it is one too many, the pin can be finished later."""
    with shelf(tmp_path) as on:
        branch = on.publish(more="builds_per_month = 2").snapshot
        assert on.user.run("pin", branch, "one").code == 0
        done = on.user.run("pin", branch, "two")
        assert (done.code, "the budget is 2" in done.err) == (3, True), done.err
        assert ready(on, "two") == 0


def test_what_was_pruned_cannot_be_pinned(on: Shelf) -> None:
    """Its address would lead nowhere; the message says how it comes back."""
    text = (on.folder.path / "publisher.toml").read_text("utf-8")
    on.folder.commit({"publisher.toml": text + "keep = { last = 1, best_per_suite = 0 }\n"})
    oldest = names(on)[0]
    assert on.user.run("prune", "--delete").code == 0
    done = on.user.run("pin", oldest, "math")
    assert (done.code, "--repair" in done.err) == (2, True)
    assert entries(on, "pins/") == []


def test_pins_are_listed_with_their_addresses(on: Shelf) -> None:
    """As a table for people and as JSON for programs."""
    assert on.user.run("pin", names(on)[0], "math", "--json").json["name"] == "math"
    address = on.netlify.settings.address_of("math")
    assert address in on.user.run("pin").out
    (pin,) = on.user.run("pin", "--json").json
    assert (pin["address"], pin["snapshot"]) == (address, names(on)[0])
