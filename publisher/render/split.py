"""What the live deploy adds while its script splits the readers of a canary: the script, a page about it, a file.

They stand in a deploy of its own, rendered from the live snapshot's tree with `ledger/split.json`; the snapshot's own
pages never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher.files import canonical_json
from publisher.render import text
from publisher.render.language import say
from publisher.render.parts import Draft
from publisher.schema import SnapshotIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from publisher.render.gather import Snapshot

FOLDER = "canary/"
FILE = "split.json"
SCRIPTS = ("canary.js",)


@dataclass(frozen=True, slots=True)
class SplitView:
    """What the script is told, and what the page says of it."""

    number: int
    percent: int
    main: str
    candidate: str


def offered(snapshot: Snapshot) -> bool:
    """Return whether this deploy splits its readers."""
    return snapshot.split is not None


def view(snapshot: Snapshot) -> SplitView | None:
    """Return what every page says of the split; None in every other deploy."""
    page = snapshot.split
    if page is None:
        return None
    share = min(100, max(0, page.percent))
    return SplitView(page.number, share, text.address(page.main), text.address(page.candidate))


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page that says who sees the candidate, and leads to it without a script."""
    if offered(snapshot):
        yield Draft(FOLDER, say("A candidate is being tried"), say("Who sees it, and how to see it or leave it."))


def redirects(snapshot: Snapshot) -> str:
    """Return the rules by which a reader who was moved to a page that the candidate does not have sees its home."""
    return "/* from=live / 302\n" if snapshot.canary is not None else ""


def over(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the files of a candidate whose canary has ended: each page leads to what is live, and nothing is shown."""
    if snapshot.canary is None:
        return {}
    identity = SnapshotIdentity(
        run_id=snapshot.record.run_id,
        branch=snapshot.branch,
        snapshot=snapshot.commit,
        commit=snapshot.record.commit.sha,
        record_sha256=snapshot.record_sha256,
    )
    rules = f"/* {text.address(snapshot.canary.other)}/:splat 302\n"
    return {"snapshot.json": canonical_json(identity), "_redirects": rules.encode()}


def files(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the file by which programs see how the readers are split."""
    return {FILE: canonical_json(snapshot.split)} if snapshot.split is not None else {}
