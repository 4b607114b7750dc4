"""A publisher that dies, or is overtaken, at a chosen step: `python -m tests.killing LABEL before|after publish …`.

Production code knows nothing of this. Every function with a durable effect is wrapped from outside, and its calls are
counted: `push ledger 2` is the second push of the ledger, `step 9` the ninth step of any kind. Without arguments it is
a server: imported once, it forks for each command, because starting Python anew costs more than publishing.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from publisher import cli, files
from publisher.bench import measure, plan
from publisher.bench.journal import Journal
from publisher.git import Repository
from publisher.publishing.pending import Pending
from publisher.publishing.project import Project
from publisher.publishing.turns import Patience
from publisher.web import Web
from tests.project import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Names = Callable[..., Iterable[str]]

ROOT = Path(__file__).parents[1]
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


def obey(order: Order) -> None:
    """Run the command line in this process; never returns."""
    signal.alarm(280)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.argv = ["publisher", *order.arguments]
    install(order)
    cli.main()


def serve() -> None:
    """Fork for each order of a list on stdin (a line of JSON); answer the list of their exit codes when all have ended.

    An order's `out` and `err` name the files for what it says.
    """
    for name in cli.COMMANDS:
        importlib.import_module(f"publisher.cli.{name.replace('-', '_')}")
    plan.engine_build()
    for line in sys.stdin:
        children = [_fork(given) for given in json.loads(line)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def _fork(given: dict[str, Any]) -> int:
    """Obey one order in a child process and return its id."""
    targets = [os.open(given.pop(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for name in ("out", "err")]
    child = os.fork()
    if not child:
        for number, handle in enumerate((os.open(os.devnull, os.O_RDONLY), *targets)):
            os.dup2(handle, number)
        obey(Order(**given))
    for handle in targets:
        os.close(handle)
    return child


class Forks:
    """The server, as a test uses it."""

    def __init__(self, folder: Path) -> None:
        """Start it; what commands say passes through files in `folder`."""
        folder.mkdir(parents=True)
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.killing"], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, *orders: Order) -> list[Done]:
        """Run commands side by side and return what they came to, exit code -9 for one that was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        names = ("out", "err")
        files = [{name: str(self._folder / f"{name}{number}") for name in names} for number in range(len(orders))]
        lines = [asdict(order) | paths for order, paths in zip(orders, files, strict=True)]
        self._process.stdin.write(json.dumps(lines) + "\n")
        self._process.stdin.flush()
        codes = json.loads(self._process.stdout.readline())
        said = [[Path(paths[name]).read_text("utf-8") for name in names] for paths in files]
        return [Done(code, out, err) for code, (out, err) in zip(codes, said, strict=True)]

    def close(self) -> None:
        """End the server."""
        self._process.communicate()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        obey(Order(sys.argv[3:], dict(os.environ), sys.argv[1], sys.argv[2]))
    serve()
