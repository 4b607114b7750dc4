from __future__ import annotations

import queue
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.chaos import Stage, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.model
LANES = 3
"""Projects that a sweep works on side by side: most of a publisher's time is waiting."""
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


def test_a_publisher_killed_at_any_step_is_finished_by_the_next(tmp_path: Path) -> None:
    """SIGKILL before and after every durable effect: the same command then ends with one deploy and nothing lost."""
    labels = labels_of(tmp_path)
    same = [label for label in labels if label.startswith("journal")][1:-1]

    def kill(on: Stage, case: tuple[str, str]) -> None:
        label, when = case
        on.commit(new="journal" in label)
        shutil.rmtree(on.environment["XDG_CACHE_HOME"])
        done = on.run("publish", label=label, when=when)
        assert done.code == -9, f"never came to {label}: {done.err}"
        on.finish()
        on.check()

    sweep(tmp_path, [(label, when) for label in labels if label not in same for when in ("before", "after")], kill)
