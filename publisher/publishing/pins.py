"""Pins: memorable addresses of snapshots, which move only when somebody says so.

    claimed ─▶ pushed ─▶ requested ─▶ ready ─▶ verified

`claimed` is the pin's entry in the ledger, a number of its name that only one publisher can take. What follows looks
first whether it is done already, so the same command finishes a pin that was interrupted, and equal pins at once are
one pin. A pin that was interrupted does not block its name: it can be moved like any other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from publisher import verify
from publisher.errors import LostRaceError, UsageError
from publisher.files import sha256_hex
from publisher.ledger import calls, history, snapshots
from publisher.netlify import deploys
from publisher.publishing.deliver import Desk, build, check_settings
from publisher.publishing.find import find_snapshot
from publisher.schema import Pin

if TYPE_CHECKING:
    from collections.abc import Callable

    from publisher.ledger.history import Run
    from publisher.publishing.project import Project
    from publisher.schema import Receipt

    Note = Callable[[str], None]

ATTEMPTS = 12
"""How often a step that another publisher got ahead of is tried again."""
LONGEST_NAME, LONGEST_LABEL = 37, 63
"""Characters that Netlify takes of a branch in an address (`netlify deploy --help`), and DNS of a whole label."""
_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9])*\Z")
_RESERVED = re.compile(r"(?:snapshot|deploy-preview|agent)-.*|live|ledger|main|master|head|[0-9a-f]{24}")


def check_name(name: str, site: str) -> None:
    """Raise UsageError for a pin's name that could not be an address, or that means something else there."""
    label = f"{name}--{site}"
    if not _NAME.match(name) or len(name) > LONGEST_NAME or len(label) > LONGEST_LABEL:
        longest = min(LONGEST_NAME, LONGEST_LABEL - 2 - len(site))
        raise UsageError(
            f"{name!r} cannot be an address: at most {longest} of a-z, 0-9 and single hyphens inside",
            hint="publisher pin SNAPSHOT math-v3",
        )
    if _RESERVED.fullmatch(name):
        raise UsageError(f"{name!r} means something else in an address", hint="choose another name")


def name_of_branch(branch: str) -> str:
    """Return the name that a snapshot of a branch is pinned by: `release/1.2` as `release-1-2`."""
    return re.sub("[^a-z0-9]+", "-", branch.lower()).strip("-")[:LONGEST_NAME].rstrip("-")


def pin(project: Project, wanted: str, name: str, *, move: bool, note: Note) -> Pin:
    """Give a snapshot a memorable branch address and return the pin; one that exists is moved only with `move`.

    Raises UsageError where the name is taken or the snapshot is not published, LostRaceError where somebody else moves
    the pin meanwhile.
    """
    project.ledger.sync()
    run = find_snapshot(project, wanted)
    desk = Desk.of_run(project, run, note)
    check_name(name, desk.netlify.settings.site)
    check_settings(desk.netlify)
    receipt = _published(run)
    _check_branch(project, name, receipt)
    made = _claim(desk, name, receipt, move=move)
    there = _push(project, made)
    wanted_deploy = deploys.WantedDeploy(name, there, made.run_id, f"pin {name} {made.run_id}", desk.limits.timeout)
    build(desk, wanted_deploy, desk.turns(calls.pin_folder(name, made.number)))
    record = verify.verify(
        desk.netlify.settings.address_of(name),
        record_sha256=_record_digest(project, receipt),
        commit=made.commit,
        manifest_sha256=receipt.manifest_sha256,
    )
    verify.require(record)
    return made


def _published(run: Run | None) -> Receipt:
    """Return the receipt of a snapshot that is there; UsageError where its deploy was deleted."""
    if run is None or run.receipt is None:
        branch = run.line.snapshot if run else "the snapshot"
        raise UsageError(
            f"{branch} was pruned or taken down, so there is nothing to pin",
            hint=f"publisher verify {branch} --repair   brings a pruned snapshot back",
        )
    return run.receipt


def _claim(desk: Desk, name: str, receipt: Receipt, *, move: bool) -> Pin:
    """Write down that a name is pinned to a snapshot and return the entry, also where it is there already."""
    project = desk.project
    for _ in range(ATTEMPTS):
        known = history.pins(project.ledger).get(name)
        if known is not None and known.run_id == receipt.run_id:
            desk.note(f"{name} is pinned to {known.snapshot} already")
            return known
        if known is not None and not move:
            raise UsageError(
                f"{name} is pinned to {known.snapshot}, and a pin does not move by itself",
                hint=f"publisher pin {receipt.snapshot} {name} --move",
            )
        made = Pin(
            name=name,
            number=known.number + 1 if known else 1,
            snapshot=receipt.snapshot,
            run_id=receipt.run_id,
            commit=receipt.commit,
            address=desk.netlify.settings.address_of(name),
            who=project.who,
            time=desk.moment(),
        )

        def taken(made: Pin = made) -> bool:
            current = history.pins(project.ledger).get(name)
            run = project.run(receipt.run_id)
            # A snapshot that is being pruned or taken down must not get a pin that leads nowhere.
            return (current is not None and current.number >= made.number) or run is None or run.receipt is None

        project.ledger.append(history.pin_file(made), f"Pin {name} to {made.snapshot}\n", unless=taken)
        _published(project.run(receipt.run_id))
        if history.pins(project.ledger).get(name) == made:
            return made
    raise LostRaceError(f"other publishers keep moving the pin {name!r}", hint="publisher pin   lists the pins")


def _check_branch(project: Project, name: str, receipt: Receipt) -> tuple[str | None, str | None]:
    """Return where the pin's branch is and which snapshot commit it shows, None where it is not there.

    The ledger's word is not enough to overwrite a branch: its commit must have been made for a snapshot that the name
    was pinned to. Raises UsageError where it is somebody else's branch.
    """
    ref = f"refs/heads/{name}"
    repository, remote = project.repository, project.ledger.remote
    there = repository.remote_refs(remote, ref).get(ref) if remote else repository.ref(ref)
    if there is None or there == receipt.commit:
        return there, there
    known = {(pin.commit, pin.run_id) for pin in history.pins_of(project.ledger, name)}
    if known:
        repository.fetch_commit(remote, there)
        shown = snapshots.shown_by(repository, there)
        if (shown, snapshots.trailers(repository.commit(shown).message).get("Run")) in known:
            return there, shown
    raise UsageError(f"there is a branch {name!r} already that is no pin", hint="choose another name")


def _push(project: Project, made: Pin) -> str:
    """Point the pin's branch at its snapshot, as long as nobody has moved the pin, and return where it is then.

    Raises LostRaceError where somebody has.
    """
    ref, remote, repository = f"refs/heads/{made.name}", project.ledger.remote, project.repository
    for _ in range(ATTEMPTS):
        project.ledger.sync()
        current, run = history.pins(project.ledger).get(made.name), project.run(made.run_id)
        if current != made:
            raise LostRaceError(
                f"{made.name} was pinned to {current.snapshot if current else 'nothing'} meanwhile",
                hint="publisher pin   lists the pins",
            )
        there, shown = _check_branch(project, made.name, _published(run))
        if there is not None and shown == made.commit:
            return there
        repository.fetch_commit(remote, made.commit)
        try:
            if remote is not None:
                return snapshots.push_over(project.ledger, ref, made.commit, there)
            repository.move_refs({ref: (made.commit, there)})
        except LostRaceError:
            continue
        return made.commit
    raise LostRaceError(f"other publishers keep moving the branch {made.name!r}", hint="publisher pin   lists the pins")


def _record_digest(project: Project, receipt: Receipt) -> str:
    """Return the SHA-256 of the record that a snapshot must show."""
    return sha256_hex(project.ledger.read(f"{history.folder(receipt.run_id)}/record.json") or b"")
