"""Everything that disturbs delivery, at once and drawn from a seed: no model runs, so much of it fits into minutes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from publisher.ledger import history
from tests.delivery import Stage, branch, stage
from tests.killing import Order, obeyed
from tests.made import GitFolder
from tests.project import PUBLISHER

FAULTS = ["late 3", "lost 3", "wait 2", "500", "500-after", "reset-before", "reset-after", "429"]
"""What happens to calls of the hook. A call that is `lost` has its effect after others stopped to believe in it."""
DOUBTFUL = {"lost 3", "500", "500-after", "reset-before", "reset-after"}
"""Those after which nobody knows whether the call had its effect."""
LATEST = 3.0
"""Seconds until the last of these effects has come."""
QUICK, LONG = (1,), range(100, 130)
HOUR = 3600.0


def reconcile(on: Stage, place: Path, draw: random.Random, *, killed: bool, ahead: float) -> Order:
    """Return a command that finishes what is unfinished, from one clone, and may die at some step."""
    label = f"step {draw.randint(1, 14)}" if killed else ""
    environment = {**os.environ, **on.shelf.user.environment}
    return Order(["--repo", str(place), "reconcile"], environment, label, draw.choice(["before", "after"]), ahead=ahead)


def set_up(on: Stage, draw: random.Random) -> list[Path]:
    """Make the remote and the API odd, put two runs into the ledger, and return the clones that publish."""
    if draw.random() < 0.3:
        on.shelf.remote("config", "receive.denyNonFastForwards", "true")
    for _ in range(2):
        on.shelf.enter(timeout=25)
    other = on.clone().folder.path
    shallow = on.path / "shallow"
    origin = (on.path / "origin.git").as_uri()
    on.shelf.folder.git("clone", "--quiet", "--depth=1", origin, str(shallow))
    if draw.random() < 0.4:
        hook = on.path / "origin.git" / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\nsleep {draw.choice([0.2, 0.5, 1.0])}\n", "utf-8")
        hook.chmod(0o755)
    return [on.shelf.folder.path, other, shallow]


def check(on: Stage, doubtful: int, *, token: bool) -> None:
    """Assert one receipt and one good deploy for each run, the newest of which is live."""
    on.shelf.project.ledger.sync()
    runs = on.shelf.project.runs()
    for run in runs:
        assert run.receipt is not None, run.run_id
        assert run.receipt.number == 1
        accepted = on.accepted(branch(run.run_id))
        assert 1 <= accepted <= 1 + doubtful, f"{accepted} calls, {doubtful} in doubt"
        if token:
            assert on.ready(branch(run.run_id)) == [run.receipt.deploy_id]
    assert on.shelf.shown() == branch(runs[-1].run_id)
    assert history.live_moves(on.shelf.project.ledger)[-1].run_id == runs[-1].run_id


def live_through(path: Path, seed: int) -> None:
    """Let a few publishers try under what the seed says; then one works undisturbed, and the next has nothing to do."""
    draw = random.Random(seed)  # noqa: S311 - to be repeated, no secret
    token = draw.random() < 0.6
    doubtful = 0
    with stage(path / "stage", token=token, build=f"sleep {draw.choice([0, 1, 2])}\n") as on:
        places = set_up(on, draw)
        on.proxy.stale = draw.choice([0.0, 0.0, 2.0]) if token else 0.0
        for _ in range(draw.randint(1, 3)):
            faults = draw.sample(FAULTS, draw.randint(0, 2))
            on.proxy.faults += [("POST /build_hooks", fault) for fault in faults]
            kills = [draw.random() < 0.5 for _ in range(draw.randint(1, 2))]
            doubtful += len(DOUBTFUL & set(faults)) + sum(kills)
            chosen = draw.sample(places, len(kills))
            orders = [
                reconcile(on, place, draw, killed=killed, ahead=draw.choice([0.0, 0.0, HOUR, -HOUR]))
                for place, killed in zip(chosen, kills, strict=True)
            ]
            for done in obeyed(*orders):
                assert done.code in {0, 3, -9}, done.err
                assert "Traceback" not in done.err, done.err
        on.proxy.faults.clear()
        on.proxy.stale = 0.0
        time.sleep(LATEST if doubtful else 0)
        calm = Order(["--repo", str(places[0]), "reconcile"], {**os.environ, **on.shelf.user.environment})
        for _ in range(4):
            done = obeyed(calm)[0]
            if done.code == 0:
                break
        assert done.code == 0, done.err
        check(on, doubtful, token=token)
        before = on.shelf.remote("for-each-ref")
        assert obeyed(calm)[0].code == 0
        assert on.shelf.remote("for-each-ref") == before, "there was something left to do"


@pytest.mark.parametrize("seed", QUICK)
def test_delivery_survives_what_a_seed_draws(tmp_path: Path, seed: int) -> None:
    """Crashes, wrong clocks, slow builds and remotes, late effects, hook-only mode: one good deploy for each run."""
    live_through(tmp_path, seed)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", LONG)
def test_delivery_survives_what_many_seeds_draw(tmp_path: Path, seed: int) -> None:
    """The same, with more seeds."""
    live_through(tmp_path, seed)


def locks(folders: list[Path]) -> set[str]:
    """Return the locks of refs that git holds in some repositories."""
    patterns = ("*.lock", "refs/**/*.lock")
    return {str(path) for folder in folders for pattern in patterns for path in folder.glob(pattern)}


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(8))
def test_a_publisher_killed_while_git_holds_a_lock_is_finished_by_the_next(tmp_path: Path, seed: int) -> None:
    """SIGKILL for the publisher and its git at the very moment in which a lock is seen, here or on the remote."""
    draw = random.Random(seed)  # noqa: S311 - to be repeated, no secret
    with stage(tmp_path) as on:
        run_id = on.shelf.enter()
        work: GitFolder = on.shelf.folder
        folders = [work.path / ".git", tmp_path / "origin.git"]
        for _ in range(3):
            wanted, seen, known = draw.randint(1, 10), 0, set[str]()
            command = [str(PUBLISHER), "--repo", str(work.path), "reconcile"]
            environment = {**os.environ, **on.shelf.user.environment}
            process = subprocess.Popen(
                command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while process.poll() is None:
                held = locks(folders)
                seen, known = seen + len(held - known), held
                if seen >= wanted:
                    os.killpg(process.pid, signal.SIGKILL)
                    break
            process.wait()
        done = on.shelf.user.run("reconcile")
        assert done.code == 0, done.err
        assert on.ready(branch(run_id)) == [receipt_of(on, run_id)]
        assert on.shelf.shown() == branch(run_id)
        assert not locks(folders)


def receipt_of(on: Stage, run_id: str) -> str:
    """Return the id of the deploy that a run's receipt names."""
    on.shelf.project.ledger.sync()
    run = on.shelf.project.run(run_id)
    assert run is not None
    assert run.receipt is not None
    return run.receipt.deploy_id
