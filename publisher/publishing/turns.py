"""Turns to call the build hook: who may call now, and how long a call that was made may still take effect.

A turn is a request in the ledger that only one publisher can write. Others leave it alone until it expires: when they
have seen it, unchanged, for as long as it asks for, measured by their own monotonic clock. No wall clock is compared
with another. Which call may still have its effect:

    no answer in the ledger   the answer was lost, or its publisher died: believed for the turn's `patience`
    accepted                  believed for as long as a build may take
    not made                  over: anybody may call

A deploy that was not there before the call shows that the call has had its effect, and ends the wait at once.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.files import atomic_write
from publisher.ledger import calls
from publisher.schema import BuildAnswer, BuildRequest

if TYPE_CHECKING:
    from publisher.ledger.calls import Call
    from publisher.ledger.store import Ledger
    from publisher.netlify.deploys import Look, WantedDeploy

LONGEST_PATIENCE = 3600.0
"""Seconds that a turn can ask others to wait; a ledger file that asks for more is not believed."""
MOST_BEFORE = 20
"""Deploys that a request lists."""
_KEPT = 7 * 86_400.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a publisher waits for others."""

    doubt: float = 90.0
    """Seconds for which a call whose answer was lost may still take effect.

    More than twice the time that an answer of the hook may take, so that a call is over before its turn expires.
    """
    pushes: float = 6.0
    """A turn asks for at least so many times what the slowest entry in the ledger took: slow remotes need longer."""
    retry: float = 1.0
    """Seconds before a call that could not be made is tried again, where the host asks for no longer pause."""
    look: float = 10.0
    """Seconds that a file of the snapshot which was live before may take when a rollback looks at it."""
    settle: float = 2.0
    """Seconds after which a damaged deploy is looked at again: a host may need a moment to serve every file."""


def steady() -> float:
    """Return seconds on a clock that nobody sets, and that includes sleep where the system has such a clock."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(slots=True)
class Marks:
    """When this machine first saw something, in small files, so that a command that is repeated need not wait again.

    A mark counts only until the machine is restarted: the steady clock starts anew then.
    """

    folder: Path
    _known: dict[str, float] = field(default_factory=dict)

    def age(self, key: str) -> float:
        """Return the seconds since `key` was seen first; 0 the first time."""
        now = steady()
        if key not in self._known:
            self._known[key] = self._stored(key, now)
        return now - self._known[key]

    def forget(self, prefix: str = "") -> None:
        """Forget what is stored of keys that begin with `prefix`: nothing is waited for there any more."""
        stem = _file_name(prefix)
        for path in self.folder.glob("*.json") if self.folder.is_dir() else ():
            if path.name.startswith(stem):
                path.unlink(missing_ok=True)

    def _stored(self, key: str, now: float) -> float:
        """Return the moment that is stored for a key, or store the present one."""
        path = self.folder / f"{_file_name(key)}.json"
        boot = _boot()
        try:
            found = json.loads(path.read_bytes())
            if boot and found["boot"] == boot and 0 <= now - float(found["at"]) < _KEPT:
                return float(found["at"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps({"boot": boot, "at": now}).encode())
        return now


def _file_name(key: str) -> str:
    """Return a key, which has the form of a path, as the name of a file."""
    return key.replace("/", "~")


def _boot() -> str:
    """Return what tells one start of this machine from the next, empty where the system does not say."""
    try:
        return _BOOT.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that this publisher has taken, and since when (by the monotonic clock) others may have seen it."""

    request: BuildRequest
    began: float

    @property
    def is_fresh(self) -> bool:
        """Whether the call may still be made: less than half of the turn's time is over."""
        return time.monotonic() - self.began < self.request.patience / 2

    @property
    def longest_answer(self) -> float:
        """Seconds that the answer of the call may take: the turn must not expire while the call is under way."""
        return max(0.1, self.began + self.request.patience * 0.8 - time.monotonic())


@dataclass(slots=True)
class Turns:
    """The turns of one deploy: one folder of the ledger, and how long builds may take."""

    ledger: Ledger
    folder: str
    marks: Marks
    timeout: float
    """Seconds that a build may take."""
    seen_by_api: bool
    """Whether the API can be asked; otherwise a build shows only when it is ready."""
    receipt: int = 1
    patience: Patience = field(default_factory=Patience)
    slowest: float = 0.0
    """Seconds that the slowest entry in the ledger has taken so far."""

    def calls(self) -> list[Call]:
        """Return the calls for this deploy so far: a repair begins anew."""
        return [call for call in calls.read_calls(self.ledger, self.folder) if call.request.receipt == self.receipt]

    def pending(self, look: Look) -> float:
        """Return for how many more seconds the last call may take effect; 0 where another may be made."""
        known = self.calls()
        if not known:
            return 0.0
        last, answer = known[-1].request, known[-1].answer
        if answer is not None and answer.outcome == "not made":
            return 0.0
        if look.ids and look.ids[0] not in last.before:
            return 0.0
        patience = min(last.patience or self.patience.doubt, LONGEST_PATIENCE)
        if answer is not None or not self.seen_by_api:
            # Without the API a build that was started shows nothing until it is ready.
            patience = max(patience, self.timeout)
        mark = f"{self.folder}/{last.attempt}-{'accepted' if answer else 'open'}"
        return max(0.0, patience - self.marks.age(mark))

    def take(self, wanted: WantedDeploy, look: Look, *, moment: str) -> Turn | None:
        """Write down that the build hook is about to be called; None where another publisher was first.

        A turn that took over half its time to record is given up: another publisher may call next.
        """
        patience = max(self.patience.doubt, self.patience.pushes * self.slowest)
        request = BuildRequest(
            run_id=wanted.run_id,
            branch=wanted.branch,
            commit=wanted.commit,
            attempt=calls.next_number(self.ledger, self.folder),
            by=secrets.token_hex(8),
            time=moment,
            receipt=self.receipt,
            patience=min(patience, LONGEST_PATIENCE),
            before=list(look.ids[:MOST_BEFORE]),
        )
        # Others may see the entry at any moment from here on, so the turn's time starts before it is written.
        began = time.monotonic()
        self._append(
            calls.request_file(self.folder, request), f"Request {request.attempt} for {wanted.branch}\n", request
        )
        mine = any(call.request.by == request.by for call in self.calls())
        if not mine:
            return None
        self.marks.age(f"{self.folder}/{request.attempt}-open")
        turn = Turn(request, began)
        if turn.is_fresh:
            return turn
        self.close(turn, "not made", moment=moment)
        return None

    def close(self, turn: Turn, outcome: str, *, moment: str) -> None:
        """Write down what became of a call; of one whose answer was lost nothing is known, so nothing is written."""
        if outcome == "lost":
            return
        attempt = turn.request.attempt
        self.marks.forget(f"{self.folder}/{attempt}-")
        answer = BuildAnswer(attempt=attempt, outcome="accepted" if outcome == "accepted" else "not made", time=moment)
        self._append(calls.answer_file(self.folder, answer), f"Answer {attempt} for {turn.request.branch}\n")

    def forget(self) -> None:
        """Forget what this machine has seen of these turns: the deploy is there."""
        self.marks.forget(f"{self.folder}/")

    def _append(self, files: dict[str, bytes], message: str, request: BuildRequest | None = None) -> None:
        """Add an entry and note how long that took; a request is not added where its number is taken."""

        def taken() -> bool:
            return request is not None and calls.next_number(self.ledger, self.folder) > request.attempt

        began = time.monotonic()
        self.ledger.append(files, message, unless=taken)
        self.slowest = max(self.slowest, time.monotonic() - began)
