from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from publisher.netlify.client import Netlify, Settings
from publisher.web import Web
from tests.chaos import KINDS, Stage, stage, swept
from tests.project import config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.model
KEEP_ONE = "keep = { last = 1, best_per_suite = 0 }\n"
NUMBERS = itertools.count(1)


def branch(commit: str) -> str:
    """Return the name of a commit's snapshot branch."""
    return f"snapshot-{commit[:12]}"


def netlify(on: Stage) -> Netlify:
    """Return a client of the stage's host."""
    return Netlify(Settings.of("demo", on.environment))


def shown(on: Stage, name: str) -> str:
    """Return the snapshot that a branch's address shows; empty where it answers with none."""
    answer = Web(attempts=1).request("GET", netlify(on).settings.address_of(name) + "/snapshot.json", what="site")
    return str(answer.json("site")["branch"]) if answer.status == 200 else ""


def recorded(on: Stage, part: str) -> list[str]:
    """Return the ledger's files that have `part` in their path."""
    listing = on.oracle.git("ls-tree", "-r", "--name-only", "ledger").splitlines()
    return [path for path in listing if part in path and not path.startswith("calls/")]


def roll(on: Stage) -> tuple[list[str], Callable[[], None]]:
    """Show the one of two snapshots that is not live."""
    live = on.oracle.git("rev-parse", "live^")
    target = next(commit for commit in on.expected if commit != live)
    return ["rollback", branch(target), "--why", "a test"], lambda: on.oracle.check(on.expected, target)


def pin(on: Stage) -> tuple[list[str], Callable[[], None]]:
    """Give the older snapshot a name that no other has."""
    target, name = branch(next(iter(on.expected))), f"name-{next(NUMBERS)}"

    def check() -> None:
        assert recorded(on, f"pins/{name}-") == [f"pins/{name}-1.json"]
        assert on.oracle.git("rev-parse", name) == on.oracle.git("rev-parse", target)
        assert shown(on, name) == target
        assert len([deploy for deploy in netlify(on).deploys(branch=name) if deploy.ready]) == 1

    return ["pin", target, name], check


def repair(on: Stage) -> tuple[list[str], Callable[[], None]]:
    """Bring the older snapshot back after its deploy was deleted; the newer one stays live."""
    target = branch(next(iter(on.expected)))
    for deploy in netlify(on).deploys(branch=target):
        netlify(on).delete(deploy.id)
    live, receipts = on.oracle.git("rev-parse", "live"), len(recorded(on, "/receipt-"))

    def check() -> None:
        assert len(recorded(on, "/receipt-")) == receipts + 1
        assert shown(on, target) == target
        assert len([deploy for deploy in netlify(on).deploys(branch=target) if deploy.ready]) == 1
        assert on.oracle.git("rev-parse", "live") == live

    return ["verify", target, "--repair"], check


def prune(on: Stage) -> tuple[list[str], Callable[[], None]]:
    """Publish one more snapshot, so that the newest before it is to be given up."""
    before = branch(on.head)
    changed = {"publisher.toml": config(KINDS["good"], more=KEEP_ONE), "number.txt": str(next(NUMBERS))}
    on.expected[on.folder.commit(changed)] = "kept"
    on.finish()

    def check() -> None:
        assert on.oracle.git("for-each-ref", f"refs/heads/{before}") == ""
        assert not netlify(on).deploys(branch=before)
        assert len([path for path in recorded(on, "/pruned-") if before[9:] in path]) == 1
        assert shown(on, branch(on.head)) == branch(on.head)

    return ["prune", "--delete"], check


@swept
@pytest.mark.parametrize("prepare", [roll, pin, repair, prune])
def test_upkeep_killed_after_any_step_is_finished_by_the_same_command(
    tmp_path: Path, prepare: Callable[[Stage], tuple[list[str], Callable[[], None]]], every: int
) -> None:
    """SIGKILL after every durable effect: the command run again ends as if nothing had been, and a third does nothing.

    Before the first step is before the command.
    """
    log = tmp_path / "steps"
    with stage(tmp_path / "stage") as on:
        for _ in range(2):
            on.commit()
            on.finish()
        for _ in range(2):  # the first time there may be more to do
            log.write_text("", "utf-8")
            arguments, check = prepare(on)
            done = on.run(*arguments, log=str(log))
            assert done.code == 0, done.err
            check()
        steps = len(log.read_text("utf-8").splitlines())
        assert steps >= 2
        for label in (f"step {number}" for number in range(1, steps + 1, every)):
            arguments, check = prepare(on)
            assert on.run(*arguments, label=label, when="after").code == -9, f"never came to {label}"
            done = on.run(*arguments)
            assert done.code == 0, f"after {label}: {done.err}"
            check()
            before = on.oracle.state()
            assert on.run(*arguments).code == 0
            assert on.oracle.state() == before, f"after {label}: a third run was not a no-op"
            assert not on.debris()
