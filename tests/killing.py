"""A publisher that dies, or is overtaken, at a chosen step.

Production code knows nothing of this. Every function with a durable effect is wrapped from outside, and its calls are
counted: `push ledger 2` is the second push of the ledger, `step 9` the ninth step of any kind.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from publisher import files
from publisher.bench import measure
from publisher.bench.journal import Journal
from publisher.git import Repository
from publisher.publishing.pending import Pending
from publisher.publishing.project import Project
from publisher.publishing.turns import Patience
from publisher.web import Web
from tests import forks
from tests.project import PUBLISHER, Done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.shelf import Shelf

    Names = Callable[..., Iterable[str]]

DOUBT, READ_TIMEOUT = 4.0, 2.0
"""Seconds that a call of the hook stays in doubt, and that an answer may take, where a test need not wait longer."""


@dataclass(frozen=True)
class Order:
    """One command: its arguments and environment, and the step before or after which something happens to it."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    label: str = ""
    when: str = "before"
    """`before` or `after`: SIGKILL. `overtaken`: `rival` runs before the step."""
    rival: list[str] = field(default_factory=list)
    log: str = ""
    """The file that every step's label is appended to."""
    hurried: bool = True
    ahead: float = 0.0
    """Seconds by which the clock of the machine that runs the command is ahead."""


class Steps:
    """Counts the steps of one command and lets happen what was ordered."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._seen: Counter[str] = Counter()
        self._all = 0

    def wrap(self, owner: Any, attribute: str, names: Names) -> None:
        """Make every call of `owner.attribute` a step, or several: `names` of its arguments."""
        original = getattr(owner, attribute)

        @functools.wraps(original)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            labels = [label for name in names(*arguments, **options) for label in self._labels(name)]
            due = self._order.label in labels
            if due and self._order.when == "overtaken":
                subprocess.run(self._order.rival, check=True, capture_output=True)
            if due and self._order.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*arguments, **options)
            if due and self._order.when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, attribute, wrapped)

    def _labels(self, name: str) -> tuple[str, str]:
        self._seen[name] += 1
        self._all += 1
        label = f"{name} {self._seen[name]}"
        if self._order.log:
            with Path(self._order.log).open("a", encoding="utf-8") as stream:
                stream.write(label + "\n")
        return label, f"step {self._all}"


def install(order: Order) -> None:
    """Wrap every function with a durable effect."""
    steps = Steps(order)
    steps.wrap(Repository, "push", lambda _, __, moves: [f"push {_short(name)}" for name in moves])
    steps.wrap(Repository, "move_refs", lambda _, moves: [f"move {_short(name)}" for name in moves])
    steps.wrap(Repository, "write_commit", lambda *_, **__: ["commit"])
    steps.wrap(Web, "request", lambda _, method, *__, what, **___: [] if method == "GET" else [f"{method} {what}"])
    steps.wrap(Journal, "append", lambda *_: ["journal"])
    steps.wrap(measure.Measurement, "forget_journal", lambda *_: ["forget journal"])
    steps.wrap(Pending, "discard", lambda *_: ["discard pending"])
    original = files.atomic_write
    for module in [module for name, module in sys.modules.items() if name.startswith("publisher")]:
        if getattr(module, "atomic_write", None) is original:
            steps.wrap(module, "atomic_write", _written)
    if order.hurried:
        hurry(Patience, doubt=DOUBT, settle=0.2, retry=0.2)
        hurry(Web, read_timeout=READ_TIMEOUT)
    if order.ahead:
        hurry(Project, clock=lambda: time.time() + order.ahead)


def hurry(kind: Any, **defaults: Any) -> None:
    """Give the fields of a dataclass other defaults."""
    names = [one.name for one in fields(kind) if one.init]
    known = kind.__init__.__defaults__
    shift = len(names) - len(known)
    kind.__init__.__defaults__ = tuple(defaults.get(names[shift + number], value) for number, value in enumerate(known))


def _written(path: Path, *_: object, **__: object) -> list[str]:
    """Return the step that writing a file is; none where it only shows how far a run is, which time decides."""
    return [] if path.suffix == ".run" else [f"write {_short(path.name)}"]


def _short(name: str) -> str:
    """Return the name of a ref or a file without what differs from commit to commit."""
    return re.sub(r"\d{8}T\d{6}Z|[0-9a-f]{12,}", "*", name.removeprefix("refs/heads/"))


def obeyed(*orders: Order) -> list[Done]:
    """Run commands side by side and return what they came to, exit code -9 for one that was killed."""

    def obey(order: Order) -> Done:
        happens = {name: value for name, value in asdict(order).items() if name not in {"arguments", "environment"}}
        done = forks.run([str(PUBLISHER), *order.arguments], order.environment, 280, happens=happens)
        return Done(done.returncode, done.stdout, done.stderr)

    with ThreadPoolExecutor(len(orders)) as pool:
        return list(pool.map(obey, orders))


def killed_after_each_step(
    on: Shelf, path: Path, prepare: Callable[[Shelf], tuple[list[str], Callable[[], None]]]
) -> None:
    """Kill a command after each of its steps: the same again ends as if nothing had been, and a third does nothing.

    `prepare` makes ready what the command works on, and returns its arguments and the check of what it came to.
    """
    environment = {**os.environ, **on.user.environment}

    def run(arguments: list[str], label: str = "", log: str = "") -> Done:
        order = Order(["--repo", str(on.folder.path), *arguments], environment, label, "after", log=log)
        (done,) = obeyed(order)
        assert "Traceback" not in done.err, done.err
        return done

    log = path / "steps"
    for _ in range(2):  # the first time there may be more to do
        log.write_text("", "utf-8")
        arguments, check = prepare(on)
        done = run(arguments, log=str(log))
        assert done.code == 0, done.err
        check()
    steps = len(log.read_text("utf-8").splitlines())
    assert steps >= 2
    for label in (f"step {number}" for number in range(1, steps + 1)):
        arguments, check = prepare(on)
        assert run(arguments, label).code == -9, f"never came to {label}"
        done = run(arguments)
        assert done.code == 0, f"after {label}: {done.err}"
        check()
        before = on.remote("for-each-ref"), len(on.host.deploys())
        assert run(arguments).code == 0
        assert (on.remote("for-each-ref"), len(on.host.deploys())) == before, f"after {label}: a third did more"
