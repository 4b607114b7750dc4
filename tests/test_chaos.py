from __future__ import annotations

import queue
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.chaos import REQUESTS, Stage, stage, swept
from tests.fault_proxy import FAULTS
from tests.killing import Order, obeyed
from tests.made import GitFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.model
LANES = 3
"""Projects that a sweep works on side by side: most of a publisher's time is waiting."""
MOVED = """
cd {origin}
tree=$(GIT_INDEX_FILE=rival sh -c 'git read-tree ledger && blob=$(date +%N | git hash-object -w --stdin) &&
    git update-index --add --cacheinfo 100644,$blob,rivals/$blob && git write-tree')
rm rival
git update-ref refs/heads/ledger $(git -c user.name=r -c user.email=r@x commit-tree $tree -p ledger -m rival)
"""
"""Somebody else adds to the ledger."""
HOOK = """printf '#!/bin/sh\\nrm -f "$0"; kill -9 $PPID' > {hook}; chmod +x {hook}"""
"""The remote breaks off one push."""
T = TypeVar("T")


def sweep(path: Path, cases: Sequence[T], work: Callable[[Stage, T], None], *, proxied: bool = False) -> None:
    """Do `work` for every case, each on one of a few stages; then report what failed."""
    failed: list[str] = []
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)

    def lane(number: int) -> None:
        with stage(path / f"lane{number}", proxied=proxied) as on, suppress(queue.Empty):
            on.commit()
            on.finish()
            while not failed:
                case = waiting.get_nowait()
                try:
                    work(on, case)
                except AssertionError as error:
                    failed.append(f"{case}: {error}")

    with ThreadPoolExecutor(LANES) as pool:
        list(pool.map(lane, range(LANES)))
    assert not failed, "\n\n".join(failed)


def labels_of(path: Path) -> list[str]:
    """Publish once and return the label of every step that this took."""
    log = path / "steps"
    with stage(path / "recorded") as on:
        on.commit()
        assert on.run("publish", log=str(log)).code == 0
    return log.read_text("utf-8").splitlines()


@swept
def test_a_publisher_killed_at_any_step_is_finished_by_the_next(tmp_path: Path, every: int) -> None:
    """SIGKILL around every durable effect: the same command then ends with one deploy and nothing lost.

    Before a step is after the one before it, for nothing durable lies between; what others can see is tried both ways.
    """
    labels = labels_of(tmp_path)
    same = [label for label in labels if label.startswith("journal")][1:-1]
    before = [labels[0], *(label for label in labels if label.startswith(("push", "POST")))]

    def kill(on: Stage, case: tuple[str, str]) -> None:
        label, when = case
        on.commit(new="journal" in label)
        shutil.rmtree(on.environment["XDG_CACHE_HOME"])
        done = on.run("publish", label=label, when=when)
        assert done.code == -9, f"never came to {label}: {done.err}"
        on.finish()
        on.check()

    cases = [*((label, "before") for label in before), *((label, "after") for label in labels if label not in same)]
    sweep(tmp_path, cases[::every], kill)


@swept
def test_a_request_spoiled_in_any_way_is_made_good(tmp_path: Path, every: int) -> None:
    """Every fault on every kind of request: the build hook has its effect once, and live is right."""
    writes = [["hook"], ["restore"]]
    reads = [request for request in REQUESTS if [request] not in writes]

    def spoil(on: Stage, case: tuple[list[str], str]) -> None:
        requests, fault = case
        on.commit()
        on.proxy.faults += [(REQUESTS[request], fault) for request in requests]
        on.finish()
        assert not on.proxy.faults, "a request was never made"
        on.check()

    cases = [(requests, fault) for requests in [*writes, reads] for fault in FAULTS]
    sweep(tmp_path, cases[::every], spoil, proxied=True)


def test_an_outage_is_reported_and_made_good(tmp_path: Path) -> None:
    """While nothing answers, publishing fails with exit code 3 and a hint; when the site is back it goes on."""
    with stage(tmp_path, proxied=True) as on:
        on.commit()
        on.proxy.faults += [("", "503")] * 100
        done = on.run("publish")
        assert (done.code, "hint:" in done.err) == (3, True), done.err
        on.proxy.faults.clear()
        on.finish()
        on.check()


@swept
def test_a_push_that_fails_or_is_overtaken_is_made_good(tmp_path: Path, every: int) -> None:
    """A push of each branch is broken off, loses its answer, finds no remote; every push comes second once."""
    pushes = [label for label in labels_of(tmp_path) if label.startswith("push")]

    def disturb(on: Stage, case: tuple[str, str]) -> None:
        label, what = case
        origin = on.oracle.origin
        on.commit()
        if what in {"pre-receive", "post-receive"}:
            rival = HOOK.format(hook=shlex.quote(f"{origin}/hooks/{what}"))
        else:
            rival = f"mv {origin} {origin}.away" if what == "away" else MOVED.format(origin=shlex.quote(str(origin)))
        done = on.run("publish", label=label, when="overtaken", rival=["bash", "-ec", rival])
        assert done.code in {0, 3}, done.err
        if what == "away":
            origin.with_name("origin.git.away").rename(origin)
        on.finish()
        on.check()

    kinds = ("pre-receive", "post-receive", "away")
    first = [(label, what) for label in pushes if label.endswith(" 1") for what in kinds]
    cases = [*first, *((label, "moved") for label in pushes)]
    sweep(tmp_path, cases[::every], disturb)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("same", [False, True], ids=["of-eight-commits", "of-one-commit"])
def test_eight_publishers_at_once_lose_nothing_and_publish_nothing_twice(tmp_path: Path, *, same: bool) -> None:
    """Eight clones of one remote publish at the same time: one deploy a commit, every run in the ledger."""
    with stage(tmp_path, builders=2) as on:
        on.commit()
        on.finish()
        if same:
            on.commit()
        on.folder.git("push", "--quiet", "origin", "main")
        orders = []
        for number in range(8):
            path = tmp_path / f"clone{number}"
            on.folder.git("clone", "--quiet", str(on.oracle.origin), str(path))
            if not same:
                on.expected[GitFolder(path).commit({"number.txt": f"clone {number}"})] = "kept"
            orders.append(Order(["--repo", str(path), "publish"], on.environment, hurried=False))
        results = on.heard(obeyed(*orders))
        assert [done.code for done in results] == [0] * 8, "\n".join(done.err for done in results)
        on.oracle.check(on.expected, on.oracle.newest())
        assert not list(on.temporary.iterdir())
