"""From a kept run to its verified deploy, and from there to the live site: a state machine written down in the ledger.

    kept ─▶ named ─▶ requested ─▶ ready ─▶ verified ─▶ live

`named` is the pushed branch and snapshot.json, `requested` is request-N.json, `verified` is receipt-N.json.

Every arrow first looks whether its state is reached already, so it can be repeated after a crash, an answer that was
lost, or by another publisher at the same time: a request is a place in the ledger that only one publisher can take.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from typing import TYPE_CHECKING

from publisher import verify
from publisher.errors import UsageError
from publisher.ledger import history, snapshots
from publisher.netlify import budget, deploys
from publisher.publishing.project import now
from publisher.schema import BuildRequest, Receipt, SnapshotName

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.config import Config
    from publisher.ledger.snapshots import SnapshotBranch
    from publisher.netlify.client import Netlify
    from publisher.publishing.project import Project
    from publisher.schema import Record

    Note = Callable[[str], None]


def check_settings(netlify: Netlify) -> None:
    """Refuse to start what could not be published: no site, or no build hook."""
    if not netlify.settings.site:
        raise UsageError(
            "publisher.toml names no site to publish to",
            hint='add  [netlify] site = "NAME"  and commit it; publisher bench and gate need none',
        )
    if not netlify.settings.hook:
        raise UsageError(
            "NETLIFY_BUILD_HOOK is not set, so a kept run could not be published",
            hint="set NETLIFY_BUILD_HOOK; publisher bench and gate need none",
        )


def deliver(project: Project, netlify: Netlify, record: Record, config: Config, note: Note) -> Receipt:
    """Publish a kept run as a snapshot and return its receipt, which is in the ledger; safe to repeat at any point."""
    snapshot = name_snapshot(project, netlify, record)
    note(f"snapshot branch {snapshot.branch} at {snapshot.commit[:12]}")
    if not netlify.settings.token:
        note("no NETLIFY_AUTH_TOKEN: the deploy is known by its address alone, so a failed build looks like a slow one")
    return _deploy(project, netlify, record, snapshot, config, note)


def repair(project: Project, netlify: Netlify, record: Record, config: Config, note: Note) -> Receipt:
    """Deploy a snapshot again that was lost or damaged, and return the new receipt; the live site is not touched.

    The bytes must come out as they were: the first receipt's manifest is the only one that will do.
    """
    snapshot = name_snapshot(project, netlify, record)
    run = project.run(record.run_id)
    damaged = run.last_receipt if run else None
    return _deploy(project, netlify, record, snapshot, config, note, replacing=damaged)


def name_snapshot(project: Project, netlify: Netlify, record: Record) -> SnapshotBranch:
    """Return the run's snapshot branch, made and pushed where it is not there yet, and named in the ledger."""
    settings = netlify.settings
    snapshot = snapshots.ensure_snapshot(
        project.ledger, record.run_id, site=settings.main_address(), address=settings.address_of
    )
    name = SnapshotName(
        run_id=record.run_id,
        branch=snapshot.branch,
        commit=snapshot.commit,
        address=settings.address_of(snapshot.branch),
    )
    project.ledger.append(history.snapshot_file(name), f"Name {snapshot.branch}\n")
    return snapshot


def _deploy(
    project: Project,
    netlify: Netlify,
    record: Record,
    snapshot: SnapshotBranch,
    config: Config,
    note: Note,
    replacing: Receipt | None = None,
) -> Receipt:
    """Bring the snapshot branch to one ready, verified deploy and write the receipt."""
    address = netlify.settings.address_of(snapshot.branch)
    wanted = deploys.WantedDeploy(
        snapshot.branch,
        snapshot.commit,
        record.run_id,
        f"{snapshot.branch} {record.run_id}",
        config.netlify.timeout,
        replacing=replacing.deploy_id if replacing else "",
    )
    requested = now()
    deployed = deploys.ensure(
        netlify, wanted, may_call=lambda known: take_turn(project, wanted, known, config, note), note=note
    )
    ready = now()
    note(f"verifying {address}")
    digest = replacing.manifest_sha256 if replacing else ""
    found = verify.require(
        verify.verify(address, record_sha256=snapshot.record_sha256, commit=snapshot.commit, manifest_sha256=digest)
    )
    if found.headers:
        note(f"every byte is right, but headers differ ({found.headers[0]}, …): publisher verify {snapshot.branch}")
    number = replacing.number + 1 if replacing else 1
    receipt = Receipt(
        run_id=record.run_id,
        number=number,
        snapshot=snapshot.branch,
        commit=snapshot.commit,
        deploy_id=deployed.deploy_id,
        permalink=deployed.permalink,
        address=address,
        manifest_sha256=found.manifest_sha256,
        files=found.files,
        via=deployed.via,
        requested=requested,
        ready=ready,
        verified=now(),
    )
    project.ledger.append(
        history.receipt_file(receipt),
        f"Receipt of {snapshot.branch}\n",
        unless=lambda: _receipt(project, record.run_id, number) is not None,
    )
    return _receipt(project, record.run_id, number) or receipt


def _receipt(project: Project, run_id: str, number: int) -> Receipt | None:
    """Return a run's receipt from `number` on, by whichever publisher wrote it."""
    run = project.run(run_id)
    return run.receipt if run and run.receipt and run.receipt.number >= number else None


def take_turn(project: Project, wanted: deploys.WantedDeploy, deployed: int, config: Config, note: Note) -> bool:
    """Write down that the build hook is about to be called; false while another call may still take effect.

    A call that was made, or may have been made, within the last `wanted.doubt` seconds gets that long to show, unless
    the branch has as many deploys (`deployed`) as calls were written down: then every call has had its effect. So a
    turn that took half as long to write down is given up: others may soon believe that its call never came.
    """
    project.ledger.sync()
    run = project.run(wanted.run_id)
    known = run.requests if run else ()
    if len(known) > deployed and _age(known[-1].time) < wanted.doubt:
        return False
    _keep_to_the_rate(project, config, note)
    request = BuildRequest(
        run_id=wanted.run_id,
        branch=wanted.branch,
        commit=wanted.commit,
        attempt=len(known) + 1,
        by=secrets.token_hex(8),
        time=now(),
    )

    def taken() -> bool:
        there = project.run(wanted.run_id)
        return there is not None and len(there.requests) >= request.attempt

    message = f"BuildRequest {request.attempt} for {wanted.branch}\n"
    mine = project.ledger.append(history.request_file(request), message, unless=taken)
    return mine and _age(request.time) < wanted.doubt / 2


def _keep_to_the_rate(project: Project, config: Config, note: Note) -> None:
    """Wait until another build may be asked for; DeployError when the day's builds are used up."""
    times = [request.time for run in project.runs() for request in run.requests]
    limits = config.netlify
    pause = budget.wait_for_build(
        times,
        time.time(),
        per_minute=limits.builds_per_minute,
        per_day=limits.builds_per_day,
        per_month=limits.builds_per_month,
    )
    if pause > 0:
        note(f"waiting {pause:.0f} s: {limits.builds_per_minute} builds a minute are allowed")
        time.sleep(pause)


def _age(moment: str) -> float:
    """Return the seconds since a stored time; never negative, for another machine's clock may be ahead."""
    return max(0.0, time.time() - dt.datetime.fromisoformat(moment).timestamp())
