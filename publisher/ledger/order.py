"""In which order runs came into the ledger: that of its commits, whatever the clocks of machines said.

A commit that brings a run says so in its message. So the order of ten thousand runs is read from messages alone; to
tell it from the trees, git would compare two large trees per commit.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from publisher.ledger.forms import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from publisher.git import Repository

KEY = "Entered-run"
_FOLDER = re.compile(rf"(runs/{RUN_ID})/")
_RUN = re.compile(rf"{RUN_ID}\Z")
_FORMAT = f"%H %P%x09%(trailers:key={KEY},valueonly,unfold,separator=%x20)"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A commit of the ledger, the one before it, and the runs that it says it brought."""

    commit: str
    parent: str
    runs: tuple[str, ...]


def brought(repository: Repository, head: str | None, paths: Iterable[str]) -> list[str]:
    """Return the runs whose first files are among `paths`, which are to be added to the ledger's commit `head`."""
    folders = dict.fromkeys(match[1] for path in paths if (match := _FOLDER.match(path)))
    return [place.removeprefix("runs/") for place in folders if head is None or not repository.has(head, place)]


def message(text: str, runs: Iterable[str]) -> str:
    """Return the message of a ledger commit that brings some runs, in their order."""
    named = "".join(f"{KEY}: {run_id}\n" for run_id in runs)
    return f"{text.rstrip()}\n\n{named}" if named else text


def ordered(
    repository: Repository, head: str, fresh: Collection[str], *, since: str = "", known: Collection[str] = ()
) -> list[str]:
    """Return the runs `known` and `fresh` in the order in which they came into the ledger, which is at `head`.

    `known` are in order already: they came until its commit `since`, and the `fresh` ones after that.
    """
    entries = _entries(repository, since, head)
    if since and not (entries and entries[0].parent == since):
        # What was entered here without the remote was brought together with the remote's: it came after that.
        return ordered(repository, head, [*known, *fresh])
    places: dict[str, tuple[int, int]] = {}
    for number, entry in enumerate(entries):
        for place, run_id in enumerate(entry.runs):
            places.setdefault(run_id, (number, place))
    for run_id in fresh:
        if run_id not in places:
            places[run_id] = _first(repository, entries, run_id), len(fresh)
    # Runs that one commit brought without naming them have no other order than their names'.
    return [*known, *sorted(fresh, key=lambda run_id: (*places[run_id], run_id))]


def _entries(repository: Repository, since: str, head: str) -> list[_Entry]:
    """Return the ledger's commits after `since` (all of them where it is empty), oldest first."""
    wanted = f"{since}..{head}" if since else head
    listing = repository.text("rev-list", "--first-parent", "--reverse", f"--format={_FORMAT}", wanted)
    # Not `splitlines`: a message may hold any of the characters that it takes for the end of a line.
    lines = (line.partition("\t") for line in listing.split("\n") if "\t" in line)
    return [_entry(hashes.split(" "), runs.split(" ")) for hashes, _, runs in lines]


def _entry(hashes: list[str], runs: list[str]) -> _Entry:
    return _Entry(hashes[0], "".join(hashes[1:2]), tuple(run_id for run_id in runs if _RUN.match(run_id)))


def _first(repository: Repository, entries: list[_Entry], run_id: str) -> int:
    """Return the number of the commit that brought a run which no commit names: what is in the ledger stays there."""
    held = partial(_holds, repository, run_id)
    return bisect.bisect_left(entries, True, key=held)


def _holds(repository: Repository, run_id: str, entry: _Entry) -> bool:
    return repository.has(entry.commit, f"runs/{run_id}")
