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
from typing import TYPE_CHECKING, Literal

from publisher.errors import LostRaceError, NetworkError, UsageError
from publisher.ledger import history, snapshots
from publisher.netlify import budget, deploys, verify
from publisher.place import now
from publisher.schema import LiveMove, Receipt, Request, SnapshotName

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.config import Config
    from publisher.ledger.snapshots import Snapshot
    from publisher.netlify.client import Netlify
    from publisher.place import Place
    from publisher.schema import Record

    Note = Callable[[str], None]

ATTEMPTS = 12
"""How often a move of the live site that others overtook is tried again."""


def check_settings(netlify: Netlify) -> None:
    """Refuse to start what could not be published: no site, or no build hook."""
    if not netlify.settings.site:
        raise UsageError("publisher.toml names no site to publish to",
                         hint='add  [netlify] site = "NAME"  and commit it; publisher bench and gate need none')
    if not netlify.settings.hook:
        raise UsageError("NETLIFY_BUILD_HOOK is not set, so a kept run could not be published",
                         hint="set NETLIFY_BUILD_HOOK; publisher bench and gate need none")


def deliver(place: Place, netlify: Netlify, record: Record, config: Config, note: Note) -> Receipt:
    """Publish a kept run as a snapshot and return its receipt, which is in the ledger; safe to repeat at any point."""
    snapshot = name_snapshot(place, netlify, record)
    note(f"snapshot branch {snapshot.branch} at {snapshot.commit[:12]}")
    if not netlify.settings.token:
        note("no NETLIFY_AUTH_TOKEN: the deploy is known by its address alone, so a failed build looks like a slow one")
    return _deploy(place, netlify, record, snapshot, config, note)


def repair(place: Place, netlify: Netlify, record: Record, config: Config, note: Note) -> Receipt:
    """Deploy a snapshot again that was lost or damaged, and return the new receipt; the live site is not touched.

    The bytes must come out as they were: the first receipt's manifest is the only one that will do.
    """
    snapshot = name_snapshot(place, netlify, record)
    run = place.run(record.run_id)
    damaged = run.last_receipt if run else None
    return _deploy(place, netlify, record, snapshot, config, note, replacing=damaged)


def name_snapshot(place: Place, netlify: Netlify, record: Record) -> Snapshot:
    """Return the run's snapshot branch, made and pushed where it is not there yet, and named in the ledger."""
    settings = netlify.settings
    snapshot = snapshots.ensure_snapshot(place.ledger, record.run_id, site=settings.main_address(),
                                         address=settings.address_of)
    name = SnapshotName(run_id=record.run_id, branch=snapshot.branch, commit=snapshot.commit,
                        address=settings.address_of(snapshot.branch))
    place.ledger.append(history.snapshot_file(name), f"Name {snapshot.branch}\n")
    return snapshot


def _deploy(place: Place, netlify: Netlify, record: Record, snapshot: Snapshot, config: Config, note: Note,
            replacing: Receipt | None = None) -> Receipt:
    """Bring the snapshot branch to one ready, verified deploy and write the receipt."""
    address = netlify.settings.address_of(snapshot.branch)
    wanted = deploys.Wanted(snapshot.branch, snapshot.commit, record.run_id, f"{snapshot.branch} {record.run_id}",
                            config.netlify.timeout, replacing=replacing.deploy_id if replacing else "")
    requested = now()
    deployed = deploys.ensure(netlify, wanted, may_call=lambda known: take_turn(place, wanted, known, config, note),
                              note=note)
    ready = now()
    note(f"verifying {address}")
    digest = replacing.manifest_sha256 if replacing else ""
    found = verify.require(verify.verify(address, record_sha256=snapshot.record_sha256, commit=snapshot.commit,
                                         manifest_sha256=digest))
    if found.headers:
        note(f"every byte is right, but headers differ ({found.headers[0]}, …): publisher verify {snapshot.branch}")
    number = replacing.number + 1 if replacing else 1
    receipt = Receipt(
        run_id=record.run_id, number=number, snapshot=snapshot.branch, commit=snapshot.commit,
        deploy_id=deployed.deploy_id, permalink=deployed.permalink, address=address,
        manifest_sha256=found.manifest_sha256, files=found.files, via=deployed.via, requested=requested, ready=ready,
        verified=now(),
    )
    place.ledger.append(history.receipt_file(receipt), f"Receipt of {snapshot.branch}\n",
                        unless=lambda: _receipt(place, record.run_id, number) is not None)
    return _receipt(place, record.run_id, number) or receipt


def _receipt(place: Place, run_id: str, number: int) -> Receipt | None:
    """Return a run's receipt from `number` on, by whichever publisher wrote it."""
    run = place.run(run_id)
    return run.receipt if run and run.receipt and run.receipt.number >= number else None


def take_turn(place: Place, wanted: deploys.Wanted, deployed: int, config: Config, note: Note) -> bool:
    """Write down that the build hook is about to be called; false while another call may still take effect.

    A call that was made, or may have been made, within the last `wanted.doubt` seconds gets that long to show, unless
    the branch has as many deploys (`deployed`) as calls were written down: then every call has had its effect. So a
    turn that took half as long to write down is given up: others may soon believe that its call never came.
    """
    place.ledger.sync()
    run = place.run(wanted.run_id)
    known = run.requests if run else ()
    if len(known) > deployed and _age(known[-1].time) < wanted.doubt:
        return False
    _keep_to_the_rate(place, config, note)
    request = Request(run_id=wanted.run_id, branch=wanted.branch, commit=wanted.commit, attempt=len(known) + 1,
                      by=secrets.token_hex(8), time=now())

    def taken() -> bool:
        there = place.run(wanted.run_id)
        return there is not None and len(there.requests) >= request.attempt

    message = f"Request {request.attempt} for {wanted.branch}\n"
    mine = place.ledger.append(history.request_file(request), message, unless=taken)
    return mine and _age(request.time) < wanted.doubt / 2


def _keep_to_the_rate(place: Place, config: Config, note: Note) -> None:
    """Wait until another build may be asked for; DeployError when the day's builds are used up."""
    times = [request.time for run in place.runs() for request in run.requests]
    limits = config.netlify
    pause = budget.wait_for_build(times, time.time(), per_minute=limits.builds_per_minute,
                                  per_day=limits.builds_per_day)
    if pause > 0:
        note(f"waiting {pause:.0f} s: {limits.builds_per_minute} builds a minute are allowed")
        time.sleep(pause)


def _age(moment: str) -> float:
    """Return the seconds since a stored time; never negative, for another machine's clock may be ahead."""
    return max(0.0, time.time() - dt.datetime.fromisoformat(moment).timestamp())


def show_live(place: Place, netlify: Netlify, receipt: Receipt, config: Config, *, why: str, note: Note,
              by_hand: bool = False) -> LiveMove | None:
    """Show a snapshot at the site's main address and record the move; None where there is nothing to do.

    With a token Netlify restores the deploy; without one, or where it refuses, the `live` branch is pushed and built.
    A site that somebody locked is only moved `by_hand`; where `[netlify] lock` is set, the lock is ours and follows.
    Only `by_hand` does an older snapshot come back, or one that was rolled back from.
    """
    locked = is_locked(netlify)
    if locked and not (by_hand or config.netlify.lock):
        note("the live site is locked and stays where it is: publisher live --unlock, or publisher rollback SNAPSHOT")
        return None
    previous, moved = _move_ref(place, netlify, receipt, by_hand=by_hand)
    if not moved:
        return None
    via: Literal["api", "hook"] = _restore(place, netlify, receipt, note) if netlify.settings.token else "hook"
    if via == "hook" and not _shows(netlify, receipt):
        built = [move.time for move in history.live_moves(place.ledger) if move.via == "hook"]
        budget.check_production(built, time.time(), per_month=config.netlify.production_per_month)
        note("moving the live site by building the branch `live`: a second deploy of the same snapshot")
        netlify.call_hook("live", f"live {receipt.snapshot}")
        deploys.wait_live(netlify, receipt.run_id, config.netlify.timeout)
    if (config.netlify.lock or locked) and via == "api" and _is_last(place, receipt.commit):
        # Whether a lock survives a restore is not documented, so it is set again.
        netlify.lock(receipt.deploy_id)
    move = LiveMove(snapshot=receipt.snapshot, commit=receipt.commit, run_id=receipt.run_id,
                    deploy_id=receipt.deploy_id, previous=previous or "", who=place.who, why=why, time=now(), via=via)
    if not _record(place, move):
        return None
    note(f"live: {netlify.settings.main_address()} shows {receipt.snapshot}")
    return move


def is_locked(netlify: Netlify) -> bool:
    """Return whether somebody stopped the site at the deploy that it shows; unknown, hence false, without a token."""
    published = netlify.site().published_deploy if netlify.settings.token else None
    return published is not None and bool(published.locked)


def _move_ref(place: Place, netlify: Netlify, receipt: Receipt, *, by_hand: bool) -> tuple[str | None, bool]:
    """Point `live`, which decides who was last, at a snapshot; return where it was and whether more is to be done."""
    for _ in range(ATTEMPTS):
        previous = snapshots.live_commit(place.ledger)
        # Asked after `live` was read: whoever moves it in between makes the push below fail.
        if not (by_hand or _is_due(place, receipt)):
            return previous, False
        if previous == receipt.commit and _recorded(place, receipt.commit) and _shows(netlify, receipt):
            return previous, False
        try:
            snapshots.move_live(place.ledger, receipt.commit, previous)
        except LostRaceError:
            continue
        return previous, True
    raise LostRaceError("other publishers keep moving the live site", hint="run the same command again")


def _is_due(place: Place, receipt: Receipt) -> bool:
    """Return whether a snapshot goes live by itself: none published is newer, and it never was live before."""
    place.ledger.sync()
    newer = any(run.run_id > receipt.run_id for run in place.runs() if run.receipt is not None)
    return not newer and all(move.run_id != receipt.run_id for move in history.live_moves(place.ledger))


def _is_last(place: Place, commit: str) -> bool:
    """Return whether nobody has moved the live site on from a snapshot commit."""
    return snapshots.live_commit(place.ledger) == commit


def _record(place: Place, move: LiveMove) -> bool:
    """Write a move into the ledger, after those made before; false when it is there, or the site was moved on since."""
    for _ in range(ATTEMPTS):
        number = 1 + len(history.live_moves(place.ledger))

        def overtaken(number: int = number) -> bool:
            return len(history.live_moves(place.ledger)) >= number

        if not _is_last(place, move.commit) or _recorded(place, move.commit):
            return False
        if place.ledger.append(history.live_file(move, number), f"Live moves to {move.snapshot}\n", unless=overtaken):
            return True
    raise LostRaceError("other publishers keep moving the live site", hint="run the same command again")


def _recorded(place: Place, commit: str) -> bool:
    """Return whether the ledger's last move of the live site is to a snapshot commit."""
    moves = history.live_moves(place.ledger)
    return bool(moves) and moves[-1].commit == commit


def _restore(place: Place, netlify: Netlify, receipt: Receipt, note: Note) -> Literal["api", "hook"]:
    """Restore the snapshot's deploy by the API; say so and fall back to the hook where Netlify refuses to.

    Another publisher may move `live` while this one restores, and its own restore may come first: so what the branch
    says is restored until the branch stays where it is.
    """
    wanted: Receipt | None = receipt
    while wanted is not None:
        shown = wanted
        try:
            deploys.publish_live(netlify, deploys.Deployed(shown.deploy_id, shown.permalink, shown.via))
        except NetworkError as error:
            if error.status not in {400, 405, 409, 422}:
                raise
            note(f"Netlify refused to restore deploy {shown.deploy_id}: {error.message}")
            return "hook"
        commit = snapshots.live_commit(place.ledger)
        if commit == shown.commit:
            break
        place.ledger.sync()
        wanted = next((run.receipt for run in place.runs() if run.receipt and run.receipt.commit == commit), None)
    return "api"


def _shows(netlify: Netlify, receipt: Receipt) -> bool:
    """Return whether the site's main address already shows the snapshot."""
    if netlify.settings.token:
        published = netlify.site().published_deploy
        return published is not None and published.id == receipt.deploy_id
    return deploys.shown_run(netlify, netlify.settings.main_address()) == receipt.run_id
