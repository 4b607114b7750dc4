"""From a kept run to its verified deploy: a state machine written down in the ledger.

    kept ─▶ named ─▶ requested ─▶ ready ─▶ verified ─▶ live

`named` is the pushed branch and snapshot.json, `requested` is request-N.json (and answer-N.json), `verified` is
receipt-N.json.

Every arrow first looks whether its state is reached already, so it can be repeated after a crash, after an answer that
was lost, or by another publisher at the same time: a request is a turn in the ledger that only one publisher can take.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from publisher import verify
from publisher.errors import DeployError, UsageError
from publisher.git import signing
from publisher.ledger import calls, history, snapshots
from publisher.netlify import budget, deploys
from publisher.publishing.turns import Turns
from publisher.schema import Receipt, SnapshotName

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.config import NetlifyConfig
    from publisher.ledger.history import Run
    from publisher.ledger.snapshots import SnapshotBranch
    from publisher.netlify.client import Netlify
    from publisher.netlify.deploys import Deployed, Look, WantedDeploy
    from publisher.publishing.project import Project
    from publisher.schema import Record
    from publisher.verify import Verification

    Note = Callable[[str], None]

TRIES = 3
"""How often a command calls the build hook for one deploy, or waits for somebody else's call in vain."""
MOST_REFUSED = 8
"""How often a call that could not be made is tried again."""
BUILDS = 3
"""How many ready deploys of a snapshot a command tries until one serves what was rendered."""
FAR_OFF = 60.0
"""Seconds by which this machine's clock may differ from the host's before that is said."""


def check_settings(netlify: Netlify) -> None:
    """Raise UsageError where nothing could be published: no site, or no build hook."""
    if not netlify.settings.site:
        raise UsageError(
            "publisher.toml names no site to publish to",
            hint='add  [netlify] site = "NAME"  and commit it; publisher bench and gate need none',
        )
    if not netlify.settings.hook:
        raise UsageError(
            "NETLIFY_BUILD_HOOK is not set, so a kept run could not be published",
            hint="export NETLIFY_BUILD_HOOK=ADDRESS, or without an account: publisher serve, and in another terminal "
            "publisher --local publish",
        )


@dataclass(frozen=True, slots=True)
class Desk:
    """What bringing one deploy about needs: where it is written down, the site, its limits, and who is told."""

    project: Project
    netlify: Netlify
    limits: NetlifyConfig
    note: Note
    patient: bool = True
    """Whether to wait for builds that somebody else asked for; otherwise they are left alone, with a DeployError."""

    @classmethod
    def of_run(cls, project: Project, run: Run, note: Note, *, patient: bool = True) -> Desk:
        """Return the desk for a run of the ledger: its site and limits are those of its own commit."""
        netlify, config = project.client_of(run)
        return cls(project, netlify, config.netlify, note, patient)

    def turns(self, folder: str, receipt: int = 1) -> Turns:
        """Return the turns of one deploy, whose calls are in a folder of the ledger."""
        return Turns(
            self.project.ledger,
            folder,
            self.project.marks,
            self.limits.timeout,
            bool(self.netlify.settings.token),
            receipt,
            self.project.patience,
        )

    def moment(self) -> str:
        """Return the time to write down: the host's, where it was heard."""
        return self.project.moment(self.netlify)


def deliver(desk: Desk, record: Record) -> Receipt:
    """Publish a kept run as a snapshot and return its receipt, which is in the ledger; safe to repeat at any point."""
    began = time.monotonic()
    snapshot = name_snapshot(desk.project, desk.netlify, record)
    desk.note(f"snapshot branch {snapshot.branch} at {snapshot.commit[:12]}")
    if not desk.netlify.settings.token:
        desk.note(
            "no NETLIFY_AUTH_TOKEN: the deploy is known by its address alone, so a failed build looks like a slow one"
        )
    return _deploy(desk, record, snapshot, None, slowest=time.monotonic() - began)


def repair(desk: Desk, record: Record) -> Receipt:
    """Deploy a snapshot again that was lost or damaged, and return the new receipt; the live site is not touched.

    Where there is a receipt, the bytes must come out as they were: its manifest is the only one that will do. A
    snapshot whose first deploy was damaged has no receipt yet; it is built until it serves what it lists.
    """
    snapshot = name_snapshot(desk.project, desk.netlify, record)
    run = desk.project.run(record.run_id)
    return _deploy(desk, record, snapshot, run.last_receipt if run else None)


def name_snapshot(project: Project, netlify: Netlify, record: Record) -> SnapshotBranch:
    """Return the run's snapshot branch, made and pushed where it is not there yet, and named in the ledger."""
    settings = netlify.settings
    snapshot = snapshots.ensure_snapshot(
        project.ledger, record.run_id, site=settings.main_address(), address=settings.address_of
    )
    run = project.run(record.run_id)
    known = run.snapshot if run else None
    # Named once and for all: a host on this machine that has another port now must not stop the run.
    if known is None or (known.branch, known.commit) != (snapshot.branch, snapshot.commit):
        name = SnapshotName(
            run_id=record.run_id,
            branch=snapshot.branch,
            commit=snapshot.commit,
            address=settings.address_of(snapshot.branch),
        )
        project.ledger.append(history.snapshot_file(name), f"Name {snapshot.branch}\n")
    return snapshot


def _deploy(
    desk: Desk, record: Record, snapshot: SnapshotBranch, replacing: Receipt | None, slowest: float = 0.0
) -> Receipt:
    """Bring the snapshot branch to one ready, verified deploy and write the receipt."""
    number = replacing.number + 1 if replacing else 1
    turns = desk.turns(history.folder(record.run_id), number)
    turns.slowest = slowest
    wanted = deploys.WantedDeploy(
        snapshot.branch,
        snapshot.commit,
        record.run_id,
        f"{snapshot.branch} {record.run_id}",
        desk.limits.timeout,
        damaged=frozenset({replacing.deploy_id} if replacing else ()),
    )
    requested = desk.moment()
    deployed, found, ready = _built_whole(desk, wanted, turns, snapshot, replacing.manifest_sha256 if replacing else "")
    if found.headers:
        desk.note(f"every byte is right, but headers differ ({found.headers[0]}, …): publisher verify {wanted.branch}")
    receipt = Receipt(
        run_id=record.run_id,
        number=number,
        snapshot=snapshot.branch,
        commit=snapshot.commit,
        deploy_id=deployed.deploy_id,
        permalink=deployed.permalink,
        address=found.address,
        manifest_sha256=found.manifest_sha256,
        files=found.files,
        via=deployed.via,
        requested=requested,
        ready=ready,
        verified=desk.moment(),
    )
    desk.project.ledger.append(
        history.receipt_file(
            receipt, signing.signature_of(desk.project.repository.setting, found.manifest, signing.MANIFESTS)
        ),
        f"Receipt of {snapshot.branch}\n",
        unless=lambda: _receipt(desk.project, record.run_id, number) is not None,
    )
    receipt = _receipt(desk.project, record.run_id, number) or receipt
    if len(turns.calls()) > 1:
        remove_duplicates(desk, receipt, spared=wanted.damaged)
    return receipt


def _built_whole(
    desk: Desk, wanted: WantedDeploy, turns: Turns, snapshot: SnapshotBranch, manifest: str
) -> tuple[Deployed, Verification, str]:
    """Return a deploy that serves what was rendered, what was found there, and when it was ready.

    One that is damaged is replaced by a new build, `BUILDS` times in all. Raises DeployError, which lists what is
    wrong, when the last one is damaged too or all are private.
    """
    left = BUILDS
    while True:
        left -= 1
        deployed = build(desk, wanted, turns)
        ready = desk.moment()
        desk.note(f"verifying {desk.netlify.settings.address_of(wanted.branch)}")
        try:
            return deployed, _verified(desk, snapshot, manifest), ready
        except _PrivateError:
            raise
        except DeployError as error:
            # Without an id, a new deploy could not be told from the damaged one.
            if not (left and deployed.deploy_id):
                raise
            desk.note(f"deploy {deployed.deploy_id} is damaged and is built again: {error.message}")
            wanted = replace(wanted, damaged=wanted.damaged | {deployed.deploy_id})


class _PrivateError(DeployError):
    """The site asks for a login, which no new build mends."""


def _verified(desk: Desk, snapshot: SnapshotBranch, manifest: str) -> Verification:
    """Compare what the snapshot's address serves with its manifest; DeployError where it is not whole.

    What is wrong is looked at a second time, a little later.
    """
    address = desk.netlify.settings.address_of(snapshot.branch)
    for again in (True, False):
        try:
            found = verify.verify(
                address, record_sha256=snapshot.record_sha256, commit=snapshot.commit, manifest_sha256=manifest
            )
            if not found.damaged:
                return found
        except DeployError:
            if not again:
                raise
        else:
            if not again or found.private:
                break
        time.sleep(desk.project.patience.settle)
    try:
        return verify.require(found)
    except DeployError as error:
        kind = _PrivateError if found.private else DeployError
        raise kind(error.message, hint=error.hint, detail=error.detail) from None


def _receipt(project: Project, run_id: str, number: int) -> Receipt | None:
    """Return a run's receipt from `number` on, by whichever publisher wrote it."""
    run = project.run(run_id)
    return run.receipt if run and run.receipt and run.receipt.number >= number else None


def remove_duplicates(desk: Desk, receipt: Receipt, *, spared: frozenset[str] = frozenset()) -> None:
    """Cancel or delete other deploys of a snapshot than its receipt's, never the published one nor those `spared`.

    Two calls can have an effect each where the first one's came later than anybody waited for.
    """
    if not desk.netlify.settings.token or not receipt.deploy_id:
        return
    wanted = deploys.WantedDeploy(
        receipt.snapshot, receipt.commit, receipt.run_id, "", desk.limits.timeout, damaged=spared
    )
    alike = deploys.look(desk.netlify, wanted).alike
    # Without the receipt's own deploy in the list (a stale one, say), nothing is known to be a duplicate of it.
    if any(deploy.id == receipt.deploy_id and deploy.ready for deploy in alike):
        deploys.remove(desk.netlify, alike, keep=receipt.deploy_id, note=desk.note)


def build(desk: Desk, wanted: WantedDeploy, turns: Turns) -> Deployed:
    """Return the ready deploy that is wanted, asking for a build only where none is there or on its way.

    A build that takes longer than `wanted.timeout` is cancelled and asked for again, `TRIES` times in all. Raises
    DeployError when the build fails, never ends or never appears, NetworkError when hook or API cannot be used.
    """
    for _ in range(TRIES):
        look = deploys.look(desk.netlify, wanted)
        _name_wrong_clock(desk)
        if look.deployed is not None:
            turns.forget()
            return look.deployed
        if look.under_way is not None and not desk.patient:
            raise DeployError(f"a build of {wanted.branch} is under way", hint="publisher reconcile waits for it")
        asked = _Asked(deploys.NEVER) if look.under_way else _ask(desk, wanted, turns, look)
        found = deploys.wait(desk.netlify, wanted, look, asked.appear, desk.note)
        if found.deployed is not None:
            turns.forget()
            return found.deployed
        if found.under_way is not None:
            desk.note(f"{wanted.branch}: {found.under_way.state} for more than {wanted.timeout:.0f} s; cancelling it")
            deploys.cancel(desk.netlify, found.under_way.id)
        elif asked.accepted:
            raise _never_came(desk, wanted)
    raise DeployError(
        f"{wanted.branch} is not deployed after {TRIES} tries of {wanted.timeout:.0f} s",
        hint="does the build hook belong to this site?  publisher reconcile tries again",
    )


def _never_came(desk: Desk, wanted: WantedDeploy) -> DeployError:
    """Return the error for a call that was accepted and to which no deploy came."""
    if desk.netlify.settings.token:
        return DeployError(
            f"the build hook accepted the call for {wanted.branch}, but no deploy came in {wanted.timeout:.0f} s",
            hint="does the build hook belong to this site?  publisher reconcile tries again",
        )
    address = wanted.address or desk.netlify.settings.address_of(wanted.branch)
    return DeployError(
        f"{address} did not show the snapshot within {wanted.timeout:.0f} s",
        hint="look at the build's log in Netlify; with NETLIFY_AUTH_TOKEN its failure would be seen here",
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """For how many seconds a deploy may be awaited, and whether the host accepted a call of ours for it."""

    appear: float
    accepted: bool = False


def _ask(desk: Desk, wanted: WantedDeploy, turns: Turns, look: Look) -> _Asked:
    """Call the build hook, unless a call by somebody else may still take effect.

    Where the host asks for a pause, the turn is given up before it: it would expire meanwhile.
    """
    deadline, refused = time.monotonic() + wanted.timeout, 0
    while True:
        desk.project.ledger.sync()
        left = turns.pending(look)
        if left > 0 and not desk.patient:
            raise DeployError(f"another publisher is at {wanted.branch}", hint="publisher reconcile waits for it")
        if left > 0:
            desk.note(f"{wanted.branch}: another call may still take effect; waiting up to {left:.0f} s")
            return _Asked(left)
        _keep_to_the_rate(desk)
        turn = turns.take(wanted, look, moment=desk.moment())
        if turn is None:
            continue
        desk.note(f"calling the build hook for {wanted.branch}")
        called = deploys.call(desk.netlify, wanted, longest=turn.longest_answer)
        turns.close(turn, called.outcome, moment=desk.moment())
        if called.error is None:
            return _Asked(wanted.timeout, accepted=True)
        if called.outcome == "lost":
            return _Asked(turns.pending(look))
        # Each try is two entries in the ledger, so the pause doubles whatever the host asks for.
        asked = called.retry_after
        pause = max(asked or 0.0, turns.patience.retry * 2**refused)
        refused += 1
        if asked is None or refused > MOST_REFUSED or time.monotonic() + pause > deadline:
            raise called.error
        desk.note(f"{called.error.message}; trying again in {pause:.0f} s")
        time.sleep(pause)


def _keep_to_the_rate(desk: Desk) -> None:
    """Wait until another build may be asked for; DeployError when the builds of a day or month are used up."""
    asked = [request.time for run in desk.project.runs() for request in run.requests]
    limits = desk.limits
    pause = budget.wait_for_build(
        [*asked, *calls.other_times(desk.project.ledger)],
        desk.project.now(desk.netlify),
        per_minute=limits.builds_per_minute,
        per_day=limits.builds_per_day,
        per_month=limits.builds_per_month,
    )
    if pause > 0:
        desk.note(f"waiting {pause:.0f} s: {limits.builds_per_minute} builds per minute are allowed")
        time.sleep(pause)


def _name_wrong_clock(desk: Desk) -> None:
    """Say that this machine's clock differs from the host's; the times that are written down are the host's."""
    host = desk.netlify.clock.now()
    ahead = 0.0 if host is None else desk.project.clock() - host
    if abs(ahead) > FAR_OFF and desk.project.say_once("clock"):
        way = "ahead of" if ahead > 0 else "behind"
        desk.note(
            f"this machine's clock is {abs(ahead):.0f} s {way} the site's: set it, or times of runs will be wrong"
        )
