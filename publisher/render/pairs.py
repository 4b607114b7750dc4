"""The page on which a reader lays any two snapshots side by side, and the small file that it reads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher import forge
from publisher.errors import StorageError
from publisher.render import text
from publisher.render.beside import sized
from publisher.render.language import say
from publisher.render.parts import Draft
from publisher.schema.outline import LARGEST_OUTLINES, MOST_OUTLINES
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.render.gather import Snapshot
    from publisher.schema import Outline, Outlines, SuiteOutline

PATH = "compare/any/"
FILE = "compare/runs.json"
LONGEST_SETTING = 5_000
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_SNAPSHOT = re.compile(r"snapshot-[0-9a-f]{12}(-\d{1,2})?\Z")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in the table: what it scored on the headline suite, and what it was made of."""

    short: str
    subject: str
    date: str
    href: str
    own: bool
    score: str
    tokens: str
    made_of: str
    beside: str
    """The query that lays it beside this snapshot."""


@dataclass(frozen=True, slots=True)
class PairsView:
    """The runs that can be laid side by side, newest first, and how many kept ones are not among them."""

    rows: tuple[RunRow, ...]
    suite: str
    before: str
    now: str
    """The two that are shown where the address names none."""
    difference: str
    """Where the difference of two commits is shown, with `{a}` and `{b}` in their places; empty where not known."""


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page, where the snapshot has older ones in outline."""
    found = shown(snapshot)
    if found is not None:
        rows = tuple(_row(snapshot, found, run) for run in found.runs)
        before, now = _called(found.runs[1]), _called(found.runs[0])
        view = PairsView(rows, snapshot.headline.suite, before, now, _difference(snapshot, found))
        yield Draft(PATH, say("Compare any two"), say("Any two of the newest snapshots side by side."), view)


def _difference(snapshot: Snapshot, found: Outlines) -> str:
    """Return where the difference of two commits is shown, with `{a}` and `{b}` in their places; empty for nowhere."""
    if not all(_COMMIT.match(run.commit) for run in found.runs):
        return ""
    old, new = "a" * 40, "b" * 40
    return forge.difference(snapshot.record.commit.forge, old, new).replace(old, "{a}").replace(new, "{b}")


def files(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the file that the page reads, by path."""
    found = shown(snapshot)
    return {} if found is None else {FILE: msgspec.json.encode(found)}


def shown(snapshot: Snapshot) -> Outlines | None:
    """Return the runs in outline as they may be shown: at most LARGEST_OUTLINES bytes; None for fewer than two.

    Raises StorageError where their numbers cannot be.
    """
    found = snapshot.outlines
    if found is None:
        return None
    _check(found)
    known = {suite.name for suite in snapshot.record.suites}
    found = msgspec.structs.replace(
        found,
        problems={
            text.line(version, 64): [text.line(one, 120) for one in ids] for version, ids in found.problems.items()
        },
        settings=[
            (part, text.line(name, 160), sized(part, name, visible(value)[:LONGEST_SETTING]))
            for part, name, value in found.settings
        ],
        runs=[_run(run, known) for run in found.runs[:MOST_OUTLINES]],
    )
    while len(msgspec.json.encode(found)) > LARGEST_OUTLINES and len(found.runs) > 1:
        found = msgspec.structs.replace(found, runs=found.runs[:-1])
    return found if len(found.runs) > 1 and len(msgspec.json.encode(found)) <= LARGEST_OUTLINES else None


def _run(run: Outline, known: set[str]) -> Outline:
    """Return a run with every character of it visible, of the suites that this snapshot has as well."""
    suites = {
        name: msgspec.structs.replace(
            suite,
            version=text.line(suite.version, 64),
            kinds={text.line(kind, 120): value for kind, value in suite.kinds.items()},
            figures={text.line(figure, 80): value for figure, value in suite.figures.items()},
        )
        for name, suite in run.suites.items()
        if name in known
    }
    return msgspec.structs.replace(
        run,
        run_id=text.line(run.run_id, 120),
        commit=text.line(run.commit, 40),
        subject=text.line(run.subject, 120),
        started=text.date(run.started),
        tier=text.line(run.tier, 40),
        snapshot=text.line(run.snapshot, 64),
        address=text.address(run.address),
        suites=suites,
    )


def _check(found: Outlines) -> None:
    """Raise StorageError where a run names a setting that there is none of, or has counts or numbers that cannot be."""
    for run in found.runs:
        if any(place >= len(found.settings) for place in run.settings):
            raise StorageError(f"ledger/outlines.json names settings of {text.line(run.run_id, 80)} that it lacks")
        for name, suite in run.suites.items():
            if not _possible(suite, len(found.problems.get(suite.version, ()))):
                where = f"{text.line(name, 64)} of {text.line(run.run_id, 80)}"
                raise StorageError(f"ledger/outlines.json has counts or figures of {where} that cannot be")


def _possible(suite: SuiteOutline, problems: int) -> bool:
    drawn = suite.drawn if isinstance(suite.drawn, list) else [suite.drawn] * len(suite.right)
    numbers = [suite.score, suite.stderr, *suite.kinds.values(), *suite.figures.values()]
    return (
        len(suite.right) == len(drawn) <= problems
        and all(right <= of for right, of in zip(suite.right, drawn, strict=True))
        and all(map(math.isfinite, numbers))
    )


def _row(snapshot: Snapshot, found: Outlines, run: Outline) -> RunRow:
    suite = run.suites.get(snapshot.headline.suite)
    own = run is found.runs[0]
    settings = {
        name: value for part, name, value in (found.settings[place] for place in run.settings) if part == "model"
    }
    tokens = suite.figures.get("tokens per answer") if suite else None
    return RunRow(
        short=run.commit[:12],
        subject=run.subject,
        date=run.started,
        href=snapshot.pin if own else run.address,
        own=own,
        score=f"{text.points(suite.score)} ± {text.points(suite.stderr)}" if suite else text.NONE,
        tokens=text.NONE if tokens is None else text.count(tokens),
        made_of=text.line(" ".join(filter(None, (settings.get("name", ""), settings.get("quantization", "")))), 80),
        beside="" if own else f"?a={_called(run)}&b={_called(found.runs[0])}",
    )


def _called(run: Outline) -> str:
    """Return what a run is called in an address: its branch, since two snapshots can be of one commit."""
    return run.snapshot if _SNAPSHOT.match(run.snapshot) else run.commit[:12]
