"""From a kept run to its verified deploy, and from there to the live site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from publisher.errors import LostRaceError, NetworkError, UsageError
from publisher.ledger import history, snapshots
from publisher.netlify import deploys, verify
from publisher.place import now
from publisher.schema import LiveMove, Receipt, Request, SnapshotName

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.config import Config
    from publisher.ledger.snapshots import Snapshot
    from publisher.netlify.client import Netlify
    from publisher.netlify.deploys import Deployed
    from publisher.place import Place
    from publisher.schema import Record


def deliver(place: Place, netlify: Netlify, record: Record, config: Config, note: Callable[[str], None]) -> Receipt:
    """Publish a kept run as a snapshot and return its receipt, already in the ledger; safe to repeat at any point."""
    settings = netlify.settings
    snapshot = snapshots.ensure_snapshot(place.ledger, record.run_id, site=settings.main_address(),
                                         address=settings.address_of)
    address = settings.address_of(snapshot.branch)
    name = SnapshotName(run_id=record.run_id, branch=snapshot.branch, commit=snapshot.commit, address=address)
    write(place, history.snapshot_file(name), f"Name {snapshot.branch}\n")
    note(f"snapshot branch {snapshot.branch} at {snapshot.commit[:12]}")
    requested = now()
    deployed = _deploy(place, netlify, record, snapshot, config, note)
    ready = now()
    note(f"verifying {address}")
    found = verify.require(verify.verify(address, record_sha256=snapshot.record_sha256))
    receipt = Receipt(
        run_id=record.run_id, snapshot=snapshot.branch, commit=snapshot.commit, deploy_id=deployed.deploy_id,
        permalink=deployed.permalink, address=address, manifest_sha256=found.manifest_sha256, files=found.files,
        via=deployed.via, requested=requested, ready=ready, verified=now(),
    )
    write(place, history.receipt_file(receipt), f"Receipt of {snapshot.branch}\n")
    return receipt


def _deploy(place: Place, netlify: Netlify, record: Record, snapshot: Snapshot, config: Config,
            note: Callable[[str], None]) -> Deployed:
    """Bring the snapshot branch to one ready deploy; every call of the hook is written down before it is made."""
    run = place.run(record.run_id)
    before = run.requests if run else 0

    def intend(attempt: int) -> None:
        request = Request(run_id=record.run_id, branch=snapshot.branch, commit=snapshot.commit,
                          attempt=before + attempt, time=now())
        write(place, history.request_file(request), f"Request {request.attempt} for {snapshot.branch}\n")

    title = f"{snapshot.branch} {record.run_id}"
    wanted = deploys.Wanted(snapshot.branch, snapshot.commit, record.run_id, title, config.netlify.timeout)
    return deploys.ensure(netlify, wanted, before_call=intend, note=note)


def write(place: Place, files: dict[str, bytes], message: str) -> None:
    """Append files to the ledger, here and on the remote."""
    place.ledger.append(files, message)
    place.ledger.sync()


def show_live(place: Place, netlify: Netlify, receipt: Receipt, config: Config, *, why: str,
              note: Callable[[str], None]) -> LiveMove | None:
    """Show a snapshot at the site's main address and record the move; None where it is shown already.

    With a token Netlify restores the deploy; without one, or where it refuses, the `live` branch is pushed and built.
    """
    previous = snapshots.live_commit(place.ledger)
    if previous == receipt.commit and _shows(netlify, receipt):
        return None
    via: Literal["api", "hook"] = "hook"
    if netlify.settings.token:
        via = _restore(netlify, receipt, note)
    _move_ref(place, receipt.commit)
    if via == "hook":
        note("moving the live site by building the branch `live`: it is not known to be one deploy with the snapshot")
        netlify.call_hook("live", f"live {receipt.snapshot}")
        deploys.wait_live(netlify, receipt.run_id, config.netlify.timeout)
    if config.netlify.lock and via == "api":
        netlify.lock(receipt.deploy_id)
    who = _who(place)
    move = LiveMove(snapshot=receipt.snapshot, commit=receipt.commit, run_id=receipt.run_id,
                    deploy_id=receipt.deploy_id, previous=previous or "", who=who, why=why, time=now(), via=via)
    write(place, history.live_file(move), f"Live moves to {receipt.snapshot}\n")
    note(f"live: {netlify.settings.main_address()} shows {receipt.snapshot}")
    return move


def _restore(netlify: Netlify, receipt: Receipt, note: Callable[[str], None]) -> Literal["api", "hook"]:
    """Restore the snapshot's deploy by the API; say so and fall back to the hook where Netlify refuses to."""
    deployed = deploys.Deployed(receipt.deploy_id, receipt.permalink, receipt.via)
    try:
        deploys.publish_live(netlify, deployed)
    except NetworkError as error:
        if error.status not in {400, 405, 409, 422}:
            raise
        note(f"Netlify refused to restore deploy {receipt.deploy_id}: {error.message}")
        return "hook"
    return "api"


def _move_ref(place: Place, commit: str) -> None:
    """Point `live` at a snapshot commit; a racing move is tried once more, since the last to move it wins."""
    try:
        snapshots.move_live(place.ledger, commit)
    except LostRaceError:
        snapshots.move_live(place.ledger, commit)


def _shows(netlify: Netlify, receipt: Receipt) -> bool:
    """Return whether the site's main address already shows the snapshot."""
    if netlify.settings.token:
        published = netlify.site().published_deploy
        return published is not None and published.id == receipt.deploy_id
    return deploys.shown_run(netlify, netlify.settings.main_address()) == receipt.run_id


def _who(place: Place) -> str:
    """Return who moves the live site, as git knows them."""
    return place.repository.setting("user.name")[:100]


def check_settings(netlify: Netlify) -> None:
    """Refuse to start what could not be published: no site, or no build hook."""
    if not netlify.settings.site:
        raise UsageError("publisher.toml names no site to publish to",
                         hint='add  [netlify] site = "NAME"  and commit it; publisher bench and gate need none')
    if not netlify.settings.hook:
        raise UsageError("NETLIFY_BUILD_HOOK is not set, so a kept run could not be published",
                         hint="set NETLIFY_BUILD_HOOK; publisher bench and gate need none")
