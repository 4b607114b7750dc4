"""What maintainers do with published snapshots: roll the live site back, pin and prune."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from publisher.deliver import check_settings, repair, show_live
from publisher.errors import LostRaceError, UsageError
from publisher.ledger import history, snapshots
from publisher.netlify import deploys, verify
from publisher.place import now
from publisher.schema import LiveMove, Pin, Pruned, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from publisher.ledger.history import Run
    from publisher.place import Place

    Note = Callable[[str], None]

LONGEST_NAME, LONGEST_LABEL = 37, 63
"""Characters that Netlify takes of a branch in an address (`netlify deploy --help`), and DNS of a whole label."""
_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9])*\Z")
_RESERVED = re.compile(r"(?:snapshot|deploy-preview|agent)-.*|live|ledger|main|master|head|[0-9a-f]{24}")


def find_snapshot(place: Place, wanted: str) -> Run:
    """Return the snapshot that a branch, a pin, a commit's beginning, a run id or `-N` (N before live) stands for."""
    named = [run for run in place.runs() if run.last_receipt]
    if re.fullmatch(r"-\d+", wanted):
        return _before_live(place, [run for run in named if run.receipt], int(wanted[1:]))
    pin = history.pins(place.ledger).get(wanted)
    found = [
        run for run in named
        if wanted in {run.run_id, run.line.snapshot} or (pin is not None and pin.run_id == run.run_id)
        or (len(wanted) >= 7 and run.line.commit.startswith(wanted))
    ]
    if len(found) == 1:
        return found[0]
    many = "names several snapshots" if found else "names no published snapshot"
    raise UsageError(f"{wanted!r} {many}", hint="publisher snapshots   lists them")


def _before_live(place: Place, published: Sequence[Run], steps: int) -> Run:
    """Return the snapshot `steps` before the live one."""
    moves = history.live_moves(place.ledger)
    shown = next((number for number, run in enumerate(published) if moves and run.run_id == moves[-1].run_id), None)
    if shown is None or shown < steps:
        raise UsageError(f"there is no snapshot {steps} before the live one", hint="publisher snapshots   lists them")
    return published[shown - steps]


# -- live ----------------------------------------------------------------------------------------------------------


def rollback(place: Place, wanted: str, *, why: str, lock: bool, note: Note) -> tuple[Receipt, LiveMove | None]:
    """Show an older (or newer) snapshot live and return its receipt and the move; None where it is live already.

    A snapshot whose deploy is gone is repaired first.
    """
    place.ledger.sync()
    run = find_snapshot(place, wanted)
    netlify, config = place.client_of(run)
    receipt = run.receipt
    if receipt is None or (netlify.settings.token and not netlify.has(receipt.deploy_id)):
        note(f"{run.line.snapshot} is not deployed any more: repairing it first")
        check_settings(netlify)
        receipt = repair(place, netlify, place.record(run.run_id), config, note)
    move = show_live(place, netlify, receipt, config, why=why, note=note, by_hand=True)
    if lock:
        netlify.lock(receipt.deploy_id)
        note("locked: no build is published by itself until  publisher live --unlock")
    return receipt, move


# -- pins ----------------------------------------------------------------------------------------------------------


def check_name(name: str, site: str) -> None:
    """Refuse a pin's name that could not be an address, or that means something else; UsageError says which."""
    label = f"{name}--{site}"
    if not _NAME.match(name) or len(name) > LONGEST_NAME or len(label) > LONGEST_LABEL:
        longest = min(LONGEST_NAME, LONGEST_LABEL - 2 - len(site))
        raise UsageError(f"{name!r} cannot be an address: at most {longest} of a-z, 0-9 and single hyphens inside",
                         hint="publisher pin SNAPSHOT math-v3")
    if _RESERVED.fullmatch(name):
        raise UsageError(f"{name!r} means something else in an address", hint="choose another name")


def pin(place: Place, wanted: str, name: str, *, move: bool, note: Note) -> Pin:
    """Give a snapshot a memorable branch address and return the pin; one that exists is moved only with `move`."""
    place.ledger.sync()
    run = find_snapshot(place, wanted)
    netlify, config = place.client_of(run)
    check_name(name, netlify.settings.site)
    check_settings(netlify)
    known = history.pins(place.ledger).get(name)
    if known is not None and known.run_id == run.run_id:
        note(f"{name} is pinned to {known.snapshot} already")
    elif known is not None and not move:
        raise UsageError(f"{name} is pinned to {known.snapshot}, and a pin does not move by itself",
                         hint=f"publisher pin {wanted} {name} --move")
    snapshot = snapshots.ensure_snapshot(place.ledger, run.run_id, site=netlify.settings.main_address(),
                                         address=netlify.settings.address_of)
    _push_pin(place, name, snapshot.commit, known.commit if known else None)
    address = netlify.settings.address_of(name)
    wish = deploys.Wanted(name, snapshot.commit, run.run_id, f"pin {name} {run.run_id}", config.netlify.timeout)
    deploys.ensure(netlify, wish, may_call=lambda _: True, note=note)
    verify.require(verify.verify(address, record_sha256=snapshot.record_sha256, commit=snapshot.commit))
    if known is not None and known.run_id == run.run_id:
        return known
    made = Pin(name=name, number=known.number + 1 if known else 1, snapshot=snapshot.branch, run_id=run.run_id,
               commit=snapshot.commit, address=address, who=place.who, time=now())
    place.ledger.append(history.pin_file(made), f"Pin {name} to {snapshot.branch}\n")
    return made


def _push_pin(place: Place, name: str, commit: str, before: str | None) -> None:
    """Point the pin's branch at a snapshot, from exactly where the pin says it is; UsageError where it is not ours."""
    ref = f"refs/heads/{name}"
    repository, remote = place.repository, place.ledger.remote
    there = repository.remote_refs(remote, ref).get(ref) if remote else repository.ref(ref)
    if there == commit:
        return
    if there != before:
        raise UsageError(f"there is a branch {name!r} already that is no pin", hint="choose another name")
    try:
        if remote:
            repository.push(remote, {ref: (commit, before)})
        else:
            repository.move_refs({ref: (commit, before)})
    except LostRaceError as error:
        raise UsageError(f"somebody else is pinning {name!r}", hint="publisher pin   lists the pins") from error


# -- pruning -------------------------------------------------------------------------------------------------------


def prunable(place: Place) -> list[Run]:
    """Return the published snapshots that no rule of `[netlify] keep` holds, after those that are pruned by half."""
    published = [run for run in place.runs() if run.receipt]
    if not published:
        return half_pruned(place)
    _, config = place.client_of(published[-1])
    keep = config.netlify.keep
    kept = {run.run_id for run in published[-keep.last:]}
    kept |= {run_id for suite in _suites(published) for run_id in _best(published, suite, keep.best_per_suite)}
    kept |= {pin.run_id for pin in history.pins(place.ledger).values()} if keep.pinned else set()
    kept |= {move.run_id for move in history.live_moves(place.ledger)[-1:]}
    tagged = place.repository.tags() if keep.labels else {}
    labelled = {sha for tag, sha in tagged.items() if any(fnmatch.fnmatch(tag, label) for label in keep.labels)}
    given_up = [run for run in published if run.run_id not in kept and run.line.commit not in labelled]
    return half_pruned(place) + given_up


def half_pruned(place: Place) -> list[Run]:
    """Return the snapshots that the ledger says are pruned and whose branches are still there, oldest first."""
    pruned = [run for run in place.runs() if run.line.pruned]
    there = snapshots.remaining(place.ledger, [run.line.snapshot for run in pruned]) if pruned else set()
    return [run for run in pruned if run.line.snapshot in there]


def _suites(runs: Sequence[Run]) -> set[str]:
    return {suite for run in runs for suite in run.line.scores}


def _best(runs: Sequence[Run], suite: str, count: int) -> list[str]:
    """Return the ids of the best runs of a suite; of equal ones the older."""
    measured = [run for run in runs if suite in run.line.scores]
    return [run.run_id for run in sorted(measured, key=lambda run: -run.line.scores[suite].score)[:count]]


def prune(place: Place, run: Run, note: Note) -> None:
    """Delete a snapshot's deploys and last its branch; its record stays, and says so."""
    netlify, _ = place.client_of(run)
    branch, receipt = run.line.snapshot, run.last_receipt
    if receipt is None:
        return
    if not run.line.pruned:
        made = Pruned(run_id=run.run_id, snapshot=branch, commit=receipt.commit, number=receipt.number, who=place.who,
                      time=now())
        # The ledger first: a snapshot that is half deleted is then known to be on its way out.
        place.ledger.append(history.pruned_file(made), f"Prune {branch}\n")
    for deploy in netlify.deploys(branch=branch):
        netlify.delete(deploy.id)
    snapshots.delete_branch(place.ledger, branch, receipt.commit)
    note(f"pruned {branch}")
