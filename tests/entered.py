"""A ledger with made runs: real git, and records that no model had to answer for."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec

from publisher import shards
from publisher.ledger import history
from publisher.ledger.store import Ledger
from publisher.samples import pack_samples
from publisher.schema import History, Receipt, Record, SiteSnapshot, SnapshotName, Verdict
from tests import made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.schema import HistoryLine, Sample
    from tests.made import GitFolder
    from tests.pages import Pages


def enter(folder: GitFolder, *, right: int, public: bool = True) -> Record:
    """Commit a change and enter a kept run of it, with `right` of 40 problems answered rightly."""
    commit = folder.commit({})
    ledger = Ledger(folder.opened)
    second = len(ledger.paths("runs"))
    started = dt.datetime(2026, 11, 20, 20, 11, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    record = made.record(commit, started=f"{started:%Y%m%dT%H%M%SZ}", right=right)
    record = msgspec.structs.replace(record, suites=[msgspec.structs.replace(record.suites[0], public=public)])
    files = history.run_files(record, made.verdict(record), pack_samples(samples(right)))
    assert ledger.append(files, f"{record.run_id}\n")
    return record


def samples(right: int) -> list[Sample]:
    """Return one answer to each of 40 problems."""
    return [
        msgspec.structs.replace(
            made.SAMPLE, problem=str(n), outcome="right" if n < right else "wrong", tokens=5 + n % 7
        )
        for n in range(40)
    ]


def publish(site: Pages, record: Record, verdict: Verdict | None = None, past: Sequence[HistoryLine] = ()) -> str:
    """Let a site show a record as a published snapshot does, after `past` runs; return the digest of its manifest."""
    verdict = verdict or made.verdict(record)
    line = history.summarize(record, verdict)
    shown = SiteSnapshot(
        run_id=record.run_id,
        branch=f"snapshot-{record.commit.sha[:12]}",
        snapshot="5" * 40,
        commit=record.commit.sha,
        record_sha256="a" * 64,
        record=record,
        verdict=verdict,
        links={},
    )
    site.files["snapshot.json"] = msgspec.json.encode(shown)
    site.files |= shards.split(History(site=site.url, headline="s", lines=[*past, line]))
    site.files["index.html"] = b"<h1>x</h1>"
    site.list()
    return site.digest


def receive(folder: GitFolder, record: Record, site: Pages) -> None:
    """Enter the receipt of a site that shows a record."""
    receipt = Receipt(
        run_id=record.run_id,
        snapshot=f"snapshot-{record.commit.sha[:12]}",
        commit="5" * 40,
        deploy_id="d",
        permalink="https://d--demo.netlify.app",
        address=site.url,
        manifest_sha256=site.digest,
        files=3,
        via="api",
        requested="2026-11-20T20:13:00Z",
        ready="2026-11-20T20:14:00Z",
        verified="2026-11-20T20:15:00Z",
    )
    name = SnapshotName(run_id=record.run_id, branch=receipt.snapshot, commit=receipt.commit, address=receipt.address)
    files = history.snapshot_file(name) | history.receipt_file(receipt)
    assert Ledger(folder.opened).append(files, "Receipt\n")
